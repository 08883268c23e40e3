//! A change of Workflow code under transfers that are past the changed place.

use super::{all_complete, completed_exactly, failed_tasks, fails_now, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Transfer, Verdict, nondeterminism::is_nondeterminism};

/// The activities that a transfer makes before it withdraws, without the added step.
const BEFORE_WITHDRAW: usize = 2;
/// The event by which the SDK records that a run took the patched way.
const PATCH_MARKER: &str = "core_patch";

pub(crate) const STEP_GOALS: &[Goal] = &[
    Goal {
        name: "history-does-not-fit",
        says: "a transfer that was past the new step is broken: its Event History does not fit the code any more",
        is_failure: true,
        check: history_does_not_fit,
    },
    Goal {
        name: "new-ones-make-the-step",
        says: "a transfer that was started since has made the new step and completed",
        is_failure: true,
        check: new_ones_make_the_step,
    },
    Goal {
        name: "old-ones-complete",
        says: "every broken transfer has completed, without the new step",
        is_failure: false,
        check: old_ones_complete,
    },
    Goal {
        name: "both-at-once",
        says: "a transfer that was started after that has made the new step, too",
        is_failure: false,
        check: both_at_once,
    },
];

pub(crate) const PATCH_GOALS: &[Goal] = &[
    Goal {
        name: "old-ones-complete",
        says: "every broken transfer has completed, without the new step",
        is_failure: false,
        check: old_ones_complete,
    },
    Goal {
        name: "marker-recorded",
        says: "a transfer that was started since has recorded the patch as a marker, and made the new step",
        is_failure: false,
        check: marker_recorded,
    },
    Goal {
        name: "none-is-stuck",
        says: "no Workflow Task fails any more",
        is_failure: false,
        check: none_is_stuck,
    },
];

/// The failed Workflow Task that says that history and code do not fit.
pub(crate) fn broken(run: &Run) -> Option<Event<'_>> {
    failed_tasks(run).find(|event| is_nondeterminism(*event))
}

/// Whether the run was past the place of the new step when it broke. Not one that had made the step: a patch that
/// comes after it breaks that, and that is another story.
pub(crate) fn is_past_the_step(run: &Run) -> bool {
    broken(run).is_some_and(|broken| added_step(run).is_none_or(|step| step.id() > broken.id()))
}

fn broken_ones(facts: &Facts) -> impl Iterator<Item = &Transfer> {
    facts.transfers.iter().filter(|transfer| transfer.runs.iter().any(is_past_the_step))
}

/// The event that scheduled the added step, if the run has made one.
fn added_step(run: &Run) -> Option<Event<'_>> {
    let activities = || run.events().filter(|event| event.is("ActivityTaskScheduled"));
    let withdraw = activities().position(|event| event.attributes()["activityType"]["name"] == "withdraw")?;
    if withdraw > BEFORE_WITHDRAW { activities().nth(withdraw - 1) } else { None }
}

fn patch_marker(run: &Run) -> Option<Event<'_>> {
    run.events().find(|event| event.is("MarkerRecorded") && event.text("markerName") == PATCH_MARKER)
}

fn history_does_not_fit(facts: &Facts) -> Verdict {
    let seen = facts.runs().filter_map(|(transfer, run)| {
        let failed = broken(run)?;
        Some(Evidence::event(transfer, run, failed, failed.failure()))
    });
    let next =
        Next::command("none is: ", "cargo xtask stage jerry-adds-step").then(" starts some, and breaks them");
    Verdict::by(seen.collect(), next)
}

fn start_one_more() -> Next {
    Next::command("start one: ", "cargo xtask transfer account_C account_D 10 --wait")
}

/// The transfers that made the step and have completed, by the event that scheduled it.
fn with_the_step(facts: &Facts) -> impl Iterator<Item = (&Transfer, Event<'_>)> {
    let completed = facts.transfers.iter().filter(|transfer| completed_exactly(facts, transfer).is_some());
    completed.filter_map(|transfer| added_step(transfer.last()).map(|step| (transfer, step)))
}

fn step_evidence((transfer, step): (&Transfer, Event<'_>)) -> Evidence {
    let id = step.text("activityId");
    Evidence::event(transfer, transfer.last(), step, format!("{id}, before withdraw"))
}

fn new_ones_make_the_step(facts: &Facts) -> Verdict {
    Verdict::by(with_the_step(facts).map(step_evidence).collect(), start_one_more())
}

fn old_ones_complete(facts: &Facts) -> Verdict {
    let next = |transfer: &Transfer| match added_step(transfer.last()) {
        None if fails_now(transfer.last()) => {
            let before = format!(
                "{} is past the place of the new step: let the code tell such transfers from new ones; a hint: ",
                transfer.workflow_id
            );
            Next::command(before, "cargo xtask hint")
        }
        None => why_not_complete(facts, transfer),
        Some(_) => {
            let before = format!(
                "{} has made the step that it should not have: begin again, by ",
                transfer.workflow_id
            );
            Next::command(before, "cargo xtask stage jerry-adds-step")
        }
    };
    let none = Next::command("no broken transfer is there: ", "cargo xtask stage jerry-adds-step")
        .then(" makes some");
    if let Some(transfer) = broken_ones(facts).find(|transfer| added_step(transfer.last()).is_some()) {
        return Verdict::Open(next(transfer));
    }
    all_complete(facts, broken_ones(facts), "completed", next, none)
}

fn both_at_once(facts: &Facts) -> Verdict {
    let mended =
        broken_ones(facts).filter_map(|transfer| completed_exactly(facts, transfer)).map(Event::moment).min();
    let Some(mended) = mended else {
        return Verdict::Open("first let the broken transfers complete".into());
    };
    let both = with_the_step(facts).filter(|(transfer, _)| transfer.start() > mended);
    let without = facts.transfers.iter().find(|transfer| {
        let completed = completed_exactly(facts, transfer).is_some();
        completed && transfer.start() > mended && added_step(transfer.last()).is_none()
    });
    let next = match without {
        Some(transfer) => {
            let before = format!(
                "{} was started after that and has completed without the new step: the code has to make it for new \
                 transfers; a hint: ",
                transfer.workflow_id
            );
            Next::command(before, "cargo xtask hint")
        }
        None => {
            let before = "start a transfer with the mended code: ";
            Next::command(before, "cargo xtask transfer account_C account_D 10 --wait")
                .then("; it has to make the new step, before withdraw")
        }
    };
    Verdict::by(both.map(step_evidence).collect(), next)
}

fn marker_recorded(facts: &Facts) -> Verdict {
    let recorded = with_the_step(facts).filter_map(|(transfer, _)| {
        let marker = patch_marker(transfer.last())?;
        Some(Evidence::event(transfer, transfer.last(), marker, "the patch's marker, and the step after it"))
    });
    Verdict::by(recorded.collect(), start_one_more())
}

fn none_is_stuck(facts: &Facts) -> Verdict {
    match facts.runs().find(|(_, run)| fails_now(run)) {
        Some((transfer, _)) => Verdict::Open(why_not_complete(facts, transfer)),
        None => {
            let completed = facts.transfers.iter().filter_map(|transfer| {
                let close = completed_exactly(facts, transfer)?;
                Some(Evidence::event(transfer, transfer.last(), close, "completed"))
            });
            Verdict::by(completed.collect(), start_one_more())
        }
    }
}
