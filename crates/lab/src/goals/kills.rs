//! Kills: whatever dies in the middle of a transfer, the transfer continues.

use super::{all_complete, completion::right_refusal, start_again, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Verdict, moment::Moment};

/// The stage of these goals.
const STAGE: &str = "pull-the-plug";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "another-worker",
        says: "one worker began a transfer, and another one continued it",
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

/// The first event by another worker than the one of the run's first Workflow Task.
fn other_worker(run: &Run) -> Option<(&str, Event<'_>)> {
    let mut by_workers = run.events().filter(|event| {
        ["WorkflowTaskCompleted", "ActivityTaskStarted", "ActivityTaskCompleted"]
            .iter()
            .any(|kind| event.is(kind))
            && !event.text("identity").is_empty()
    });
    let first = by_workers.next()?.text("identity");
    by_workers.find(|event| event.text("identity") != first).map(|event| (first, event))
}

fn another_worker(facts: &Facts) -> Verdict {
    let evidence = facts.runs().filter_map(|(transfer, run)| {
        let (first, event) = other_worker(run)?;
        let what = format!("{first} began it, {} continued it", event.text("identity"));
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
            between
                .then(|| Evidence::event(transfer, run, began, format!("begun before this {name} started")))
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
        // The new worker shows in the history once it has completed something.
        Some(since) if name == "worker" && transfer.start() < since => {
            why_not_complete(facts, transfer, STAGE)
        }
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
    all_complete(facts, meant, "completed", |transfer| why_not_complete(facts, transfer, STAGE), none)
}
