//! A bug in an Activity: it fails attempt after attempt, and the same transfer completes once it is fixed.

use super::{
    breaks_a_rule, completed_exactly, is_earlier, later_attempts, start_again, start_one, waiting_activity,
    why_not_complete,
};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, invariants};

/// The stage of these goals.
const STAGE: &str = "fix-workflow";
/// The Activity with the bug.
const WITHDRAW: &str = "withdraw";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "withdraw-fails",
        says: "withdraw has failed, and Temporal keeps retrying it",
        is_failure: true,
        check: withdraw_fails,
    },
    Goal {
        name: "withdraw-succeeds",
        says: "that same withdraw has succeeded on a later attempt",
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

/// The transfers whose withdrawal has failed at least once at this stage, with the event that scheduled it.
fn failed_before(facts: &Facts) -> impl Iterator<Item = (&Transfer, Event<'_>, Evidence)> {
    facts.runs().filter_map(|(transfer, run)| {
        waiting(transfer, run).or_else(|| {
            let attempt = later_attempts(run, WITHDRAW).find(|attempt| !is_earlier(facts, *attempt))?;
            let scheduled = run.event(attempt.refers_to("scheduledEventId"))?;
            // After `cargo xtask retry`, the history has the number of the attempt and no failure.
            let number = attempt.refers_to("attempt");
            let before = attempt.attributes()["lastFailure"]["message"].as_str();
            let what = format!("attempt {number}, after {}", before.unwrap_or("failed ones"));
            Some((transfer, scheduled, Evidence::event(transfer, run, attempt, what)))
        })
    })
}

/// The withdrawal that has failed and waits for its next attempt at this moment.
fn waiting<'a>(transfer: &'a Transfer, run: &'a Run) -> Option<(&'a Transfer, Event<'a>, Evidence)> {
    let pending = run.description["pendingActivities"].as_array()?;
    let withdraw = pending
        .iter()
        .find(|pending| pending["activityType"]["name"] == WITHDRAW && pending["lastFailure"].is_object())?;
    let is_it = |call: &Event<'_>| withdraw["activityId"] == call.text("activityId");
    let scheduled = run.calls(WITHDRAW).map(|(call, _)| call).find(is_it)?;
    let failure = withdraw["lastFailure"]["message"].as_str().unwrap_or_default();
    let attempt = withdraw["attempt"].as_u64().unwrap_or(1);
    let evidence = Evidence::event(transfer, run, scheduled, format!("attempt {attempt}: {failure}"));
    Some((transfer, scheduled, evidence))
}

/// The answer to that same withdrawal, perhaps in a run that a reset has started: to the bank, an Activity with
/// the same id is the same there.
fn answer<'a>(transfer: &'a Transfer, failed: Event<'_>) -> Option<(&'a Run, Event<'a>)> {
    transfer.runs.iter().find_map(|run| {
        let same = |call: &Event<'_>| call.text("activityId") == failed.text("activityId");
        let answer = run.calls(WITHDRAW).filter(|(call, _)| same(call)).find_map(|(_, answer)| answer)?;
        Some((run, answer))
    })
}

fn withdraw_fails(facts: &Facts) -> Verdict {
    let next = match facts.transfers.last() {
        Some(transfer) if transfer.last().calls(WITHDRAW).any(|(_, answer)| answer.is_some()) => {
            start_again("withdraw has not failed, so your code has no bug to show", STAGE)
        }
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
        None => start_one(),
    };
    Verdict::by(failed_before(facts).map(|(_, _, evidence)| evidence).collect(), next)
}

fn withdraw_succeeds(facts: &Facts) -> Verdict {
    let mut failing = None;
    let mut evidence = Vec::new();
    for (transfer, failed, _) in failed_before(facts) {
        // An answer that the bank's ledger does not have is made up.
        match answer(transfer, failed).filter(|_| !breaks_a_rule(facts, transfer)) {
            Some((run, completed)) => {
                let balance = invariants::money(&completed.payload("result")["new_balance"]);
                let now = balance.map_or(String::new(), |balance| format!("; the balance is now {balance}"));
                evidence.push(Evidence::event(transfer, run, completed, format!("withdrawn{now}")));
            }
            None => failing = Some(transfer),
        }
    }
    let next = match failing {
        None => return by_failed(facts, evidence),
        Some(transfer) if is_waiting_for_the_fix(facts, transfer) => Next::command(
            "fix the address that withdraw calls, and save. Temporal retries within ten seconds; to retry right \
             away: ",
            "cargo xtask retry",
        ),
        Some(transfer) => why_not_complete(facts, transfer, STAGE),
    };
    Verdict::by(evidence, next)
}

/// Whether its withdrawal fails although the bank takes withdrawals.
fn is_waiting_for_the_fix(facts: &Facts, transfer: &Transfer) -> bool {
    let run = transfer.last();
    run.status == Status::Running
        && waiting_activity(run) == Some(WITHDRAW)
        && !facts.outage.contains(&WITHDRAW)
        && !breaks_a_rule(facts, transfer)
}

fn transfer_completes(facts: &Facts) -> Verdict {
    let mut still = None;
    let mut evidence = Vec::new();
    for (transfer, _, _) in failed_before(facts) {
        match completed_exactly(facts, transfer) {
            Some(close) => evidence.push(Evidence::event(transfer, transfer.last(), close, "completed")),
            None => still = Some(transfer),
        }
    }
    match still {
        None => by_failed(facts, evidence),
        Some(transfer) => Verdict::by(evidence, why_not_complete(facts, transfer, STAGE)),
    }
}

/// Reached by this evidence; without any, no withdrawal has failed yet.
fn by_failed(facts: &Facts, evidence: Vec<Evidence>) -> Verdict {
    if !evidence.is_empty() {
        return Verdict::Reached(evidence);
    }
    match withdraw_fails(facts) {
        Verdict::Open(next) => Verdict::Open(next),
        Verdict::Reached(_) => Verdict::Open(start_one()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Entry;

    /// A transfer whose withdrawal failed, and succeeded on a later attempt at 12:05.
    fn facts(entered: &str) -> Facts {
        let event = |id: u64, kind: &str, attributes: Value| {
            json!({ "eventId": id, "eventTime": format!("2026-11-22T12:05:{id:02}Z"),
                    "eventType": format!("EVENT_TYPE_{kind}"), "xEventAttributes": attributes })
        };
        let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 5 });
        let mut events = vec![event(1, "WORKFLOW_EXECUTION_STARTED", json!({ "input": [input] }))];
        for (id, name, step, account, before, attempt) in [
            (2, "check_balance", "check_balance_from", "account_A", 1000, 1),
            (5, "check_balance", "check_balance_to", "account_B", 500, 1),
            (8, "withdraw", "withdraw", "account_A", 1000, 3),
            (11, "deposit", "deposit", "account_B", 500, 1),
        ] {
            let after = if name == "withdraw" { before - 5 } else { before + 5 };
            let (input, result) = match name {
                "check_balance" => {
                    (json!({ "account_id": account }), json!({ "account_id": account, "balance": before }))
                }
                _ => (
                    json!({ "account_id": account, "amount": 5 }),
                    json!({ "account_id": account, "previous_balance": before, "new_balance": after, "amount": 5 }),
                ),
            };
            let scheduled = json!({ "activityType": { "name": name }, "activityId": step, "input": [input] });
            events.push(event(id, "ACTIVITY_TASK_SCHEDULED", scheduled));
            let started = json!({ "scheduledEventId": id, "attempt": attempt });
            events.push(event(id + 1, "ACTIVITY_TASK_STARTED", started));
            let completed = json!({ "scheduledEventId": id, "result": [result] });
            events.push(event(id + 2, "ACTIVITY_TASK_COMPLETED", completed));
        }
        let result = json!({ "success": true, "from_account": "account_A", "to_account": "account_B", "amount": 5,
            "from_account_starting_balance": 1000, "to_account_starting_balance": 500 });
        events.push(event(14, "WORKFLOW_EXECUTION_COMPLETED", json!({ "result": [result] })));
        let entry = |id: u64, kind: &str, account: &str| json!({ "id": id, "kind": kind, "account_number": account, "amount": 5, "transfer": "r" });
        let entries = [entry(11, "withdraw", "account_A"), entry(12, "deposit", "account_B")];
        let entries = entries.iter().filter_map(Entry::from_json).collect();
        let run = Run::new("r".to_owned(), events, Value::Null);
        let transfer =
            Transfer { workflow_id: "t".to_owned(), original_run: "r".to_owned(), runs: vec![run] };
        Facts { transfers: vec![transfer], entries, entered: entered.to_owned(), ..Facts::default() }
    }

    #[test]
    fn what_the_code_before_completed_while_the_stage_was_built_reaches_no_goal() {
        for (entered, counts) in [("", true), ("2026-11-22T12:05:03Z", true), ("2026-11-22T12:06:00Z", false)]
        {
            let facts = facts(entered);
            for goal in GOALS {
                assert_eq!((goal.check)(&facts).is_reached(), counts, "{} {entered}", goal.name);
            }
        }
    }
}
