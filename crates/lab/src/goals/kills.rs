//! Kills: whatever dies in the middle of a transfer, the transfer continues.

use super::{all_complete, completion::right_refusal, start_again, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Verdict, moment::Moment};

/// The stage of these goals.
const STAGE: &str = "pull-the-plug";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "another-worker",
        says: "one worker started a transfer, and another one continued it",
        is_failure: false,
        check: another_worker,
    },
    Goal {
        name: "server-killed",
        says: "the Temporal server was killed while a transfer was in progress",
        is_failure: false,
        check: |facts| restarted(facts, "temporal"),
    },
    Goal {
        name: "bank-killed",
        says: "the bank was killed while a transfer was in progress",
        is_failure: false,
        check: |facts| restarted(facts, "account-api"),
    },
    Goal {
        name: "nothing-is-lost",
        says: "every transfer has completed, and the bank's ledger has each exactly once",
        is_failure: false,
        check: nothing_is_lost,
    },
];

/// The worker of the run's first Workflow Task, and what another one continued: that one, and the event.
fn other_worker(run: &Run) -> Option<(&str, &str, Event<'_>)> {
    let by_workers = run.events().filter(|event| {
        ["WorkflowTaskCompleted", "ActivityTaskStarted", "ActivityTaskCompleted"]
            .iter()
            .any(|kind| event.is(kind))
    });
    // The history has no event yet of an Activity that will be retried; its description has its last worker.
    let pending = run.description["pendingActivities"].as_array().into_iter().flatten();
    let attempts = pending.filter_map(|activity| {
        let id = activity["activityId"].as_str()?;
        let is_it = |event: &Event<'_>| event.is("ActivityTaskScheduled") && event.text("activityId") == id;
        Some((activity["lastWorkerIdentity"].as_str()?, run.events().rfind(is_it)?))
    });
    let mut workers = by_workers
        .map(|event| (event.text("identity"), event))
        .chain(attempts)
        .filter(|(identity, _)| !identity.is_empty());
    let (first, _) = workers.next()?;
    workers.find(|(identity, _)| *identity != first).map(|(other, event)| (first, other, event))
}

fn another_worker(facts: &Facts) -> Verdict {
    // A worker that entering the stage has replaced was not killed by anybody.
    let is_replaced = since(facts, "worker").is_some_and(|since| since > Moment::of(&facts.entered));
    let evidence = facts.runs().filter(|_| is_replaced).filter_map(|(transfer, run)| {
        let (first, other, event) = other_worker(run)?;
        let what = format!("{first} started it, {other} continued it");
        Some(Evidence::event(transfer, run, event, what))
    });
    Verdict::by(evidence.collect(), kill(facts, "worker"))
}

fn restarted(facts: &Facts, name: &str) -> Verdict {
    let evidence = since(facts, name).into_iter().flat_map(|since| {
        facts.transfers.iter().filter_map(move |transfer| {
            let run = transfer.last();
            let began = transfer.runs.first()?.events().next()?;
            let between = began.moment() < since && run.close().is_none_or(|close| since < close.moment());
            between.then(|| {
                Evidence::event(transfer, run, began, format!("in progress before this {name} started"))
            })
        })
    });
    Verdict::by(evidence.collect(), kill(facts, name))
}

/// When this service was started.
fn since<'a>(facts: &'a Facts, name: &str) -> Option<Moment<'a>> {
    facts.services.iter().find(|service| service.name == name).map(|service| Moment::of(&service.since))
}

/// How to kill this service while a transfer is in progress.
fn kill(facts: &Facts, name: &str) -> Next {
    let Some(transfer) = facts.transfers.iter().find(|transfer| transfer.last().status == Status::Running)
    else {
        return start_again("no transfer is in progress", STAGE);
    };
    match since(facts, name) {
        None => Next::command(format!("{name} is not running: "), "cargo xtask lab status"),
        Some(since) if name == "worker" && transfer.start() < since => Next::command(
            format!(
                "the new worker continues {} with its next attempt. To retry right away: ",
                transfer.workflow_id
            ),
            "cargo xtask retry",
        ),
        Some(_) => Next::command(
            format!("kill the service {name} (kill -9 PID); its pid: "),
            "cargo xtask lab status",
        ),
    }
}

fn nothing_is_lost(facts: &Facts) -> Verdict {
    // A transfer that the bank had reason to refuse has nothing to lose.
    let meant = facts.transfers.iter().filter(|transfer| right_refusal(facts, transfer).is_none());
    let none = start_again("there is no transfer", STAGE);
    let verdict =
        all_complete(facts, meant, "completed", |transfer| why_not_complete(facts, transfer, STAGE), none);
    // What completes too early cannot be killed any more.
    let kills = GOALS[..GOALS.len() - 1].iter().map(|goal| (goal.check)(facts));
    match verdict {
        Verdict::Open(_) => kills.into_iter().find(|kill| !kill.is_reached()).unwrap_or(verdict),
        reached => reached,
    }
}
