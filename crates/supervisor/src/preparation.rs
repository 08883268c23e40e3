//! Bringing a lab to where a stage begins: its transfers, its modules, its outage.
//!
//! A stage may begin with transfers that are in progress under another stage's modules. Then those modules are put in place
//! first, as if that stage had been entered: wherever this is interrupted, the learner is at one stage or the other, and typing
//! the command again does the rest.

use std::{cell::Cell, collections::BTreeSet, mem, time::Duration};

use anyhow::{Context, Result, anyhow};
use contract::Amount;
use lab::{Incident, Milestone, Precondition, Stage};
use lab_client::{
    bank::{Bank, Outage},
    journal,
    progress::{Drill, Progress},
    stuck::{self, Stuck},
    supervisor::{self, BuildState, is_deployed},
    temporal::Server,
};
use serde_json::json;

use crate::{
    control::{self, Request},
    log_tail::follow,
    transfer_watch::TransferWatch,
};
use checkout::{backups::Backup, keep, modules, progress, project::Project};
use lab_client::state::State;
use terminal::stderrln;

/// How long we wait for transfers that may make progress while none of them does. An attempt of an Activity takes up to five seconds, in
/// which nothing is seen of it.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(8);
/// How long we wait for a stage's transfers to settle while nothing happens.
const RESTED_WITHIN: Duration = Duration::from_secs(10);
/// What each transfer that a stage starts moves, in dollars.
const AMOUNT: &str = "5";
/// The accounts of those transfers, each with the next: what one sends is little, and much comes back.
const ACCOUNTS: [&str; 6] = ["account_C", "account_D", "account_E", "account_F", "account_G", "account_H"];

/// What a stage begins with, as far as it is prepared.
#[derive(Debug, Default)]
pub struct Prepared {
    /// What was saved of the learner's changes; the first is what the learner wrote.
    pub saved: Vec<Backup>,
    /// The Workflow Ids of the transfers that the stage begins with.
    pub transfers: Vec<String>,
    /// Whether the worker was built and restarted.
    pub worker_restarted: bool,
}

/// The lab that is prepared.
pub(crate) struct Preparation<'a> {
    pub(crate) project: &'a Project,
    pub(crate) state: &'a State,
    pub(crate) server: Server,
    pub(crate) watch: TransferWatch,
    pub(crate) bank: Bank,
    pub(crate) quiet: bool,
    /// Whether modules were put in place already: what differs from them is an edit that was saved meanwhile.
    pub(crate) has_placed: Cell<bool>,
    /// Whether code of the learner's is set aside, to be put back.
    pub(crate) puts_back: Cell<bool>,
    /// The stage that is entered, when others are entered on the way.
    pub(crate) target: Cell<&'static Stage>,
    /// The seed of the traffic, if it is an incident.
    pub(crate) seed: Cell<u64>,
}

impl<'a> Preparation<'a> {
    pub(crate) fn new(project: &'a Project, state: &'a State, quiet: bool) -> Preparation<'a> {
        let endpoints = state.endpoints();
        Preparation {
            project,
            state,
            server: Server::new(&endpoints),
            watch: TransferWatch::new(state, quiet),
            bank: Bank::new(&endpoints),
            quiet,
            has_placed: Cell::new(false),
            puts_back: Cell::new(false),
            target: Cell::new(modules::current_stage(project)),
            seed: Cell::new(0),
        }
    }

    /// Puts the stage's modules in place and prepares its situation, with so many transfers that start once its code runs.
    pub(crate) fn enter(&self, stage: &'static Stage, starts: u32, entered: &mut Prepared) -> Result<()> {
        self.leave_versions(entered)?;
        self.end_faults(entered)?;
        let incident = stage.incident();
        let last_entry = incident.map(|_| self.bank.last_entry()).transpose()?;
        let mut prepared = match &stage.precondition {
            Some(precondition) => self.prepare(precondition, entered),
            None => Ok(()),
        };
        if stage.has_versions {
            // Its code is to run beside the version of the transfers that it begins with.
            mem::replace(&mut prepared, Ok(()))?;
            self.place_as_version(stage, entered)?;
        } else {
            self.place(stage, entered)?;
        }
        // From now on: until its worker ran, the one from before did.
        progress::update_at(self.project, stage, |progress| {
            let (transfers, seed) = (entered.transfers.clone(), progress.seed);
            *progress = Progress { transfers, seed, ..Progress::begin(stage) };
        })?;
        let outage = Outage { deposits: stage.deposits_down, ..Outage::default() };
        self.set_outage(outage)?;
        prepared.with_context(|| {
            format!("the code of {} is in place, but its transfers are not ready", stage.name)
        })?;
        if starts > 0 {
            let started = self.start(starts)?;
            entered.transfers.extend(started.iter().cloned());
            progress::update_at(self.project, stage, |progress| {
                progress.transfers.clone_from(&entered.transfers)
            })?;
            if stage.deposits_down {
                self.watch.wait_for(Milestone::HeldAtDeposit, &started, started.len())?;
            }
        }
        self.let_rest(stage, &entered.transfers)?;
        match incident.zip(last_entry) {
            Some((incident, last_entry)) => self.begin_drill(incident, last_entry),
            None => Ok(()),
        }
    }

    /// Has the bank behave as the incident's does, and the traffic begin.
    fn begin_drill(&self, incident: &Incident, last_entry: u64) -> Result<()> {
        if let Some(settings) = incident.bank {
            let settings = serde_json::from_str(settings).context("the settings of the incident's bank")?;
            self.bank.change_real_world_mode(&settings)?;
        }
        journal::empty(&self.project.lab)?;
        progress::update_at(self.project, &incident.stage, |progress| {
            progress.drill = Some(Drill { seed: self.seed.get(), last_entry, ended: None });
        })
    }

    /// Waits for the stage's transfers, so that what is told of them next stays true.
    fn let_rest(&self, stage: &Stage, transfers: &[String]) -> Result<()> {
        self.watch.wait_until(RESTED_WITHIN, |_| {
            let at_rest =
                self.watch.transfers()?.into_iter().filter(|transfer| {
                    transfers.contains(&transfer.workflow_id) && stage.is_settled(transfer)
                });
            // One that was started just now is not listed yet.
            Ok(at_rest.count() >= transfers.len())
        })
    }

    /// Sees to it that the transfers are there that the stage begins with.
    fn prepare(&self, precondition: &Precondition, entered: &mut Prepared) -> Result<()> {
        let Precondition { stage, transfers, milestone } = *precondition;
        let wanted = transfers as usize;
        let base = lab::stage(stage).with_context(|| format!("there is no stage {stage}"))?;
        if matches!(milestone, Milestone::Stuck | Milestone::FailsToWithdraw)
            && !modules::is_in_place(self.project, base)
        {
            self.try_once_more()?;
        }
        let there = self.there(precondition)?;
        if there.len() >= wanted {
            entered.transfers.extend(there);
            return Ok(());
        }
        let mut started = Vec::new();
        match milestone {
            // That stage's own transfers come so far by themselves.
            Milestone::Broken | Milestone::RetriesExhausted => {
                let mut there = Prepared::default();
                let prepared = self.enter(base, base.starts, &mut there);
                entered.saved.append(&mut there.saved);
                prepared?;
                entered.worker_restarted |= there.worker_restarted;
                started = there.transfers;
            }
            Milestone::PausedAtDeposit => {
                let version = self.place_as_version(base, entered)?;
                self.make_current(&version)?;
                self.set_outage(Outage { deposits: true, ..Outage::default() })?;
                started = self.start(transfers)?;
                self.watch.wait_for(Milestone::HeldAtDeposit, &started, wanted)?;
                self.pause_deposits(&started)?;
                // An attempt that is in progress is not paused: it must fail before the bank accepts deposits again.
                let there = self.watch.wait_for(milestone, &started, wanted)?;
                entered.transfers.extend(there);
                return self.set_outage(Outage::default());
            }
            Milestone::Stuck | Milestone::FailsToWithdraw | Milestone::HeldAtDeposit => {
                self.place(base, entered)?;
                if milestone == Milestone::HeldAtDeposit {
                    // What an earlier change has broken, this code can complete: it is not to be fixed later.
                    self.watch.wait_until(SETTLED_WITHIN, |_| {
                        Ok(self.watch.those_that(Milestone::Broken)?.is_empty())
                    })?;
                    self.set_outage(Outage { deposits: true, ..Outage::default() })?;
                }
                let missing = wanted - there.len();
                started.extend(there);
                started.extend(self.start(u32::try_from(missing).unwrap_or(u32::MAX))?);
            }
        }
        let there = self.watch.wait_for(milestone, &started, wanted)?;
        entered.transfers.extend(there);
        Ok(())
    }

    /// Has each failed Activity tried once more. Under code that the learner has fixed it succeeds, and would do so while the stage's
    /// own code is built: then the stage would begin with a transfer that is not stuck.
    fn try_once_more(&self) -> Result<()> {
        let before = self.stuck_on_activities()?;
        self.retry(&before)?;
        self.watch.wait_until(SETTLED_WITHIN, |_| {
            let tried = before.iter().map(|stuck| self.is_tried(stuck)).collect::<Result<Vec<bool>>>()?;
            Ok(tried.into_iter().all(|is_tried| is_tried))
        })
    }

    /// Whether the attempt that was due then has ended.
    fn is_tried(&self, before: &Stuck) -> Result<bool> {
        let description = self.server.describe_if_there(&before.run)?.unwrap_or_default();
        let id = before.activity.as_ref().map(|(id, _)| id.as_str());
        let mut pending = description["pendingActivities"].as_array().into_iter().flatten();
        let pending = pending.find(|pending| pending["activityId"].as_str() == id);
        Ok(pending.is_none_or(|pending| pending["attempt"].as_u64() > Some(before.attempt)))
    }

    /// The transfers that are where a stage needs them to be.
    pub(crate) fn there(&self, precondition: &Precondition) -> Result<Vec<String>> {
        match precondition.milestone {
            // Entering a stage ends any outage and unpauses what a stage has paused: what waits at its deposit is about to get through.
            Milestone::HeldAtDeposit | Milestone::PausedAtDeposit => Ok(Vec::new()),
            milestone => self.watch.those_that(milestone),
        }
    }

    /// Ends what a stage before or the learner has switched on in the bank, and lets pass what it held up, by code that
    /// knows how to go on with it: that of the stage which is left, as shipped.
    fn end_faults(&self, entered: &mut Prepared) -> Result<()> {
        let was_on = self.bank.real_world_mode()?;
        // An incident has set other rates than a stage expects.
        self.bank.restore_real_world_mode()?;
        if was_on {
            self.tell(format_args!("switched Real World Mode off"));
        }
        if !self.bank.outage()?.is_any() {
            return Ok(());
        }
        if !self.watch.those_that(Milestone::HeldAtDeposit)?.is_empty() {
            self.place(modules::current_stage(self.project), entered)?;
        }
        self.set_outage(Outage::default())?;
        // What does not get through under this code is not lost: it waits for code with which it does.
        self.watch.wait_until(SETTLED_WITHIN, |found| Ok(!found.stuck.iter().any(is_on_deposit)))
    }

    /// Waits for the transfers that get on: what one does under the code that runs now, the next stage's may not
    /// be able to go on with. What has failed before is not waited for.
    fn let_settle(&self) -> Result<()> {
        self.watch.wait_until(SETTLED_WITHIN, |found| {
            let stuck: BTreeSet<&str> = found.stuck.iter().map(|stuck| &*stuck.run.run_id).collect();
            Ok(stuck.len() >= found.running)
        })
    }

    /// Lets the transfers of other stages through that waited for code like that which runs now: an outage is to hold up
    /// the stage's own.
    fn let_through(&self) -> Result<()> {
        self.retry(&self.stuck_on_activities()?)?;
        self.watch.wait_until(SETTLED_WITHIN, |found| Ok(!found.stuck.iter().any(is_on_activity)))?;
        self.let_settle()
    }

    fn set_outage(&self, outage: Outage) -> Result<()> {
        let before = self.bank.outage()?;
        if before == outage {
            return Ok(());
        }
        if outage.is_any() {
            self.let_through()?;
        }
        self.bank.set_outage(outage)?;
        if outage.is_any() {
            self.tell(format_args!("the bank accepts no {} for now", outage.what()));
            return Ok(());
        }
        self.tell(format_args!("the bank accepts {} again", before.what()));
        // At once, and not when their next attempt is due.
        self.retry(&self.stuck_on_deposit()?)
    }

    /// Has the next attempt of these Activities made now.
    fn retry(&self, stuck: &[Stuck]) -> Result<()> {
        for stuck in stuck {
            if let Some((id, _)) = &stuck.activity {
                self.server.retry_activity(&stuck.run, id)?;
            }
        }
        Ok(())
    }

    fn stuck_on_activities(&self) -> Result<Vec<Stuck>> {
        let mut stuck = stuck::find(&self.server, usize::MAX)?.stuck;
        stuck.retain(is_on_activity);
        Ok(stuck)
    }

    fn stuck_on_deposit(&self) -> Result<Vec<Stuck>> {
        let mut stuck = stuck::find(&self.server, usize::MAX)?.stuck;
        stuck.retain(is_on_deposit);
        Ok(stuck)
    }

    /// Puts a stage's modules in place and has the lab run them, as its one worker.
    pub(crate) fn place(&self, stage: &'static Stage, entered: &mut Prepared) -> Result<()> {
        if self.put_in_place(stage, entered)? {
            return Ok(());
        }
        self.tell(format_args!("the code of {} is in place", stage.name));
        rebuild(self.project, self.state, self.quiet)?;
        entered.worker_restarted = true;
        Ok(())
    }

    /// Puts a stage's modules in place, and has the lab build nothing. Returns whether its one worker runs them already.
    pub(crate) fn put_in_place(&self, stage: &'static Stage, entered: &mut Prepared) -> Result<bool> {
        self.let_settle()?;
        if self.has_placed.replace(true) && keep::has_edit(self.project)? {
            self.notice_edit()?;
        }
        let status = control::ask(self.state, &Request::Status)?;
        let has_one_worker = supervisor::versions(&status).is_empty();
        let is_running = modules::is_in_place(self.project, stage) && has_one_worker && is_deployed(&status);
        control::require_running(Some(self.state))?;
        let saved = modules::enter(self.project, stage)?;
        // At once: whatever comes next may fail or be interrupted.
        if let Some(saved) = saved.as_ref().filter(|_| !self.quiet) {
            saved.tell(self.project);
        }
        entered.saved.extend(saved);
        if stage.incident().is_some() {
            progress::update_at(self.project, stage, |progress| progress.seed = Some(self.seed.get()))?;
        }
        Ok(is_running)
    }

    /// Starts transfers, and returns their Workflow Ids.
    fn start(&self, number: u32) -> Result<Vec<String>> {
        let amount: Amount = AMOUNT.parse().context("the amount of a stage's transfers")?;
        let mut started = Vec::new();
        for at in 0..number as usize {
            let id = lab_client::new_workflow_id();
            let account = |at: usize| ACCOUNTS[at % ACCOUNTS.len()];
            let input =
                json!({ "from_account": account(at), "to_account": account(at + 1), "amount": amount });
            let started_one = self.server.start_transfer(&id, &input);
            let id =
                started_one.map_err(|error| anyhow!(self.server.why_not_started(&id, &error)))?.workflow_id;
            self.tell(format_args!("started {id}: {amount} from {} to {}", account(at), account(at + 1)));
            started.push(id);
        }
        Ok(started)
    }

    /// Sets an edit aside that the learner has saved while the stage was being entered.
    pub(crate) fn notice_edit(&self) -> Result<()> {
        if let Some(backup) = keep::set_aside(self.project, self.target.get())? {
            self.puts_back.set(true);
            let (what, folder) = (self.target.get().kind(), self.project.display(&backup.folder));
            let then = match self.target.get().incident() {
                // It is not the code that the ticket is about.
                Some(_) => {
                    format!("; to restore it after the drill: cargo xtask stage restore {}", backup.id)
                }
                None => format!(", and put back when the {what} is ready"),
            };
            self.say(format_args!(
                "you saved an edit while the lab was entering the {what}: it is kept in {folder}{then}"
            ));
        }
        Ok(())
    }

    /// Tells the learner a step on the way. Those to an incident would give it away.
    pub(crate) fn tell(&self, words: std::fmt::Arguments<'_>) {
        self.watch.tell(words);
    }

    /// Tells the learner what became of something of the learner's.
    pub(crate) fn say(&self, words: std::fmt::Arguments<'_>) {
        if !self.quiet {
            stderrln!("{words}");
        }
    }
}

fn is_on_activity(stuck: &Stuck) -> bool {
    stuck.can_retry()
}

/// What somebody has paused is not tried again when the bank accepts deposits.
fn is_on_deposit(stuck: &Stuck) -> bool {
    stuck.can_retry() && stuck.activity.as_ref().is_some_and(|(_, name)| name == "deposit")
}

/// Has the lab build and restart the worker for code that was just put in place.
pub fn rebuild(project: &Project, state: &State, quiet: bool) -> Result<()> {
    let built = match quiet {
        true => control::ask(state, &Request::Rebuild).map(drop),
        false => deploy(project, state),
    };
    built.context("the code is in place, but the worker was not restarted")
}

/// As [`rebuild`], for the learner's own code, which may not compile. Returns whether its build failed.
///
/// # Errors
/// The worker was not restarted for another reason.
pub(crate) fn rebuild_edit(project: &Project, state: &State, quiet: bool) -> Result<bool> {
    let built = rebuild(project, state, quiet);
    if BuildState::of(&control::ask(state, &Request::Status)?) == Some(BuildState::Failed) {
        return Ok(true);
    }
    built.map(|()| false)
}

/// Has the lab build and restart the worker, and shows its progress.
///
/// # Errors
/// The code does not compile, or the worker does not start.
pub fn deploy(project: &Project, state: &State) -> Result<()> {
    stderrln!("building and restarting the worker");
    follow(project, || control::ask(state, &Request::Rebuild)).map(drop)
}
