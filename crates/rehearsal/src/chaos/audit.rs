//! What must be true after a chaos run: each transfer ended in an allowed way, its money moved once or not at all, and the ledger
//! adds up to the cent.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use contract::{Money, RefusalKind};
use lab::{Facts, Status, Transfer};
use serde_json::Value;

use super::{
    ledger::{check_ledger, money, plus, text},
    plan::{Order, Plan},
    versions,
};

/// The state of the server and the bank.
pub(super) struct Recorded {
    /// Every run of every transfer, with its Workflow Id.
    pub(super) runs: Vec<(String, lab::Run)>,
    /// The whole ledger, from `GET /entries`.
    pub(super) entries: Vec<Value>,
    /// The response of `GET /accounts`.
    pub(super) accounts: Value,
}

/// Counts of what is in the histories and the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Completed transfers.
    pub completed: usize,
    /// Failed transfers, by reason.
    pub failed: BTreeMap<String, usize>,
    /// The number of Activity calls.
    pub calls: u64,
    /// The number of attempts for these calls.
    pub attempts: u64,
    /// The number and the sum of the ledger's entries, by kind.
    pub entries: BTreeMap<String, (usize, Money)>,
    /// The sum of all balances, which equals the sum they were opened with.
    pub total: Money,
    /// How many transfers each version of the worker took, by its Build ID; none without versions.
    pub versions: BTreeMap<String, usize>,
}

/// Checks everything.
///
/// # Errors
/// The first violation, and where to look.
pub(super) fn audit(plan: &Plan, recorded: &Recorded) -> Result<Tally> {
    let balances = check_ledger(&recorded.entries)?;
    let mut tally = Tally::default();
    if plan.has_versions {
        tally.versions = versions::check(&recorded.runs)?;
    }
    for account in recorded.accounts["accounts"].as_array().into_iter().flatten() {
        let number = account["account_number"].as_str().unwrap_or_default();
        let (held, entered) = (money(&account["balance"])?, balances.get(number).copied());
        if entered != Some(held) {
            bail!(
                "{number} holds {held}, but its entries add up to {entered:?}; see GET /entries of the bank"
            );
        }
    }
    for entry in &recorded.entries {
        let (count, sum) = tally.entries.entry(text(entry, "kind").to_owned()).or_insert((0, Money::ZERO));
        *count += 1;
        *sum = plus(*sum, money(&entry["amount"])?.cents())?;
    }
    tally.total = balances.values().try_fold(Money::ZERO, |sum, balance| plus(sum, balance.cents()))?;
    let opened = tally.entries.get("open").map_or(Money::ZERO, |(_, sum)| *sum);
    if tally.total != opened {
        bail!(
            "the accounts were opened with {opened} and hold {} now, although every transfer has closed",
            tally.total
        );
    }

    let facts = Facts::new(recorded.runs.clone(), &recorded.entries, String::new(), Vec::new());
    let transfers: BTreeMap<&str, Vec<&Transfer>> =
        facts.transfers.iter().fold(BTreeMap::new(), |mut transfers, transfer| {
            transfers.entry(&*transfer.workflow_id).or_insert_with(Vec::new).push(transfer);
            transfers
        });
    if let Some(unknown) =
        transfers.keys().find(|id| !plan.orders.iter().any(|order| order.workflow_id == **id))
    {
        bail!("the server has a transfer {unknown}, which nobody has started");
    }
    if let Some(entry) = recorded.entries.iter().find(|entry| is_of_nobody(entry, &facts)) {
        bail!("entry {} of the ledger belongs to no transfer: {entry}", entry["id"]);
    }
    for order in &plan.orders {
        let id = &order.workflow_id;
        match transfers.get(&**id).map(|transfers| &transfers[..]) {
            Some([transfer]) if transfer.runs.len() == 1 => {
                check_transfer(order, transfer, &facts, &mut tally)?
            }
            None => bail!("the server confirmed the start of {id}, but does not have it"),
            Some(transfers) => bail!("{id} was started {} times", transfers.len().max(2)),
        }
    }
    if let Some(wrong) = lab::wrong(&facts).first() {
        let evidence = &wrong.evidence;
        bail!(
            "{}, event {:?}: {}; {}",
            evidence.workflow_id,
            evidence.event_id,
            evidence.what,
            wrong.meaning
        );
    }
    Ok(tally)
}

/// Checks that a transfer ended in an allowed way, and that the ledger agrees with it.
fn check_transfer(order: &Order, transfer: &Transfer, facts: &Facts, tally: &mut Tally) -> Result<()> {
    let id = &order.workflow_id;
    let run = transfer.last();
    let mut of_it = facts.entries.iter().filter(|entry| entry.transfer == transfer.original_run);
    let found: Vec<_> = of_it.by_ref().map(|entry| (&*entry.kind, &*entry.account, entry.amount)).collect();
    let (withdrawn, deposited) =
        (("withdraw", &*order.from, order.amount), ("deposit", &*order.to, order.amount));
    match run.status {
        Status::Completed => {
            if found != [withdrawn, deposited] {
                bail!(
                    "{id} has completed, so the ledger should have {withdrawn:?} and {deposited:?}; it has {found:?}"
                );
            }
            if let Some(kind) = order.refused {
                bail!("{id} has completed, but should have been refused ({})", kind.name());
            }
            tally.completed += 1;
        }
        Status::Failed => {
            let given_back = ("refund", &*order.from, order.amount);
            if !found.is_empty() && found != [withdrawn, given_back] {
                bail!("{id} has failed, but its money has moved: the ledger has {found:?}");
            }
            let close = run.close();
            let reason = close.map_or("no reason", |event| reason(&event.attributes()["failure"])).to_owned();
            let may_be = order.refused.unwrap_or(RefusalKind::InsufficientFunds);
            if reason != may_be.name() {
                let says = close.map(|event| event.failure()).unwrap_or_default();
                bail!(
                    "{id} has failed for an unexpected reason (allowed: {}): {reason}: {says}",
                    may_be.name()
                );
            }
            *tally.failed.entry(reason).or_default() += 1;
        }
        Status::Running | Status::Other => {
            let how = run.events().next_back().map(|event| event.kind()).unwrap_or_default();
            bail!("{id} has neither completed nor failed; its last event is {how}");
        }
    }
    for event in run.events() {
        tally.calls += u64::from(event.is("ActivityTaskScheduled"));
        if event.is("ActivityTaskStarted") {
            tally.attempts += event.attributes()["attempt"].as_u64().unwrap_or(1);
        }
    }
    Ok(())
}

/// The type of a failure, or of its first cause that has one.
fn reason(failure: &Value) -> &str {
    let mut next = failure;
    while next.is_object() {
        if let Some(name) = next["applicationFailureInfo"]["type"].as_str() {
            return name;
        }
        next = &next["cause"];
    }
    "no reason"
}

/// Whether an entry belongs to no transfer and is not the bank's opening entry.
fn is_of_nobody(entry: &Value, facts: &Facts) -> bool {
    match entry["transfer"].as_str() {
        Some(transfer) => !facts.transfers.iter().any(|known| known.original_run == transfer),
        None => text(entry, "kind") != "open",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A plan with one transfer of 2.50 from account_A to account_B.
    fn plan(refused: Option<RefusalKind>) -> Plan {
        let (from, to) = ("account_A".to_owned(), "account_B".to_owned());
        let order = Order { workflow_id: "t".to_owned(), from, to, amount: Money::from_cents(250), refused };
        Plan { seed: 0, orders: vec![order], kills: 0, has_versions: false, cluster: None }
    }

    fn event(id: u64, kind: &str, attributes: Value) -> Value {
        let mut event =
            json!({ "eventId": id, "eventTime": format!("2026-11-22T12:00:{id:02}Z"), "eventType": kind });
        event["someEventAttributes"] = attributes;
        event
    }

    fn call(id: u64, activity: &str, answer: Value, asked: Value) -> [Value; 3] {
        [
            event(
                id,
                "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED",
                json!({ "activityType": { "name": activity }, "input": [asked] }),
            ),
            event(
                id + 1,
                "EVENT_TYPE_ACTIVITY_TASK_STARTED",
                json!({ "scheduledEventId": id, "attempt": 2 }),
            ),
            event(
                id + 2,
                "EVENT_TYPE_ACTIVITY_TASK_COMPLETED",
                json!({ "scheduledEventId": id, "result": [answer] }),
            ),
        ]
    }

    /// The run of a transfer that took every step and then closed with this event.
    fn run(end: Value) -> (String, lab::Run) {
        let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 2.5 });
        let mut events = vec![event(1, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", json!({ "input": [input] }))];
        for (id, account) in [(2, "account_A"), (5, "account_B")] {
            events.extend(call(
                id,
                "check_balance",
                json!({ "balance": 10 }),
                json!({ "account_id": account }),
            ));
        }
        for (id, step, account) in [(8, "withdraw", "account_A"), (11, "deposit", "account_B")] {
            events.extend(call(id, step, json!({}), json!({ "account_id": account, "amount": 2.5 })));
        }
        events.push(end);
        ("t".to_owned(), lab::Run::new("r".to_owned(), events, Value::Null))
    }

    fn completed() -> (String, lab::Run) {
        let result = json!({ "success": true, "from_account": "account_A", "to_account": "account_B", "amount": 2.5,
            "from_account_starting_balance": 10, "to_account_starting_balance": 10 });
        run(event(14, "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", json!({ "result": [result] })))
    }

    fn failed(reason: &str) -> (String, lab::Run) {
        let cause = json!({ "message": "no", "applicationFailureInfo": { "type": reason } });
        let failure = json!({ "message": "Activity task failed", "activityFailureInfo": {}, "cause": cause });
        run(event(14, "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED", json!({ "failure": failure })))
    }

    fn entry(id: u64, account: &str, kind: &str, amount: f64, balance: f64) -> Value {
        let transfer = (kind != "open").then_some("r");
        json!({ "id": id, "account_number": account, "kind": kind, "amount": amount, "balance": balance, "transfer": transfer })
    }

    /// A ledger that opens two accounts with 10.00 each, followed by these entries.
    fn ledger(runs: Vec<(String, lab::Run)>, more: &[(&str, &str, f64, f64)]) -> Recorded {
        let mut entries =
            vec![entry(1, "account_A", "open", 10.0, 10.0), entry(2, "account_B", "open", 10.0, 10.0)];
        let mut held = BTreeMap::from([("account_A", 10.0), ("account_B", 10.0)]);
        for (id, &(account, kind, amount, balance)) in (3..).zip(more) {
            entries.push(entry(id, account, kind, amount, balance));
            held.insert(account, balance);
        }
        let accounts: Vec<Value> = held
            .iter()
            .map(|(number, balance)| json!({ "account_number": number, "balance": balance }))
            .collect();
        Recorded { runs, entries, accounts: json!({ "accounts": accounts }) }
    }

    const TAKEN: (&str, &str, f64, f64) = ("account_A", "withdraw", 2.5, 7.5);
    const PAID: (&str, &str, f64, f64) = ("account_B", "deposit", 2.5, 12.5);

    #[track_caller]
    fn finds(plan: &Plan, recorded: &Recorded, what: &str) {
        let error = audit(plan, recorded).expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    }

    #[test]
    fn a_transfer_that_moved_its_money_once_is_counted() {
        let tally = audit(&plan(None), &ledger(vec![completed()], &[TAKEN, PAID])).expect("nothing is wrong");
        assert_eq!((tally.completed, tally.calls, tally.attempts), (1, 4, 8));
        assert_eq!((tally.total.cents(), tally.entries["withdraw"]), (2000, (1, Money::from_cents(250))));
        let tally = audit(&plan(None), &ledger(vec![failed("InsufficientFunds")], &[]));
        // Its history has a withdrawal that the ledger does not have.
        assert!(tally.is_err());
    }

    #[test]
    fn money_that_moved_twice_is_detected() {
        let again = ("account_A", "withdraw", 2.5, 5.0);
        finds(&plan(None), &ledger(vec![completed()], &[TAKEN, again, PAID]), "two entries of one kind");
    }

    #[test]
    fn money_that_did_not_arrive_is_detected() {
        finds(&plan(None), &ledger(vec![completed()], &[TAKEN]), "hold 17.50 now");
    }

    #[test]
    fn a_wrong_balance_is_detected() {
        finds(
            &plan(None),
            &ledger(vec![completed()], &[TAKEN, ("account_B", "deposit", 2.5, 12.0)]),
            "should leave a balance of 12.50",
        );
        finds(&plan(None), &ledger(vec![], &[("account_A", "withdraw", 12.5, -2.5)]), "below zero");
        let mut recorded = ledger(vec![completed()], &[TAKEN, PAID]);
        recorded.accounts["accounts"][0]["balance"] = json!(7);
        finds(&plan(None), &recorded, "account_A holds 7.00");
    }

    #[test]
    fn an_entry_of_no_transfer_is_detected() {
        let mut recorded = ledger(vec![completed()], &[TAKEN, PAID]);
        recorded.entries[2]["transfer"] = Value::Null;
        finds(&plan(None), &recorded, "belongs to no transfer");
    }

    #[test]
    fn a_transfer_that_is_lost_or_unknown_or_started_twice_is_detected() {
        finds(&plan(None), &ledger(vec![], &[]), "but does not have it");
        let (_, unknown) = completed();
        finds(&plan(None), &ledger(vec![("u".to_owned(), unknown)], &[TAKEN, PAID]), "nobody has started");
        let (id, mut other) = completed();
        other.run_id = "r2".to_owned();
        finds(&plan(None), &ledger(vec![completed(), (id, other)], &[TAKEN, PAID]), "started 2 times");
    }

    #[test]
    fn a_transfer_that_ended_in_a_wrong_way_is_detected() {
        let moved = [TAKEN, PAID];
        finds(
            &plan(Some(RefusalKind::UnknownAccount)),
            &ledger(vec![completed()], &moved),
            "should have been refused",
        );
        finds(&plan(None), &ledger(vec![failed("KeyReused")], &[]), "an unexpected reason");
        finds(&plan(None), &ledger(vec![failed("InsufficientFunds")], &moved), "its money has moved");
        let terminated = run(event(14, "EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED", json!({})));
        finds(&plan(None), &ledger(vec![terminated], &moved), "WorkflowExecutionTerminated");
        let open = run(event(14, "EVENT_TYPE_TIMER_STARTED", json!({})));
        finds(&plan(None), &ledger(vec![open], &moved), "neither completed nor failed");
    }

    #[test]
    fn a_broken_invariant_is_detected_too() {
        let claims = json!({ "success": false });
        let claimed =
            run(event(14, "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", json!({ "result": [claims] })));
        finds(&plan(None), &ledger(vec![claimed], &[TAKEN, PAID]), "its result is");
    }
}
