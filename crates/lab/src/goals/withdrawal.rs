//! A bug in an Activity: it fails attempt after attempt, and the same transfer completes once it is mended.

use super::{later_attempts, start_one, why_not_complete};
use crate::{
    Event, Evidence, Facts, Goal, Next, Run, Transfer, Verdict, goals::completed_exactly, invariants,
};

/// The activity that is broken.
const WITHDRAW: &str = "withdraw";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "withdraw-fails",
        says: "withdraw has failed, and Temporal tries it again and again",
        is_failure: true,
        check: withdraw_fails,
    },
    Goal {
        name: "withdraw-succeeds",
        says: "that same withdraw has succeeded, at a later attempt",
        is_failure: false,
        check: withdraw_succeeds,
    },
    Goal {
        name: "transfer-completes",
        says: "its transfer has completed, and the bank's ledger has it exactly once",
        is_failure: false,
        check: transfer_completes,
    },
];

/// The transfers whose withdrawal has failed at least once, with the event that scheduled it.
fn failed_before(facts: &Facts) -> impl Iterator<Item = (&Transfer, Event<'_>, Evidence)> {
    facts.runs().filter_map(|(transfer, run)| {
        waiting(transfer, run).or_else(|| {
            let attempt = later_attempts(run, WITHDRAW).next()?;
            let scheduled = run.event(attempt.refers_to("scheduledEventId"))?;
            // A retry that was asked for leaves no failure behind, only the count.
            let number = attempt.refers_to("attempt");
            let before = attempt.attributes()["lastFailure"]["message"].as_str();
            let what = format!("attempt {number}, after {}", before.unwrap_or("others that failed"));
            Some((transfer, scheduled, Evidence::event(transfer, run, attempt, what)))
        })
    })
}

/// That it waits for its next attempt at this moment.
fn waiting<'a>(transfer: &'a Transfer, run: &'a Run) -> Option<(&'a Transfer, Event<'a>, Evidence)> {
    let pending = run.description["pendingActivities"].as_array()?;
    let withdraw = pending
        .iter()
        .find(|pending| pending["activityType"]["name"] == WITHDRAW && pending["lastFailure"].is_object())?;
    let is_it = |call: &Event<'_>| withdraw["activityId"] == call.text("activityId");
    let scheduled = run.calls(WITHDRAW).map(|(call, _)| call).find(is_it)?;
    let failure = withdraw["lastFailure"]["message"].as_str().unwrap_or_default();
    let attempt = withdraw["attempt"].as_u64().unwrap_or(1);
    let evidence = Evidence::event(transfer, run, scheduled, format!("attempt {attempt}: {failure}"));
    Some((transfer, scheduled, evidence))
}

/// The answer to that same withdrawal, maybe in a run that a reset has started: to the bank, an Activity of
/// this id is the same there.
fn answer<'a>(transfer: &'a Transfer, failed: Event<'_>) -> Option<(&'a Run, Event<'a>)> {
    transfer.runs.iter().find_map(|run| {
        let same = |call: &Event<'_>| call.text("activityId") == failed.text("activityId");
        let answer = run.calls(WITHDRAW).filter(|(call, _)| same(call)).find_map(|(_, answer)| answer)?;
        Some((run, answer))
    })
}

fn withdraw_fails(facts: &Facts) -> Verdict {
    let next = match facts.transfers.last() {
        Some(transfer) => why_not_complete(facts, transfer),
        None => start_one(),
    };
    Verdict::by(failed_before(facts).map(|(_, _, evidence)| evidence).collect(), next)
}

fn withdraw_succeeds(facts: &Facts) -> Verdict {
    let evidence = failed_before(facts).filter_map(|(transfer, failed, _)| {
        let (run, completed) = answer(transfer, failed)?;
        let balance = invariants::money(&completed.payload("result")["new_balance"]);
        let since = balance.map_or(String::new(), |balance| format!("; the account holds {balance} since"));
        Some(Evidence::event(transfer, run, completed, format!("withdrawn{since}")))
    });
    let before =
        "find the address that withdraw calls, mend it and save; then wait for the next attempt, or type: ";
    let next = Next::command(before, "cargo xtask retry");
    Verdict::by(evidence.collect(), next)
}

fn transfer_completes(facts: &Facts) -> Verdict {
    let mut still = None;
    let mut evidence = Vec::new();
    for (transfer, _, _) in failed_before(facts) {
        match completed_exactly(facts, transfer) {
            Some(close) => evidence.push(Evidence::event(transfer, transfer.last(), close, "completed")),
            None => still = still.or(Some(transfer)),
        }
    }
    Verdict::by(evidence, still.map_or_else(start_one, |transfer| why_not_complete(facts, transfer)))
}
