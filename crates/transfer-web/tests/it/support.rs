//! A lab for tests: a dev server, a bank, the lab's folder and the service. And a client that checks every response against
//! openapi.json and the common headers.

use std::{fs, path::PathBuf, sync::LazyLock, time::Duration};

use lab_client::{
    Endpoints,
    progress::{self, Progress},
};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{TestWorker, Testbed, until};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use transfer_kit::Bank;
use transfer_web::Web;
use webtest::OpenApi;

/// The description that every response must match.
pub(crate) static OPENAPI: LazyLock<OpenApi> =
    LazyLock::new(|| OpenApi::parse(include_str!("../../openapi.json")));

/// The headers of every response.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// A lab. Dropping it ends all of it.
pub(crate) struct Lab {
    pub(crate) service: Service,
    pub(crate) testbed: Testbed,
}

impl Lab {
    /// A lab at the first stage, without a supervisor.
    pub(crate) async fn start() -> Lab {
        Lab::of(Testbed::start().await).await
    }

    /// The same, with a dev server and a bank that can be restarted.
    pub(crate) async fn keeping() -> Lab {
        Lab::of(Testbed::start_keeping().await).await
    }

    /// The same, with additional dynamic configuration of the server.
    pub(crate) async fn with(settings: &'static [&'static str]) -> Lab {
        Lab::of(Testbed::start_with(settings).await).await
    }

    async fn of(testbed: Testbed) -> Lab {
        Lab { service: Service::start(endpoints(&testbed), None).await, testbed }
    }

    /// A client of the service.
    pub(crate) fn web(&self) -> &Client {
        &self.service.web
    }

    /// A worker that runs this stage's modules.
    pub(crate) async fn worker(&self, stage: &str) -> TestWorker {
        let options = stages::worker_options(stage_of(stage), Bank::at(&self.testbed.bank_url));
        TestWorker::start(&self.testbed.client, options.expect("its modules are compiled")).await
    }

    /// The sum of all balances, in cents.
    pub(crate) async fn total(&self) -> i64 {
        self.testbed.balances().await.values().map(|balance| balance.cents()).sum()
    }
}

/// The endpoints of a testbed.
pub(crate) fn endpoints(testbed: &Testbed) -> Endpoints {
    Endpoints::own(&testbed.server.http_url, "http://127.0.0.1:8233", &testbed.bank_url)
}

/// Endpoints where nothing listens.
pub(crate) fn nowhere() -> Endpoints {
    // Port 1 is privileged, so no test listens there.
    let url = "http://127.0.0.1:1";
    Endpoints::own(url, url, url)
}

fn stage_of(name: &str) -> &'static ::lab::Stage {
    ::lab::stage(name).expect("a stage of the table")
}

/// A lab's folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A folder with this stage, entered now.
    pub(crate) fn at(stage: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        folder.write(progress::FILE, &Progress::begin(stage_of(stage)).to_json());
        folder
    }

    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// Records that this stage was entered.
    pub(crate) fn write(&self, file: &str, json: &Value) {
        fs::write(self.0.path().join(file), json.to_string()).expect("a folder of the test's own");
    }
}

/// The service, in this process.
pub(crate) struct Service {
    pub(crate) web: Client,
    close: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    folder: Option<Folder>,
}

impl Service {
    /// Starts a service for these endpoints.
    pub(crate) async fn start(endpoints: Endpoints, folder: Option<Folder>) -> Service {
        Service::start_at(endpoints, folder, "").await
    }

    /// The same with public hosts.
    pub(crate) async fn start_at(endpoints: Endpoints, folder: Option<Folder>, public: &str) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let public = public.parse().expect("names of hosts");
        let web = Web::new(endpoints, folder.as_ref().map(Folder::path)).at_public_hosts(public);
        let (close, closed) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let closed = async {
                // The service ends when this is sent or dropped.
                let _ = closed.await;
            };
            transfer_web::serve(listener, web, closed).await.expect("the service serves");
        });
        Service { web: Client::new(&url), close: Some(close), served, folder }
    }

    /// The folder of its lab.
    pub(crate) fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("it belongs to a lab")
    }

    /// Shuts it down.
    pub(crate) fn close(&mut self) {
        drop(self.close.take());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) {
        self.close();
        self.served.await.expect("the service ends in order");
    }
}

/// A client of the service.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    http: reqwest::Client,
    /// The host that it asks for, if that is not the one in the URL.
    asks_for: Option<String>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// `null` if the body is not JSON.
    pub(crate) json: Value,
}

impl Client {
    fn new(url: &str) -> Client {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build();
        Client { url: url.to_owned(), http: http.expect("a client"), asks_for: None }
    }

    /// A client of a proxy on this port, which asks for this host.
    pub(crate) fn through(port: u16, host: &str) -> Client {
        Client { asks_for: Some(host.to_owned()), ..Client::new(&format!("http://127.0.0.1:{port}")) }
    }

    /// The service's host and port.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A request, to be sent by [`Client::send`].
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.asks_for {
            Some(host) => request.header("Host", host),
            None => request,
        }
    }

    /// The response, which must match openapi.json and have the common headers.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let context = format!("{method} {path}");
        let response =
            self.http.execute(request).await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        check_headers(&context, &headers);
        let text = response.text().await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
        assert!(is_json || status < 400, "{context}: {status} with {text:?} for an error");
        let json = if is_json { serde_json::from_str(&text).expect("JSON") } else { Value::Null };
        if is_json && path != "/health" {
            OPENAPI.check(&method, &path, status, &json);
        }
        Answer { status, headers, text, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path).body(body.to_string())).await
    }

    /// The JSON of a successful response.
    pub(crate) async fn good(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json
    }

    /// Starts a transfer through the API. Returns its Workflow Id.
    pub(crate) async fn start(&self, from: &str, to: &str, amount: f64) -> String {
        let transfer = json!({ "from_account": from, "to_account": to, "amount": amount });
        let answer = self.post("/api/transfer", transfer).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["workflow_id"].as_str().expect("a Workflow Id").to_owned()
    }

    /// The row of a transfer, once it matches.
    pub(crate) async fn row(&self, workflow_id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, || async {
            let row = self.good(&format!("/api/workflows/{workflow_id}")).await;
            if is_so(&row) { Ok(row) } else { Err(row) }
        })
        .await
    }

    /// The row of a transfer, once it has completed.
    pub(crate) async fn completed(&self, workflow_id: &str) -> Value {
        self.row(workflow_id, "the transfer to complete", |row| row["status"] == "COMPLETED").await
    }

    /// The row of a stuck transfer, once it has reached this attempt.
    pub(crate) async fn stuck(&self, workflow_id: &str, kind: &str, attempt: u64) -> Value {
        self.row(workflow_id, "the transfer to be stuck", |row| {
            row["stuck"]["kind"] == kind && row["stuck"]["attempt"].as_u64() >= Some(attempt)
        })
        .await
    }
}

impl Answer {
    /// The status and the message of an error.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.json["error"].as_str().unwrap_or_default())
    }
}

/// Asserts that a response has the common headers.
pub(crate) fn check_headers(context: &str, headers: &HeaderMap) {
    for (name, value) in HEADERS {
        assert_eq!(
            headers.get(name).map(|value| value.as_bytes()),
            Some(value.as_bytes()),
            "{context}: {name}"
        );
    }
}

/// The Workflow Ids of these rows.
pub(crate) fn ids(rows: &Value) -> Vec<&str> {
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| row["workflow_id"].as_str().expect("a Workflow Id")).collect()
}

/// The names of an object's fields.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}
