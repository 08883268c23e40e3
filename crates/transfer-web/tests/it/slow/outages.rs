//! Temporal or the bank is down or hangs: what still works, the errors of the rest, and that the service recovers by itself.

use serde_json::json;
use testbed::until;

use crate::{
    proxy::Proxy,
    stream::Stream,
    support::{Client, Lab, Service, endpoints, ids},
};

/// Asserts that each of these requests fails with a 503 and this error.
async fn assert_down(web: &Client, asks: &[(&str, &str)], says: &str) {
    for (method, path) in asks {
        let body = match *path {
            "/api/transfer" => {
                json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 }).to_string()
            }
            _ => "{}".to_owned(),
        };
        let answer = web.send(web.request(method, path).body(body)).await;
        let (status, error) = answer.error();
        assert!(status == 503 && error.contains(says), "{method} {path}: {status} {error}");
    }
}

#[tokio::test]
async fn without_temporal_responses_say_so_and_transfers_continue_once_it_is_back() {
    let mut lab = Lab::keeping().await;
    let worker = lab.worker("reset-workflows").await;
    lab.testbed.put("/outage", json!({ "deposits": true })).await;
    let web = lab.web().clone();
    let mut stream = Stream::of(&web, "").await;
    let id = web.start("account_A", "account_B", 25.5).await;
    web.stuck(&id, "activity", 2).await;
    stream.until("transfers", |event| event["stuck_in_window"] == 1).await;
    stream.until("lab", |event| event["down"] == json!([])).await;

    lab.testbed.server.stop();
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!(event["down"][0]["name"], "temporal");
    assert_eq!(event["down"].as_array().map(Vec::len), Some(1));
    assert!(
        event["down"][0]["says"]
            .as_str()
            .is_some_and(|says| says.contains("Temporal server does not answer"))
    );
    assert_eq!(event["services"][0], json!({ "name": "temporal", "state": "stopped" }));
    let row = format!("/api/workflows/{id}");
    let retry = format!("/api/workflows/{id}/retry");
    assert_down(
        &web,
        &[
            ("GET", "/api/workflows"),
            ("GET", &row),
            ("POST", &retry),
            ("GET", "/api/accounts/account_A/workflows"),
            ("POST", "/api/transfer"),
            ("POST", "/api/batch"),
            ("POST", "/api/reset"),
        ],
        "the Temporal server does not answer",
    )
    .await;
    // Routes that need only the bank work; and a reset that could not terminate the transfers did not touch the bank.
    assert_eq!(web.good("/api/accounts").await["account_A"]["balance"], 974.5);
    assert_eq!(web.good("/api/outage").await, json!({ "withdrawals": false, "deposits": true }));
    assert_eq!(web.post("/api/real-world-mode", json!({ "error_rate": 0.5 })).await.status, 200);

    lab.testbed.server.start_again().await;
    stream.until("lab", |event| event["down"] == json!([])).await;
    assert_eq!(ids(&web.good("/api/workflows").await), [&*id]);
    assert_eq!(web.post("/api/outage", json!({ "deposits": false })).await.status, 200);
    web.completed(&id).await;
    let event = stream.until("transfers", |event| event["completed"] == 1).await;
    assert_eq!(event["rows"][0]["result"]["success"], true);
    let id = web.start("account_B", "account_A", 25.5).await;
    web.completed(&id).await;
    assert_eq!(lab.testbed.balance("account_A").await, 100_000);
    worker.stop().await;
}

#[tokio::test]
async fn without_the_bank_responses_say_so_and_a_transfer_can_still_be_started() {
    let mut lab = Lab::keeping().await;
    let worker = lab.worker("reset-workflows").await;
    let web = lab.web().clone();
    let before = web.start("account_A", "account_B", 1.0).await;
    web.completed(&before).await;
    let mut stream = Stream::of(&web, "").await;
    stream.until("lab", |event| event["down"] == json!([])).await;

    lab.testbed.bank.close().await;
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!(event["down"][0]["name"], "account-api");
    assert_eq!(event["down"].as_array().map(Vec::len), Some(1));
    assert_down(
        &web,
        &[
            ("GET", "/api/accounts"),
            ("GET", "/api/real-world-mode"),
            ("POST", "/api/real-world-mode"),
            ("GET", "/api/outage"),
            ("POST", "/api/outage"),
        ],
        "the bank does not answer",
    )
    .await;
    // Accounts are not checked now, and the transfer waits for the bank.
    let id = web.start("account_A", "account_B", 25.5).await;
    let row = web.stuck(&id, "activity", 2).await;
    assert_eq!(row["stuck"]["activity"], "check_balance");
    assert_eq!(ids(&web.good("/api/workflows").await), [&*id, &*before]);
    let history = web.good("/api/accounts/account_A/workflows").await;
    assert_eq!(ids(&history["workflows"]), [&*id, &*before]);
    stream.until("transfers", |event| event["total"] == 2).await;

    lab.testbed.bank.open_again().await;
    stream.until("lab", |event| event["down"] == json!([])).await;
    web.post(&format!("/api/workflows/{id}/retry"), json!({})).await;
    web.completed(&id).await;
    let event = stream.until("bank", |event| event["accounts"][0]["balance"] == 973.5).await;
    assert_eq!(event["in_transit"], 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_reset_without_the_bank_says_what_was_done_and_can_be_repeated() {
    let mut lab = Lab::keeping().await;
    let web = lab.web().clone();
    let id = web.start("account_A", "account_B", 1.0).await;
    lab.testbed.bank.close().await;
    let answer = web.post("/api/reset", json!({})).await;
    let (status, error) = answer.error();
    assert!(
        status == 503 && error.starts_with("the transfers were terminated, but the bank does not answer"),
        "{error}"
    );
    web.row(&id, "its end", |row| row["status"] == "TERMINATED").await;
    lab.testbed.bank.open_again().await;
    let answer = web.post("/api/reset", json!({})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(web.good("/api/workflows").await, json!([]));
}

#[tokio::test]
async fn a_hanging_dependency_blocks_only_the_requests_that_need_it() {
    let lab = Lab::start().await;
    let temporal = Proxy::before(&lab.testbed.server.http_url).await;
    let bank = Proxy::before(&lab.testbed.bank_url).await;
    let endpoints = lab_client::Endpoints {
        temporal_http: temporal.url.clone(),
        bank: bank.url.clone(),
        ..endpoints(&lab.testbed)
    };
    let service = Service::start(endpoints, None).await;
    let web = &service.web;
    let mut stream = Stream::of(web, "").await;
    stream.each_of(&["lab", "bank", "transfers"]).await;
    temporal.silence(true);
    // The request to Temporal is pending for seconds; meanwhile the bank's routes respond.
    temporal.more("workflow-count", 1).await;
    let list = tokio::spawn({
        let web = web.clone();
        async move { web.get("/api/workflows").await }
    });
    assert_eq!(web.get("/api/accounts").await.status, 200);
    assert!(!list.is_finished(), "the bank answers first");
    let list = list.await.expect("an answer");
    assert_eq!(list.status, 503, "{}", list.text);
    stream.until("lab", |event| event["down"][0]["name"] == "temporal").await;
    temporal.silence(false);
    stream.until("lab", |event| event["down"] == json!([])).await;

    bank.silence(true);
    bank.more("/entries", 1).await;
    // Starting a transfer asks the bank for its accounts, but does not require a response.
    let (accounts, id) = tokio::join!(web.get("/api/accounts"), web.start("account_A", "account_B", 1.0));
    assert_eq!(accounts.status, 503, "{}", accounts.text);
    stream.until("transfers", |event| event["rows"][0]["workflow_id"] == *id).await;
    bank.silence(false);
    until("the bank's answer", || async {
        let answer = web.get("/api/accounts").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}
