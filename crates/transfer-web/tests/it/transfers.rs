//! Starting and reading transfers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testbed::until;

use crate::support::{Lab, ids};

#[tokio::test]
async fn an_invalid_transfer_is_rejected_with_an_error_and_nothing_is_started() {
    let lab = Lab::start().await;
    let web = lab.web();
    let with = |field: &str, value: Value| {
        let mut order = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
        order[field] = value;
        order.to_string()
    };
    let mut wrong = vec![
        with("to_account", json!("account_A")),
        with("to_account", json!("account_Z")),
        with("from_account", json!("")),
        with("from_account", json!(null)),
        with("from_account", json!(["account_A"])),
        with("to_account", json!("account_B\u{0}")),
        with("to_account", json!("../account_B")),
        with("to_account", json!("x".repeat(10_000))),
        r#"{"from_account":"account_A","to_account":"account_B"}"#.to_owned(),
        r#"{"from_account":"account_A","from_account":"account_B","to_account":"account_B","amount":1}"#
            .to_owned(),
    ];
    let amounts =
        ["0", "-1", "0.001", "1e400", "1000000000.01", "\"\"", "\"a lot\"", "null", "true", "[1]", "NaN", ""];
    wrong.extend(amounts.map(|amount| {
        format!(r#"{{"from_account":"account_A","to_account":"account_B","amount":{amount}}}"#)
    }));
    wrong.extend(["", "{", "[]", "null", "1", "\"x\"", "amount=1"].map(str::to_owned));
    wrong.push(format!("{}{}", "[".repeat(8_000), "]".repeat(8_000)));
    wrong.push(format!("{{\"amount\":{}1{}}}", "[".repeat(7_000), "]".repeat(7_000)));
    for body in wrong {
        let answer = web.send(web.request("POST", "/api/transfer").body(body.clone())).await;
        let (status, error) = answer.error();
        assert_eq!(status, 400, "{body:.200}: {error}");
        assert!(error.len() > 10, "{body:.200}: {error:.1500}");
    }
    let utf8 = b"{\"from_account\":\"account_\xff\",\"to_account\":\"account_B\",\"amount\":1}".to_vec();
    let answer = web.send(web.request("POST", "/api/transfer").body(utf8)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(web.good("/api/workflows").await, json!([]));
}

#[tokio::test]
async fn an_unknown_transfer_is_not_found() {
    let lab = Lab::start().await;
    let web = lab.web();
    // A Workflow of another type is no transfer.
    let other = temporalio_client::UntypedWorkflow::new("AnotherWorkflow");
    let options = temporalio_client::WorkflowStartOptions::new(contract::TASK_QUEUE, "another").build();
    let input = testbed::raw_json(&json!({}));
    lab.testbed.client.start_workflow(other, input, options).await.expect("it is started");

    let long = "x".repeat(3_000);
    let odd = [
        "nothing",
        "another",
        "..%2F..%2Faccounts",
        "%00",
        "%25",
        "%22%20OR%201=1",
        "%F0%9F%A6%80",
        "a%0Ab",
        &long,
    ];
    for id in odd {
        let answer = web.get(&format!("/api/workflows/{id}")).await;
        assert_eq!(answer.status, 404, "{id:.50}: {}", answer.text);
        let answer = web.post(&format!("/api/workflows/{id}/retry"), json!({})).await;
        assert_eq!(answer.status, 404, "{id:.50}: {}", answer.text);
        let answer = web.get(&format!("/api/accounts/{id}/workflows")).await;
        assert_eq!(answer.status, 404, "{id:.50}: {}", answer.text);
    }
    assert_eq!(web.good("/api/workflows").await, json!([]));
}

#[tokio::test]
async fn a_transfer_is_found_by_any_workflow_id() {
    let lab = Lab::start().await;
    let web = lab.web();
    let order = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
    for (id, path) in [
        ("a.b:c;d", "a.b:c;d"),
        ("what? a \"name\" & more", "what%3F%20a%20%22name%22%20%26%20more"),
        ("übung-🦀", "%C3%BCbung-%F0%9F%A6%80"),
    ] {
        lab.testbed.start_transfer(id, order.clone()).await;
        let row = web.good(&format!("/api/workflows/{path}")).await;
        assert_eq!(
            (&row["workflow_id"], &row["status"], &row["input"]),
            (&json!(id), &json!("RUNNING"), &order)
        );
        // The server's list lags behind.
        until("it to be listed", || async {
            let list = web.good("/api/workflows").await;
            if ids(&list).contains(&id) { Ok(()) } else { Err(list) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_transfer_is_listed_as_soon_as_it_is_started_newest_first() {
    let lab = Lab::start().await;
    let web = lab.web();
    let mut newest_first = Vec::new();
    for _ in 0..5 {
        newest_first.insert(0, web.start("account_A", "account_B", 1.0).await);
        assert_eq!(ids(&web.good("/api/workflows").await), newest_first);
    }
    assert_eq!(newest_first.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[tokio::test]
async fn the_daily_batch_starts_twelve_transfers_and_no_money_is_lost() {
    let lab = Lab::start().await;
    let web = lab.web();
    let worker = lab.worker("reset-workflows").await;
    let total = lab.total().await;
    let batch = web.post("/api/batch", json!({})).await;
    assert_eq!((batch.status, &batch.json["started"]), (200, &json!(12)));
    let started: BTreeSet<&str> =
        batch.json["workflow_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(started.len(), 12);
    assert_eq!(ids(&web.good("/api/workflows").await).into_iter().collect::<BTreeSet<_>>(), started);
    for id in started {
        web.completed(id).await;
    }
    assert_eq!(lab.total().await, total);
    let history = web.good("/api/accounts/account_D/workflows").await;
    assert_eq!(history["summary"]["transaction_count"], 3);
    // 19.99 received; 45.00 and 9.90 sent.
    assert_eq!(history["summary"]["net_change"], -34.91);
    worker.stop().await;
}

#[tokio::test]
async fn the_sums_of_an_account_are_exact_to_the_cent() {
    let lab = Lab::start().await;
    let web = lab.web();
    let worker = lab.worker("reset-workflows").await;
    for amount in [0.1, 0.2, 0.7] {
        let id = web.start("account_A", "account_B", amount).await;
        web.completed(&id).await;
    }
    let id = web.start("account_B", "account_A", 1_000_000.0).await;
    web.row(&id, "it to be refused", |row| row["status"] == "FAILED").await;
    let answer = web.get("/api/accounts/account_A/workflows").await;
    let sums = r#""net_change":-1,"#;
    assert!(answer.text.contains(sums), "{}", answer.text);
    let sums = r#""total_received":0,"total_sent":1,"#;
    assert!(answer.text.contains(sums), "{}", answer.text);
    assert_eq!(answer.json["summary"]["failed_count"], 1);
    worker.stop().await;
}
