//! What an incident did to its transfers, and how far it is resolved, by the histories and the ledger.
//!
//! Its moments are the server's: the code in place is told by the Build ID that the server records with each Workflow Task.

use std::collections::BTreeMap;

use contract::Money;

use crate::{
    Entry, Event, Evidence, Facts, Run, Status, Transfer, Wrong, goals::completion::has_reason, in_transit,
    invariants::wrong_with, moment::Moment, money, nondeterminism,
};

/// How many transfers must meet the condition of the incident and get through, before new ones count as safe.
pub const SAFE: usize = 5;
/// After so many transfers that were not hit, one that was hit under the code in place was an exception, as on a machine that was too busy
/// for a moment.
const EXCEPTION: usize = 25;
/// A transfer that waited for so many seconds at most until the code in place ran its first Workflow Task counts as started under it: where a
/// worker starts slowly, that is all of the traffic which comes with a deploy.
const JUST_BEFORE: f64 = 5.0;
/// After so many attempts of a Workflow Task that no worker has answered, its code is to blame.
const UNANSWERED: u64 = 3;
/// The seconds after which that many have timed out. Of an incident that has ended, the server no longer tells how many there were.
const UNANSWERED_FOR: f64 = 5.0;

/// The state of an incident.
#[derive(Debug, Default)]
pub struct Outcome<'a> {
    /// The code that has run, oldest first.
    pub deploys: Vec<Deploy<'a>>,
    /// The transfers that the incident hit, oldest first.
    pub hits: Vec<Hit<'a>>,
    /// The transfers that met the condition of the incident under the code in place and got through by themselves.
    pub safe: Vec<Evidence>,
    /// The transfers that are neither closed nor young, or were started before the code in place.
    pub stuck: Vec<&'a Transfer>,
    /// The transfers that closed otherwise than the bank decided, with how.
    pub lost: Vec<(&'a Transfer, &'static str)>,
    /// The transfers in progress that the code in place does not replay.
    pub unreplayed: Vec<&'a Transfer>,
    /// What accounts hold more than they should, by the closed transfers and the corrections; below zero if it is less. None is zero.
    pub differences: BTreeMap<String, Money>,
    /// The rules that transfers broke under the code in place.
    pub wrong: Vec<Wrong>,
    /// How many transfers under the code in place closed unhit that were started after the last one that was hit.
    unhit: usize,
}

/// Code that began to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy<'a> {
    /// Its Build ID.
    pub build_id: &'a str,
    /// When it started its first Workflow Task, in the server's format.
    pub time: &'a str,
}

/// A transfer that the incident hit.
#[derive(Debug)]
pub struct Hit<'a> {
    /// Which one.
    pub transfer: &'a Transfer,
    /// What showed first that something is wrong with it.
    pub sign: Evidence,
    /// Whether its money was in no account, or in one too many, for longer than a transfer takes.
    pub at_risk: bool,
}

impl<'a> Outcome<'a> {
    /// The state of the incident that these facts are of.
    pub fn of(facts: &'a Facts) -> Outcome<'a> {
        let deploys = deploys(facts);
        let mut outcome = Outcome { deploys, ..Outcome::default() };
        for transfer in &facts.transfers {
            let is_new = outcome.is_new(transfer);
            if transfer.last().close().is_none() && nondeterminism(&transfer.last().events).is_some() {
                outcome.unreplayed.push(transfer);
            }
            let fate = fate(facts, transfer);
            let sign = sign(facts, transfer, fate, is_new);
            match fate {
                Fate::InProgress if !is_new || sign.is_some() => outcome.stuck.push(transfer),
                Fate::Lost(how) => outcome.lost.push((transfer, how)),
                Fate::InProgress | Fate::AsDecided => {}
            }
            let wrong = if is_new { wrong_with(facts, transfer) } else { Vec::new() };
            if let Some(sign) = sign {
                outcome.unhit = 0;
                outcome.hits.push(Hit { transfer, sign, at_risk: is_at_risk(facts, transfer) });
            } else if is_new && fate == Fate::AsDecided {
                outcome.unhit += 1;
                let close = transfer.last().close().filter(|_| wrong.is_empty() && met(facts, transfer));
                let through =
                    |close| Evidence::event(transfer, transfer.last(), close, "it got through by itself");
                outcome.safe.extend(close.map(through));
            }
            outcome.wrong.extend(wrong);
        }
        outcome.differences = differences(facts);
        outcome
    }

    /// Whether the transfer was started under the code in place, or so shortly before that no other code has run it.
    pub fn is_new(&self, transfer: &Transfer) -> bool {
        let Some(last) = self.deploys.last() else { return false };
        let (deployed, started) = (Moment::of(last.time), transfer.start());
        if started >= deployed {
            return true;
        }
        let mut events = transfer.runs.first().into_iter().flat_map(Run::events);
        let first_task = events.find(|event| event.is("WorkflowTaskStarted"));
        first_task.is_some_and(|task| task.moment() >= deployed)
            && deployed.seconds_since(started).is_some_and(|seconds| seconds <= JUST_BEFORE)
    }

    /// Whether other code was deployed after the incident had shown. Before that, the broken rules would say what is wrong with the code.
    pub fn is_answered(&self) -> bool {
        let signs = self.hits.iter().filter_map(|hit| hit.sign.time.as_deref());
        let first = signs.map(Moment::of).min();
        let last = self.deploys.last().map(|last| Moment::of(last.time));
        first.zip(last).is_some_and(|(first, last)| first < last)
    }

    /// The transfer that was hit last under the code in place, if any was and it was no exception.
    pub fn still_hit(&self) -> Option<&Hit<'a>> {
        self.hits.last().filter(|hit| self.is_new(hit.transfer) && self.unhit < EXCEPTION)
    }

    /// Whether new transfers are safe.
    pub fn is_mitigated(&self) -> bool {
        self.safe.len() >= SAFE && self.still_hit().is_none() && self.wrong.is_empty()
    }

    /// When the code was deployed under which new transfers are safe.
    pub fn mitigated(&self) -> Option<&'a str> {
        self.deploys.last().filter(|_| self.is_mitigated()).map(|deploy| deploy.time)
    }

    /// Whether everything is as it should be.
    pub fn is_recovered(&self) -> bool {
        self.is_mitigated()
            && self.stuck.is_empty()
            && self.lost.is_empty()
            && self.unreplayed.is_empty()
            && self.differences.is_empty()
    }
}

/// What became of a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    InProgress,
    /// It completed, or failed because the bank had reason to refuse it.
    AsDecided,
    Lost(&'static str),
}

fn fate(facts: &Facts, transfer: &Transfer) -> Fate {
    match transfer.last().status {
        Status::Running => Fate::InProgress,
        Status::Completed => Fate::AsDecided,
        Status::Failed if has_reason(facts, transfer) => Fate::AsDecided,
        Status::Failed => Fate::Lost("it failed, and the bank had no reason to refuse it"),
        Status::Other => Fate::Lost("it was ended before it completed"),
    }
}

/// Whether the run closed as the bank decided.
fn is_decided(facts: &Facts, transfer: &Transfer, run: &Run) -> bool {
    run.status == Status::Completed || run.status == Status::Failed && has_reason(facts, transfer)
}

/// Each change of the code that workers run.
fn deploys(facts: &Facts) -> Vec<Deploy<'_>> {
    let started =
        facts.runs().flat_map(|(_, run)| run.events()).filter(|event| event.is("WorkflowTaskStarted"));
    let mut started: Vec<Deploy<'_>> =
        started.filter_map(|event| Some(Deploy { build_id: build_id(event)?, time: event.time() })).collect();
    started.sort_by(|a, b| Moment::of(a.time).cmp(&Moment::of(b.time)));
    started.dedup_by(|later, earlier| later.build_id == earlier.build_id);
    started
}

/// The Build ID of the worker that started this Workflow Task.
fn build_id(event: Event<'_>) -> Option<&str> {
    event.attributes()["workerVersion"]["buildId"].as_str().filter(|id| !id.is_empty())
}

/// Whether the transfer met the condition of the incident and got through with its money moved once, in its only run.
fn met(facts: &Facts, transfer: &Transfer) -> bool {
    let [run] = &transfer.runs[..] else { return false };
    is_even(facts, transfer) && facts.met.is_some_and(|met| met(run))
}

/// The first sign that the incident hit the transfer: its code failed, it was lost or came too late, its money is not where it should be,
/// or somebody had to reset it. A reset of one that had closed as the bank decided is none, and neither is one of a new transfer in
/// progress.
fn sign(facts: &Facts, transfer: &Transfer, fate: Fate, is_new: bool) -> Option<Evidence> {
    let runs = || transfer.runs.iter().flat_map(|run| run.events().map(move |event| (run, event)));
    let at = |(run, event): (&Run, Event<'_>), what: String| Evidence::event(transfer, run, event, what);
    // A batch of resets may include transfers that need none.
    let (_, before) = transfer.runs.split_last()?;
    let needs_no_reset =
        before.iter().all(|run| is_decided(facts, transfer, run) || is_new && run.status == Status::Other);
    let failed = runs().find_map(|(run, event)| {
        let what = if event.is_reset() {
            (!needs_no_reset).then(|| "it was reset".to_owned())?
        } else if event.is_failed_task() {
            Some(event.failure()).filter(|why| !why.is_empty()).unwrap_or_else(|| "it failed".to_owned())
        } else if is_unanswered(facts, run, event) {
            "a worker took its Workflow Task and did not answer".to_owned()
        } else {
            return None;
        };
        Some(at((run, event), what))
    });
    let closed = transfer.last().close().map(|close| (transfer.last(), close));
    let lost = match fate {
        Fate::Lost(how) => closed.map(|close| at(close, how.to_owned())),
        Fate::InProgress | Fate::AsDecided => None,
    };
    let uneven = closed.filter(|_| !is_even(facts, transfer));
    let uneven =
        uneven.map(|close| at(close, "it closed, and its money is not where it should be".to_owned()));
    let is_late = facts.late.contains(&transfer.workflow_id);
    let late = runs().next().filter(|_| is_late).map(|first| at(first, "it takes far too long".to_owned()));
    [failed, lost, uneven, late].into_iter().flatten().next()
}

/// Whether this event is a Workflow Task that a worker took and did not answer, and the same code did not answer it later either. A worker
/// that was killed, or that had to wait for the machine, does not answer once.
fn is_unanswered(facts: &Facts, run: &Run, event: Event<'_>) -> bool {
    if !event.is("WorkflowTaskTimedOut") || event.text("timeoutType") != "TIMEOUT_TYPE_START_TO_CLOSE" {
        return false;
    }
    let started = run.event(event.refers_to("startedEventId"));
    let mut later = run.events().filter(|later| later.is("WorkflowTaskCompleted"));
    match later.find(|later| later.id() > event.id()) {
        Some(answered) => started.and_then(build_id) != build_id(answered),
        None => match &facts.ended {
            Some(end) => Moment::of(end).seconds_since(event.moment()) >= Some(UNANSWERED_FOR),
            None => run.description["pendingWorkflowTask"]["attempt"].as_u64() >= Some(UNANSWERED),
        },
    }
}

/// Whether the transfer's own entries are what a closed transfer comes to; one in progress has not come to it yet.
fn is_even(facts: &Facts, transfer: &Transfer) -> bool {
    transfer.last().status == Status::Running || surplus(facts, transfer).is_empty()
}

/// Whether money of the transfer was not where it belongs for longer than a transfer takes, since the incident began: what an incident begins
/// with may have waited for its code to be built.
fn is_at_risk(facts: &Facts, transfer: &Transfer) -> bool {
    let entries: Vec<&Entry> = facts.entries_of(transfer).collect();
    let times = || entries.iter().map(|entry| entry.time.max(facts.entered_at));
    let took = times().max().unwrap_or_default().saturating_sub(times().min().unwrap_or_default());
    !entries.is_empty()
        && (took >= LONG || in_transit(entries.iter().copied()) != Money::ZERO || !is_even(facts, transfer))
}

/// Money that is on its way for so many seconds is at risk.
const LONG: u64 = 20;

/// By how much the transfer's entries have changed each account more than it should have when it closed; of one in progress, by how much
/// they have changed it so far. No account has zero.
pub fn surplus(facts: &Facts, transfer: &Transfer) -> BTreeMap<String, Money> {
    let mut surplus = sums(facts.entries_of(transfer));
    for (account, change) in should(transfer) {
        add(&mut surplus, &account, Money::from_cents(-change.cents()));
    }
    surplus
}

/// What these entries come to, by account. No account has zero.
fn sums<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeMap<String, Money> {
    let mut sums: BTreeMap<String, Money> = BTreeMap::new();
    for entry in entries {
        add(&mut sums, &entry.account, entry.signed());
    }
    sums
}

/// What a closed transfer should have done to each account. One whose withdrawal the bank refused has to move nothing, even if it
/// completed: a reset of a transfer whose deposit came first makes the shipped code believe that it was paid.
fn should(transfer: &Transfer) -> BTreeMap<String, Money> {
    let mut should = BTreeMap::new();
    let (last, input) = (transfer.last(), transfer.input());
    let has_paid = last.status == Status::Completed && last.refusals("withdraw").next().is_none();
    if let Some(amount) = money(&input["amount"]).filter(|_| has_paid) {
        let account = |name: &str| input[name].as_str().unwrap_or_default();
        add(&mut should, account("from_account"), Money::from_cents(-amount.cents()));
        add(&mut should, account("to_account"), amount);
    }
    should
}

fn add(sums: &mut BTreeMap<String, Money>, account: &str, change: Money) {
    let sum = sums.entry(account.to_owned()).or_default();
    *sum = Money::from_cents(sum.cents() + change.cents());
    if *sum == Money::ZERO {
        sums.remove(account);
    }
}

/// By how much the accounts hold more than the closed transfers should have brought them, corrections included.
fn differences(facts: &Facts) -> BTreeMap<String, Money> {
    let mut differences = sums(&facts.corrections);
    for transfer in facts.transfers.iter().filter(|transfer| transfer.last().status != Status::Running) {
        for (account, change) in surplus(facts, transfer) {
            add(&mut differences, &account, change);
        }
    }
    differences
}
