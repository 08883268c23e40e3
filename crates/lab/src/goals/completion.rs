//! What was stuck completes; what can never work fails at once, as soon as its error is classified as final.

use super::{
    all_complete, breaks_a_rule, failed_tasks, retried, start_again, waiting_activity, why_not_complete,
};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, invariants::money};

/// The stage of these goals.
const STAGE: &str = "fix-activity";
/// The Activity whose error the learner classifies.
const CHECK_BALANCE: &str = "check_balance";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "stuck-ones-complete",
        says: "every transfer that was stuck has completed, and the bank's ledger has each exactly once",
        is_failure: false,
        check: stuck_ones_complete,
    },
    Goal {
        name: "refusal-is-final",
        says: "a transfer of more than the balance has failed at its first attempt, and no money has moved",
        is_failure: false,
        check: refusal_is_final,
    },
    Goal {
        name: "error-classified",
        says: "a transfer to an account that does not exist has failed: the error is non-retryable",
        is_failure: false,
        check: error_classified,
    },
];

/// Whether the run was stuck, on anything but an account that does not exist.
fn was_stuck(run: &Run) -> bool {
    retried(run).any(|(_, activity)| activity != CHECK_BALANCE)
        || waiting_activity(run).is_some_and(|activity| activity != CHECK_BALANCE)
        || failed_tasks(run).next().is_some()
}

/// The failure of the Activity that closed a run because it is non-retryable.
fn refusal(run: &Run) -> Option<Event<'_>> {
    let refused = |event: &Event<'_>| {
        event.is("ActivityTaskFailed") && event.text("retryState") == "RETRY_STATE_NON_RETRYABLE_FAILURE"
    };
    run.events().find(refused).filter(|_| run.status == Status::Failed)
}

/// The same, if the bank had reason to refuse the transfer and no money has moved. A refusal that the code made up
/// is none.
pub(crate) fn right_refusal<'a>(facts: &Facts, transfer: &'a Transfer) -> Option<Event<'a>> {
    let has_reason = names_an_unknown_account(facts, transfer) || exceeds_the_balance(transfer);
    let is_right =
        has_reason && facts.entries_of(transfer).next().is_none() && !breaks_a_rule(facts, transfer);
    refusal(transfer.last()).filter(|_| is_right)
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
    let read = transfer.last().calls(CHECK_BALANCE).find_map(|(call, answer)| {
        answer.filter(|_| call.payload("input")["account_id"] == input["from_account"])
    });
    let balance = read.and_then(|answer| money(&answer.payload("result")["balance"]));
    money(&input["amount"]).zip(balance).is_some_and(|(amount, balance)| amount > balance)
}

fn stuck_ones_complete(facts: &Facts) -> Verdict {
    let stuck = facts
        .transfers
        .iter()
        .filter(|transfer| transfer.runs.iter().any(was_stuck) && right_refusal(facts, transfer).is_none());
    all_complete(
        facts,
        stuck,
        "completed",
        |transfer| why_not_complete(facts, transfer, STAGE),
        start_again("no transfer was stuck", STAGE),
    )
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
    let in_progress = facts
        .transfers
        .iter()
        .find(|transfer| transfer.last().status == Status::Running && exceeds_the_balance(transfer));
    let next = match in_progress {
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
        None => Next::command(
            "transfer more than the account holds: ",
            "cargo xtask transfer account_A account_B 5000 --wait",
        ),
    };
    Verdict::by(evidence.collect(), next)
}

fn error_classified(facts: &Facts) -> Verdict {
    let mut unknown =
        facts.transfers.iter().filter(|transfer| names_an_unknown_account(facts, transfer)).peekable();
    let next = match unknown.peek().filter(|transfer| transfer.last().status == Status::Running) {
        None => Next::command(
            "transfer to an account that does not exist: ",
            "cargo xtask transfer account_A account_Z 10",
        ),
        Some(transfer) if waiting_activity(transfer.last()) == Some(CHECK_BALANCE) => Next::command(
            format!(
                "the bank's answer to {} is final, but check_balance turns it into a retryable error. Remove that, \
                 save, and retry: ",
                transfer.workflow_id
            ),
            "cargo xtask retry",
        ),
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
    };
    let evidence = unknown.filter_map(|transfer| {
        let failed = right_refusal(facts, transfer)?;
        let started = transfer.last().event(failed.refers_to("startedEventId"))?;
        let what = format!("attempt {}: {}", started.refers_to("attempt"), failed.failure());
        Some(Evidence::event(transfer, transfer.last(), failed, what))
    });
    Verdict::by(evidence.collect(), next)
}
