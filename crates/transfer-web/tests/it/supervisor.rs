//! What the lab's supervisor says, as the pages are told it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use crate::{
    stream::Stream,
    support::{Folder, Lab, Service, endpoints},
};

/// What stands in for a supervisor: it answers `status`, one line each way.
struct Supervisor {
    status: Arc<Mutex<Value>>,
    port: u16,
    answers: JoinHandle<()>,
}

impl Supervisor {
    async fn start() -> Supervisor {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let status: Arc<Mutex<Value>> = Arc::default();
        let told = status.clone();
        let answers = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut line = String::new();
                let read = BufReader::new(&mut stream).read_line(&mut line).await;
                read.expect("a request in a line");
                let request: Value = serde_json::from_str(&line).expect("a request is JSON");
                assert_eq!(request, json!({ "request": "status", "token": "secret" }));
                let status = told.lock().unwrap_or_else(PoisonError::into_inner).to_string();
                // Who asked may have given up.
                let _ = stream.write_all(format!("{status}\n").as_bytes()).await;
            }
        });
        Supervisor { status, port, answers }
    }

    fn says(&self, worker: &str, build: &str) -> Value {
        let since = "2026-11-22T12:05:01.250Z";
        let service = |name: &str, state: &str| json!({ "name": name, "state": state, "since": since, "restarts": 0, "url": null });
        let services = json!([
            service("temporal", "running"),
            service("account-api", "running"),
            service("worker", worker),
            service("transfer-web", "running"),
        ]);
        let status = json!({ "services": services, "build": build, "watch": false });
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        services
    }
}

#[tokio::test]
async fn the_lab_is_told_as_its_supervisor_has_it_and_so_is_its_end() {
    let lab = Lab::start().await;
    let supervisor = Supervisor::start().await;
    let services = supervisor.says("running", "ok");
    let folder = Folder::at("jerry");
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    let service = Service::start(endpoints(&lab.testbed), Some(folder)).await;
    let mut stream = Stream::of(&service.web, "").await;
    let event = stream.until("lab", |event| event["down"] == json!([])).await;
    assert_eq!(event["services"], services);
    assert_eq!((&event["build"], &event["watch"]), (&json!("ok"), &json!(false)));
    assert_eq!(event["temporal_ui"], "http://127.0.0.1:8233");

    supervisor.says("stopped", "failed");
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!((&event["down"][0]["name"], &event["build"]), (&json!("worker"), &json!("failed")));
    assert_eq!(event["down"][0]["do"], "cargo xtask lab logs worker");
    supervisor.says("running", "ok");
    stream.until("lab", |event| event["down"] == json!([])).await;

    supervisor.answers.abort();
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!(event["down"][0]["name"], "lab");
    assert_eq!(event["down"][0]["do"], "cargo xtask lab start --detach");
}

#[tokio::test]
async fn a_build_that_has_failed_is_told_with_the_goals() {
    let lab = Lab::start().await;
    let supervisor = Supervisor::start().await;
    supervisor.says("running", "ok");
    let folder = Folder::at("jerry");
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    let service = Service::start(endpoints(&lab.testbed), Some(folder)).await;
    let mut stream = Stream::of(&service.web, "").await;
    stream.until("guide", |event| event["build_failed"] == false).await;
    supervisor.says("running", "failed");
    stream.until("guide", |event| event["build_failed"] == true).await;
}
