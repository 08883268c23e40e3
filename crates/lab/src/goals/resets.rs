//! Workflow Reset: a run that has ended is taken up again from an earlier point of its history.

use super::{all_complete, completed_exactly, out_of_attempts, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "one-is-reset",
        says: "a transfer that had failed for good was reset, and has completed",
        is_failure: false,
        check: one_is_reset,
    },
    Goal {
        name: "all-are-reset",
        says: "so was every other one, and the bank's ledger has each exactly once",
        is_failure: false,
        check: all_are_reset,
    },
    Goal {
        name: "withdrawn-once",
        says: "a transfer that had withdrawn was reset to before its withdrawal, and has withdrawn no second time",
        is_failure: false,
        check: withdrawn_once,
    },
];

fn none_failed() -> Next {
    Next::command("no failed transfer is there: ", "cargo xtask stage reset-workflows").then(" makes some")
}

/// The event by which a Workflow Reset began the run.
fn reset(run: &Run) -> Option<Event<'_>> {
    run.events().rfind(|event| event.is_reset())
}

fn failed_ones(facts: &Facts) -> impl Iterator<Item = &Transfer> {
    facts.transfers.iter().filter(|transfer| transfer.runs.iter().any(|run| out_of_attempts(run).is_some()))
}

fn one_is_reset(facts: &Facts) -> Verdict {
    let mut failed = None;
    let mut evidence = Vec::new();
    for transfer in failed_ones(facts) {
        let run = transfer.last();
        match reset(run).filter(|_| completed_exactly(facts, transfer).is_some()) {
            Some(event) => {
                evidence.push(Evidence::event(transfer, run, event, "the reset, and completed after it"))
            }
            None => failed = failed.or(Some(transfer)),
        }
    }
    let next = match failed {
        None => none_failed(),
        Some(transfer) if transfer.last().status == Status::Running => why_not_complete(facts, transfer),
        Some(transfer) => {
            let reset = format!("cargo xtask temporal workflow reset --workflow-id {}", transfer.workflow_id);
            Next::command("reset it: ", reset).then(" …; see lab/07-reset-workflows.md")
        }
    };
    Verdict::by(evidence, next)
}

fn all_are_reset(facts: &Facts) -> Verdict {
    let next = |transfer: &Transfer| match reset(transfer.last()) {
        None => {
            format!("{} is still failed: reset it with the others, in a batch", transfer.workflow_id).into()
        }
        Some(_) => why_not_complete(facts, transfer),
    };
    all_complete(facts, failed_ones(facts), "completed", next, none_failed())
}

fn withdrawn_once(facts: &Facts) -> Verdict {
    let evidence = facts.transfers.iter().filter_map(|transfer| {
        let (again, before) = transfer.runs.split_last()?;
        let had_withdrawn = |run: &Run| run.calls("withdraw").any(|(_, completed)| completed.is_some());
        let reset = reset(again)?;
        let (_, withdrawal) = again.calls("withdraw").find(|(scheduled, _)| scheduled.id() > reset.id())?;
        let once = before.iter().any(had_withdrawn) && completed_exactly(facts, transfer).is_some();
        let what = "withdraw ran again, and the bank answered with the withdrawal from before";
        withdrawal.filter(|_| once).map(|event| Evidence::event(transfer, again, event, what))
    });
    let next =
        "reset a transfer that has completed, to its first Workflow Task: see lab/07-reset-workflows.md";
    Verdict::by(evidence.collect(), next)
}
