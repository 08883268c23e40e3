//! Whatever JSON a server or a bank sends, the checks judge by what can be read in it, and never panic.

use lab::{Entry, Facts, INCIDENTS, Outcome, Report, Run, STAGES, Service, Verdict, Wrong, wrong};
use serde_json::{Value, json};

/// An event as the HTTP API has it.
fn event(id: usize, kind: &str, attributes: Value) -> Value {
    let words = kind.to_ascii_lowercase();
    let mut words = words.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        name.push_str(&word[..1].to_ascii_uppercase());
        name.push_str(&word[1..]);
    }
    json!({
        "eventId": id.to_string(),
        "eventTime": format!("2026-11-22T12:00:{id:02}.5Z"),
        "eventType": format!("EVENT_TYPE_{kind}"),
        format!("{name}EventAttributes"): attributes,
    })
}

/// The history of a transfer that got stuck on everything there is, and has completed.
fn history() -> Vec<Value> {
    let transfer = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    let mut events: Vec<Value> = Vec::new();
    let mut add = |kind: &str, attributes: Value| {
        events.push(event(events.len() + 1, kind, attributes));
        events.len().to_string()
    };
    add("WORKFLOW_EXECUTION_STARTED", json!({ "input": [transfer], "originalExecutionRunId": "run-1" }));
    for (cause, message) in [
        ("WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR", "[TMPRL1100] Nondeterminism error"),
        ("WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW", "reset"),
        ("WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE", "divide by zero"),
    ] {
        add(
            "WORKFLOW_TASK_FAILED",
            json!({ "cause": cause, "failure": { "message": message, "cause": {} } }),
        );
    }
    let version = json!({ "buildId": "b0" });
    let started = add("WORKFLOW_TASK_STARTED", json!({ "workerVersion": version }));
    let timed_out = json!({ "startedEventId": started, "timeoutType": "TIMEOUT_TYPE_START_TO_CLOSE" });
    add("WORKFLOW_TASK_TIMED_OUT", timed_out);
    add("WORKFLOW_TASK_COMPLETED", json!({ "identity": "worker-1", "workerVersion": version }));
    add("MARKER_RECORDED", json!({ "markerName": "core_patch" }));
    let movement = |account: &str| json!({ "account_id": account, "amount": 25.5 });
    let moved = json!({ "new_balance": 974.5 });
    for (id, activity, input, result) in [
        ("from", "check_balance", json!({ "account_id": "account_A" }), json!({ "balance": 1000 })),
        ("to", "check_balance", json!({ "account_id": "account_B" }), json!({ "balance": 500 })),
        ("again", "check_balance", json!({ "account_id": "account_A" }), json!({ "balance": 1000 })),
        ("withdraw", "withdraw", movement("account_A"), moved.clone()),
        ("deposit", "deposit", movement("account_B"), moved),
    ] {
        let scheduled = add(
            "ACTIVITY_TASK_SCHEDULED",
            json!({ "activityId": id, "activityType": { "name": activity }, "input": [input],
                    "retryPolicy": { "maximumAttempts": 3 } }),
        );
        let started = add(
            "ACTIVITY_TASK_STARTED",
            json!({ "scheduledEventId": scheduled, "attempt": 4, "identity": "worker-2",
                    "lastFailure": { "message": "no bank" } }),
        );
        add(
            "ACTIVITY_TASK_COMPLETED",
            json!({ "scheduledEventId": scheduled, "startedEventId": started, "result": [result] }),
        );
    }
    let result = json!({
        "success": true, "from_account": "account_A", "to_account": "account_B", "amount": 25.5,
        "from_account_starting_balance": 1000, "to_account_starting_balance": 500,
    });
    add("WORKFLOW_EXECUTION_COMPLETED", json!({ "result": [result] }));
    events
}

/// The history of a transfer whose withdrawal has failed in this way.
fn failed(retry_state: &str) -> Vec<Value> {
    let scheduled =
        history().iter().rposition(|event| event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED");
    // The last is the deposit; three events before it is the withdrawal.
    let mut events = history()[..scheduled.expect("one") - 1].to_vec();
    let last = events.len();
    let failure = json!({ "message": "Activity task failed", "cause": { "message": "no bank" } });
    let attributes = json!({ "scheduledEventId": (last - 1).to_string(), "startedEventId": last.to_string(),
        "retryState": retry_state, "failure": failure });
    events.push(event(last + 1, "ACTIVITY_TASK_FAILED", attributes));
    events.push(event(last + 2, "WORKFLOW_EXECUTION_FAILED", json!({ "failure": failure })));
    events
}

fn entries() -> Vec<Value> {
    [("withdraw", "account_A"), ("deposit", "account_B")]
        .iter()
        .zip(11..)
        .map(|((kind, account), id)| {
            json!({ "id": id, "account_number": account, "kind": kind, "amount": 25.5, "balance": 1,
                    "transfer": "run-1", "run": "run-1", "time": 0 })
        })
        .collect()
}

fn description() -> Value {
    json!({
        "pendingWorkflowTask": { "attempt": 5 },
        "pendingActivities": [{ "activityId": "withdraw", "activityType": { "name": "withdraw" },
                                "attempt": 3, "lastFailure": { "message": "no bank" } }],
    })
}

fn facts(events: &[Value], entries: &[Value], description: Value) -> Facts {
    let run = Run::new("run-1".to_owned(), events.to_vec(), description);
    let services = ["temporal", "account-api"]
        .map(|name| Service { name: name.to_owned(), since: "2026-11-22T12:00:03Z".to_owned() });
    let ledger_since = "2026-11-22T11:00:00Z".to_owned();
    Facts::new(vec![("transfer-1".to_owned(), run)], entries, ledger_since, services.to_vec())
}

/// Judges everything, and returns what is wrong.
fn judge(facts: &Facts) -> Vec<Wrong> {
    for stage in STAGES {
        for goal in stage.goals {
            match (goal.check)(facts) {
                Verdict::Open(next) => assert!(!next.to_string().is_empty(), "{goal:?}"),
                Verdict::Reached(evidence) => assert!(!evidence.is_empty(), "{goal:?}"),
            }
        }
    }
    judge_as_an_incident(facts);
    wrong(facts)
}

/// The same by the goals of incidents, and by the condition of each.
fn judge_as_an_incident(facts: &Facts) {
    for run in facts.transfers.iter().flat_map(|transfer| &transfer.runs) {
        run.bank_errors();
        for incident in INCIDENTS {
            (incident.met)(run);
        }
    }
    let late = facts.transfers.iter().map(|transfer| transfer.workflow_id.clone()).collect();
    let corrections = facts.entries.clone();
    let facts = Facts { met: Some(|_| true), late, corrections, ..facts.clone() };
    let report = Report::of(&INCIDENTS[0].stage, &facts);
    assert!(!report.is_reached(), "five transfers are needed");
    report.to_json();
    for hit in Outcome::of(&facts).hits {
        assert!(!hit.sign.what.is_empty() || hit.sign.event_id.is_some());
    }
}

/// Every JSON that is this one but for one value in it.
fn variations(json: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match json {
        Value::String(_) => all.extend([json!("ä"), json!(-1)]),
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                let with = |value: Option<Value>| {
                    let mut values = values.clone();
                    values.splice(at..=at, value);
                    Value::Array(values)
                };
                all.push(with(None));
                all.extend(variations(value).into_iter().map(|value| with(Some(value))));
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                // That it is missing is as if it were null.
                for value in variations(value) {
                    let mut fields = fields.clone();
                    fields[name] = value;
                    all.push(Value::Object(fields));
                }
            }
        }
        _ => all.push(json!("1e300")),
    }
    all.extend([json!(null), json!([[{}]])]);
    all
}

#[test]
fn nothing_is_known_of_no_transfer() {
    assert_eq!(judge(&Facts::default()), []);
    assert_eq!(judge(&facts(&[], &[], Value::Null)), []);
}

#[test]
fn with_a_good_history_nothing_is_wrong_nor_with_any_beginning_of_it() {
    for events in [history(), failed("RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED")] {
        for length in 0..events.len() {
            assert_eq!(judge(&facts(&events[..length], &entries(), description())), [], "{length} events");
        }
    }
    assert_eq!(judge(&facts(&history(), &entries(), Value::Null)), []);
    for retry_state in ["RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED", "RETRY_STATE_NON_RETRYABLE_FAILURE"] {
        assert_eq!(judge(&facts(&failed(retry_state), &[], Value::Null)), []);
    }
}

/// Judges by each history that is this one but for one value in it.
fn judge_variations(events: &[Value]) {
    for (at, event) in events.iter().enumerate() {
        for odd in variations(event) {
            let mut events = events.to_vec();
            events[at] = odd;
            judge(&facts(&events, &entries(), description()));
        }
    }
}

#[test]
fn whatever_is_odd_in_a_ledger_or_a_description_is_no_reason_to_panic() {
    let [withdrawn, deposited] = &entries()[..] else { panic!("two entries") };
    for odd in variations(withdrawn) {
        judge(&facts(&history(), &[odd.clone(), deposited.clone()], Value::Null));
        judge(&facts(&history(), &[odd.clone(), odd, withdrawn.clone()], Value::Null));
    }
    let begun = &history()[..history().len() - 5];
    for odd in variations(&description()) {
        judge(&facts(begun, &entries(), odd));
    }
}

#[test]
fn whatever_is_odd_in_a_correction_is_no_reason_to_panic() {
    let mut corrected = entries()[0].clone();
    corrected["transfer"] = Value::Null;
    assert!(Entry::correction(&corrected).is_some());
    for odd in variations(&corrected) {
        let corrections: Vec<Entry> = Entry::correction(&odd).into_iter().collect();
        let facts = Facts { corrections, ..facts(&history(), &entries(), Value::Null) };
        Report::of(&INCIDENTS[0].stage, &facts);
    }
}

#[test]
fn a_time_that_is_none_is_no_reason_to_panic() {
    for time in
        ["", "T", "2026-11-22T4294967295:4294967295:59Z", "2026-11-22T12:00:00.ä", "9T1:2:3:4:5:6:7:8:9:10Z"]
    {
        for at in 0..history().len() {
            let mut events = history();
            events[at]["eventTime"] = json!(time);
            judge(&facts(&events, &entries(), description()));
        }
    }
}

/// Whose input cannot be read, or has other names, is judged by what can be known of it.
#[test]
fn a_transfer_of_another_shape_is_not_accused_of_it() {
    let encrypted = json!({ "metadata": { "encoding": "YmluYXJ5L2VuY3J5cHRlZA==" }, "data": "AAAA" });
    for input in [
        json!([]),
        json!(null),
        json!([{ "source": "account_A", "target": "account_B", "cents": 2550 }]),
        json!(["account_A", "account_B", 25.5]),
        json!([encrypted.clone()]),
        json!({ "payloads": [encrypted] }),
    ] {
        let mut events = history();
        events[0]["workflowExecutionStartedEventAttributes"]["input"] = input.clone();
        assert_eq!(judge(&facts(&events, &entries(), Value::Null)), [], "{input}");
        // What is wrong with any input is reported all the same.
        assert!(!judge(&facts(&events, &entries()[..1], Value::Null)).is_empty(), "{input}");
    }
}

/// The ledger is asked after the runs: a run that was started in between is in it alone.
#[test]
fn what_a_run_did_that_is_not_known_yet_is_not_held_against_the_one_before() {
    let mut later = entries();
    for entry in &mut later {
        entry["run"] = json!("run-2");
    }
    let failed = failed("RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED");
    assert_eq!(judge(&facts(&failed, &later, Value::Null)), []);
    let what = &judge(&facts(&failed, &entries(), Value::Null))[0].evidence.what;
    assert_eq!(what, "it failed, but its money has moved");
}

/// What `cargo xtask test` leaves out: tens of thousands of histories. By `cargo xtask test --slow`.
mod slow {
    use super::{failed, history, judge_variations};

    #[test]
    fn whatever_is_odd_in_a_history_is_no_reason_to_panic() {
        judge_variations(&history());
    }

    #[test]
    fn whatever_is_odd_in_the_history_of_a_failure_is_no_reason_to_panic() {
        judge_variations(&failed("RETRY_STATE_NON_RETRYABLE_FAILURE"));
    }
}
