//! Transfers started by other clients, with arbitrary input.

use serde_json::{Value, json};
use testbed::until;

use crate::{
    stream::Stream,
    support::{Lab, ids},
};

#[tokio::test]
async fn arbitrary_input_does_no_harm() {
    let lab = Lab::start().await;
    let web = lab.web();
    let odd = [
        json!([1, 2, "x"]),
        json!("<script>alert(1)</script>"),
        json!({}),
        json!({ "from_account": 1, "to_account": null, "amount": "a lot" }),
        json!({ "from_account": "account_A", "to_account": ["account_B"], "amount": 1e300 }),
        json!({ "from_account": "account_A", "to_account": "account_A", "amount": -5 }),
        json!({ "from_account": { "from_account": "account_A" }, "amount": 0.001 }),
        json!(vec![vec![vec![0; 10]; 10]; 10]),
    ];
    for (at, input) in odd.iter().enumerate() {
        lab.testbed.start_transfer(&format!("odd-{at}"), input.clone()).await;
    }
    // An id that a path of the server's HTTP API cannot contain, JSON nested too deeply to be parsed, and invalid JSON.
    lab.testbed.start_transfer("a/b", json!({ "amount": 1 })).await;
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    lab.testbed.start_transfer("deep", deep).await;
    lab.testbed.start_transfer("null", json!(null)).await;
    let worker = lab.worker("reset-workflows").await;
    let good = web.start("account_A", "account_B", 1.0).await;
    web.completed(&good).await;
    let list = until("all to be listed", || async {
        let list = web.good("/api/workflows").await;
        if ids(&list).len() == odd.len() + 4 { Ok(list) } else { Err(list) }
    })
    .await;
    for id in ["a/b", "deep"] {
        let row = list.as_array().into_iter().flatten().find(|row| row["workflow_id"] == id);
        let failure = row.expect("it is listed")["failure"].as_str().unwrap_or_default();
        assert!(failure.starts_with("cannot read its Event History"), "{id}: {failure}");
    }
    for (at, input) in odd.iter().enumerate() {
        let id = format!("odd-{at}");
        let row = list.as_array().into_iter().flatten().find(|row| row["workflow_id"] == id);
        assert_eq!(&row.expect("it is listed")["input"], input);
        assert_eq!(&web.good(&format!("/api/workflows/{id}")).await["input"], input);
    }
    let history = web.good("/api/accounts/account_A/workflows").await;
    assert_eq!(history["summary"]["total_sent"], 1);
    // Those whose account is a string.
    assert_eq!(history["summary"]["transaction_count"], 3);
    let mut stream = Stream::of(web, "limit=50").await;
    stream.until("transfers", |event| ids(&event["rows"]).len() == odd.len() + 4).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_without_input_and_a_terminated_one_do_no_harm() {
    let lab = Lab::start().await;
    let web = lab.web();
    // A transfer terminated in the second in which the ledger was opened counts as one of the old ledger.
    let entries: Value = lab.testbed.get("/entries?limit=1").await;
    let opened = entries["entries"][0]["time"].as_u64();
    until("that second to be over", || async {
        if Some(lab_client::time::unix_now()) > opened { Ok(()) } else { Err(opened) }
    })
    .await;
    let handle = lab.testbed.start_transfer("ended", json!({ "amount": 1 })).await;
    let ended = handle.terminate(Default::default()).await;
    ended.expect("the server ends it");
    let row = web.row("ended", "its end", |row| row["status"] == "TERMINATED").await;
    assert!(row["failure"].as_str().is_some_and(|why| why.starts_with("terminated")), "{row}");
    let kind = temporalio_client::UntypedWorkflow::new(contract::WORKFLOW_TYPE);
    let options = temporalio_client::WorkflowStartOptions::new(contract::TASK_QUEUE, "bare").build();
    let nothing = temporalio_common::data_converters::RawValue::new(Vec::new());
    lab.testbed.client.start_workflow(kind, nothing, options).await.expect("it is started");
    let row = web.good("/api/workflows/bare").await;
    assert_eq!(row["input"], Value::Null);
    until("both to be listed", || async {
        let list = web.good("/api/workflows").await;
        if ids(&list).len() == 2 { Ok(()) } else { Err(list) }
    })
    .await;
}
