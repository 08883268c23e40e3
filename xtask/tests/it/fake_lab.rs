//! A lab without its programs: this test answers for the Temporal server, the bank and the supervisor. Transfers do what the code
//! would have them do that was built last, so a stage is entered in moments, and a test sees each build.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use lab::STAGES;
use lab_client::{
    state::{ACCOUNT_API, Ports, State, TEMPORAL_HTTP, WORKER},
    time,
};
use serde_json::{Value, json};
use supervisor::{
    control::{self, Request},
    process,
};

use crate::support::Checkout;

/// In a module, it is code that does not compile.
pub(crate) const NO_RUST: &str = "// does not compile";

/// What a transfer is stuck on, or how it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The Workflow's own code.
    Task,
    Withdraw,
    /// A deposit that no code here gets through.
    Deposit,
    Completed,
    Terminated,
}

#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// One that begins with `ada-` is on another learner's Task Queue.
    pub(crate) id: String,
    pub(crate) place: Place,
    /// Whether its Workflow Task has ever failed, which its history keeps.
    has_failed: bool,
    /// Whether it has ever failed to withdraw.
    pub(crate) has_failed_to_withdraw: bool,
    began: String,
    /// The Build ID of its version, if the lab has versions.
    build_id: Option<String>,
}

/// What the fake services know.
#[derive(Default)]
pub(crate) struct World {
    /// The two modules that were built last.
    pub(crate) built: [String; 2],
    pub(crate) builds: usize,
    pub(crate) transfers: Vec<Transfer>,
    /// What `status` says of the last build; `ok` where it is empty.
    pub(crate) build: String,
    /// What `status` says of the services.
    pub(crate) services: Value,
    /// What `status` says of the worker's versions. Each takes two transfers in turn, and runs what was built.
    pub(crate) versions: Value,
    /// Whether the server has no Worker Versioning, as where an operator has switched it off.
    pub(crate) lacks_versioning: bool,
    outage: Value,
    /// What the bank was asked to deposit or withdraw for no transfer, and with which idempotency key.
    pub(crate) adjusted: Vec<(String, String, String)>,
    /// How many of these requests the bank answers with an error that passes, before the next succeeds.
    pub(crate) bank_errors: usize,
    /// What a learner does while the build of that number runs, before the compiler reads the module: writes this file.
    pub(crate) saves: Vec<(usize, &'static str, &'static str)>,
}

impl World {
    /// The transfer goes as far as the code lets it.
    fn advance(built: &[String; 2], transfer: &mut Transfer) {
        if matches!(transfer.place, Place::Deposit | Place::Completed | Place::Terminated) {
            return;
        }
        let [workflow, activities] = built;
        transfer.place = match () {
            () if STAGES[0].workflow.is_code_of(workflow.as_bytes()) => Place::Task,
            () if STAGES[0].activities.is_code_of(activities.as_bytes()) => Place::Withdraw,
            () => Place::Completed,
        };
        transfer.has_failed |= transfer.place == Place::Task;
        transfer.has_failed_to_withdraw |= transfer.place == Place::Withdraw;
    }

    pub(crate) fn start(&mut self, id: &str, place: Place) {
        let began = time::rfc3339_exact(time::now());
        let versions = self.versions.as_array().map_or(0, Vec::len);
        let build_id = (versions > 0).then(|| (self.transfers.len() / 2 % versions + 1).to_string());
        let mut transfer = Transfer {
            id: id.to_owned(),
            place,
            has_failed: false,
            has_failed_to_withdraw: false,
            began,
            build_id,
        };
        World::advance(&self.built, &mut transfer);
        self.transfers.push(transfer);
    }

    fn set_built(&mut self, built: [String; 2]) {
        self.transfers.iter_mut().for_each(|transfer| World::advance(&built, transfer));
        self.built = built;
    }
}

/// The lab; its processes and its record go with it.
pub(crate) struct FakeLab {
    pub(crate) checkout: Checkout,
    world: Arc<Mutex<World>>,
    /// Stands for the supervisor's process, so that the lab is taken for one that runs.
    supervisor: Child,
}

impl FakeLab {
    pub(crate) fn start(name: &str) -> FakeLab {
        let checkout = Checkout::without_server(name);
        let running =
            |name: &str| json!({ "name": name, "state": "running", "since": "2026-11-22T12:00:00Z" });
        let world = Arc::new(Mutex::new(World {
            services: json!([running("temporal"), running(ACCOUNT_API), running(WORKER)]),
            outage: json!({ "withdrawals": false, "deposits": false }),
            built: live(&checkout),
            ..World::default()
        }));
        let service = |answer: fn(&mut World, &str, &str) -> (u16, Value)| {
            let world = Arc::clone(&world);
            webtest::web_service(move |request| {
                let (status, body) = answer(&mut lock(&world), &request.head, &request.body);
                (status, body.to_string())
            })
        };
        let (temporal, bank) = (service(temporal), service(bank));
        let control = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let supervisor =
            Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep is there");
        let state = State {
            supervisor: process::identify(supervisor.id()).expect("it runs"),
            control_port: control.local_addr().expect("it is bound").port(),
            token: "token".to_owned(),
            ready: true,
            ports: Ports(
                [(TEMPORAL_HTTP, temporal), (ACCOUNT_API, bank)]
                    .map(|(name, at)| (name.to_owned(), at.port()))
                    .into(),
            ),
            remote_service: None,
            public_hosts: Default::default(),
            services: Vec::new(),
        };
        checkout.write(".lab/lab.json", state.to_json().to_string());
        let (known, root) = (Arc::clone(&world), checkout.root.clone());
        control::serve(control, state.token, move |request, reply| {
            let answer = match request {
                Request::Rebuild => build(&known, &root),
                _ => Ok(status(&lock(&known))),
            };
            let _ = reply.send(answer);
        });
        FakeLab { checkout, world, supervisor }
    }

    /// The Temporal server is down, and the supervisor is starting it again.
    pub(crate) fn take_temporal_down(&self) {
        let mut state = self.checkout.state();
        state["ports"][TEMPORAL_HTTP] = json!(crate::support::free_port());
        self.checkout.write(".lab/lab.json", state.to_string());
        self.world().services[0]["state"] = json!("restarting");
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// What the live modules hold.
    pub(crate) fn live(&self) -> [String; 2] {
        live(&self.checkout)
    }

    /// What `stage.json` says.
    pub(crate) fn progress(&self) -> lab_client::progress::Progress {
        lab_client::progress::Progress::read(&self.checkout.path(".lab"))
    }
}

impl Drop for FakeLab {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.checkout.path(".lab/lab.json"));
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn live(checkout: &Checkout) -> [String; 2] {
    [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES]
        .map(|path| String::from_utf8(checkout.read(path)).expect("these tests write text"))
}

/// A build: it can be held by a file, like the one of `stand_in/cargo.sh`.
fn build(world: &Mutex<World>, root: &std::path::Path) -> Result<Value, String> {
    let number = {
        let mut world = lock(world);
        world.builds += 1;
        world.builds
    };
    let hold = root.join(format!("hold/build-{number}"));
    while hold.exists() {
        let _ = std::fs::write(root.join(format!("hold/build-{number}.here")), "");
        thread::sleep(Duration::from_millis(10));
    }
    let mut world = lock(world);
    for (at, path, content) in &world.saves {
        if *at == number {
            std::fs::write(root.join(path), content).expect("it can be written");
        }
    }
    let modules = [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES]
        .map(|path| std::fs::read_to_string(root.join(path)).unwrap_or_default());
    if modules.iter().any(|module| module.contains(NO_RUST)) {
        world.build = "failed".to_owned();
        return Err("the build failed, and the previous worker still runs".to_owned());
    }
    world.build.clear();
    world.set_built(modules);
    Ok(json!({ "ok": true }))
}

fn status(world: &World) -> Value {
    let build = if world.build.is_empty() { "ok" } else { &world.build };
    json!({ "build": build, "services": world.services, "versions": world.versions })
}

/// Records a movement for no transfer.
fn adjust(world: &mut World, head: &str, body: &str) -> (u16, Value) {
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_key = |line: &&str| line.to_lowercase().starts_with("idempotency-key: ");
    let key = head.lines().find(is_key).map_or("", |line| &line[17..]).to_owned();
    world.adjusted.push((path, body.to_owned(), key));
    if world.bank_errors > 0 {
        world.bank_errors -= 1;
        return (500, json!({ "error": "simulated" }));
    }
    (200, json!({ "new_balance": 1005.5 }))
}

fn bank(world: &mut World, head: &str, body: &str) -> (u16, Value) {
    let line = head.lines().next().unwrap_or_default();
    let answer = match line {
        _ if line.starts_with("POST /accounts/") => return adjust(world, head, body),
        _ if line.starts_with("PUT /outage") => {
            world.outage = serde_json::from_str(body).expect("it is JSON");
            world.outage.clone()
        }
        _ if line.contains("/outage") => world.outage.clone(),
        _ if line.contains("/real-world-mode") => json!({ "enabled": false }),
        _ if line.starts_with("GET /accounts ") => {
            let account = |letter| json!({ "account_number": format!("account_{letter}"), "balance": 1000 });
            json!({ "accounts": ('A'..='J').map(account).collect::<Vec<_>>() })
        }
        _ if line.contains("limit=1") => json!({ "entries": [{ "id": 1, "time": 1 }] }),
        _ => {
            let of = |transfer: &&Transfer| line.contains(&format!("transfer=run-of-{} ", transfer.id));
            let held = world.transfers.iter().find(of).filter(|transfer| transfer.place == Place::Deposit);
            let entry = json!({ "id": 11, "account_number": "account_C", "kind": "withdraw", "amount": 5,
                "transfer": held.map(|transfer| format!("run-of-{}", transfer.id)) });
            json!({ "entries": if held.is_some() { vec![entry] } else { Vec::new() } })
        }
    };
    (200, answer)
}

/// The part of the server's HTTP API that is used here.
fn temporal(world: &mut World, head: &str, _body: &str) -> (u16, Value) {
    let line = head.lines().next().unwrap_or_default();
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches("/api/v1/namespaces/default/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.split('/').skip(1);
    let (id, what) = (parts.next(), parts.next().unwrap_or_default());
    if path.starts_with("activities") {
        return (200, json!({}));
    }
    if path.starts_with("worker-deployments") && world.lacks_versioning {
        return (403, json!({ "message": "Worker Deployment Versions are disabled on this namespace." }));
    }
    if path.starts_with("worker-deployments") {
        let version = |build_id: &str| json!({ "deploymentName": contract::DEPLOYMENT, "buildId": build_id });
        let routing = json!({ "currentDeploymentVersion": version("1"), "rampingDeploymentVersion": version("2"),
            "rampingVersionPercentage": 50 });
        return (
            200,
            json!({ "workerDeploymentInfo": { "name": contract::DEPLOYMENT, "routingConfig": routing } }),
        );
    }
    let Some(id) = id else {
        let is_running = |transfer: &&Transfer| !is_closed(transfer);
        let running =
            query.contains("ExecutionStatus%3D%22Running") || query.contains("CloseTime%20IS%20NULL");
        let closed = query.contains("ExecutionStatus%21%3D") || query.contains("CloseTime");
        let matching = world.transfers.iter().filter(|transfer| match (running, closed) {
            (true, _) => is_running(transfer),
            (_, true) => !is_running(transfer),
            _ => true,
        });
        let listed = matching.map(|transfer| json!({ "execution": execution(transfer) }));
        return (200, json!({ "executions": listed.collect::<Vec<_>>() }));
    };
    if line.starts_with("POST") && what.is_empty() {
        world.start(id, Place::Task);
        return (200, json!({ "runId": format!("run-of-{id}") }));
    }
    let Some(transfer) = world.transfers.iter_mut().find(|transfer| transfer.id == id) else {
        return (404, json!({ "message": "not found" }));
    };
    let answer = match what {
        "terminate" => {
            transfer.place = Place::Terminated;
            json!({})
        }
        "history" => json!({ "history": { "events": events(transfer) } }),
        "history-reverse" => {
            let mut events = events(transfer);
            events.reverse();
            json!({ "history": { "events": events } })
        }
        _ => describe(transfer),
    };
    (200, answer)
}

fn is_closed(transfer: &Transfer) -> bool {
    matches!(transfer.place, Place::Completed | Place::Terminated)
}

fn execution(transfer: &Transfer) -> Value {
    json!({ "workflowId": transfer.id, "runId": format!("run-of-{}", transfer.id) })
}

fn describe(transfer: &Transfer) -> Value {
    let pending = |activity: &str| {
        json!([{ "activityId": activity, "activityType": { "name": activity }, "attempt": 3, "maximumAttempts": 0,
            "state": "PENDING_ACTIVITY_STATE_SCHEDULED", "lastFailure": { "message": "connection refused" } }])
    };
    let mut description =
        json!({ "workflowExecutionInfo": { "historyLength": events(transfer).len().to_string() } });
    let info = &mut description["workflowExecutionInfo"];
    info["status"] = json!(match transfer.place {
        Place::Completed => "WORKFLOW_EXECUTION_STATUS_COMPLETED",
        Place::Terminated => "WORKFLOW_EXECUTION_STATUS_TERMINATED",
        _ => "WORKFLOW_EXECUTION_STATUS_RUNNING",
    });
    if let Some(build_id) = &transfer.build_id {
        info["versioningInfo"] = json!({ "deploymentVersion": { "buildId": build_id } });
    }
    match transfer.place {
        Place::Task => description["pendingWorkflowTask"] = json!({ "attempt": 3 }),
        Place::Withdraw => description["pendingActivities"] = pending("withdraw"),
        Place::Deposit => description["pendingActivities"] = pending("deposit"),
        Place::Completed | Place::Terminated => {}
    }
    description
}

fn events(transfer: &Transfer) -> Vec<Value> {
    let mut events = Vec::new();
    let mut add = |kind: &str, name: &str, attributes: Value| {
        events.push(json!({ "eventId": (events.len() + 1).to_string(), "eventTime": transfer.began,
            "eventType": format!("EVENT_TYPE_{kind}"), format!("{name}EventAttributes"): attributes }));
    };
    let learner = transfer.id.starts_with("ada-").then_some("ada");
    let task_queue = contract::task_queue(learner);
    add(
        "WORKFLOW_EXECUTION_STARTED",
        "workflowExecutionStarted",
        json!({ "taskQueue": { "name": task_queue } }),
    );
    if transfer.has_failed {
        let failure = json!({ "failure": { "message": "attempt to divide by zero" } });
        add("WORKFLOW_TASK_FAILED", "workflowTaskFailed", failure);
    }
    if transfer.place != Place::Task {
        add("WORKFLOW_TASK_COMPLETED", "workflowTaskCompleted", json!({}));
        let scheduled = json!({ "activityId": "1", "activityType": { "name": "check_balance" } });
        add("ACTIVITY_TASK_SCHEDULED", "activityTaskScheduled", scheduled);
    }
    match transfer.place {
        Place::Completed => add("WORKFLOW_EXECUTION_COMPLETED", "workflowExecutionCompleted", json!({})),
        Place::Terminated => add("WORKFLOW_EXECUTION_TERMINATED", "workflowExecutionTerminated", json!({})),
        _ => {}
    }
    events
}
