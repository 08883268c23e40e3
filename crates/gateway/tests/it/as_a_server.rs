//! The gateway's responses equal the server's own.

use std::time::Duration;

use contract::WORKFLOW_TYPE;
use lab_client::{Endpoints, temporal::Server};
use serde_json::{Value, json};
use stages::Modules;
use testbed::{DevServer, TestWorker, Testbed, connect, until};
use tokio::task::JoinSet;
use transfer_kit::Bank;

use crate::support::{Program, Start, get};

/// Fields that differ between two requests.
fn without_times(mut answer: Value) -> Value {
    if let Some(info) = answer["workflowExecutionInfo"].as_object_mut() {
        info.remove("stateTransitionCount");
    }
    // The server adds the type of an error, which the lab does not use.
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("details");
    }
    answer
}

/// The first difference between two responses.
fn difference(place: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            names
                .into_iter()
                .find_map(|name| difference(&format!("{place}.{name}"), &left[name], &right[name]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..a.len()).find_map(|at| difference(&format!("{place}[{at}]"), &a[at], &b[at]))
        }
        _ => (left != right).then(|| format!("{place}: the gateway has {left}, the server {right}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_http_api_responds_like_the_servers_own() {
    let testbed = Testbed::start().await;
    let gateway =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    // One that completes, one that gets stuck, one that fails; and a Workflow that no lab starts.
    let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
    let options = modules.worker_options(Bank::at(&testbed.bank_url)).expect("options");
    let worker = TestWorker::start(&testbed.client, options).await;
    let input = |to: &str| json!({ "from_account": "account_A", "to_account": to, "amount": 25.5 });
    for (id, to) in [("completes", "account_B"), ("fails", "nobody"), ("a b/ä\"", "account_C")] {
        let handle = testbed.start_transfer(id, input(to)).await;
        let _ = handle.get_result(Default::default()).await;
    }
    worker.stop().await;
    testbed.start_transfer("waits", input("account_B")).await;

    let base = "/api/v1/namespaces/default";
    let all = lab_client::http::encode(&format!("WorkflowType=\"{WORKFLOW_TYPE}\""));
    let own = testbed.server.http_url.clone();
    // The list lags behind.
    until("all are listed", || async {
        let (_, list) =
            get(&own, &format!("{base}/workflow-count?query={all}%20GROUP%20BY%20ExecutionStatus")).await;
        if list["count"] == "4" && list["groups"].as_array().is_some_and(|groups| groups.len() == 3) {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await;
    let mut paths: Vec<String> = vec![
        String::new(),
        "/workflows".to_owned(),
        format!("/workflows?query={all}&pageSize=1"),
        "/workflows?query=no%20query".to_owned(),
        format!("/workflow-count?query={all}"),
        format!("/workflow-count?query={all}%20GROUP%20BY%20ExecutionStatus"),
        "/workflows/nobody".to_owned(),
        "/workflows/nobody/history".to_owned(),
        "/worker-deployments".to_owned(),
        "/worker-deployments/nobody".to_owned(),
        "/worker-deployment-versions/nobody/1".to_owned(),
    ];
    for id in ["completes", "fails", "waits"] {
        for rest in ["", "/history", "/history?maximumPageSize=3", "/history-reverse?maximumPageSize=20"] {
            paths.push(format!("/workflows/{id}{rest}"));
        }
    }
    for path in paths {
        let path = format!("{base}{path}");
        let (own_status, own_answer) = get(&own, &path).await;
        let (status, answer) = gateway.get(&path).await;
        assert_eq!(status, own_status, "{path}: {answer}");
        if let Some(difference) = difference("", &without_times(answer), &without_times(own_answer)) {
            panic!("{path}: {difference}");
        }
    }
    // The server's own HTTP API has no path for this id.
    let path = format!("{base}/workflows/{}", lab_client::http::encode("a b/ä\""));
    let (status, answer) = gateway.get(&path).await;
    assert_eq!(
        (status, &answer["workflowExecutionInfo"]["execution"]["workflowId"]),
        (200, &json!("a b/ä\""))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_works_through_it() {
    let testbed = Testbed::start().await;
    let gateway =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    let server = Server::new(&Endpoints::own(&gateway.http, "", &testbed.bank_url));
    type Ask = Box<dyn FnOnce(&Server) -> anyhow::Result<Value> + Send>;
    let ask = |ask: Ask| {
        let server = server.clone();
        async move { tokio::task::spawn_blocking(move || ask(&server)).await.expect("it does not panic") }
    };
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    let started = ask(Box::new(move |server| Ok(json!(server.start_transfer("one", &input)?.run_id)))).await;
    let run_id = started.expect("it starts").as_str().expect("an id").to_owned();
    let run = lab_client::temporal::Run { workflow_id: "one".to_owned(), run_id };
    let again = ask(Box::new(|server| Ok(json!(server.start_transfer("one", &json!({}))?.run_id)))).await;
    assert_eq!(lab_client::temporal::status_of(&again.expect_err("it is taken")), 409);
    // A worker, over gRPC.
    let client = connect(&gateway.grpc).await;
    let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
    let worker =
        TestWorker::start(&client, modules.worker_options(Bank::at(&testbed.bank_url)).expect("options"))
            .await;
    let waited = run.clone();
    ask(Box::new(move |server| server.wait_closed(&waited).map(|()| Value::Null))).await.expect("it ends");
    let described = run.clone();
    let description = ask(Box::new(move |server| server.describe(&described))).await.expect("it is known");
    assert_eq!(description["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_COMPLETED");
    worker.stop().await;
    assert_eq!(testbed.balance("account_A").await, 97_450);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_service_is_reported_and_nothing_is_lost() {
    let mut testbed = Testbed::start_keeping().await;
    let gateway =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    let client = connect(&gateway.grpc).await;
    let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
    let worker =
        TestWorker::start(&client, modules.worker_options(Bank::at(&testbed.bank_url)).expect("options"))
            .await;
    gateway.link_once(true).await;
    testbed.server.stop();
    let link = gateway.link_once(false).await;
    assert!(link["silent_for_s"].is_u64() && link["why"].is_string(), "{link}");
    let (status, answer) = gateway.get("/api/v1/namespaces/default/workflows").await;
    assert_eq!(status, 503, "{answer}");
    testbed.server.start_again().await;
    gateway.link_once(true).await;
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    let handle = testbed.start_transfer("after", input).await;
    tokio::time::timeout(Duration::from_secs(60), handle.get_result(Default::default()))
        .await
        .expect("the worker has found the service again")
        .expect("it completes");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_from_other_web_pages_are_rejected() {
    let testbed = Testbed::start().await;
    let gateway =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/api/v1/namespaces/default/workflows", gateway.http);
    for (name, value) in
        [("origin", "https://example.com"), ("host", "rebound.example.com"), ("sec-fetch-site", "cross-site")]
    {
        let answer = client.get(&url).header(name, value).send().await.expect("it answers");
        assert!(answer.status().is_client_error(), "{name}: {value}: {}", answer.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_retried_while_the_service_is_over_its_rate_limit() {
    let server = DevServer::start_with(&["frontend.namespaceRPS.visibility=2"]).await;
    let flags = ["--address", server.address.as_str()];
    let gateway = Program::start(Start { flags: &flags, ..Start::default() }).await;
    let path = "/api/v1/namespaces/default/workflow-count";
    let statuses = async |url: &str, times: usize| {
        let asked: JoinSet<_> = (0..times).map(|_| reqwest::get(format!("{url}{path}"))).collect();
        asked
            .join_all()
            .await
            .into_iter()
            .map(|answer| answer.expect("it answers").status().as_u16())
            .collect::<Vec<_>>()
    };
    // The service itself rejects most of them.
    assert!(statuses(&server.http_url, 6).await.contains(&429));
    assert_eq!(statuses(&gateway.http, 3).await, [200; 3]);
}
