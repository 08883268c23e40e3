//! A bank to ask, and a client that holds every answer against openapi.json.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use account_api::Bank;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use webtest::OpenApi;

/// The description that every answer must keep to.
pub(crate) static OPENAPI: LazyLock<OpenApi> =
    LazyLock::new(|| OpenApi::parse(include_str!("../../openapi.json")));

/// Starts a bank that lives as long as the test.
pub(crate) async fn bank() -> Client {
    serve(Bank::in_memory().expect("memory for a bank")).await
}

/// Puts this bank on a free port.
pub(crate) async fn serve(bank: Bank) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(account_api::serve(listener, bank, std::future::pending()));
    Client::new(&url)
}

/// Waits for a condition, for as long as a slow machine may need.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client of one bank.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// A request that is being put together.
#[must_use]
pub(crate) struct Ask {
    method: Method,
    path: String,
    builder: RequestBuilder,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) headers: HeaderMap,
}

impl Client {
    pub(crate) fn new(url: &str) -> Client {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Client { url: url.to_owned(), http }
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        let method: Method = method.parse().expect("a method");
        let builder = self.http.request(method.clone(), format!("{}{path}", self.url));
        Ask { method, path: path.to_owned(), builder }
    }

    pub(crate) fn withdraw(&self, account: &str, amount: f64) -> Ask {
        self.ask("POST", &format!("/accounts/{account}/withdraw")).json(json!({ "amount": amount }))
    }

    pub(crate) fn deposit(&self, account: &str, amount: f64) -> Ask {
        self.ask("POST", &format!("/accounts/{account}/deposit")).json(json!({ "amount": amount }))
    }

    pub(crate) fn refund(&self, account: &str, amount: f64) -> Ask {
        self.ask("POST", &format!("/accounts/{account}/refund")).json(json!({ "amount": amount }))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    pub(crate) async fn put(&self, path: &str, json: Value) -> Answer {
        self.ask("PUT", path).json(json).send().await
    }

    pub(crate) async fn balance(&self, account: &str) -> f64 {
        let answer = self.get(&format!("/accounts/{account}")).await;
        answer.json["balance"].as_f64().expect("a balance")
    }

    /// The sum of all accounts, in cents.
    pub(crate) async fn total_cents(&self) -> i64 {
        let answer = self.get("/accounts").await;
        let accounts = answer.json["accounts"].as_array().expect("accounts");
        accounts
            .iter()
            .map(|account| (account["balance"].as_f64().expect("a balance") * 100.0).round() as i64)
            .sum()
    }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Ask {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Ask {
        self.header("Idempotency-Key", &format!("\"{key}\""))
    }

    pub(crate) fn run_of(self, transfer: &str, run: &str) -> Ask {
        self.header("Transfer-Id", transfer).header("Transfer-Run", run)
    }

    pub(crate) fn json(self, json: Value) -> Ask {
        self.body(json.to_string())
    }

    pub(crate) fn body(mut self, text: impl Into<reqwest::Body>) -> Ask {
        self.builder = self.builder.body(text);
        self
    }

    /// The answer, which must be one that openapi.json has.
    pub(crate) async fn send(self) -> Answer {
        let context = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|error| panic!("{context}: {error:?}"))
    }

    /// The answer, if the bank lives to give one.
    pub(crate) async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.builder.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.bytes().await?;
        let context = format!("{} {}: {status}", self.method, self.path);
        let json: Value =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{context}: {error}: {text:?}"));
        OPENAPI.check(self.method.as_str(), &self.path, status, &json);
        Ok(Answer { status, json, headers })
    }
}

impl Answer {
    /// The sentence of an error.
    pub(crate) fn error(&self) -> &str {
        self.json["error"].as_str().expect("an error")
    }

    /// The status and the code of an error.
    pub(crate) fn refusal(&self) -> (u16, Option<&str>) {
        (self.status, self.json["code"].as_str())
    }
}
