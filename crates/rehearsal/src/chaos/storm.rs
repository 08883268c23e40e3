//! The chaos run itself: threads that start transfers, kill parts, and restore what does not recover by itself.

use std::{
    collections::BTreeMap,
    fs,
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
    kept_versions::is_worker,
    side_by_side, stuck,
    temporal::{Run, Server, status_of, transfers},
};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{
    audit::Recorded,
    ledger::{self, check_ledger},
    plan::{CLUSTER, Order, Plan, SUPERVISOR, Targets},
};
use crate::shadow::{INTERRUPTED, Shadow};
use lab_client::state::State;
use supervisor::{
    process::{self, Identity},
    services::WORKER,
};
use terminal::{duration, stderrln};

/// How often each thread checks for work.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a part may stay down, and how long until the next transfer closes.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// About how many transfers are in progress at a time, so that there are always some at every step.
const IN_FLIGHT: usize = 50;
/// After this many kills, the ledger is checked and progress is printed.
const ROUND: usize = 10;
/// The server's status for a Workflow Id that was used before.
const CONFLICT: u16 = 409;

/// How often each part was killed.
pub type Kills = BTreeMap<&'static str, usize>;

/// The result of a chaos run.
pub(super) struct ChaosReport {
    /// How often each part was killed.
    pub(super) kills: Kills,
    /// The state of the server and the bank.
    pub(super) recorded: Recorded,
    /// Every process of the lab during the run, with its name.
    pub(super) seen: Vec<(String, Identity)>,
}

/// Carries out the plan in a running lab, and waits until every transfer has closed.
///
/// # Errors
/// The first violation, or an interruption.
pub(super) fn weather(shadow: &Shadow, plan: &Plan) -> Result<ChaosReport> {
    let storm = Storm {
        shadow,
        plan,
        begin: Instant::now(),
        kills: Mutex::default(),
        last_kill: Mutex::default(),
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
        (None, recorded) => recorded.context("the chaos run ended early")?,
    };
    Ok(ChaosReport {
        kills: storm.kills.into_inner().unwrap_or_else(PoisonError::into_inner),
        recorded,
        seen: storm.seen.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect(),
    })
}

/// The state that the threads share.
struct Storm<'a> {
    shadow: &'a Shadow,
    plan: &'a Plan,
    begin: Instant,
    kills: Mutex<Kills>,
    last_kill: Mutex<Option<Instant>>,
    /// How many transfers were started.
    started: AtomicUsize,
    /// How many transfers were in progress at the last check.
    open: AtomicUsize,
    /// Whether the last kill is done.
    is_calm: AtomicBool,
    /// Whether all threads must stop.
    is_over: AtomicBool,
    /// The first violation.
    broken: Mutex<Option<Error>>,
    /// The processes of the lab so far, by id.
    seen: Mutex<BTreeMap<u32, (String, Identity)>>,
}

impl Storm<'_> {
    /// Runs one thread's part. After an error, all threads stop.
    fn until_broken<T>(&self, part: impl FnOnce(&Self) -> Result<T>) -> Option<T> {
        match part(self) {
            Ok(done) => Some(done),
            Err(error) => {
                self.is_over.store(true, Ordering::Relaxed);
                // The other threads stop because of it; their errors add nothing.
                locked(&self.broken).get_or_insert(error);
                None
            }
        }
    }

    /// Sleeps; an error if the run is over.
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

    /// The lab, if it has a supervisor. Records its processes.
    fn lab(&self) -> Option<State> {
        let state = self.shadow.state().ok().filter(|state| process::is_alive(&state.supervisor))?;
        let mut seen = locked(&self.seen);
        let supervisor = (SUPERVISOR.to_owned(), state.supervisor.clone());
        for (name, process) in state.services.iter().chain([&supervisor]) {
            seen.insert(process.pid, (name.clone(), process.clone()));
        }
        Some(state)
    }

    /// Starts the transfers, spread over the kills. If a response was lost, the start is repeated with the same Workflow Id, which the
    /// server rejects if it has the first.
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

    /// The number of kills so far.
    fn killed(&self) -> usize {
        locked(&self.kills).values().sum()
    }

    /// How many transfers must have been started by this kill; the last few start after all kills.
    fn due(&self, kill: usize) -> usize {
        self.plan.orders.len() * kill / (self.plan.kills + 1)
    }

    /// How many transfers had closed at the last check.
    fn ended(&self) -> usize {
        self.started.load(Ordering::Relaxed).saturating_sub(self.open.load(Ordering::Relaxed))
    }

    /// How many transfers the kills may be ahead of.
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
                // It was started, and the response was lost.
                Some(Err(error)) if status_of(&error) == CONFLICT => return Ok(()),
                // A starting server returns other errors for what it has not loaded yet.
                Some(Err(error)) if begin.elapsed() > RECOVERY_TIMEOUT => {
                    return Err(error).with_context(|| format!("could not start {workflow_id}"));
                }
                _ => self.pause(POLL_INTERVAL)?,
            }
        }
    }

    /// Restarts the lab after a kill of its supervisor, as its user would, and turns Real World Mode on again after a kill of the
    /// bank. Also counts the transfers in progress.
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
        // A start during which something was killed may fail; then it is repeated. So may one on a cluster that is recovering.
        let is_recovering = self.plan.cluster.is_some()
            && locked(&self.last_kill).is_some_and(|kill| kill.elapsed() < RECOVERY_TIMEOUT);
        if !start.ok && self.killed() == before && !is_recovering {
            bail!("the lab does not start after a kill of its supervisor:\n  {}", start.lines.join("\n  "));
        }
        Ok(())
    }

    /// Sets Real World Mode, which a restarted bank has off: on during the kills, with lost responses; off after them.
    fn set_real_world_mode(&self, state: &State) {
        let bank = Bank::new(&state.endpoints());
        let is_calm = self.is_calm.load(Ordering::Relaxed);
        if bank.real_world_mode().is_ok_and(|on| on == is_calm) {
            let mode = json!({
                "enabled": !is_calm,
                "timeout_rate": 0.05,
                "error_rate": 0.25,
                // Longer than the worker's timeout.
                "timeout_seconds": 5,
                "strikes": "either",
            });
            // If the bank is killed right now, this is repeated.
            let _ = bank.change_real_world_mode(&mode);
        }
    }

    /// Kills one part after the other.
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
                        "for {} no part that could be killed next has been running",
                        duration(RECOVERY_TIMEOUT.as_secs_f64())
                    );
                }
                self.pause(POLL_INTERVAL)?;
            };
            process::signal(&process, Signal::SIGKILL);
            *locked(&self.kills).entry(target).or_default() += 1;
            *locked(&self.last_kill) = Some(Instant::now());
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
        let killed = self.killed();
        let process = |target: &str| {
            if target == SUPERVISOR {
                return Some(state.supervisor.clone()).filter(process::is_alive);
            }
            if CLUSTER.contains(&target) {
                return self.of_cluster(target);
            }
            let is_it = |name: &str| name == target || target == WORKER && is_worker(name);
            let found: Vec<&Identity> = state
                .services
                .iter()
                .filter(|(name, process)| is_it(name) && process::is_alive(process))
                .map(|(_, process)| process)
                .collect();
            // With several versions of the worker, one after the other.
            found.get(killed % found.len().max(1)).copied().cloned()
        };
        let target = targets.next(|target| process(target).is_some())?;
        Some((target, process(target)?))
    }

    /// The process of a part of the cluster. Who runs the cluster starts it again.
    fn of_cluster(&self, part: &str) -> Option<Identity> {
        let id = fs::read_to_string(self.plan.cluster.as_ref()?.join("pids").join(part)).ok()?;
        process::identify(id.trim().parse().ok()?)
    }

    /// Checks the ledger so far; if the bank is down, the next check covers it.
    fn look_at_the_ledger(&self) -> Result<()> {
        let Some(state) = self.lab() else { return Ok(()) };
        match ledger::entries(&Bank::new(&state.endpoints())) {
            Ok(entries) => check_ledger(&entries).map(drop),
            Err(error) if is_silence(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until every transfer has closed, which nothing prevents any more.
    fn wait_for_the_end(&self) -> Result<()> {
        let (mut least, mut since) = (usize::MAX, Instant::now());
        loop {
            self.pause(Duration::from_millis(200))?;
            let Some(state) = self.lab() else { continue };
            let server = Server::new(&state.endpoints());
            let open = server.running();
            if let Ok(open) = &open {
                let left = self.plan.orders.len() - self.started.load(Ordering::Relaxed) + open.len();
                // The list lags behind: the latest transfers may not be in it yet.
                if left == 0 && server.list(&transfers(), usize::MAX)?.len() >= self.plan.orders.len() {
                    return Ok(());
                }
                if left < least {
                    (least, since) = (left, Instant::now());
                }
            }
            if since.elapsed() > RECOVERY_TIMEOUT {
                let open = open.context("could not list the transfers in progress")?;
                bail!("{}", still_under_way(&server, &open));
            }
        }
    }

    /// Reads the final state of the server and the bank.
    fn record(&self) -> Result<Recorded> {
        let state = self.shadow.state()?;
        let server = Server::new(&state.endpoints());
        let bank = Bank::new(&state.endpoints());
        let runs = server.list(&transfers(), usize::MAX)?;
        let learners = contract::workflow_id_of(state.learner(), "");
        let histories = side_by_side::try_map(&runs, |run| {
            let history = facts::read_run(&server, run, None);
            let id = run.workflow_id.strip_prefix(&learners).unwrap_or(&run.workflow_id);
            history.map(|history| (id.to_owned(), history))
        })?;
        Ok(Recorded { runs: histories, entries: ledger::entries(&bank)?, accounts: bank.accounts()? })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error for transfers that do not close, with what some of them wait for.
fn still_under_way(server: &Server, open: &[Run]) -> String {
    let mut said = format!(
        "{} transfers are still in progress, although nothing was killed for {}",
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
