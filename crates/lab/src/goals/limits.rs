//! Maximum Attempts: a fault that lasts longer fails the transfer for good.

use super::{breaks_a_rule, completed_exactly, retries_exhausted, start_again, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict};

/// The stage of these goals.
const STAGE: &str = "jerry-limits-retries";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "out-of-attempts",
        says: "a transfer has failed: its retries are exhausted (Maximum Attempts reached)",
        is_failure: true,
        check: failed_for_good,
    },
    Goal {
        name: "no-money-lost",
        says: "no money is lost: the bank's ledger has no entry for it, or a refund",
        is_failure: true,
        check: no_money_lost,
    },
    Goal {
        name: "new-ones-complete",
        says: "a transfer started after that has completed, and its Activities have no Maximum Attempts",
        is_failure: false,
        check: new_ones_complete,
    },
];

/// The Maximum Attempts of an Activity of the run, if the recorded retry policy has any; it records no limit as zero. A
/// Schedule-To-Close Timeout is no such limit: it says how long the answer is of use.
fn maximum_attempts(run: &Run) -> Option<u64> {
    let attempts = |event: Event<'_>| event.attributes()["retryPolicy"]["maximumAttempts"].as_u64();
    let scheduled = run.events().filter(|event| event.is("ActivityTaskScheduled"));
    scheduled.filter_map(attempts).find(|&attempts| attempts > 0)
}

/// What to do while no transfer has failed for good.
fn none_failed(facts: &Facts) -> Next {
    let fails_soon = |transfer: &&Transfer| {
        let run = transfer.last();
        // One that has not called an Activity yet shows no limit.
        let called = run.events().any(|event| event.is("ActivityTaskScheduled"));
        run.status == Status::Running && (!called || maximum_attempts(run).is_some())
    };
    match facts.transfers.iter().find(fails_soon) {
        Some(transfer) => {
            let before = format!("{} is in progress, and fails within seconds: ", transfer.workflow_id);
            Next::command(before, "cargo xtask lab status")
        }
        None => start_again("no transfer has failed", STAGE),
    }
}

fn failed_for_good(facts: &Facts) -> Verdict {
    let failed = facts.runs().filter_map(|(transfer, run)| {
        let event = retries_exhausted(run)?;
        Some(Evidence::event(transfer, run, event, event.failure()))
    });
    Verdict::by(failed.collect(), none_failed(facts))
}

fn no_money_lost(facts: &Facts) -> Verdict {
    let mut evidence = Vec::new();
    for (transfer, run) in facts.runs().filter(|(_, run)| retries_exhausted(run).is_some()) {
        if breaks_a_rule(facts, transfer) {
            return Verdict::Open(why_not_complete(facts, transfer, STAGE));
        }
        evidence.extend(run.close().map(|close| Evidence::event(transfer, run, close, close.failure())));
    }
    Verdict::by(evidence, none_failed(facts))
}

fn new_ones_complete(facts: &Facts) -> Verdict {
    let failed_at = facts.runs().filter_map(|(_, run)| retries_exhausted(run)).map(Event::moment).min();
    let Some(failed_at) = failed_at else { return Verdict::Open(none_failed(facts)) };
    let mut last = None;
    let mut evidence = Vec::new();
    for transfer in facts.transfers.iter().filter(|transfer| transfer.start() > failed_at) {
        match completed_exactly(facts, transfer) {
            Some(close) if maximum_attempts(transfer.last()).is_none() => {
                evidence.push(Evidence::event(transfer, transfer.last(), close, "completed"));
            }
            _ => last = Some(transfer),
        }
    }
    let another = |before: &str| {
        let before = format!("{before}, save, and start another transfer: ");
        Next::command(before, "cargo xtask transfer account_A account_B 25.50 --wait")
    };
    let next = match last.map(|transfer| (transfer, transfer.last(), maximum_attempts(transfer.last()))) {
        None => another("fix the address and remove the limit on retries"),
        Some((transfer, _, _)) if breaks_a_rule(facts, transfer) => why_not_complete(facts, transfer, STAGE),
        Some((transfer, run, Some(limit))) if run.status != Status::Running => another(&format!(
            "{} has Maximum Attempts set to {limit}, so a longer fault still fails it: remove the limit",
            transfer.workflow_id
        )),
        Some((transfer, run, None)) if run.status != Status::Running => {
            another(&format!("{} has closed without completing: fix its error", transfer.workflow_id))
        }
        Some((transfer, ..)) => why_not_complete(facts, transfer, STAGE),
    };
    Verdict::by(evidence, next)
}
