//! The storm itself: who starts transfers, who kills, and who brings back what nobody else would.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail};
use lab_client::{
    bank::Bank,
    facts,
    http::is_silence,
    side_by_side, stuck,
    temporal::{Run, Server, status_of, transfers},
};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{
    audit::Recorded,
    ledger::{self, check_ledger},
    plan::{Order, Plan, SUPERVISOR, Targets},
};
use crate::shadow::{INTERRUPTED, Shadow};
use lab_client::state::State;
use supervisor::process::{self, Identity};
use terminal::{duration, stderrln};

/// How often is looked whether something is to be done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a part may stay away, and how long the transfers may take to one that ends.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// So many transfers are under way at a time, about: so there are always some at every step.
const IN_FLIGHT: usize = 50;
/// After so many kills the ledger is looked through, and said how far it is.
const ROUND: usize = 10;
/// The server's answer to a Workflow Id that was used before.
const CONFLICT: u16 = 409;

/// How often each part was killed.
pub type Kills = BTreeMap<&'static str, usize>;

/// What came of a storm.
pub(super) struct ChaosReport {
    /// What was killed.
    pub(super) kills: Kills,
    /// What the server and the bank have of it.
    pub(super) recorded: Recorded,
    /// Every process of the lab that was seen, with its name.
    pub(super) seen: Vec<(String, Identity)>,
}

/// Carries out the plan in a lab that runs, and waits until every transfer has ended.
///
/// # Errors
/// The first thing that is not as it must be, or that the storm was told to end.
pub(super) fn weather(shadow: &Shadow, plan: &Plan) -> Result<ChaosReport> {
    let storm = Storm {
        shadow,
        plan,
        begin: Instant::now(),
        kills: Mutex::default(),
        started: AtomicUsize::new(0),
        open: AtomicUsize::new(0),
        is_calm: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        broken: Mutex::default(),
        seen: Mutex::default(),
    };
    let recorded = thread::scope(|scope| {
        scope.spawn(|| storm.until_broken(Storm::start_transfers));
        scope.spawn(|| storm.until_broken(Storm::keep_up));
        let recorded = storm.until_broken(|storm| {
            storm.kill()?;
            storm.is_calm.store(true, Ordering::Relaxed);
            storm.wait_for_the_end()?;
            storm.record()
        });
        storm.is_over.store(true, Ordering::Relaxed);
        recorded
    });
    let inner = |broken: Mutex<Option<Error>>| broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let recorded = match (inner(storm.broken), recorded) {
        (Some(error), _) => return Err(error),
        (None, recorded) => recorded.context("the storm ended before its time")?,
    };
    Ok(ChaosReport {
        kills: storm.kills.into_inner().unwrap_or_else(PoisonError::into_inner),
        recorded,
        seen: storm.seen.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect(),
    })
}

/// What the threads of a storm share.
struct Storm<'a> {
    shadow: &'a Shadow,
    plan: &'a Plan,
    begin: Instant,
    kills: Mutex<Kills>,
    /// How many transfers were started.
    started: AtomicUsize,
    /// How many transfers were under way when that was asked last.
    open: AtomicUsize,
    /// Whether nothing is killed any more.
    is_calm: AtomicBool,
    /// Whether everybody is to end.
    is_over: AtomicBool,
    /// What is not as it must be.
    broken: Mutex<Option<Error>>,
    /// The processes of the lab so far, by id.
    seen: Mutex<BTreeMap<u32, (String, Identity)>>,
}

impl Storm<'_> {
    /// Does this part of the storm. Where something is broken, all parts end.
    fn until_broken<T>(&self, part: impl FnOnce(&Self) -> Result<T>) -> Option<T> {
        match part(self) {
            Ok(done) => Some(done),
            Err(error) => {
                self.is_over.store(true, Ordering::Relaxed);
                // The others break off because of it, which is no news.
                locked(&self.broken).get_or_insert(error);
                None
            }
        }
    }

    /// Sleeps; an error where it is over.
    fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                bail!("{INTERRUPTED}");
            }
            self.shadow.pause(POLL_INTERVAL.min(end.saturating_duration_since(Instant::now())))?;
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// The lab, if somebody supervises it. Who is in it is remembered.
    fn lab(&self) -> Option<State> {
        let state = self.shadow.state().ok().filter(|state| process::is_alive(&state.supervisor))?;
        let mut seen = locked(&self.seen);
        let supervisor = (SUPERVISOR.to_owned(), state.supervisor.clone());
        for (name, process) in state.services.iter().chain([&supervisor]) {
            seen.insert(process.pid, (name.clone(), process.clone()));
        }
        Some(state)
    }

    /// Starts the transfers, spread over the kills. A start whose answer got lost is asked for again, under the same
    /// Workflow Id: the server knows whether it has it.
    fn start_transfers(&self) -> Result<()> {
        for (number, order) in self.plan.orders.iter().enumerate() {
            let is_due = || number <= self.due(self.killed() + 1);
            while !is_due() || self.open.load(Ordering::Relaxed) > IN_FLIGHT {
                self.pause(POLL_INTERVAL)?;
            }
            self.start(order)?;
            self.started.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many kills there were.
    fn killed(&self) -> usize {
        locked(&self.kills).values().sum()
    }

    /// How many transfers are to be started by the kill with that number; the last few come after all kills.
    fn due(&self, kill: usize) -> usize {
        self.plan.orders.len() * kill / (self.plan.kills + 1)
    }

    /// How many transfers have ended, by what was seen last.
    fn ended(&self) -> usize {
        self.started.load(Ordering::Relaxed).saturating_sub(self.open.load(Ordering::Relaxed))
    }

    /// So many transfers the kills may be ahead of.
    fn slack(&self) -> usize {
        self.plan.orders.len() / 20
    }

    fn start(&self, Order { workflow_id, from, to, amount, .. }: &Order) -> Result<()> {
        let input = json!({ "from_account": from, "to_account": to, "amount": amount });
        let begin = Instant::now();
        loop {
            let answer =
                self.lab().map(|state| Server::new(&state.endpoints()).start_transfer(workflow_id, &input));
            match answer {
                Some(Ok(_)) => return Ok(()),
                // It was started, and the answer that said so got lost.
                Some(Err(error)) if status_of(&error) == CONFLICT => return Ok(()),
                // A server that starts has answers of its own for what it does not know yet.
                Some(Err(error)) if begin.elapsed() > RECOVERY_TIMEOUT => {
                    return Err(error).with_context(|| format!("{workflow_id} cannot be started"));
                }
                _ => self.pause(POLL_INTERVAL)?,
            }
        }
    }

    /// Brings the lab back when its supervisor was killed, as its user would, and Real World Mode when the bank was.
    /// Looks how many transfers are under way.
    fn keep_up(&self) -> Result<()> {
        while !self.is_over.load(Ordering::Relaxed) {
            match self.lab() {
                None => self.start_lab()?,
                Some(state) => {
                    self.set_real_world_mode(&state);
                    if let Ok(open) = Server::new(&state.endpoints()).running() {
                        self.open.store(open.len(), Ordering::Relaxed);
                    }
                }
            }
            if self.pause(POLL_INTERVAL).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn start_lab(&self) -> Result<()> {
        let before = self.killed();
        let start = self.shadow.xtask(&["lab", "start", "--detach"])?;
        // One in which something was killed may fail: then it is simply typed again.
        if !start.ok && self.killed() == before {
            bail!(
                "after its supervisor was killed the lab does not start; it says:\n  {}",
                start.lines.join("\n  ")
            );
        }
        Ok(())
    }

    /// A bank that starts has it off. In the storm it is on, and answers get lost too; when it is calm it is off.
    fn set_real_world_mode(&self, state: &State) {
        let bank = Bank::new(&state.endpoints());
        let is_calm = self.is_calm.load(Ordering::Relaxed);
        if bank.real_world_mode().is_ok_and(|on| on == is_calm) {
            let mode = json!({
                "enabled": !is_calm,
                "timeout_rate": 0.05,
                "error_rate": 0.25,
                // Longer than the worker waits for an answer.
                "timeout_seconds": 5,
                "strikes": "either",
            });
            // If it is killed at this very moment: it is asked again.
            let _ = bank.change_real_world_mode(&mode);
        }
    }

    /// Kills, one part after the other.
    fn kill(&self) -> Result<()> {
        let mut targets = self.plan.targets();
        for number in 1..=self.plan.kills {
            self.pause(targets.pause())?;
            // Not so fast that nothing gets done any more: then there would be little left to break.
            while self.ended() + self.slack() < self.due(number - 1) {
                self.pause(POLL_INTERVAL)?;
            }
            let begin = Instant::now();
            let (target, process) = loop {
                if let Some(found) = self.next_target(&mut targets) {
                    break found;
                }
                if begin.elapsed() > RECOVERY_TIMEOUT {
                    bail!(
                        "for {} nothing that is to be killed next is there",
                        duration(RECOVERY_TIMEOUT.as_secs_f64())
                    );
                }
                self.pause(POLL_INTERVAL)?;
            };
            process::signal(&process, Signal::SIGKILL);
            *locked(&self.kills).entry(target).or_default() += 1;
            if number % ROUND == 0 {
                self.look_at_the_ledger()?;
                let (kills, started) = (self.plan.kills, self.started.load(Ordering::Relaxed));
                let took = self.begin.elapsed().as_secs();
                stderrln!(
                    "{took:>4} s: {number} of {kills} kills, {started} transfers started, {} ended",
                    self.ended()
                );
            }
        }
        Ok(())
    }

    fn next_target(&self, targets: &mut Targets) -> Option<(&'static str, Identity)> {
        let state = self.lab()?;
        let process = |target: &str| {
            if target == SUPERVISOR {
                return Some(&state.supervisor);
            }
            state.services.iter().find(|(name, _)| name == target).map(|(_, process)| process)
        };
        let is_there = |target: &str| process(target).is_some_and(process::is_alive);
        let target = targets.next(is_there)?;
        Some((target, process(target)?.clone()))
    }

    /// Whether the ledger adds up, as far as it is; a bank that is down is asked the next time.
    fn look_at_the_ledger(&self) -> Result<()> {
        let Some(state) = self.lab() else { return Ok(()) };
        match ledger::entries(&Bank::new(&state.endpoints())) {
            Ok(entries) => check_ledger(&entries).map(drop),
            Err(error) if is_silence(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until every transfer has ended: nothing is in the way of that any more.
    fn wait_for_the_end(&self) -> Result<()> {
        let (mut least, mut since) = (usize::MAX, Instant::now());
        loop {
            self.pause(Duration::from_millis(200))?;
            let Some(state) = self.lab() else { continue };
            let server = Server::new(&state.endpoints());
            let open = server.running();
            if let Ok(open) = &open {
                let left = self.plan.orders.len() - self.started.load(Ordering::Relaxed) + open.len();
                // The list lags behind: what was started last may not be in it yet.
                if left == 0 && server.list(&transfers(), usize::MAX)?.len() >= self.plan.orders.len() {
                    return Ok(());
                }
                if left < least {
                    (least, since) = (left, Instant::now());
                }
            }
            if since.elapsed() > RECOVERY_TIMEOUT {
                let open = open.context("the server does not tell which transfers are under way")?;
                bail!("{}", still_under_way(&server, &open));
            }
        }
    }

    /// What the server and the bank have of all this.
    fn record(&self) -> Result<Recorded> {
        let state = self.shadow.state()?;
        let server = Server::new(&state.endpoints());
        let bank = Bank::new(&state.endpoints());
        let runs = server.list(&transfers(), usize::MAX)?;
        let histories = side_by_side::try_map(&runs, |run| {
            let history = facts::read_run(&server, run, None);
            history.map(|history| (run.workflow_id.clone(), history))
        })?;
        Ok(Recorded { runs: histories, entries: ledger::entries(&bank)?, accounts: bank.accounts()? })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which transfers do not end, and what some of them wait for.
fn still_under_way(server: &Server, open: &[Run]) -> String {
    let mut said = format!(
        "{} transfers do not end, though nothing was killed for {}",
        open.len(),
        duration(RECOVERY_TIMEOUT.as_secs_f64())
    );
    for run in open.iter().take(5) {
        let what = match stuck::look(server, run) {
            Ok(stuck) => stuck.first().map_or_else(|| "waits".to_owned(), |stuck| stuck.failure.clone()),
            Err(error) => format!("{error:#}"),
        };
        said.push_str(&format!("\n  {}: {what}", run.workflow_id));
    }
    said
}
