//! The goals of the stages, a file for each thing that is learned.
//!
//! They judge what the server and the bank recorded, never the source, so any code that does it right passes.

pub(crate) mod completion;
pub(crate) mod deprecation;
pub(crate) mod incident;
pub(crate) mod kills;
pub(crate) mod limits;
pub(crate) mod resets;
pub(crate) mod roll_out;
pub(crate) mod versioning;
pub(crate) mod withdrawal;
pub(crate) mod workflow_bug;

use crate::{
    Event, Evidence, Facts, Halt, Held, Next, Run, Status, Transfer, Verdict, halts, invariants,
    moment::Moment, nondeterminism,
};

/// What to do if no transfer was started yet.
fn start_one() -> Next {
    Next::command("start a transfer: ", "cargo xtask transfer account_A account_B 25.50")
}

/// How to get the transfers of a stage again without losing the learner's code.
fn start_again(why: &str, stage: &str) -> Next {
    Next::command(
        format!("{why}; start again, with your code: "),
        format!("cargo xtask stage {stage} --keep"),
    )
}

/// Whether it happened before the stage was entered, when other code ran: such as the fixed code of the stage before, while the lab
/// built this stage's.
fn is_earlier(facts: &Facts, event: Event<'_>) -> bool {
    event.moment() < Moment::of(&facts.entered)
}

/// The Workflow Tasks of a run that its code failed.
pub(crate) fn failed_tasks(run: &Run) -> impl DoubleEndedIterator<Item = Event<'_>> {
    run.events().filter(|event| event.is_failed_task())
}

/// Whether a run's Workflow Task keeps failing at this moment.
pub(crate) fn fails_now(run: &Run) -> bool {
    run.status == Status::Running
        && run.description["pendingWorkflowTask"]["attempt"].as_u64().unwrap_or(1) > 1
}

/// The Activity of a run that has failed and waits for its next attempt.
pub(crate) fn waiting_activity(run: &Run) -> Option<&str> {
    let pending =
        run.description["pendingActivities"].as_array().filter(|_| run.status == Status::Running)?;
    let waiting = pending.iter().find(|activity| activity["lastFailure"].is_object())?;
    waiting["activityType"]["name"].as_str()
}

/// What holds up a run, if nothing of it fails.
fn held_up(facts: &Facts, run: &Run) -> Option<(Held, Halt)> {
    let newest_first = || run.events.iter().rev().cloned().collect();
    halts(&run.description, &facts.overdue, newest_first).into_iter().next()
}

/// Each attempt of this Activity that came after a failed one.
fn later_attempts<'a>(run: &'a Run, activity: &'a str) -> impl Iterator<Item = Event<'a>> {
    retried(run).filter_map(move |(attempt, name)| (name == activity).then_some(attempt))
}

/// Each attempt that came after a failed one, with the name of its Activity.
fn retried(run: &Run) -> impl Iterator<Item = (Event<'_>, &str)> {
    let retries = run.events().filter(|event| {
        event.is("ActivityTaskStarted")
            && (event.refers_to("attempt") > 1 || event.attributes()["lastFailure"].is_object())
    });
    retries.filter_map(|attempt| {
        let scheduled = run.event(attempt.refers_to("scheduledEventId"))?;
        Some((attempt, scheduled.attributes()["activityType"]["name"].as_str()?))
    })
}

/// The event of the Activity that used up its Maximum Attempts and so failed its run.
pub(crate) fn retries_exhausted(run: &Run) -> Option<Event<'_>> {
    let failed = |event: &Event<'_>| {
        event.is("ActivityTaskFailed") && event.text("retryState") == "RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED"
    };
    run.events().find(failed).filter(|_| run.status == Status::Failed)
}

/// The event that completed a transfer which broke no rule: the bank's ledger has it exactly once.
fn completed_exactly<'a>(facts: &Facts, transfer: &'a Transfer) -> Option<Event<'a>> {
    let run = transfer.last();
    let exact = run.status == Status::Completed && !breaks_a_rule(facts, transfer);
    run.close().filter(|_| exact)
}

/// Whether the transfer did what no fix may do.
fn breaks_a_rule(facts: &Facts, transfer: &Transfer) -> bool {
    !invariants::wrong_with(facts, transfer).is_empty()
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

/// What keeps a transfer from completing, and what to do about it at this stage.
fn why_not_complete(facts: &Facts, transfer: &Transfer, stage: &str) -> Next {
    let id = &transfer.workflow_id;
    let run = transfer.last();
    if breaks_a_rule(facts, transfer) {
        return start_again(&format!("{id} broke a rule, see below: fix the code"), stage);
    }
    if let Some((held, halt)) = held_up(facts, run) {
        let way_out = halt.way_out(id, &held);
        let before = format!("{id}: {}; {}: ", halt.words(&held), way_out.before());
        return Next::command(before, way_out.to_type().unwrap_or_default());
    }
    match run.status {
        Status::Running if fails_now(run) => {
            let why =
                nondeterminism(&run.events).unwrap_or_else(|| "its Workflow Task keeps failing".to_owned());
            Next::command(
                format!("{id} is stuck: {why}. Fix the code and save; the failure: "),
                "cargo xtask lab status",
            )
        }
        Status::Running => match waiting_activity(run) {
            Some(activity) if facts.outage.contains(&activity) => {
                let what = if activity == "withdraw" { "withdrawals" } else { "deposits" };
                Next::command(
                    format!("{id} is waiting: the bank's {what} are down. Bring them back up: "),
                    format!("cargo xtask outage {what} up"),
                )
            }
            Some(activity) => Next::command(
                format!("{activity} of {id} is waiting for its next attempt. To retry right away: "),
                "cargo xtask retry",
            ),
            None => Next::command(format!("{id} is in progress: "), "cargo xtask lab status"),
        },
        Status::Completed => start_again(&format!("{id} has completed without ever failing"), stage),
        Status::Failed => {
            start_again(&format!("{id} has failed and is closed; only a reset reopens it"), stage)
        }
        Status::Other => {
            let how = match run.close().map(Event::kind).as_deref() {
                Some("WorkflowExecutionTerminated") => "was terminated",
                Some("WorkflowExecutionCanceled") => "was canceled",
                _ => "has closed",
            };
            start_again(&format!("{id} {how} before it completed"), stage)
        }
    }
}
