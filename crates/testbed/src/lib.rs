//! Real parts for tests: a dev server, a bank and workers, each on its own ports and ended when dropped.
//!
//! A part that cannot be started panics, because this is for tests.

mod bank;
mod dev_server;
mod learners;
mod wait;
mod worker;

pub use bank::TestBank;
pub use dev_server::{DevServer, free_port, temporal_cli};
pub use learners::simulated_learner;
pub use wait::until;
pub use worker::TestWorker;

use std::collections::BTreeMap;

use contract::{Money, TASK_QUEUE, WORKFLOW_TYPE};
use temporalio_client::{Client, UntypedWorkflow, WorkflowHandle, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;

/// A dev server and a bank.
pub struct Testbed {
    /// A client of the server.
    pub client: Client,
    /// The bank's URL, without a path.
    pub bank_url: String,
    /// The server.
    pub server: DevServer,
    /// The bank.
    pub bank: TestBank,
    http: reqwest::Client,
}

impl Testbed {
    /// Starts both with their state in memory, and waits until they are ready.
    pub async fn start() -> Testbed {
        Testbed::of(DevServer::start().await, TestBank::open().await).await
    }

    /// The same with additional dynamic configuration of the server.
    pub async fn start_with(settings: &'static [&'static str]) -> Testbed {
        Testbed::of(DevServer::start_with(settings).await, TestBank::open().await).await
    }

    /// The same with their state in files, so that each can be restarted.
    pub async fn start_keeping() -> Testbed {
        Testbed::of(DevServer::start_keeping().await, TestBank::open_keeping().await).await
    }

    async fn of(server: DevServer, bank: TestBank) -> Testbed {
        let client = connect(&server.address).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Testbed { client, bank_url: bank.url.clone(), server, bank, http }
    }

    /// The server's address, `host:port`.
    pub fn server_address(&self) -> &str {
        &self.server.address
    }

    /// What the Temporal CLI prints with these arguments, against this server.
    pub fn temporal(&self, arguments: &[&str]) -> String {
        let mut command = temporal_cli().command();
        command.args(arguments).env("TEMPORAL_ADDRESS", self.server_address());
        let ended = command.output().expect("the Temporal CLI can be run");
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    }

    /// A GET of the server's HTTP API, by the part of the path after the namespace.
    pub async fn ask_server(&self, path: &str) -> serde_json::Value {
        self.get_from(&format!("{}/api/v1/namespaces/default/{path}", self.server.http_url)).await
    }

    /// The same, if the server has what is asked for: none for a 404.
    pub async fn ask_server_if(&self, path: &str) -> Option<serde_json::Value> {
        let url = format!("{}/api/v1/namespaces/default/{path}", self.server.http_url);
        let answer = self.http.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        match answer.status().as_u16() {
            404 => None,
            _ => Some(self.get_from(&url).await),
        }
    }

    /// Starts a transfer with this id and any JSON as its input.
    pub async fn start_transfer(
        &self,
        workflow_id: &str,
        input: serde_json::Value,
    ) -> WorkflowHandle<Client, UntypedWorkflow> {
        let options = WorkflowStartOptions::new(TASK_QUEUE, workflow_id).build();
        self.client
            .start_workflow(UntypedWorkflow::new(WORKFLOW_TYPE), raw_json(&input), options)
            .await
            .expect("the dev server starts a workflow")
    }

    /// All balances of the bank.
    pub async fn balances(&self) -> BTreeMap<String, Money> {
        let answer: contract::bank::Accounts = self.get("/accounts").await;
        answer.accounts.into_iter().map(|account| (account.account_number, account.balance)).collect()
    }

    /// The balance of an account, in cents.
    pub async fn balance(&self, account: &str) -> i64 {
        self.balances().await[account].cents()
    }

    /// A GET of the bank.
    pub async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.get_from(&format!("{}{path}", self.bank_url)).await
    }

    async fn get_from<T: serde::de::DeserializeOwned>(&self, url: &str) -> T {
        let answer = self.http.get(url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(answer.status().is_success(), "{url}: {:?}", answer.text().await);
        answer.json().await.unwrap_or_else(|error| panic!("unexpected response from {url}: {error}"))
    }

    /// Deposits dollars to an account.
    pub async fn give(&self, account: &str, dollars: u32) {
        let body = serde_json::json!({ "amount": dollars });
        let answer = self.http.post(format!("{}/accounts/{account}/deposit", self.bank_url)).json(&body);
        let answer = answer.send().await.expect("the bank answers");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// A PUT of a setting of the bank.
    pub async fn put(&self, path: &str, body: serde_json::Value) {
        let answer = self.http.put(format!("{}{path}", self.bank_url)).json(&body).send().await;
        let answer = answer.expect("the bank answers");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }
}

/// A client of the server at this address.
pub async fn connect(address: &str) -> Client {
    transfer_kit::host::connect_at(address).await.expect("the dev server answers")
}

/// JSON as the payload that an SDK would send.
pub fn raw_json(value: &serde_json::Value) -> RawValue {
    RawValue::from_value(value, &Default::default())
}
