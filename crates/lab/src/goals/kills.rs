//! Kills: whatever dies in the middle of a transfer, the transfer goes on.

use super::{all_complete, refusal, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Verdict, invariants, moment::Moment};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "another-worker",
        says: "a transfer that one worker began was taken on by another",
        is_failure: false,
        check: another_worker,
    },
    Goal {
        name: "server-killed",
        says: "the Temporal server was killed while a transfer was under way",
        is_failure: false,
        check: |facts| restarted(facts, "temporal"),
    },
    Goal {
        name: "bank-killed",
        says: "the bank was killed while a transfer was under way",
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

/// How to start some, as the end of a sentence that begins so.
fn start_some(before: &str) -> Next {
    Next::command(before, "cargo xtask stage pull-the-plug").then(" starts five transfers")
}

/// The first event by another worker than the one that took the run's first Workflow Task.
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
        let what = format!("{first} began it, {} went on", event.text("identity"));
        Some(Evidence::event(transfer, run, event, what))
    });
    let next = match facts.transfers.is_empty() {
        true => start_some(""),
        false => Next::command("kill the worker, by its pid in: ", "cargo xtask lab status")
            .then("; what it began is taken on by the next one as soon as there is something to do for it"),
    };
    Verdict::by(evidence.collect(), next)
}

fn restarted(facts: &Facts, name: &str) -> Verdict {
    let Some(service) = facts.services.iter().find(|service| service.name == name) else {
        return Verdict::Open(Next::command("the lab does not run: ", "cargo xtask lab start --detach"));
    };
    let evidence = facts.transfers.iter().filter_map(|transfer| {
        let run = transfer.last();
        let began = transfer.runs.first()?.events().next()?;
        let since = Moment::of(&service.since);
        let between = began.moment() < since && run.close().is_none_or(|close| since < close.moment());
        between
            .then(|| Evidence::event(transfer, run, began, format!("begun before this {name} was started")))
    });
    let under_way = facts.transfers.iter().any(|transfer| transfer.last().status == Status::Running);
    let next = match under_way {
        false => start_some("no transfer is under way; "),
        true => Next::command(format!("kill {name}, by its pid in: "), "cargo xtask lab status"),
    };
    Verdict::by(evidence.collect(), next)
}

fn nothing_is_lost(facts: &Facts) -> Verdict {
    // What the bank has refused had nothing to lose.
    let meant = facts.transfers.iter().filter(|transfer| {
        refusal(transfer.last()).is_none() || !invariants::wrong_with(facts, transfer).is_empty()
    });
    all_complete(facts, meant, "completed", |transfer| why_not_complete(facts, transfer), start_some(""))
}
