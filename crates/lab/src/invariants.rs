//! What no fix may do, whatever it looks like: skip a step, report a success that did not happen, pay twice, lose money.
//!
//! A transfer runs its steps in order, each with the money of its input and each once; the bank's ledger has what the
//! steps answered; its result is what the steps answered; and a transfer that gives up keeps no money. Most violations
//! show while the transfer is still in progress, and are reported then.

use contract::{Amount, Money, transient::is_transient};
use serde_json::Value;

use crate::{
    Entry, Event, Evidence, Facts, Run, Status, Transfer, in_transit, moment::Moment, nondeterminism,
};

/// A rule that a transfer broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which transfer, and where it can be seen.
    pub evidence: Evidence,
    /// What the rule says, and what to look at.
    pub meaning: &'static str,
}

const SKIPPED: &str = "a fix must not skip a step: make the step work instead";
const OUT_OF_ORDER: &str = "the steps have an order: money is deposited only once it has been withdrawn";
const SWALLOWED: &str =
    "a fix must not swallow an error: a transfer whose money did not move has to fail or wait";
const INVENTED_RESULT: &str = "a fix must not make up its result: return what the steps returned";
const INVENTED_ANSWER: &str = "an Activity must not make up its result: it has to ask the bank \
                               with Bank::post, and return the bank's response";
const OTHER_MONEY: &str = "a fix must not move any money but what the input asks for: check what the Workflow \
                           passes to the Activities and what they send to the bank";
const PAID_TWICE: &str = "a transfer must move its money once: Temporal may retry an Activity, but the Workflow \
                          must not call it again, and every attempt must send the same Idempotency-Key";
const LOST: &str = "money was taken and has not arrived: a transfer that gives up must give the money back, with \
                    the Activity refund";
const TERMINATED: &str = "terminating a transfer leaves its money in transit: fix the code, then bring \
                          the transfer back with a Workflow Reset";
const GAVE_UP_TOO_SOON: &str = "only the bank's refusals are final: a transient error, such as a timeout or a 5xx response, \
                                must stay retryable";
const GAVE_UP_UNASKED: &str =
    "only the bank knows whether the money has moved: ask it, with the Activity refund, before giving up";

/// The steps that move money, what each makes in the ledger, and the field of the input that names its account.
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
    refusals(&mut found);
    result(&mut found);
    // The ledger has no entries of transfers that are older than it.
    if transfer.start() > Moment::of(&facts.ledger_since) {
        ledger(&mut found, facts);
    }
    found.wrong
}

/// What is wrong with one transfer so far.
struct Found<'a> {
    transfer: &'a Transfer,
    run: &'a Run,
    /// What the transfer was started with.
    input: &'a Value,
    wrong: Vec<Wrong>,
}

impl<'a> Found<'a> {
    /// Adds what is wrong, at this event or else at the run's last one.
    fn note(&mut self, event: Option<Event<'_>>, what: impl Into<String>, meaning: &'static str) {
        let Some(event) = event.or(self.run.events().next_back()) else { return };
        self.wrong.push(Wrong { evidence: Evidence::event(self.transfer, self.run, event, what), meaning });
    }

    /// The calls of this Activity that completed, each with its answer.
    fn answered(&self, activity: &'a str) -> impl Iterator<Item = (Event<'a>, Event<'a>)> + use<'a> {
        self.run.calls(activity).filter_map(|(call, answer)| answer.map(|answer| (call, answer)))
    }

    /// The event that completed the run, if it has completed.
    fn completed(&self) -> Option<Event<'a>> {
        self.run.close().filter(|_| self.run.status == Status::Completed)
    }

    /// Whether its input can be read here.
    fn has_readable_input(&self) -> bool {
        self.input["from_account"].is_string()
            && self.input["to_account"].is_string()
            && money(&self.input["amount"]).is_some()
    }

    /// Whether the input has another account or another amount than this.
    fn is_other(&self, account: &str, amount: Option<Money>, name: &str) -> bool {
        self.has_readable_input() && (self.input[name] != account || money(&self.input["amount"]) != amount)
    }

    /// What the input asks for, in words.
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

/// No step was skipped on the way to the next one.
fn order(found: &mut Found<'_>) {
    let completed = found.completed().map(|close| (close, "it completed"));
    let run = found.run;
    let called = |activity, what| run.calls(activity).next().map(|(call, _)| (call, what)).or(completed);
    let withdraws = called("withdraw", "it called withdraw");
    let deposits = called("deposit", "it called deposit");
    for account in ["from_account", "to_account"] {
        let Some((by, did)) = withdraws else { continue };
        let read = found.answered("check_balance").any(|(call, answer)| {
            let is_it =
                !found.has_readable_input() || call.payload("input")["account_id"] == found.input[account];
            is_it && answer.id() < by.id()
        });
        if !read {
            let whose = found.input[account].as_str().unwrap_or(account);
            let what = format!("{did} without reading the balance of {whose}");
            found.note(Some(by), what, SKIPPED);
        }
    }
    // If only the answer of the deposit was lost, the bank says so when it is asked for a refund.
    let delivered = found.answered("refund").any(|(_, answer)| answer.payload("result")["delivered"] == true);
    for (activity, next) in [("withdraw", deposits), ("deposit", completed)] {
        let Some((by, did)) = next else { continue };
        if delivered || found.answered(activity).any(|(_, answer)| answer.id() < by.id()) {
            continue;
        }
        let (how, meaning) = match run.calls(activity).next() {
            Some((call, _)) if call.id() < by.id() => {
                (format!("although {activity} had not succeeded"), SWALLOWED)
            }
            Some(_) => (format!("before it called {activity}"), OUT_OF_ORDER),
            None => (format!("without calling {activity}"), SKIPPED),
        };
        found.note(Some(by), format!("{did} {how}"), meaning);
    }
}

/// Each movement was called with the money of the input, and once.
fn calls(found: &mut Found<'_>) {
    for (activity, _, account) in MOVEMENTS {
        for (call, _) in found.run.calls(activity) {
            let asked = call.payload("input");
            let whose = asked["account_id"].as_str().unwrap_or_default();
            if found.is_other(whose, money(&asked["amount"]), account) {
                let what = format!("{activity} was called with {asked}, for a transfer of {}", found.asked());
                found.note(Some(call), what, OTHER_MONEY);
            }
        }
        if let Some((call, _)) = found.answered(activity).nth(1) {
            let times = found.answered(activity).count();
            found.note(Some(call), format!("{activity} was called {times} times"), PAID_TWICE);
        }
    }
}

/// No Activity gave up on a transient error: the bank could not be reached, or had a problem of its own.
fn refusals(found: &mut Found<'_>) {
    let run = found.run;
    let too_soon = |event: &Event<'_>| event.is_non_retryable() && is_transient(&event.failure());
    for event in run.events().filter(too_soon) {
        let scheduled = run.event(event.refers_to("scheduledEventId"));
        let activity = scheduled.map(|scheduled| scheduled.attributes()["activityType"]["name"].clone());
        let activity = activity.as_ref().and_then(Value::as_str).unwrap_or("an Activity");
        found.note(Some(event), format!("{activity} gave up: {}", event.failure()), GAVE_UP_TOO_SOON);
    }
}

/// The result is what the steps answered.
fn result(found: &mut Found<'_>) {
    let Some(close) = found.completed().filter(|_| found.has_readable_input()) else { return };
    let (input, result) = (found.input, close.payload("result"));
    let same = ["from_account", "to_account"].iter().all(|name| result[name] == input[name])
        && money(&result["amount"]) == money(&input["amount"])
        && result["success"] == true;
    if !same {
        let what = format!("its result is {result}, for a transfer of {}", found.asked());
        found.note(Some(close), what, INVENTED_RESULT);
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
            let what = format!("its result has {name} {}, which no check_balance returned", result[&name]);
            found.note(Some(close), what, INVENTED_RESULT);
        }
    }
}

/// The bank's ledger agrees with the history. A refund undoes the entries before it.
fn ledger(found: &mut Found<'_>, facts: &Facts) {
    let entries: Vec<&Entry> = facts.entries_of(found.transfer).collect();
    for (kind, movement, account) in MOVEMENTS {
        let answered = found.answered(kind).next();
        if let Some((_, answer)) = answered.filter(|_| !entries.iter().any(|entry| entry.kind == kind)) {
            let what = format!("{kind} completed, but the bank's ledger has no {movement} for this transfer");
            found.note(Some(answer), what, INVENTED_ANSWER);
        }
        let mut of_kind = entries.iter().filter(|entry| entry.kind == kind);
        if let Some(entry) = of_kind.find(|entry| found.is_other(&entry.account, Some(entry.amount), account))
        {
            let Entry { account, amount, .. } = entry;
            let asked = found.asked();
            let what = format!(
                "the bank's ledger has a {movement} of {amount} at {account}, for a transfer of {asked}"
            );
            found.note(None, what, OTHER_MONEY);
        }
    }

    let refunded = entries.iter().rposition(|entry| entry.kind == "refund").map_or(0, |at| at + 1);
    let standing = |kind: &str| entries[refunded..].iter().filter(|entry| entry.kind == kind).count();
    let (withdrawn, deposited) = (standing("withdraw"), standing("deposit"));
    if withdrawn > 1 || deposited > 1 {
        let (kind, times) = if withdrawn > 1 { ("withdrawals", withdrawn) } else { ("deposits", deposited) };
        let what = format!("the bank's ledger has {times} {kind} for it");
        found.note(None, what, PAID_TWICE);
        return;
    }
    let between = in_transit(entries.iter().copied());
    let close = found.run.close();
    match found.run.status {
        Status::Completed if found.wrong.is_empty() && (withdrawn == 0 || deposited == 0) => {
            let missing = if withdrawn == 0 { "withdrawal" } else { "deposit" };
            let what =
                format!("it completed, but the bank's ledger has no {missing} for it, or a refund undid it");
            found.note(close, what, INVENTED_ANSWER);
        }
        Status::Failed | Status::Other if between > Money::ZERO => {
            let what = format!("it closed, and the {between} that it took is in no account");
            let was_terminated = close.is_some_and(|close| {
                !close.is("WorkflowExecutionFailed") && !close.is("WorkflowExecutionCanceled")
            });
            found.note(close, what, if was_terminated { TERMINATED } else { LOST });
        }
        Status::Failed if deposited > 0 => {
            found.note(close, "it failed, but its money has moved", GAVE_UP_UNASKED);
        }
        _ => {}
    }
}

/// An amount of money or a balance in JSON; none if it is neither.
pub fn money(value: &Value) -> Option<Money> {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(Money::ZERO),
        Value::Number(number) => Amount::from_json(&number.to_string()).ok().map(Money::from),
        _ => None,
    }
}
