//! A limit on attempts: a fault that lasts longer ends the transfer for good.

use super::{completed_exactly, out_of_attempts, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Verdict, invariants};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "out-of-attempts",
        says: "a transfer has failed for good, as its Activity was out of attempts",
        is_failure: true,
        check: failed_for_good,
    },
    Goal {
        name: "no-money-lost",
        says: "the bank's ledger has nothing of it, or has given everything back",
        is_failure: true,
        check: no_money_lost,
    },
    Goal {
        name: "new-ones-complete",
        says: "a transfer that was started after that has completed, without Jerry's limit on attempts",
        is_failure: false,
        check: new_ones_complete,
    },
];

/// Jerry's limit on attempts.
const LIMIT: u64 = 3;

fn start_some() -> Next {
    Next::command("", "cargo xtask stage jerry-limits-retries")
        .then(" starts four; each takes three seconds to fail")
}

fn failed_for_good(facts: &Facts) -> Verdict {
    let failed = facts.runs().filter_map(|(transfer, run)| {
        let event = out_of_attempts(run)?;
        Some(Evidence::event(transfer, run, event, event.failure()))
    });
    let under_way =
        facts.transfers.iter().filter(|transfer| transfer.last().status == Status::Running).count();
    let next = match under_way {
        0 => start_some(),
        _ => format!("wait: {under_way} are under way, and each takes three seconds to fail").into(),
    };
    Verdict::by(failed.collect(), next)
}

fn no_money_lost(facts: &Facts) -> Verdict {
    let mut evidence = Vec::new();
    for (transfer, run) in facts.runs().filter(|(_, run)| out_of_attempts(run).is_some()) {
        if !invariants::wrong_with(facts, transfer).is_empty() {
            let next = format!("{} is out of balance: see what is wrong below", transfer.workflow_id);
            return Verdict::Open(next.into());
        }
        evidence.extend(run.close().map(|close| Evidence::event(transfer, run, close, close.failure())));
    }
    Verdict::by(evidence, start_some())
}

/// Whether an Activity of the run may be tried so few times.
fn is_limited(run: &Run) -> bool {
    let attempts = |event: Event<'_>| event.attributes()["retryPolicy"]["maximumAttempts"].as_u64();
    let scheduled = run.events().filter(|event| event.is("ActivityTaskScheduled"));
    // No limit is zero.
    scheduled.filter_map(attempts).any(|attempts| (1..=LIMIT).contains(&attempts))
}

fn new_ones_complete(facts: &Facts) -> Verdict {
    let failed_at = facts.runs().filter_map(|(_, run)| out_of_attempts(run)).map(Event::moment).min();
    let Some(failed_at) = failed_at else { return Verdict::Open(start_some()) };
    let new = facts.transfers.iter().filter(|transfer| transfer.start() > failed_at);
    let mut last = None;
    let mut evidence = Vec::new();
    for transfer in new {
        match completed_exactly(facts, transfer) {
            Some(close) if !is_limited(transfer.last()) => {
                evidence.push(Evidence::event(transfer, transfer.last(), close, "completed"));
            }
            _ => last = Some(transfer),
        }
    }
    let another = |before: String| {
        let before = format!("{before}, save, and start another: ");
        Next::command(before, "cargo xtask transfer account_A account_B 25.50 --wait")
    };
    let next = match last {
        Some(transfer) if completed_exactly(facts, transfer).is_some() => another(format!(
            "{} has completed, but on its next failure it would have been given up: mend the limit as well",
            transfer.workflow_id
        )),
        Some(transfer) => why_not_complete(facts, transfer),
        None => another("mend the address and the limit".to_owned()),
    };
    Verdict::by(evidence, next)
}
