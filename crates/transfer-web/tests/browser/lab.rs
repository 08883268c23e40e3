//! A lab for the page: a Temporal server, a bank, a worker, the page's service, and a folder with the stage.

use std::{
    collections::BTreeMap,
    fs, mem,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use contract::PublicHosts;
use lab::Report;
use lab_client::{
    Endpoints,
    bank::Bank,
    facts::Reader,
    progress,
    progress::{Drill, Progress},
    state::{self, SERVICES},
    temporal::Server,
    time,
};
use serde_json::{Value, json};
use stages::Modules;
use tempfile::TempDir;
use temporalio_sdk::WorkerOptions;
use testbed::{TestWorker, Testbed, free_port, until};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::{Semaphore, oneshot},
    task::{JoinHandle, JoinSet, spawn_blocking},
};
use transfer_kit::host;
use transfer_web::Web;
use worker::{activities::MoneyActivities, workflow::MoneyTransferWorkflow};

/// A lab at a stage.
pub(crate) struct Lab {
    /// The server and the bank.
    pub(crate) testbed: Testbed,
    /// The page's URL, without a trailing slash.
    pub(crate) url: String,
    endpoints: Endpoints,
    folder: TempDir,
    service: Option<Service>,
    worker: Option<TestWorker>,
    /// The workers of the versions, by their Build IDs.
    versions: BTreeMap<&'static str, TestWorker>,
    supervisor: Supervisor,
    /// The names at which a proxy forwards its page and its Temporal UI.
    public: PublicHosts,
}

/// The page's service, which runs until `end_service`.
struct Service {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Lab {
    /// Starts everything except a worker, at this stage.
    pub(crate) async fn start(stage: &str) -> Lab {
        Lab::around(Testbed::start().await, stage).await
    }

    /// The same, with a server and a bank that keep their state across a restart.
    pub(crate) async fn start_keeping(stage: &str) -> Lab {
        Lab::around(Testbed::start_keeping().await, stage).await
    }

    /// The same, with a service that accepts these public hosts.
    pub(crate) async fn start_at(stage: &str, public: &str) -> Lab {
        Lab::around_at(Testbed::start().await, stage, public).await
    }

    async fn around(testbed: Testbed, stage: &str) -> Lab {
        Lab::around_at(testbed, stage, "").await
    }

    async fn around_at(testbed: Testbed, stage: &str, public: &str) -> Lab {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Nothing listens at the UI's address: the tests check links but do not follow them.
        let endpoints = Endpoints::own(&testbed.server.http_url, "http://127.0.0.1:8233", &testbed.bank_url);
        let supervisor = Supervisor::start(&folder, &endpoints).await;
        let public = public.parse().expect("names of hosts");
        let url = String::new();
        let mut lab = Lab {
            testbed,
            url,
            endpoints,
            folder,
            service: None,
            worker: None,
            versions: BTreeMap::new(),
            supervisor,
            public,
        };
        lab.enter(stage);
        let address = lab.serve(SocketAddr::from(([127, 0, 0, 1], free_port()))).await;
        lab.url = format!("http://{address}");
        lab
    }

    /// Records that this stage was entered now.
    pub(crate) fn enter(&self, stage: &str) {
        self.enter_with(stage, &[]);
    }

    /// The same for a stage that begins with these transfers.
    pub(crate) fn enter_with(&self, stage: &str, transfers: &[&str]) {
        write_progress(self.folder.path(), lab::stage(stage).expect("a stage of the table"), transfers);
    }

    /// Lets the supervisor finish one request to enter a stage, pending or future.
    pub(crate) fn let_enter(&self) {
        self.supervisor.may_enter.add_permits(1);
    }

    /// Runs the worker of this stage instead of any other.
    pub(crate) async fn work(&mut self, stage: &str) {
        self.rest().await;
        let stage = lab::stage(stage).expect("a stage of the table");
        let options = stages::worker_options(stage, transfer_kit::Bank::at(&self.testbed.bank_url));
        self.run_worker(options.expect("its modules are compiled")).await;
    }

    /// Has a worker with the live modules run, and no other: what it reports names their files.
    pub(crate) async fn work_live(&mut self) {
        self.rest().await;
        let activities = MoneyActivities::new(transfer_kit::Bank::at(&self.testbed.bank_url));
        self.run_worker(host::options::<MoneyTransferWorkflow, _>(activities).expect("one Workflow")).await;
    }

    /// The same with the fixed Workflow.
    pub(crate) async fn work_live_with_fixed_workflow(&mut self) {
        self.rest().await;
        let activities = MoneyActivities::new(transfer_kit::Bank::at(&self.testbed.bank_url));
        let options = host::options::<stages::workflow::fixed::MoneyTransferWorkflow, _>(activities);
        self.run_worker(options.expect("one Workflow")).await;
    }

    async fn run_worker(&mut self, options: WorkerOptions) {
        self.worker = Some(TestWorker::start(&self.testbed.client, options).await);
    }

    /// Runs a worker of this version of the Worker Deployment, with this variant of the Workflow; the supervisor reports it, too.
    pub(crate) async fn deploy(&mut self, build_id: &'static str, workflow: &'static str) {
        let modules = Modules { workflow, activities: "fixed" };
        let mut options =
            modules.worker_options(transfer_kit::Bank::at(&self.testbed.bank_url)).expect("it is compiled");
        host::deploy_as(&mut options, contract::DEPLOYMENT, build_id);
        let worker = TestWorker::start(&self.testbed.client, options).await;
        self.versions.insert(build_id, worker);
        let server = Server::new(&self.endpoints);
        until("the server to know the version", || async {
            let server = server.clone();
            let known = spawn_blocking(move || server.deployment()).await.expect("it does not panic");
            known.ok().flatten().filter(|known| known.version(build_id).is_some()).ok_or("not yet")
        })
        .await;
        let name = format!("worker@{build_id}");
        let mut status = self.supervisor.status.lock().expect("nobody panics with it");
        let number: u32 = build_id.parse().expect("a lab's Build IDs are numbers");
        let versions = status["versions"].as_array().cloned().unwrap_or_default();
        let one = json!({ "version": number, "service": name });
        status["versions"] = versions.into_iter().chain([one]).collect();
        let services = status["services"].as_array_mut().expect("a list");
        services.retain(|known| known["name"] != "worker");
        services.insert(services.len() - 1, service(&name));
    }

    /// Stops the workers of all versions; from now on the supervisor reports none.
    pub(crate) async fn retire_all(&mut self) {
        for (_, worker) in mem::take(&mut self.versions) {
            worker.stop().await;
        }
        let mut status = self.supervisor.status.lock().expect("nobody panics with it");
        status["versions"] = json!([]);
        status["services"] = json!(SERVICES.map(service));
    }

    /// Stops the worker.
    pub(crate) async fn rest(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
    }

    /// Sets the state that the supervisor reports for this service.
    pub(crate) fn say(&self, service: &str, state: &str) {
        let mut status = self.supervisor.status.lock().expect("nobody panics with it");
        let services = status["services"].as_array_mut().expect("a list");
        let found = services.iter_mut().find(|known| known["name"] == service).expect("a service of the lab");
        found["state"] = json!(state);
    }

    /// Sets the process id that the supervisor reports for this service.
    pub(crate) fn say_pid(&self, service: &str, pid: u32) {
        let mut status = self.supervisor.status.lock().expect("nobody panics with it");
        let services = status["services"].as_array_mut().expect("a list");
        let found = services.iter_mut().find(|known| known["name"] == service).expect("a service of the lab");
        found["pid"] = json!(pid);
    }

    /// Sets the state that the supervisor reports for the worker's build.
    pub(crate) fn say_build(&self, build: &str) {
        self.say_field("build", json!(build));
    }

    /// Sets a field of the supervisor's status.
    pub(crate) fn say_field(&self, name: &str, value: Value) {
        self.supervisor.status.lock().expect("nobody panics with it")[name] = value;
    }

    /// Sets what the supervisor answers to what entering a stage would replace and leave over.
    pub(crate) fn say_question(&self, question: Value) {
        *self.supervisor.question.lock().expect("nobody panics with it") = question;
    }

    /// The requests that the supervisor got, but for those for its status and questions.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.supervisor.requests.lock().expect("nobody panics with it").clone()
    }

    async fn serve(&mut self, address: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let web = Web::new(self.endpoints.clone(), Some(self.folder.path().to_owned()))
            .at_public_hosts(self.public.clone());
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async {
                // The service ends when this is sent or dropped.
                let _ = ended.await;
            };
            transfer_web::serve(listener, web, ended).await.expect("the service runs");
        });
        self.service = Some(Service { end, task });
        address
    }

    /// Reports this `class`; null outside a class.
    pub(crate) fn say_class(&self, class: Value) {
        self.supervisor.status.lock().expect("nobody panics with it")["class"] = class;
    }

    /// Stops the page's service.
    pub(crate) async fn end_service(&mut self) {
        let Service { end, task } = self.service.take().expect("it runs");
        drop(end);
        task.await.expect("it ends in order");
    }

    /// Starts the page's service again at the same address.
    pub(crate) async fn serve_again(&mut self) {
        let address = self.url.trim_start_matches("http://").parse().expect("an address");
        self.serve(address).await;
    }
}

/// A stand-in for the supervisor: it reports the services, and enters a stage when a test lets it.
struct Supervisor {
    status: Arc<Mutex<Value>>,
    question: Arc<Mutex<Value>>,
    requests: Arc<Mutex<Vec<Value>>>,
    may_enter: Arc<Semaphore>,
    task: JoinHandle<()>,
}

/// How the supervisor reports a service that runs.
fn service(name: &str) -> Value {
    json!({ "name": name, "state": "running", "since": "2026-11-22T12:00:00.000Z", "restarts": 0 })
}

impl Supervisor {
    async fn start(folder: &TempDir, endpoints: &Endpoints) -> Supervisor {
        let status = json!({ "services": SERVICES.map(service), "build": "ok", "watch": true });
        let status = Arc::new(Mutex::new(status));
        let may_enter = Arc::new(Semaphore::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let state = json!({ "control_port": port, "token": "a token" });
        let path = folder.path().to_owned();
        fs::write(path.join(state::FILE), state.to_string()).expect("it can be written");
        let (said, permits) = (status.clone(), may_enter.clone());
        let question = Arc::new(Mutex::new(json!({ "edit": [], "leftovers": [] })));
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (asked, got) = (question.clone(), requests.clone());
        let endpoints = endpoints.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, which ends them.
            let mut asking = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.expect("somebody asks");
                let (said, permits, path) = (said.clone(), permits.clone(), path.clone());
                let (asked, got, endpoints) = (asked.clone(), got.clone(), endpoints.clone());
                asking.spawn(async move {
                    let mut line = String::new();
                    // The client may be gone by now.
                    let _ = BufReader::new(&mut stream).read_line(&mut line).await;
                    let mut request: Value = serde_json::from_str(&line).unwrap_or_default();
                    request["token"].take();
                    let kind = request["request"].as_str().unwrap_or_default().to_owned();
                    if ["enter", "compare", "restore"].contains(&&*kind) {
                        got.lock().expect("nobody panics with it").push(request.clone());
                    }
                    let answer = match Some(&*kind) {
                        Some("enter") => {
                            permits.acquire().await.expect("it is never closed").forget();
                            let last_entry = spawn_blocking(move || Bank::new(&endpoints).last_entry()).await;
                            let last_entry = last_entry.expect("it does not panic").expect("the bank answers");
                            entered(&path, &request, last_entry)
                        }
                        Some("hint" | "end-drill") => {
                            let acted = spawn_blocking(move || act_in_drill(&path, &endpoints, &request));
                            acted.await.expect("it does not panic")
                        }
                        Some("question") => asked.lock().expect("nobody panics with it").clone(),
                        Some("compare") => json!({ "id": request["id"], "diff": ["-shipped", "+mine"] }),
                        Some("restore") => json!({ "id": request["id"], "saved": { "id": "2026-11-22-2" }, "build_failed": false }),
                        Some("help") => asked_for_help(&said, &request["text"]),
                        Some("without-temporal") => without_temporal(),
                        _ => said.lock().expect("nobody panics with it").clone(),
                    };
                    let _ = stream.write_all(format!("{answer}\n").as_bytes()).await;
                });
            }
        });
        Supervisor { status, question, requests, may_enter, task }
    }
}

/// Enters a stage, and returns the JSON of `cargo xtask stage NAME --json`.
fn entered(lab: &Path, request: &Value, last_entry: u64) -> Value {
    let stage = request["stage"].as_str().unwrap_or_default();
    let Some(stage) = lab::stage(stage) else {
        return json!({ "error": format!("there is no stage {stage}") });
    };
    write_progress(lab, stage, &[]);
    if stage.incident().is_some() {
        let seed = request["seed"].as_u64().unwrap_or_default();
        let drill = Some(Drill { seed, last_entry, ended: None });
        write(lab, &Progress { drill, ..Progress::read(lab) });
    }
    json!({
        "stage": stage.name,
        "saved": { "id": "2026-11-22-1" },
        "worker_restarted": true,
        "kept": request["keep"],
        // As if a newer edit had been saved meanwhile.
        "newer_in_place": request["keep"],
        "terminated": if request["clean"] == true { json!(["transfer-1"]) } else { json!([]) },
        "transfers": [],
    })
}

/// Shows one more hint of the drill, or ends it: unless the learner gives up, only if every goal is reached.
fn act_in_drill(lab: &Path, endpoints: &Endpoints, request: &Value) -> Value {
    let mut progress = Progress::read(lab);
    if request["request"] == "hint" {
        progress.hints += 1;
        write(lab, &progress);
        return json!({ "hints": progress.hints });
    }
    let facts = Reader::new(endpoints).read(&progress, Vec::new()).expect("everything answers");
    let report = Report::of(progress.stage, &facts);
    let (gave_up, is_reached) = (request["gives_up"] == true, report.is_reached());
    if gave_up || is_reached {
        progress.done.extend((!gave_up).then(|| progress.stage.name.to_owned()));
        let drill = progress.drill.as_mut().expect("a drill is on");
        drill.ended = Some((time::rfc3339_exact(time::now()), gave_up));
        write(lab, &progress);
    }
    json!({ "ended": gave_up || is_reached, "report": report.to_json() })
}

/// Reports the question from now on, or none.
fn asked_for_help(status: &Mutex<Value>, text: &Value) -> Value {
    let help =
        text.as_str().map(|text| json!({ "text": text, "since": "2026-11-22T12:00:00Z", "coming": false }));
    status.lock().expect("nobody panics with it")["class"]["help"] = json!(help);
    json!({ "help": help })
}

/// What `cargo xtask without-temporal --json` reports.
fn without_temporal() -> Value {
    let moment = |when: &str, from: f64, to: f64, what: &str| json!({ "when": when, "balances": { "account_A": from, "account_B": to }, "what": what });
    json!({
        "title": "A plain Rust program moves 25.50 from account_A to account_B:",
        "moments": [
            moment("before", 1000.0, 500.0, ""),
            moment("killed after the withdrawal", 974.5, 500.0, "25.50 is in no account"),
            moment("run again", 949.0, 525.5, "withdrawn twice, deposited once"),
        ],
        "conclusion": "Nothing recorded where the first run stopped, so nobody knows that 25.50 is missing.",
    })
}

/// Records that this stage was entered now.
fn write_progress(lab: &Path, stage: &'static lab::Stage, transfers: &[&str]) {
    let transfers = transfers.iter().map(|&id| id.to_owned()).collect();
    write(lab, &Progress { transfers, ..Progress::begin(stage) });
}

fn write(lab: &Path, progress: &Progress) {
    fs::write(lab.join(progress::FILE), progress.to_json().to_string())
        .expect("the lab's folder can be written to");
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
