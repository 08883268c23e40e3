//! The end of a patch: removed too early it breaks transfers in progress; deprecated it does not.

use serde_json::Value;

use super::{
    all_complete, breaks_a_rule, completed_exactly, completion::right_refusal, start_again,
    versioning::added_step, why_not_complete,
};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, nondeterminism};

/// The stage of these goals.
const STAGE: &str = "version-workflow";
/// The marker by which the SDK records that a run took a patch.
const PATCH_MARKER: &str = "core_patch";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "removal-caught",
        says: "test --mine --replay has reported that removing the patch breaks transfers that recorded it",
        is_failure: true,
        check: removal_caught,
    },
    Goal {
        name: "patch-deprecated",
        says: "a transfer started since has recorded the patch as deprecated, run the step and completed",
        is_failure: false,
        check: patch_deprecated,
    },
    Goal {
        name: "patched-ones-complete",
        says: "every other transfer has completed, and the bank's ledger has each exactly once",
        is_failure: false,
        check: patched_ones_complete,
    },
];

/// The events that record a patch.
fn patch_markers(run: &Run) -> impl Iterator<Item = Event<'_>> {
    run.events().filter(|event| event.is("MarkerRecorded") && event.text("markerName") == PATCH_MARKER)
}

/// Whether a patch's marker says that the patch is deprecated.
fn is_deprecated(marker: &Event<'_>) -> bool {
    let details: &Value = &marker.attributes()["details"]["patch-data"];
    let payloads = details.get("payloads").unwrap_or(details);
    payloads[0]["deprecated"] == true
}

/// The marker of a patch that is in use.
fn patched(run: &Run) -> Option<Event<'_>> {
    patch_markers(run).find(|marker| !is_deprecated(marker))
}

fn deprecated(run: &Run) -> Option<Event<'_>> {
    patch_markers(run).find(is_deprecated)
}

fn removal_caught(facts: &Facts) -> Verdict {
    let with_patch = || facts.transfers.iter().filter(|transfer| patched(transfer.last()).is_some());
    let evidence = with_patch().filter_map(|transfer| {
        let why = facts.broken_replay.get(&transfer.workflow_id)?;
        // Any other failure of the replay says nothing about the patch.
        let marker = patched(transfer.last()).filter(|_| nondeterminism::is_named_in(why))?;
        Some(Evidence::event(transfer, transfer.last(), marker, why.clone()))
    });
    let in_progress = with_patch().any(|transfer| transfer.last().status == Status::Running);
    let next = match in_progress {
        true => Next::command(
            "remove the patch, so that every transfer runs the step, and before you deploy that: ",
            "cargo xtask test --mine --replay",
        ),
        false => start_again("no transfer in progress has recorded the patch", STAGE),
    };
    Verdict::by(evidence.collect(), next)
}

fn patch_deprecated(facts: &Facts) -> Verdict {
    let since = || facts.transfers.iter().filter(|transfer| deprecated(transfer.last()).is_some());
    let evidence = since().filter_map(|transfer| {
        let run = transfer.last();
        completed_exactly(facts, transfer).and(added_step(run))?;
        Some(Evidence::event(transfer, run, deprecated(run)?, "recorded as deprecated; the step follows"))
    });
    let mut new = facts
        .transfers
        .iter()
        .filter(|transfer| patched(transfer.last()).is_none() && added_step(transfer.last()).is_some());
    let next = match since().next_back() {
        Some(transfer) if transfer.last().status == Status::Running || breaks_a_rule(facts, transfer) => {
            why_not_complete(facts, transfer, STAGE)
        }
        _ => {
            let before = match new.next_back() {
                Some(transfer) if deprecated(transfer.last()).is_none() => format!(
                    "{} ran the step without recording the patch: add `ctx.deprecate_patch(…)` before the step, save, \
                     and start a transfer: ",
                    transfer.workflow_id
                ),
                _ => "replace `if ctx.patched(…)` with `ctx.deprecate_patch(…)`, keep the step, save, and start a \
                      transfer: "
                    .to_owned(),
            };
            Next::command(before, "cargo xtask transfer account_C account_D 10")
        }
    };
    Verdict::by(evidence.collect(), next)
}

fn patched_ones_complete(facts: &Facts) -> Verdict {
    let none = || start_again("no transfer has recorded the patch", STAGE);
    if !facts.transfers.iter().any(|transfer| patched(transfer.last()).is_some()) {
        return Verdict::Open(none());
    }
    let others = facts.transfers.iter().filter(|transfer: &&Transfer| {
        deprecated(transfer.last()).is_none() && right_refusal(facts, transfer).is_none()
    });
    all_complete(facts, others, "completed", |transfer| why_not_complete(facts, transfer, STAGE), none())
}
