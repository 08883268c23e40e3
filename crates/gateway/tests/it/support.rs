//! A gateway for one test.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use lab_client::{Endpoints, start_failure::StartFailure, temporal::Server};
use serde_json::{Value, json};
use stages::Modules;
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, GrpcCompression, Url};
use testbed::{TestWorker, until};
use tokio::process::{Child, Command};
use transfer_kit::Bank;

/// A gateway process. Killed when dropped.
pub(crate) struct Program {
    /// The address of its gRPC, `host:port`.
    pub(crate) grpc: String,
    /// The URL of its HTTP API, without a path.
    pub(crate) http: String,
    log: PathBuf,
    _child: Child,
    _folder: TempDir,
}

/// The flags and environment of a gateway.
#[derive(Default)]
pub(crate) struct Start<'a> {
    pub(crate) flags: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl Program {
    /// Starts a gateway and waits until it is ready.
    pub(crate) async fn start(start: Start<'_>) -> Program {
        Program::try_start(start).await.unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
    }

    /// The same; returns its output if it exits instead.
    pub(crate) async fn try_start(start: Start<'_>) -> Result<Program, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let failure = StartFailure::file_beside(&ready);
        let log = folder.path().join("log");
        let file = fs::File::create(&log).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command
            .args(["--port", "0", "--ready-file"])
            .arg(&ready)
            .arg("--failure-file")
            .arg(&failure)
            .args(start.flags);
        if !start.flags.contains(&"--http-port") {
            command.args(["--http-port", "0"]);
        }
        dev_server::forget_settings(command.as_std_mut());
        command.envs(start.environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .kill_on_drop(true);
        let mut child = command.spawn().expect("it was built");
        let said = |log: &PathBuf| fs::read_to_string(log).unwrap_or_default();
        let ended = until("the gateway", || {
            let ended = child.try_wait().expect("a child can be asked").is_some();
            let is_ready = ready.exists();
            async move { if ended || is_ready { Ok(ended) } else { Err("neither ready nor over") } }
        })
        .await;
        if ended {
            assert_eq!(child.wait().await.expect("it has ended").code(), Some(1), "{}", said(&log));
            let failure = StartFailure::read(&failure).expect("it writes why it did not start");
            assert!(
                said(&log).ends_with(&(failure.lines().join("\n") + "\n")),
                "{failure:?}: {}",
                said(&log)
            );
            return Err(said(&log));
        }
        let http = fs::read_to_string(&ready).expect("it is ready");
        let line = said(&log);
        let grpc =
            line.split("gRPC on ").nth(1).and_then(|rest| rest.split(',').next()).expect("it says where");
        Ok(Program { grpc: grpc.to_owned(), http, log, _child: child, _folder: folder })
    }

    /// Its output so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("it has a log")
    }

    /// Its report on the link, once the health check has run.
    pub(crate) async fn link_once(&self, answers: bool) -> Value {
        until("the link", || async {
            let (_, link) = self.get("/link").await;
            if link["answers"] == answers { Ok(link) } else { Err(link) }
        })
        .await
    }

    /// A GET of its HTTP API: status and response.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        get(&self.http, path).await
    }
}

/// A GET of an HTTP API: status and response.
pub(crate) async fn get(url: &str, path: &str) -> (u16, Value) {
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(40)).build().expect("a client");
    let answer = client.get(format!("{url}{path}")).send().await.expect("it answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// A worker for the lab's transfers that connects only to the gateway.
pub(crate) async fn worker(gateway: &Program, namespace: &str, bank_url: &str) -> TestWorker {
    let url = Url::parse(&format!("http://{}", gateway.grpc)).expect("it is an address");
    let options = ConnectionOptions::new(url).grpc_compression(GrpcCompression::None).build();
    let connection = Connection::connect(options).await.expect("the gateway answers");
    let client = Client::new(connection, ClientOptions::new(namespace).build()).expect("a client");
    let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
    let options = modules.worker_options(Bank::at(bank_url)).expect("options");
    let polls = TestWorker::start(&client, options);
    tokio::time::timeout(Duration::from_secs(60), polls).await.expect("the worker polls")
}

/// Starts a transfer of 25.50 from A to B through the gateway's HTTP API.
pub(crate) async fn start_transfer(gateway: &Program, namespace: &str, id: &str) {
    let endpoints = Endpoints { namespace: namespace.to_owned(), ..Endpoints::own(&gateway.http, "", "") };
    let (server, id) = (Server::new(&endpoints), id.to_owned());
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    tokio::task::spawn_blocking(move || server.start_transfer(&id, &input))
        .await
        .expect("it does not panic")
        .expect("it starts");
}

/// Waits until a transfer has completed.
pub(crate) async fn completed(gateway: &Program, namespace: &str, id: &str) {
    let path = format!("/api/v1/namespaces/{namespace}/workflows/{id}");
    until("the transfer to complete", || async {
        let (status, answer) = gateway.get(&path).await;
        match answer["workflowExecutionInfo"]["status"].as_str() {
            Some("WORKFLOW_EXECUTION_STATUS_COMPLETED") => Ok(()),
            Some("WORKFLOW_EXECUTION_STATUS_RUNNING") => Err(format!("{status} {answer}")),
            // The link may be down, so keep waiting.
            None if status >= 500 => Err(format!("{status} {answer}")),
            _ => panic!("{status} {answer}"),
        }
    })
    .await;
}

/// What the two accounts of [`start_transfer`] hold, in cents.
pub(crate) async fn balances(bank_url: &str) -> [i64; 2] {
    let (_, answer) = get(bank_url, "/accounts").await;
    let accounts: contract::bank::Accounts = serde_json::from_value(answer).expect("they are accounts");
    ["account_A", "account_B"].map(|name| {
        let account = accounts.accounts.iter().find(|account| account.account_number == name);
        account.expect("there is one").balance.cents()
    })
}
