//! What was stuck completes; what can never work fails at once, as soon as its error is classified as final.

use super::{
    all_complete, breaks_a_rule, failed_tasks, is_earlier, retried, start_again, waiting_activity,
    why_not_complete,
};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, invariants::money};

/// The stage of these goals.
const STAGE: &str = "fix-activity";
/// The Activity whose error the learner classifies.
const WITHDRAW: &str = "withdraw";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "stuck-ones-complete",
        says: "every transfer that was stuck has completed, and the bank's ledger has each exactly once",
        is_failure: false,
        check: stuck_ones_complete,
    },
    Goal {
        name: "error-classified",
        says: "a transfer that exceeds the balance has failed, because the bank's refusal is non-retryable",
        is_failure: false,
        check: error_classified,
    },
    Goal {
        name: "refusal-is-final",
        says: "a transfer that exceeds the balance has failed on its first attempt, and no money has moved",
        is_failure: false,
        check: refusal_is_final,
    },
];

/// Whether the run was stuck.
fn was_stuck(run: &Run) -> bool {
    retried(run).next().is_some() || waiting_activity(run).is_some() || failed_tasks(run).next().is_some()
}

/// The failure of the Activity that closed a run because it is non-retryable.
fn refusal(run: &Run) -> Option<Event<'_>> {
    run.events().find(|event| event.is_non_retryable()).filter(|_| run.status == Status::Failed)
}

/// The same, if the bank had reason to refuse the transfer and no money has moved. A refusal that the code made up
/// is none.
pub(crate) fn right_refusal<'a>(facts: &Facts, transfer: &'a Transfer) -> Option<Event<'a>> {
    let is_right = has_reason(facts, transfer)
        && facts.entries_of(transfer).next().is_none()
        && !breaks_a_rule(facts, transfer);
    refusal(transfer.last()).filter(|_| is_right)
}

/// Whether the bank has reason to refuse the transfer.
pub(crate) fn has_reason(facts: &Facts, transfer: &Transfer) -> bool {
    names_an_unknown_account(facts, transfer) || exceeds_the_balance(transfer)
}

/// Whether the bank does not have an account of the transfer.
fn names_an_unknown_account(facts: &Facts, transfer: &Transfer) -> bool {
    let input = transfer.input();
    let mut accounts = ["from_account", "to_account"].iter().filter_map(|name| input[name].as_str());
    !facts.accounts.is_empty() && accounts.any(|account| facts.accounts.iter().all(|known| known != account))
}

/// Whether the transfer asks for more than the account held when its balance was read.
fn exceeds_the_balance(transfer: &Transfer) -> bool {
    let input = transfer.input();
    // The last run may not have read it yet.
    let mut reads = transfer.runs.iter().rev().flat_map(|run| run.calls("check_balance"));
    let read = reads.find_map(|(call, answer)| {
        answer.filter(|_| call.payload("input")["account_id"] == input["from_account"])
    });
    let balance = read.and_then(|answer| money(&answer.payload("result")["balance"]));
    money(&input["amount"]).zip(balance).is_some_and(|(amount, balance)| amount > balance)
}

fn stuck_ones_complete(facts: &Facts) -> Verdict {
    let stuck = facts.transfers.iter().filter(|transfer| {
        transfer.runs.iter().any(was_stuck)
            && !transfer.last().close().is_some_and(|close| is_earlier(facts, close))
            && !exceeds_the_balance(transfer)
            && right_refusal(facts, transfer).is_none()
    });
    all_complete(
        facts,
        stuck,
        "completed",
        |transfer| why_not_complete(facts, transfer, STAGE),
        start_again("no transfer was stuck", STAGE),
    )
}

/// What to do to see a transfer refused.
fn ask_for_too_much(wait: &str) -> Next {
    Next::command(
        "start a transfer of more than the account holds: ",
        format!("cargo xtask transfer account_A account_B 5000{wait}"),
    )
}

fn error_classified(facts: &Facts) -> Verdict {
    let too_much = || facts.transfers.iter().filter(|transfer| exceeds_the_balance(transfer));
    let evidence = too_much().filter_map(|transfer| {
        let failed = right_refusal(facts, transfer)?;
        let started = transfer.last().event(failed.refers_to("startedEventId"))?;
        let what = format!("attempt {}: {}", started.refers_to("attempt"), failed.failure());
        Some(Evidence::event(transfer, transfer.last(), failed, what))
    });
    let in_progress = too_much().find(|transfer| transfer.last().status == Status::Running);
    let next = match in_progress {
        Some(transfer) if waiting_activity(transfer.last()) == Some(WITHDRAW) => Next::command(
            format!(
                "the bank has refused {}, but withdraw makes that a retryable error. Fix that: pass the refusal on as it is, save, \
                 and start another: ",
                transfer.workflow_id
            ),
            "cargo xtask transfer account_A account_B 5000 --wait",
        ),
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
        None => ask_for_too_much(""),
    };
    Verdict::by(evidence.collect(), next)
}

fn refusal_is_final(facts: &Facts) -> Verdict {
    let evidence =
        facts.transfers.iter().filter(|transfer| exceeds_the_balance(transfer)).filter_map(|transfer| {
            let run = transfer.last();
            let failed = right_refusal(facts, transfer)?;
            let started = run.event(failed.refers_to("startedEventId"))?;
            (started.refers_to("attempt") <= 1)
                .then(|| Evidence::event(transfer, run, failed, failed.failure()))
        });
    match error_classified(facts) {
        Verdict::Open(next) => Verdict::Open(next),
        Verdict::Reached(_) => Verdict::by(evidence.collect(), ask_for_too_much(" --wait")),
    }
}
