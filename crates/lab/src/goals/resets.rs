//! Workflow Reset: a closed run is continued from an earlier point of its history, in a new run.

use super::{all_complete, completed_exactly, is_earlier, retries_exhausted, start_again, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict};

/// The stage of these goals.
const STAGE: &str = "reset-workflows";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "one-is-reset",
        says: "a failed transfer was reset and has completed",
        is_failure: false,
        check: one_is_reset,
    },
    Goal {
        name: "all-are-reset",
        says: "every other failed transfer was reset too, and the bank's ledger has each exactly once",
        is_failure: false,
        check: all_are_reset,
    },
    Goal {
        name: "withdrawn-once",
        says: "a transfer that had withdrawn was reset to before its withdrawal, and its money moved only once",
        is_failure: false,
        check: withdrawn_once,
    },
];

fn none_failed() -> Next {
    start_again("there is no failed transfer", STAGE)
}

/// The event by which a Workflow Reset started the run.
fn reset(run: &Run) -> Option<Event<'_>> {
    run.events().rfind(|event| event.is_reset())
}

fn failed_ones(facts: &Facts) -> impl Iterator<Item = &Transfer> {
    facts.transfers.iter().filter(|transfer| transfer.runs.iter().any(|run| retries_exhausted(run).is_some()))
}

/// The Workflow Task that scheduled the Activity which failed: a reset to it runs that Activity again.
pub fn reset_point(run: &Run) -> Option<u64> {
    let scheduled = run.event(retries_exhausted(run)?.refers_to("scheduledEventId"))?;
    let task = scheduled.refers_to("workflowTaskCompletedEventId");
    (task > 0).then_some(task)
}

/// Resets this failed transfer to before its failure, by the learner's own Workflow Id and event.
fn reset_one(transfer: &Transfer) -> Next {
    let id = &transfer.workflow_id;
    let point = match reset_point(transfer.last()) {
        Some(event) => format!("--event-id {event}"),
        None => "--type FirstWorkflowTask".to_owned(),
    };
    let before = match reset(transfer.last()) {
        None => format!("reset {id} to the Workflow Task before its failure: "),
        Some(_) => format!(
            "{id} failed again after its reset. Fix the code first, then reset it to before its failure: "
        ),
    };
    Next::command(
        before,
        format!(
            "cargo xtask temporal workflow reset --workflow-id {id} {point} --reason 'the address is fixed'"
        ),
    )
}

/// Resets all these failed transfers in one batch.
fn reset_all<'a>(failed: impl Iterator<Item = &'a Transfer>) -> Next {
    let ids: Vec<String> = failed.map(|transfer| format!("\"{}\"", transfer.workflow_id)).collect();
    let query = format!("ExecutionStatus=\"Failed\" AND WorkflowId IN ({})", ids.join(", "));
    Next::command(
        "reset the others in one batch: ",
        format!(
            "cargo xtask temporal workflow reset --type FirstWorkflowTask --query '{query}' --reason 'the address is \
             fixed' --yes"
        ),
    )
}

fn is_failed(transfer: &Transfer) -> bool {
    transfer.last().status == Status::Failed
}

fn one_is_reset(facts: &Facts) -> Verdict {
    let mut open = None;
    let mut evidence = Vec::new();
    for transfer in failed_ones(facts) {
        let run = transfer.last();
        let is_new = |reset: &Event<'_>| !is_earlier(facts, *reset);
        match reset(run).filter(is_new).filter(|_| completed_exactly(facts, transfer).is_some()) {
            Some(event) => {
                evidence.push(Evidence::event(transfer, run, event, "reset here, then completed"));
            }
            None => open = open.or(Some(transfer)),
        }
    }
    let next = match open {
        None => none_failed(),
        Some(transfer) if is_failed(transfer) => reset_one(transfer),
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
    };
    Verdict::by(evidence, next)
}

fn all_are_reset(facts: &Facts) -> Verdict {
    // First one by hand: a batch that has it too would reset it again.
    if let Verdict::Open(next) = one_is_reset(facts) {
        return Verdict::Open(next);
    }
    let next = |transfer: &Transfer| match is_failed(transfer) {
        true => reset_all(failed_ones(facts).filter(|transfer| is_failed(transfer))),
        false => why_not_complete(facts, transfer, STAGE),
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
    let completed = facts.transfers.iter().find(|transfer| completed_exactly(facts, transfer).is_some());
    let in_progress = facts.transfers.iter().find(|transfer| transfer.last().status == Status::Running);
    let next = match (in_progress, completed) {
        (Some(transfer), _) => why_not_complete(facts, transfer, STAGE),
        (None, Some(transfer)) => Next::command(
            format!(
                "{} has withdrawn and completed; reset it to its first Workflow Task: ",
                transfer.workflow_id
            ),
            format!(
                "cargo xtask temporal workflow reset --workflow-id {} --type FirstWorkflowTask --reason 'does it pay \
                 twice?'",
                transfer.workflow_id
            ),
        ),
        (None, None) => match one_is_reset(facts) {
            Verdict::Open(next) => next,
            Verdict::Reached(_) => none_failed(),
        },
    };
    Verdict::by(evidence.collect(), next)
}
