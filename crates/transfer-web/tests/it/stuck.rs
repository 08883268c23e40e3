//! Stuck transfers: the task, the attempts, and what "Retry now" does.

use serde_json::{Value, json};
use testbed::until;

use crate::support::Lab;

/// The failed attempts: number and time.
fn attempts(row: &Value) -> Vec<(u64, f64)> {
    let attempts = row["stuck"]["attempts"].as_array().expect("attempts");
    let one = |attempt: &Value| (attempt["number"].as_u64(), attempt["time"].as_f64());
    attempts
        .iter()
        .map(|attempt| match one(attempt) {
            (Some(number), Some(time)) => (number, time),
            odd => panic!("{odd:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_bug_in_the_workflow_is_shown_with_file_and_line_and_its_attempts_grow() {
    let lab = Lab::start().await;
    let web = lab.web();
    let worker = lab.worker("jerry").await;
    let id = web.start("account_A", "account_B", 25.5).await;
    let row = web.stuck(&id, "workflow_task", 3).await;
    assert_eq!((&row["status"], &row["close_time"]), (&json!("RUNNING"), &Value::Null));
    assert_eq!(row["completed_steps"], json!(["check_balance_from"]));
    let stuck = &row["stuck"];
    for nothing in ["activity", "activity_id", "step"] {
        assert_eq!(stuck[nothing], Value::Null);
    }
    let failure = stuck["failure"].as_str().expect("a failure");
    assert!(failure.contains("attempt to divide by zero"), "{failure}");
    let place = stuck["place"].as_str().expect("file and line");
    assert!(place.starts_with("crates/stages/src/workflow/jerry.rs:"), "{place}");
    assert!(failure.contains(place), "{failure}");
    assert_eq!((&stuck["can_retry"], &stuck["max_attempts"]), (&json!(false), &json!(0)));

    let attempt = stuck["attempt"].as_u64().expect("a number");
    let later = web.stuck(&id, "workflow_task", attempt + 2).await;
    for row in [&row, &later] {
        let attempts = attempts(row);
        let numbers: Vec<u64> = attempts.iter().map(|(number, _)| *number).collect();
        let next = row["stuck"]["attempt"].as_u64().expect("a number");
        assert_eq!(numbers, (1..next).collect::<Vec<_>>());
        assert!(attempts.is_sorted_by_key(|(_, time)| *time), "{attempts:?}");
        assert!(attempts[0].1 >= row["start_time"].as_f64().expect("a time"));
    }

    let answer = web.post(&format!("/api/workflows/{id}/retry"), json!({})).await;
    assert_eq!(
        answer.error(),
        (409, "Temporal retries a Workflow Task every few seconds; fix the Workflow code and save it")
    );
    worker.stop().await;

    let worker = lab.worker("reset-workflows").await;
    let row = web.completed(&id).await;
    assert_eq!((&row["stuck"], &row["failure"]), (&Value::Null, &Value::Null));
    assert_eq!(row["result"]["success"], true);
    let answer = web.post(&format!("/api/workflows/{id}/retry"), json!({})).await;
    assert_eq!(answer.error(), (409, "no Activity of this transfer is waiting for a retry"));
    worker.stop().await;
}

#[tokio::test]
async fn a_failing_activity_is_shown_with_growing_gaps_and_is_retried_on_request() {
    let lab = Lab::start().await;
    let web = lab.web();
    let jerry = lab.worker("fix-workflow").await;
    let id = web.start("account_A", "account_B", 25.5).await;
    let retry = async || {
        let answer = web.post(&format!("/api/workflows/{id}/retry"), json!({})).await;
        assert_eq!((answer.status, &answer.json), (200, &json!({ "retried": 1 })));
    };
    // The first attempts come with backoff, the next ones on request.
    let mut row = web.stuck(&id, "activity", 4).await;
    while row["stuck"]["attempt"].as_u64() < Some(6) {
        let attempt = row["stuck"]["attempt"].as_u64().expect("a number");
        retry().await;
        row = web.stuck(&id, "activity", attempt + 1).await;
    }
    let row =
        web.row(&id, "its next attempt to be known", |row| row["stuck"]["next_attempt"].is_number()).await;
    let stuck = &row["stuck"];
    assert_eq!((&stuck["activity"], &stuck["step"]), (&json!("withdraw"), &json!("withdraw")));
    assert_eq!((&row["current_step"], &stuck["trying"]), (&json!("withdraw"), &json!(false)));
    assert_eq!((&stuck["can_retry"], &stuck["max_attempts"]), (&json!(true), &json!(0)));
    let failure = stuck["failure"].as_str().expect("a failure");
    for part in [
        "http://127.0.0.1:5005/accounts/account_A/withdraw",
        "called at crates/stages/src/activities/jerry.rs:",
    ] {
        assert!(failure.contains(part), "{failure}");
    }
    assert!(
        stuck["place"]
            .as_str()
            .is_some_and(|place| place.starts_with("crates/stages/src/activities/jerry.rs:"))
    );

    let seen = attempts(&row);
    let attempt = stuck["attempt"].as_u64().expect("a number");
    let numbers: Vec<u64> = seen.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..attempt).collect::<Vec<_>>());
    let gap = |number: usize| seen[number].1 - seen[number - 1].1;
    // The first two gaps are the backoff: one second, then two.
    assert!(gap(1) >= 0.9 && gap(2) >= 1.9, "{seen:?}");
    let next = stuck["next_attempt"].as_f64().expect("a time");
    let last = seen.last().expect("an attempt").1;
    assert!(next - last > gap(2), "the gaps grow: {row}");

    // With the fix, the retry completes the transfer right away.
    jerry.stop().await;
    let fixed = lab.worker("reset-workflows").await;
    retry().await;
    let row = web.completed(&id).await;
    assert!(row["close_time"].as_f64() < Some(next + 60.0) && row["runs"] == 1, "{row}");
    assert_eq!(lab.testbed.balance("account_B").await, 52_550);
    fixed.stop().await;
}

#[tokio::test]
async fn a_failed_transfer_shows_its_failure_and_a_workflow_reset_is_its_second_run() {
    let lab = Lab::start().await;
    let web = lab.web();
    let limited = lab.worker("jerry-limits-retries").await;
    let id = web.start("account_A", "account_B", 25.5).await;
    let row = web.row(&id, "it to fail", |row| row["status"] == "FAILED").await;
    assert!(row["close_time"].is_number() && row["stuck"].is_null() && row["result"].is_null(), "{row}");
    let failure = row["failure"].as_str().expect("a failure");
    assert!(failure.contains("http://127.0.0.1:5005/accounts/account_A/withdraw"), "{failure}");
    assert_eq!(row["runs"], 1);
    assert_eq!((&row["outcomes"]["withdraw"], &row["outcomes"]["deposit"]), (&json!("failed"), &Value::Null));
    assert_eq!((&row["steps"][4], &row["returned"]), (&json!("refund"), &json!("nothing to return")));
    limited.stop().await;

    let fixed = lab.worker("reset-workflows").await;
    let reset =
        ["workflow", "reset", "--workflow-id", &id, "--type", "FirstWorkflowTask", "--reason", "a try"];
    lab.testbed.temporal(&reset);
    web.completed(&id).await;
    let listed = until("both runs to be listed", || async {
        let list = web.good("/api/workflows").await;
        let row = list[0].clone();
        if row["runs"] == 2 && row["status"] == "COMPLETED" { Ok(list) } else { Err(list) }
    })
    .await;
    // One row per transfer, of its latest run.
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_ne!(listed[0]["run_id"], row["run_id"]);
    assert_eq!(web.good(&format!("/api/workflows/{id}")).await["runs"], 2);
    let history = web.good(&format!("/api/workflows/{id}/history")).await;
    let [latest, earlier] = &history["runs"].as_array().expect("a list")[..] else { panic!("{history}") };
    assert_eq!((&latest["status"], &earlier["status"]), (&json!("COMPLETED"), &json!("FAILED")));
    assert_eq!((&earlier["run_id"], &earlier["continued_at"]), (&row["run_id"], &latest["reset_event"]));
    let reset = latest["reset_event"].as_u64().expect("an event");
    let events = latest["events"].as_array().expect("a list");
    let named = events.iter().find(|event| event["id"] == reset).expect("it is in the history");
    assert!(named["line"].as_str().is_some_and(|line| line.starts_with("Workflow Reset: ")), "{named}");
    let history = web.good("/api/accounts/account_A/workflows").await;
    assert_eq!(history["summary"]["total_sent"], 25.5);
    assert_eq!(history["summary"]["transaction_count"], 1);
    assert_eq!(lab.testbed.balance("account_A").await, 97_450);
    fixed.stop().await;
}
