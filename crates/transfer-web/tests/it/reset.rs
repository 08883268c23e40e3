//! The page's reset.

use lab_client::{Endpoints, temporal::Server};
use serde_json::json;
use testbed::until;

use crate::{
    stream::Stream,
    support::{Lab, Service, endpoints, ids},
};

#[tokio::test]
async fn a_reset_terminates_transfers_in_progress_and_none_of_them_moves_money_later() {
    let lab = Lab::start().await;
    let web = lab.web();
    let worker = lab.worker("reset-workflows").await;
    let total = lab.total().await;
    let completed = web.start("account_C", "account_D", 5.0).await;
    web.completed(&completed).await;
    // Two transfers that wait at their deposits.
    lab.testbed.put("/outage", json!({ "deposits": true })).await;
    let mut under_way = Vec::new();
    for _ in 0..3 {
        under_way.push(web.start("account_A", "account_B", 10.0).await);
    }
    for id in &under_way {
        let row = web.stuck(id, "activity", 2).await;
        assert_eq!(row["stuck"]["step"], "deposit");
    }
    assert_eq!(lab.total().await, total - 3_000);
    let mut stream = Stream::of(web, "").await;
    stream.until("transfers", |event| event["total"] == 4).await;
    stream.until("bank", |event| event["in_transit"] == 30).await;

    let reset = web.post("/api/reset", json!({})).await;
    assert_eq!((reset.status, &reset.json["ended"]), (200, &json!(3)));
    assert_eq!(web.good("/api/workflows").await, json!([]));
    assert_eq!(web.good("/api/accounts").await["account_A"], json!({ "balance": 1000 }));
    // The reset ends the bank's outage.
    assert_eq!(web.good("/api/outage").await, json!({ "withdrawals": false, "deposits": false }));
    stream.until("transfers", |event| event["total"] == 0 && event["rows"] == json!([])).await;
    stream.until("bank", |event| event["in_transit"] == 0 && event["total"] == 7950).await;
    for id in &under_way {
        assert_eq!(web.good(&format!("/api/workflows/{id}")).await["status"], "TERMINATED");
    }

    let after = web.start("account_A", "account_B", 25.5).await;
    web.completed(&after).await;
    // The bank has handled every call of the old transfers by now: the new one came later.
    let entries: serde_json::Value = lab.testbed.get("/entries?limit=1000").await;
    let entries = entries["entries"].as_array().expect("entries");
    let moved: Vec<_> = entries.iter().filter(|entry| entry["kind"] != "open").collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(moved.iter().all(|entry| entry["transfer"] == moved[0]["transfer"]), "{moved:?}");
    assert_eq!(lab.testbed.balance("account_A").await, 97_450);
    assert_eq!(lab.total().await, total);
    assert_eq!(ids(&web.good("/api/workflows").await), [&*after]);
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_started_just_before_a_reset_is_terminated_too() {
    let lab = Lab::start().await;
    let web = lab.web();
    for _ in 0..3 {
        let id = web.start("account_A", "account_B", 1.0).await;
        let reset = web.post("/api/reset", json!({})).await;
        assert_eq!((reset.status, &reset.json["ended"]), (200, &json!(1)));
        assert_eq!(web.good(&format!("/api/workflows/{id}")).await["status"], "TERMINATED");
    }
}

#[tokio::test]
async fn a_transfer_completed_in_the_second_of_a_reset_is_not_shown() {
    let lab = Lab::start().await;
    let web = lab.web();
    let worker = lab.worker("reset-workflows").await;
    for _ in 0..4 {
        let id = web.start("account_A", "account_B", 1.0).await;
        web.completed(&id).await;
        assert_eq!(web.post("/api/reset", json!({})).await.status, 200);
        assert_eq!(web.good("/api/workflows").await, json!([]));
        // A transfer started right after it belongs to the new ledger.
        let id = web.start("account_A", "account_B", 1.0).await;
        assert_eq!(ids(&web.good("/api/workflows").await), [&*id]);
        web.completed(&id).await;
        let history = web.good("/api/accounts/account_A/workflows").await;
        assert_eq!(history["summary"]["total_sent"], 1);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_service_started_after_a_reset_never_shows_older_transfers() {
    let lab = Lab::start().await;
    let web = lab.web();
    let id = web.start("account_A", "account_B", 1.0).await;
    assert_eq!(web.post("/api/reset", json!({})).await.status, 200);
    web.row(&id, "its end", |row| row["status"] == "TERMINATED").await;
    until("its end to be listed", || async {
        let query = "ExecutionStatus = 'Terminated'";
        let found = lab.testbed.client.count_workflows(query, Default::default()).await;
        if found.expect("the server counts").count() == 1 { Ok(()) } else { Err(()) }
    })
    .await;
    for _ in 0..3 {
        let service = Service::start(endpoints(&lab.testbed), None).await;
        let mut stream = Stream::of(&service.web, "").await;
        let first = stream.until("transfers", |_| true).await;
        assert_eq!((&first["total"], &first["rows"]), (&json!(0), &json!([])));
        drop(stream);
        service.ended().await;
    }
}

#[tokio::test]
async fn a_reset_leaves_the_transfers_of_another_task_queue_alone() {
    let lab = Lab::start().await;
    let bob = Server::new(&Endpoints { learner: Some("bob".to_owned()), ..endpoints(&lab.testbed) });
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 10 });
    let started = tokio::task::spawn_blocking(move || bob.start_transfer("theirs", &input)).await;
    let theirs = started.expect("it does not panic").expect("it starts").workflow_id;
    lab.web().start("account_A", "account_B", 10.0).await;
    until("both to be listed", || async {
        let listed = lab.web().good("/api/workflows").await;
        if ids(&listed).len() == 2 { Ok(()) } else { Err(listed) }
    })
    .await;
    let reset = lab.web().post("/api/reset", json!({})).await;
    assert_eq!((reset.status, &reset.json["ended"]), (200, &json!(1)));
    let theirs = lab.testbed.ask_server(&format!("workflows/{theirs}")).await;
    assert_eq!(theirs["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");
}
