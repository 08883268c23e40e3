//! The fixed contract: the names, shapes and units that older clients rely on.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testbed::until;

use crate::support::{Client, Lab, ids, names};

const ROW: [&str; 10] = [
    "workflow_id",
    "run_id",
    "status",
    "start_time",
    "close_time",
    "input",
    "result",
    "steps",
    "current_step",
    "completed_steps",
];
const STEPS: [&str; 4] = ["check_balance_from", "check_balance_to", "withdraw", "deposit"];

fn has_all(value: &Value, fields: &[&str]) {
    let there = names(value);
    let missing: Vec<_> = fields.iter().filter(|field| !there.contains(field)).collect();
    assert!(missing.is_empty(), "{missing:?} of {value}");
}

/// Polls the list until the transfer has completed, as the first page did.
async fn poll(web: &Client, workflow_id: &str) -> Value {
    until("the transfer to complete", || async {
        let list = web.good("/api/workflows").await;
        let list = list.as_array().expect("an array");
        let mine = list.iter().find(|row| row["workflow_id"] == workflow_id).cloned();
        mine.filter(|row| row["status"] == "COMPLETED").ok_or(())
    })
    .await
}

#[tokio::test]
async fn a_client_written_for_the_first_page_still_works() {
    let lab = Lab::start().await;
    let worker = lab.worker("reset-workflows").await;
    let web = lab.web();

    let accounts = web.good("/api/accounts").await;
    assert_eq!(names(&accounts).len(), 10);
    assert_eq!(accounts["account_A"], json!({ "balance": 1000 }));
    assert_eq!(web.good("/api/workflows").await, json!([]));

    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
    let order = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    let started = web.post("/api/transfer", order.clone()).await;
    assert_eq!(started.status, 200);
    assert_eq!(started.json["status"], "started");
    let workflow_id = started.json["workflow_id"].as_str().expect("a Workflow Id").to_owned();

    let row = poll(web, &workflow_id).await;
    has_all(&row, &ROW);
    assert_eq!(row["run_id"], started.json["run_id"]);
    assert_eq!(row["input"], order);
    assert_eq!((&row["steps"], &row["completed_steps"]), (&json!(STEPS), &json!(STEPS)));
    assert_eq!(row["current_step"], Value::Null);
    let result = json!({
        "success": true,
        "from_account": "account_A",
        "to_account": "account_B",
        "amount": 25.5,
        "from_account_starting_balance": 1000,
        "to_account_starting_balance": 500,
    });
    assert_eq!(row["result"], result);
    // Unix seconds.
    let (start, close) = (row["start_time"].as_f64(), row["close_time"].as_f64());
    assert!(start >= Some(before) && close >= start && close < Some(before + 300.0), "{before} {row}");
    assert_eq!(web.good(&format!("/api/workflows/{workflow_id}")).await, row);

    let accounts = web.good("/api/accounts").await;
    assert_eq!(accounts["account_A"], json!({ "balance": 974.5 }));
    assert_eq!(accounts["account_B"], json!({ "balance": 525.5 }));
    for (account, direction, counterparty, sent, received) in
        [("account_A", "sent", "account_B", 25.5, 0.0), ("account_B", "received", "account_A", 0.0, 25.5)]
    {
        let history = web.good(&format!("/api/accounts/{account}/workflows")).await;
        assert_eq!(history["account_id"], account);
        let summary = &history["summary"];
        assert_eq!(summary["total_sent"].as_f64(), Some(sent));
        assert_eq!(summary["total_received"].as_f64(), Some(received));
        assert_eq!(summary["net_change"].as_f64(), Some(received - sent));
        let counts = ["transaction_count", "completed_count", "failed_count", "running_count"];
        assert_eq!(counts.map(|count| summary[count].as_u64()), [Some(1), Some(1), Some(0), Some(0)]);
        assert_eq!(ids(&history["workflows"]), [&*workflow_id]);
        has_all(&history["workflows"][0], &ROW);
        assert_eq!(history["workflows"][0]["direction"], direction);
        assert_eq!(history["workflows"][0]["counterparty"], counterparty);
    }

    assert_eq!(web.good("/api/real-world-mode").await["enabled"], false);
    for enabled in [true, false] {
        let mode = web.post("/api/real-world-mode", json!({ "enabled": enabled })).await;
        assert_eq!((mode.status, &mode.json["enabled"]), (200, &json!(enabled)));
        assert_eq!(web.good("/api/real-world-mode").await, mode.json);
    }

    let reset = web.post("/api/reset", json!({})).await;
    assert_eq!(reset.status, 200);
    assert!(reset.json["message"].as_str().is_some_and(|message| message.len() > 20), "{}", reset.json);
    assert_eq!(web.good("/api/accounts").await["account_A"], json!({ "balance": 1000 }));
    assert_eq!(web.good("/api/workflows").await, json!([]));
    worker.stop().await;
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let lab = Lab::start().await;
    let web = lab.web();
    let order = r#"{"from_account":"account_A","to_account":"account_B","amount":1}"#;
    for kind in ["application/json", "application/x-www-form-urlencoded", ""] {
        let mut request = web.request("POST", "/api/transfer").body(order);
        if !kind.is_empty() {
            request = request.header("Content-Type", kind);
        }
        assert_eq!(web.send(request).await.status, 200, "{kind}");
    }
    assert_eq!(web.good("/api/workflows").await.as_array().map(Vec::len), Some(3));
}
