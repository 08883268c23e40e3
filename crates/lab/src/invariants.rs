//! What no fix may do, whatever it looks like: skip a step, claim a success, pay twice, lose money.
//!
//! A transfer makes its steps in order, each with what it was asked for and none of them twice; what a step
//! answers is in the bank's ledger; its result says what the steps said; and one that gives up keeps no
//! money. Most of that shows while the transfer is still under way, and is told then.

use contract::{Amount, Money};
use serde_json::Value;

use crate::{Entry, Event, Evidence, Facts, Run, Status, Transfer, moment::Moment, nondeterminism};

/// Something that a transfer did and should not have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which transfer, and where it can be seen.
    pub evidence: Evidence,
    /// What it means, and what to look at.
    pub meaning: &'static str,
}

const SKIPPED: &str = "a fix must not go around a step: let the step work instead";
const SWALLOWED: &str =
    "a fix must not swallow an error: a transfer whose money did not move has to fail, or wait";
const CLAIMED: &str = "a fix must not make up its result: hand on what the steps answered";
const MADE_UP: &str = "a step must not make up its answer: it has to ask the bank, by Bank::post, and hand on \
                       what that says";
const OTHER: &str = "a fix must not move other money than was asked for: look at what goes into the \
                     Activities, and what goes to the bank";
const TWICE: &str = "a transfer must move its money once: an Activity may be tried again, but not be called \
                     again, and every attempt must bring the same Idempotency-Key";
const LOST: &str =
    "money was taken and has not arrived: a transfer that gives up must give it back, by the Activity refund";
const ENDED: &str = "whoever ends a transfer by force leaves its money in between: mend the code, and bring \
                     the transfer back by a Workflow Reset";
const UNASKED: &str =
    "whether its money has moved, the bank knows: ask it, by the Activity refund, before giving up";

/// The steps that move money, what each makes, and whose account it is about, as the input calls it.
const MOVEMENTS: [(&str, &str, &str); 2] =
    [("withdraw", "withdrawal", "from_account"), ("deposit", "deposit", "to_account")];

/// Everything that is wrong with these transfers, whatever the stage.
pub fn wrong(facts: &Facts) -> Vec<Wrong> {
    facts.transfers.iter().flat_map(|transfer| wrong_with(facts, transfer)).collect()
}

/// What is wrong with this transfer.
pub(crate) fn wrong_with(facts: &Facts, transfer: &Transfer) -> Vec<Wrong> {
    let mut found = Found { transfer, run: transfer.last(), input: transfer.input(), wrong: Vec::new() };
    determinism(&mut found);
    order(&mut found);
    calls(&mut found);
    result(&mut found);
    // Of transfers from before the bank's books were opened, nothing can be in them.
    if transfer.start() > Moment::of(&facts.books_since) {
        ledger(&mut found, facts);
    }
    found.wrong
}

/// What was found with one transfer.
struct Found<'a> {
    transfer: &'a Transfer,
    run: &'a Run,
    /// What the transfer was asked for.
    input: &'a Value,
    wrong: Vec<Wrong>,
}

impl<'a> Found<'a> {
    /// Notes what is wrong, at an event or else at the run's last one.
    fn note(&mut self, event: Option<Event<'_>>, what: impl Into<String>, meaning: &'static str) {
        let Some(event) = event.or(self.run.events().next_back()) else { return };
        self.wrong.push(Wrong { evidence: Evidence::event(self.transfer, self.run, event, what), meaning });
    }

    /// The calls of this activity that were answered, each with its answer.
    fn answered(&self, activity: &'a str) -> impl Iterator<Item = (Event<'a>, Event<'a>)> + use<'a> {
        self.run.calls(activity).filter_map(|(call, answer)| answer.map(|answer| (call, answer)))
    }

    /// The event by which the run has completed, if it has.
    fn completed(&self) -> Option<Event<'a>> {
        self.run.close().filter(|_| self.run.status == Status::Completed)
    }

    /// Whether its input says what was asked for, in a form that can be read here.
    fn says_what(&self) -> bool {
        self.input["from_account"].is_string()
            && self.input["to_account"].is_string()
            && money(&self.input["amount"]).is_some()
    }

    /// Whether this is another account, or another amount, than the transfer was asked for.
    fn is_other(&self, account: &str, amount: Option<Money>, name: &str) -> bool {
        self.says_what() && (self.input[name] != account || money(&self.input["amount"]) != amount)
    }

    /// What the transfer was asked for, in words.
    fn asked(&self) -> String {
        let account = |name: &str| self.input[name].as_str().unwrap_or("nowhere");
        let amount = money(&self.input["amount"]).unwrap_or(Money::ZERO);
        format!("{amount} from {} to {}", account("from_account"), account("to_account"))
    }
}

/// The code decides the same way on each replay.
fn determinism(found: &mut Found<'_>) {
    let stuck = nondeterminism::by_itself(&found.run.events).filter(|_| found.run.status == Status::Running);
    if let Some((event, what)) = stuck {
        found.note(Some(event), what, nondeterminism::MUST);
    }
}

/// No step was left out on the way to the next one.
fn order(found: &mut Found<'_>) {
    let completed = found.completed().map(|close| (close, "it has completed"));
    let run = found.run;
    let begun = |activity, what| run.calls(activity).next().map(|(call, _)| (call, what)).or(completed);
    let withdraws = begun("withdraw", "it went on to withdraw");
    let deposits = begun("deposit", "it went on to deposit");
    for account in ["from_account", "to_account"] {
        let Some((by, has_gone_on)) = withdraws else { continue };
        let read = found.answered("check_balance").any(|(call, answer)| {
            let is_it = !found.says_what() || call.payload("input")["account_id"] == found.input[account];
            is_it && answer.id() < by.id()
        });
        if !read {
            let whose = found.input[account].as_str().unwrap_or(account);
            let what = format!("{has_gone_on} without reading the balance of {whose}");
            found.note(Some(by), what, SKIPPED);
        }
    }
    // Where only an answer was lost, the bank says so when it is asked for a refund.
    let delivered = found.answered("refund").any(|(_, answer)| answer.payload("result")["delivered"] == true);
    for (activity, next) in [("withdraw", deposits), ("deposit", completed)] {
        let Some((by, has_gone_on)) = next else { continue };
        if delivered || found.answered(activity).any(|(_, answer)| answer.id() < by.id()) {
            continue;
        }
        let (how, meaning) = match run.calls(activity).any(|(call, _)| call.id() < by.id()) {
            true => (format!("though {activity} had not succeeded"), SWALLOWED),
            false => (format!("without calling {activity}"), SKIPPED),
        };
        found.note(Some(by), format!("{has_gone_on} {how}"), meaning);
    }
}

/// Each movement was called for what the transfer was asked for, and once.
fn calls(found: &mut Found<'_>) {
    for (activity, _, account) in MOVEMENTS {
        for (call, _) in found.run.calls(activity) {
            let asked = call.payload("input");
            let whose = asked["account_id"].as_str().unwrap_or_default();
            if found.is_other(whose, money(&asked["amount"]), account) {
                let what = format!("{activity} was called with {asked}, for a transfer of {}", found.asked());
                found.note(Some(call), what, OTHER);
            }
        }
        if let Some((call, _)) = found.answered(activity).nth(1) {
            let times = found.answered(activity).count();
            found.note(Some(call), format!("{activity} was called {times} times"), TWICE);
        }
    }
}

/// The result says what the steps said.
fn result(found: &mut Found<'_>) {
    let Some(close) = found.completed().filter(|_| found.says_what()) else { return };
    let (input, result) = (found.input, close.payload("result"));
    let same = ["from_account", "to_account"].iter().all(|name| result[name] == input[name])
        && money(&result["amount"]) == money(&input["amount"])
        && result["success"] == true;
    if !same {
        let what = format!("its result is {result}, for a transfer of {}", found.asked());
        found.note(Some(close), what, CLAIMED);
        return;
    }
    for account in ["from_account", "to_account"] {
        let name = format!("{account}_starting_balance");
        let mut read = found
            .answered("check_balance")
            .filter(|(call, _)| call.payload("input")["account_id"] == input[account])
            .filter_map(|(_, answer)| money(&answer.payload("result")["balance"]))
            .peekable();
        if read.peek().is_some() && !read.any(|read| money(&result[&name]) == Some(read)) {
            let what =
                format!("its result has {name} {}, which no check_balance has answered", result[&name]);
            found.note(Some(close), what, CLAIMED);
        }
    }
}

/// The bank's ledger has what the history says: what stands is what came after the last refund.
fn ledger(found: &mut Found<'_>, facts: &Facts) {
    let entries: Vec<&Entry> = facts.entries_of(found.transfer).collect();
    for (kind, movement, account) in MOVEMENTS {
        let answered = found.answered(kind).next();
        if let Some((_, answer)) = answered.filter(|_| !entries.iter().any(|entry| entry.kind == kind)) {
            let what =
                format!("{kind} has answered, but the bank's ledger has no {movement} of this transfer");
            found.note(Some(answer), what, MADE_UP);
        }
        let mut of_kind = entries.iter().filter(|entry| entry.kind == kind);
        if let Some(entry) = of_kind.find(|entry| found.is_other(&entry.account, Some(entry.amount), account))
        {
            let Entry { account, amount, .. } = entry;
            let asked = found.asked();
            let what = format!(
                "the bank's ledger has a {movement} of {amount} at {account}, for a transfer of {asked}"
            );
            found.note(None, what, OTHER);
        }
    }

    let refunded = entries.iter().rposition(|entry| entry.kind == "refund").map_or(0, |at| at + 1);
    let standing = |kind: &str| entries[refunded..].iter().filter(|entry| entry.kind == kind).count();
    let (withdrawn, deposited) = (standing("withdraw"), standing("deposit"));
    if withdrawn > 1 || deposited > 1 {
        let (kind, times) = if withdrawn > 1 { ("withdrawals", withdrawn) } else { ("deposits", deposited) };
        let what = format!("the bank's ledger has {times} {kind} of it");
        found.note(None, what, TWICE);
        return;
    }
    let sum = |kind: &str| -> i64 {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.amount.cents()).sum()
    };
    let between = sum("withdraw") - sum("refund") - sum("deposit");
    let close = found.run.close();
    match found.run.status {
        Status::Completed if found.wrong.is_empty() && (withdrawn == 0 || deposited == 0) => {
            let missing = if withdrawn == 0 { "withdrawal" } else { "deposit" };
            let what = format!("it has completed, but the bank's ledger has no {missing} of it that stands");
            found.note(close, what, MADE_UP);
        }
        Status::Failed | Status::Otherwise if between > 0 => {
            let what = format!(
                "it has ended, and the {} that it took are in no account",
                Money::from_cents(between)
            );
            let by_force = close.is_some_and(|close| {
                !close.is("WorkflowExecutionFailed") && !close.is("WorkflowExecutionCanceled")
            });
            found.note(close, what, if by_force { ENDED } else { LOST });
        }
        Status::Failed if deposited > 0 => {
            found.note(close, "it has failed, and its money has moved all the same", UNASKED);
        }
        _ => {}
    }
}

/// An amount of money or a balance in JSON; none where it is no such thing.
pub fn money(value: &Value) -> Option<Money> {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(Money::ZERO),
        Value::Number(number) => Amount::from_json(&number.to_string()).ok().map(Money::from),
        _ => None,
    }
}
