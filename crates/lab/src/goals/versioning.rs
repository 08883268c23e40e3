//! A change of Workflow code under transfers that are past the changed place.

use super::{all_complete, completed_exactly, failed_tasks, fails_now, start_again, why_not_complete};
use crate::{
    Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, nondeterminism::is_nondeterminism,
};

/// The stage of these goals.
const STAGE: &str = "jerry-adds-step";
/// The Activities that a transfer calls before withdraw, without the added step.
const BEFORE_WITHDRAW: usize = 2;

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "history-does-not-fit",
        says: "a transfer that was past the new step is stuck: the code does not replay its Event History",
        is_failure: true,
        check: history_does_not_fit,
    },
    Goal {
        name: "new-ones-make-the-step",
        says: "a transfer started since has run the new step and completed",
        is_failure: true,
        check: new_ones_make_the_step,
    },
    Goal {
        name: "old-ones-complete",
        says: "every transfer that was stuck has completed without the new step",
        is_failure: false,
        check: old_ones_complete,
    },
    Goal {
        name: "both-at-once",
        says: "a transfer started after that has run the new step too",
        is_failure: false,
        check: both_at_once,
    },
];

/// The Workflow Task that failed because the code does not replay the history.
pub(crate) fn broken(run: &Run) -> Option<Event<'_>> {
    failed_tasks(run).find(|failed| is_nondeterminism(*failed))
}

/// Whether the run was past the place of the new step when it broke: it had scheduled its withdrawal. Not one that had run the
/// step: only a patch that comes after the step breaks that one.
pub(crate) fn is_past_the_step(run: &Run) -> bool {
    run.calls("withdraw").next().is_some()
        && broken(run).is_some_and(|broken| added_step(run).is_none_or(|step| step.id() > broken.id()))
}

fn broken_ones(facts: &Facts) -> impl Iterator<Item = &Transfer> {
    facts.transfers.iter().filter(|transfer| transfer.runs.iter().any(is_past_the_step))
}

/// The event that scheduled the added step, if the run has run it.
pub(crate) fn added_step(run: &Run) -> Option<Event<'_>> {
    let activities = || run.events().filter(|event| event.is("ActivityTaskScheduled"));
    let withdraw = activities().position(|event| event.attributes()["activityType"]["name"] == "withdraw")?;
    if withdraw > BEFORE_WITHDRAW { activities().nth(withdraw - 1) } else { None }
}

fn history_does_not_fit(facts: &Facts) -> Verdict {
    let seen = facts.runs().filter_map(|(transfer, run)| {
        let failed = broken(run)?;
        Some(Evidence::event(transfer, run, failed, failed.failure()))
    });
    Verdict::by(seen.collect(), none_was_broken())
}

fn none_was_broken() -> Next {
    start_again("no transfer was past the new step", STAGE)
}

/// The transfers that ran the step and have completed, with the event that scheduled it.
pub(crate) fn with_the_step(facts: &Facts) -> impl Iterator<Item = (&Transfer, Event<'_>)> {
    let completed = facts.transfers.iter().filter(|transfer| completed_exactly(facts, transfer).is_some());
    completed.filter_map(|transfer| added_step(transfer.last()).map(|step| (transfer, step)))
}

fn step_evidence((transfer, step): (&Transfer, Event<'_>)) -> Evidence {
    let id = step.text("activityId");
    Evidence::event(transfer, transfer.last(), step, format!("{id}, before withdraw"))
}

/// How to see one of these transfers complete with the new step, if none has so far.
fn next_with_the_step<'a>(
    facts: &'a Facts,
    new: impl Iterator<Item = &'a Transfer> + Clone,
    none: &str,
) -> Next {
    if let Some(transfer) = new.clone().find(|transfer| transfer.last().status == Status::Running) {
        return why_not_complete(facts, transfer, STAGE);
    }
    match new.last() {
        Some(transfer) if added_step(transfer.last()).is_none() => Next::command(
            format!(
                "{} has closed and did not run the new step: the code has to run it for new transfers. A hint: ",
                transfer.workflow_id
            ),
            "cargo xtask hint",
        ),
        _ => Next::command(none.to_owned(), "cargo xtask transfer account_C account_D 10 --wait"),
    }
}

fn new_ones_make_the_step(facts: &Facts) -> Verdict {
    let new =
        facts.transfers.iter().filter(|transfer| !transfer.runs.iter().any(|run| broken(run).is_some()));
    let next = next_with_the_step(facts, new, "start one: ");
    Verdict::by(with_the_step(facts).map(step_evidence).collect(), next)
}

fn old_ones_complete(facts: &Facts) -> Verdict {
    let next = |transfer: &Transfer| match added_step(transfer.last()) {
        None if fails_now(transfer.last()) => {
            let before = format!(
                "{} is past the place of the new step: make the code distinguish such transfers from new ones. A hint: ",
                transfer.workflow_id
            );
            Next::command(before, "cargo xtask hint")
        }
        None => why_not_complete(facts, transfer, STAGE),
        Some(_) => {
            let why =
                format!("{} has run the new step, which an old transfer must not", transfer.workflow_id);
            start_again(&why, STAGE)
        }
    };
    if let Some(transfer) = broken_ones(facts).find(|transfer| added_step(transfer.last()).is_some()) {
        return Verdict::Open(next(transfer));
    }
    all_complete(facts, broken_ones(facts), "completed", next, none_was_broken())
}

fn both_at_once(facts: &Facts) -> Verdict {
    let fixed =
        broken_ones(facts).filter_map(|transfer| completed_exactly(facts, transfer)).map(Event::moment).min();
    let Some(fixed) = fixed else {
        return match old_ones_complete(facts) {
            Verdict::Reached(_) => Verdict::Open(none_was_broken()),
            open => open,
        };
    };
    let both = with_the_step(facts).filter(|(transfer, _)| transfer.start() > fixed);
    let new = facts.transfers.iter().filter(|transfer| transfer.start() > fixed);
    let next = next_with_the_step(facts, new, "start a transfer with the fixed code: ");
    Verdict::by(both.map(step_evidence).collect(), next)
}
