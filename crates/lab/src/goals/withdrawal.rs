//! A bug in an Activity: it fails attempt after attempt, and the same transfer completes once it is mended.

use super::{START_ONE, later_attempts, why_not_complete};
use crate::{Evidence, Facts, Goal, Run, Transfer, Verdict, goals::completed_exactly};

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

/// The transfers whose withdrawal has failed at least once.
fn failed_before(facts: &Facts) -> impl Iterator<Item = (&Transfer, &Run, Evidence)> {
    facts.runs().filter_map(|(transfer, run)| {
        let evidence = waiting(transfer, run).or_else(|| {
            let attempt = later_attempts(run, WITHDRAW).next()?;
            let before =
                attempt.attributes()["lastFailure"]["message"].as_str().unwrap_or("an attempt failed");
            Some(Evidence::event(transfer, run, attempt, before))
        })?;
        Some((transfer, run, evidence))
    })
}

/// That it waits for its next attempt at this moment.
fn waiting(transfer: &Transfer, run: &Run) -> Option<Evidence> {
    let pending = run.description["pendingActivities"].as_array()?;
    let withdraw = pending
        .iter()
        .find(|pending| pending["activityType"]["name"] == WITHDRAW && pending["lastFailure"].is_object())?;
    let (scheduled, _) = run.calls(WITHDRAW).last()?;
    let failure = withdraw["lastFailure"]["message"].as_str().unwrap_or_default();
    let attempt = withdraw["attempt"].as_u64().unwrap_or(1);
    Some(Evidence::event(transfer, run, scheduled, format!("attempt {attempt}: {failure}")))
}

fn withdraw_fails(facts: &Facts) -> Verdict {
    let next = match facts.transfers.last() {
        Some(transfer) => why_not_complete(facts, transfer),
        None => START_ONE.to_owned(),
    };
    Verdict::by(failed_before(facts).map(|(_, _, evidence)| evidence).collect(), next)
}

fn withdraw_succeeds(facts: &Facts) -> Verdict {
    let evidence = failed_before(facts).filter_map(|(transfer, run, _)| {
        let completed = run.calls(WITHDRAW).find_map(|(_, completed)| completed)?;
        let balance = &completed.payload("result")["new_balance"];
        Some(Evidence::event(
            transfer,
            run,
            completed,
            format!("withdrawn; the account holds {balance} since"),
        ))
    });
    let next = "find the address that withdraw calls, mend it and save; then wait for the next attempt, or type: \
                cargo xtask retry";
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
    Verdict::by(evidence, still.map_or(START_ONE.to_owned(), |transfer| why_not_complete(facts, transfer)))
}
