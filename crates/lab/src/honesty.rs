//! What no fix may do, whatever it looks like: skip a step, claim a success, pay twice, lose money.
//!
//! A transfer that has completed must have made every step, successfully and with what it was asked for; its result
//! must say what the steps said; and the bank's ledger must have one withdrawal and one deposit of it that stand.

use contract::{Amount, Money};
use serde_json::Value;

use crate::{Entry, Event, Evidence, Facts, Run, Status, Transfer};

/// Something that a transfer did and should not have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which transfer, and where it can be seen.
    pub evidence: Evidence,
    /// What it means, and what to look at.
    pub meaning: &'static str,
}

const SKIPPED: &str = "a fix must not go around a step: let the step work instead";
const CLAIMED: &str = "a fix must not claim what did not happen: hand on what the steps answered";
const TWICE: &str = "a transfer must move its money once: an Activity may be tried again, but not be called again, and \
                     every attempt must bring the same Idempotency-Key";
const LOST: &str =
    "money was taken and has not arrived: a transfer that gives up must give it back (the Activity refund)";
const SWALLOWED: &str =
    "an error must not be swallowed: a transfer whose money did not move has to fail, or wait";

/// Everything that is wrong with these transfers, whatever the stage.
pub fn wrong(facts: &Facts) -> Vec<Wrong> {
    facts.transfers.iter().flat_map(|transfer| wrong_with(facts, transfer)).collect()
}

/// What is wrong with this transfer.
pub(crate) fn wrong_with(facts: &Facts, transfer: &Transfer) -> Vec<Wrong> {
    let run = transfer.last();
    let mut found = Found { transfer, run, wrong: Vec::new() };
    if run.status == Status::Completed {
        steps(&mut found);
        result(&mut found);
    }
    // Of transfers from before the bank's books were opened, nothing can be in them.
    if transfer.start() > crate::moment::Moment::of(&facts.books_since) {
        ledger(&mut found, facts);
    }
    found.wrong
}

/// What was found with one transfer.
struct Found<'a> {
    transfer: &'a Transfer,
    run: &'a Run,
    wrong: Vec<Wrong>,
}

impl Found<'_> {
    /// Notes what is wrong, at an event or else at the run's last one.
    fn note(&mut self, event: Option<Event<'_>>, what: impl Into<String>, meaning: &'static str) {
        let Some(event) = event.or(self.run.events().next_back()) else { return };
        self.wrong.push(Wrong { evidence: Evidence::event(self.transfer, self.run, event, what), meaning });
    }
}

/// Every step was made, and with what the transfer was asked for.
fn steps(found: &mut Found<'_>) {
    let run = found.run;
    let input = found.transfer.input();
    let answered = |activity: &'static str| {
        run.calls(activity)
            .filter_map(|(scheduled, completed)| completed.map(|completed| (scheduled, completed)))
    };
    for (account, whose) in
        [("from_account", "the account it takes from"), ("to_account", "the account it gives to")]
    {
        if !answered("check_balance").any(|(call, _)| call.payload("input")["account_id"] == input[account]) {
            found.note(
                run.close(),
                format!("it has completed, but never read the balance of {whose}"),
                SKIPPED,
            );
        }
    }
    let delivered = answered("refund").any(|(_, answer)| answer.payload("result")["delivered"] == true);
    for (activity, account) in [("withdraw", "from_account"), ("deposit", "to_account")] {
        let calls: Vec<_> = answered(activity).collect();
        // Where only an answer was lost, the bank says so when it is asked for a refund.
        if calls.is_empty() && !delivered {
            let failed = run.calls(activity).next().is_some();
            let (what, meaning) = match failed {
                true => (format!("it has completed, though {activity} has failed"), SWALLOWED),
                false => (format!("it has completed, but never called {activity}"), SKIPPED),
            };
            found.note(run.close(), what, meaning);
        }
        for (call, _) in &calls {
            let asked = call.payload("input");
            if asked["account_id"] != input[account] || money(&asked["amount"]) != money(&input["amount"]) {
                let what =
                    format!("{activity} was called with {asked}, and the transfer was asked for {input}");
                found.note(Some(*call), what, CLAIMED);
            }
        }
        if let Some((call, _)) = calls.get(1) {
            found.note(Some(*call), format!("{activity} was called {} times", calls.len()), TWICE);
        }
    }
}

/// The result says what the steps said.
fn result(found: &mut Found<'_>) {
    let run = found.run;
    let Some(close) = run.close() else { return };
    let input = found.transfer.input();
    let result = close.payload("result");
    let same = ["from_account", "to_account"].iter().all(|name| result[name] == input[name])
        && money(&result["amount"]) == money(&input["amount"])
        && result["success"] == true;
    if !same {
        found.note(
            Some(close),
            format!("its result {result} is not what it was asked for, {input}"),
            CLAIMED,
        );
    }
    for (account, balance) in
        [("from_account", "from_account_starting_balance"), ("to_account", "to_account_starting_balance")]
    {
        let mut read = run
            .calls("check_balance")
            .filter(|(call, _)| call.payload("input")["account_id"] == input[account])
            .filter_map(|(_, answer)| money(&answer?.payload("result")["balance"]))
            .peekable();
        if read.peek().is_some() && !read.any(|read| money(&result[balance]) == Some(read)) {
            let what =
                format!("its result has {balance} {}, which no check_balance answered", result[balance]);
            found.note(Some(close), what, CLAIMED);
        }
    }
}

/// The bank's ledger has what the history says: what stands is what came after the last refund.
fn ledger(found: &mut Found<'_>, facts: &Facts) {
    let entries: Vec<&Entry> = facts.entries_of(found.transfer).collect();
    let refunded = entries.iter().rposition(|entry| entry.kind == "refund").map_or(0, |at| at + 1);
    let standing = |kind: &str| entries[refunded..].iter().filter(|entry| entry.kind == kind).count();
    let (withdrawn, deposited) = (standing("withdraw"), standing("deposit"));
    let sum = |kind: &str| -> i64 {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.amount.cents()).sum()
    };
    if withdrawn > 1 || deposited > 1 {
        let what = format!("the bank's ledger has {withdrawn} withdrawals and {deposited} deposits of it");
        found.note(None, what, TWICE);
        return;
    }
    match found.run.status {
        Status::Completed => {
            let amount = money(&found.transfer.input()["amount"]).map(Money::cents);
            let moved = sum("withdraw") - sum("refund");
            let right = Some(moved) == amount && Some(sum("deposit")) == amount;
            if withdrawn == 0 || deposited == 0 {
                let missing = if withdrawn == 0 { "withdrawal" } else { "deposit" };
                found.note(found.run.close(), format!("the bank's ledger has no {missing} of it"), CLAIMED);
            } else if !right {
                let what = format!(
                    "the bank's ledger has {} withdrawn and {} deposited for it",
                    Money::from_cents(moved),
                    Money::from_cents(sum("deposit"))
                );
                found.note(found.run.close(), what, CLAIMED);
            }
        }
        Status::Failed | Status::Otherwise if sum("withdraw") - sum("refund") != sum("deposit") => {
            found.note(found.run.close(), "it has ended, and the money it took is in no account", LOST);
        }
        Status::Failed if deposited > 0 => {
            found.note(found.run.close(), "it has failed, and its money has moved all the same", CLAIMED);
        }
        _ => {}
    }
}

/// An amount of money in JSON.
fn money(value: &Value) -> Option<Money> {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(Money::ZERO),
        Value::Number(number) => Amount::from_json(&number.to_string()).ok().map(Money::from),
        _ => None,
    }
}
