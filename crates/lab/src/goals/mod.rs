//! The goals of the stages, a file for each thing that is learned.
//!
//! They go by what the server and the bank recorded, never by the source: any code that does it right passes.

pub(crate) mod completion;
pub(crate) mod kills;
pub(crate) mod limits;
pub(crate) mod resets;
pub(crate) mod versioning;
pub(crate) mod withdrawal;
pub(crate) mod workflow_bug;

use crate::{Event, Evidence, Facts, Next, Run, Status, Transfer, Verdict, invariants, nondeterminism};

/// What to do when nothing was started yet.
fn start_one() -> Next {
    Next::command("start a transfer: ", "cargo xtask transfer account_A account_B 25.50")
}

/// The Workflow Tasks of a run that its code failed. A Workflow Reset books itself as a failed one, too: not these.
pub(crate) fn failed_tasks(run: &Run) -> impl Iterator<Item = Event<'_>> {
    run.events().filter(|event| event.is("WorkflowTaskFailed") && !event.is_reset())
}

/// Whether a run's Workflow Task fails over and over at this moment.
pub(crate) fn fails_now(run: &Run) -> bool {
    run.status == Status::Running
        && run.description["pendingWorkflowTask"]["attempt"].as_u64().unwrap_or(1) > 1
}

/// Whether one of a run's activities has failed and waits for its next attempt.
fn waits_for_attempt(run: &Run) -> bool {
    let pending = run.description["pendingActivities"].as_array();
    run.status == Status::Running
        && pending.into_iter().flatten().any(|activity| activity["lastFailure"].is_object())
}

/// The event of an attempt that came after a failed one, with the activity it is of.
fn later_attempts<'a>(run: &'a Run, activity: &'a str) -> impl Iterator<Item = Event<'a>> {
    run.events().filter(move |event| {
        event.is("ActivityTaskStarted")
            && (event.refers_to("attempt") > 1 || event.attributes()["lastFailure"].is_object())
            && run
                .event(event.refers_to("scheduledEventId"))
                .is_some_and(|scheduled| scheduled.attributes()["activityType"]["name"] == activity)
    })
}

/// The activity that failed for good as it was out of attempts.
pub(crate) fn out_of_attempts(run: &Run) -> Option<Event<'_>> {
    let failed = |event: &Event<'_>| {
        event.is("ActivityTaskFailed") && event.text("retryState") == "RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED"
    };
    run.events().find(failed).filter(|_| run.status == Status::Failed)
}

/// That a transfer has completed, and the bank's ledger has it exactly once.
fn completed_exactly<'a>(facts: &Facts, transfer: &'a Transfer) -> Option<Event<'a>> {
    let run = transfer.last();
    let exact = run.status == Status::Completed && invariants::wrong_with(facts, transfer).is_empty();
    run.close().filter(|_| exact)
}

/// The goal that every one of these transfers has completed, its money moved once.
fn all_complete<'a>(
    facts: &Facts,
    transfers: impl IntoIterator<Item = &'a Transfer>,
    what: &str,
    next: impl FnOnce(&'a Transfer) -> Next,
    none: Next,
) -> Verdict {
    let mut evidence = Vec::new();
    for transfer in transfers {
        match completed_exactly(facts, transfer) {
            Some(close) => evidence.push(Evidence::event(transfer, transfer.last(), close, what)),
            None => return Verdict::Open(next(transfer)),
        }
    }
    Verdict::by(evidence, none)
}

/// The activity whose failure was final at once: a no that no other attempt could change.
fn refusal(run: &Run) -> Option<Event<'_>> {
    let refused = |event: &Event<'_>| {
        event.is("ActivityTaskFailed") && event.text("retryState") == "RETRY_STATE_NON_RETRYABLE_FAILURE"
    };
    run.events().find(refused).filter(|_| run.status == Status::Failed)
}

/// What keeps a transfer from completing, and what to do.
fn why_not_complete(facts: &Facts, transfer: &Transfer) -> Next {
    let id = &transfer.workflow_id;
    let run = transfer.last();
    match run.status {
        _ if !invariants::wrong_with(facts, transfer).is_empty() => {
            format!("{id} did what it should not: see what is wrong below").into()
        }
        Status::Running if fails_now(run) => {
            let before = match nondeterminism(&run.events) {
                Some(why) => format!("{id} is stuck: {why}; see its error: "),
                None => format!("{id} is stuck on its Workflow Task; see why: "),
            };
            Next::command(before, "cargo xtask lab status")
        }
        Status::Running if waits_for_attempt(run) => {
            let before = format!("an Activity of {id} waits for its next attempt; to not wait: ");
            Next::command(before, "cargo xtask retry")
        }
        Status::Running => Next::command(format!("{id} is under way: "), "cargo xtask lab status"),
        Status::Completed => {
            let before = format!("{id} has completed; start another: ");
            Next::command(before, "cargo xtask transfer account_A account_B 10")
        }
        Status::Failed => {
            let show = format!("cargo xtask temporal workflow show --workflow-id {id}");
            Next::command(format!("{id} has failed, which is final; why: "), show)
        }
        Status::Otherwise => format!(
            "{id} was ended, and not mended: enter the stage again, by cargo xtask stage and its name"
        )
        .into(),
    }
}
