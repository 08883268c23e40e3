//! What was stuck completes; what can never work fails at once.

use super::{all_complete, failed_tasks, refusal, start_one, waits_for_attempt, why_not_complete};
use crate::{Evidence, Facts, Goal, Next, Run, Verdict};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "stuck-ones-complete",
        says: "every transfer that was stuck has completed, and the bank's ledger has each exactly once",
        is_failure: false,
        check: stuck_ones_complete,
    },
    Goal {
        name: "refusal-is-final",
        says: "a transfer that can never work has failed at its first attempt, and no money has moved",
        is_failure: false,
        check: refusal_is_final,
    },
];

/// Whether anything in the run was tried again.
fn was_stuck(run: &Run) -> bool {
    let again = run.events().any(|event| {
        event.is("ActivityTaskStarted")
            && (event.refers_to("attempt") > 1 || event.attributes()["lastFailure"].is_object())
    });
    again || waits_for_attempt(run) || failed_tasks(run).next().is_some()
}

fn stuck_ones_complete(facts: &Facts) -> Verdict {
    let stuck = facts.transfers.iter().filter(|transfer| transfer.runs.iter().any(was_stuck));
    all_complete(
        facts,
        stuck,
        "completed",
        |transfer| why_not_complete(facts, transfer),
        Next::command("none was stuck: ", "cargo xtask stage fix-activity").then(" starts one"),
    )
}

fn refusal_is_final(facts: &Facts) -> Verdict {
    let evidence = facts.transfers.iter().filter_map(|transfer| {
        let run = transfer.last();
        let failed = refusal(run)?;
        let started = run.event(failed.refers_to("startedEventId"))?;
        let moved = facts.entries_of(transfer).next().is_some();
        let at_once = started.refers_to("attempt") <= 1 && !moved;
        at_once.then(|| Evidence::event(transfer, run, failed, failed.failure()))
    });
    let next = match facts.transfers.is_empty() {
        true => start_one(),
        false => Next::command(
            "ask for more than there is: ",
            "cargo xtask transfer account_A account_B 5000 --wait",
        ),
    };
    Verdict::by(evidence.collect(), next)
}
