//! The supervisor's status, as the pages receive it.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use lab_client::{
    progress::{self, Progress},
    time,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use crate::{
    proxy::Proxy,
    stream::Stream,
    support::{Folder, Lab, Service, endpoints, nowhere},
};

/// A stand-in for the supervisor: it answers `status`, `help`, `without-temporal`, `enter` for every stage but one, and what a drill needs,
/// one line each way.
pub(crate) struct Supervisor {
    status: Arc<Mutex<Value>>,
    pub(crate) port: u16,
    pub(crate) answers: JoinHandle<()>,
}

impl Supervisor {
    pub(crate) async fn start() -> Supervisor {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let status: Arc<Mutex<Value>> = Arc::default();
        let shared = status.clone();
        let answers = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut line = String::new();
                let read = BufReader::new(&mut stream).read_line(&mut line).await;
                read.expect("a request in a line");
                let request: Value = serde_json::from_str(&line).expect("a request is JSON");
                assert_eq!(request["token"], "secret");
                let answer = match (&request["request"], &request["stage"]) {
                    (asked, _) if asked == "status" => {
                        shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
                    }
                    (asked, stage) if asked == "enter" && stage == "fix-activity" => {
                        json!({ "error": "the build failed" })
                    }
                    (asked, stage) if asked == "enter" => {
                        // The saved edit may be anything: here, the seed that was asked for.
                        json!({ "stage": stage, "saved": request["seed"], "kept": request["keep"] == true })
                    }
                    (asked, stage) if asked == "question" => {
                        json!({ "stage": stage, "edit": [], "keeps_by_default": true, "leftovers": [] })
                    }
                    (asked, _) if asked == "compare" => json!({ "id": request["id"], "diff": ["+mine"] }),
                    (asked, _) if asked == "restore" => {
                        json!({ "id": request["id"], "missing": true })
                    }
                    (asked, _) if asked == "without-temporal" => {
                        json!({ "title": "A program", "moments": [], "conclusion": "It is gone." })
                    }
                    (asked, _) if asked == "hint" || asked == "end-drill" => {
                        let status = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        act_in_drill(&status, &request)
                    }
                    (asked, _) if asked == "help" => {
                        let text = request["text"].as_str();
                        json!({ "help": text.map(|text| json!({ "text": text, "since": "2026-11-22T12:05:01Z" })) })
                    }
                    _ => panic!("{request}"),
                };
                // The client may have given up.
                let _ = stream.write_all(format!("{answer}\n").as_bytes()).await;
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
        let error = (build == "failed").then_some("the build failed: it has a reason");
        self.shows(&json!({ "services": services, "build": build, "build_error": error, "watch": false }));
        services
    }

    pub(crate) fn shows(&self, status: &Value) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status.clone();
    }
}

/// Shows a hint of the drill in the folder that the status names, or ends it unless the status has a report of what is open.
fn act_in_drill(status: &Value, request: &Value) -> Value {
    let folder = PathBuf::from(status["folder"].as_str().expect("the lab's folder"));
    let mut progress = Progress::read(&folder);
    match (&request["request"], progress.drill.as_mut()) {
        (asked, _) if asked == "hint" => progress.hints += 1,
        _ if !status["report"].is_null() && request["gives_up"] == false => {
            return json!({ "ended": false, "report": status["report"] });
        }
        (_, Some(drill)) => {
            drill.ended = Some((time::rfc3339_exact(time::now()), request["gives_up"] == true));
        }
        _ => panic!("no drill is on"),
    }
    fs::write(folder.join(progress::FILE), progress.to_json().to_string()).expect("the test's own folder");
    json!({ "ended": true })
}

/// A supervisor that says that everything runs, and the page's service in its lab, which is at this stage.
async fn supervised(stage: &str) -> (Supervisor, Service) {
    let supervisor = Supervisor::start().await;
    supervisor.says("running", "ok");
    let folder = Folder::at(stage);
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    let service = Service::start(nowhere(), Some(folder)).await;
    (supervisor, service)
}

#[tokio::test]
async fn the_pages_get_the_supervisors_status_and_its_end() {
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

    // A restart that somebody asked for is none that needs anybody.
    let mut planned = services.clone();
    planned[2]["state"] = json!("restarting");
    planned[2]["planned"] = json!(true);
    supervisor.shows(
        &json!({ "services": planned, "build": "ok", "edited": true, "checkout": { "root": "/lab" } }),
    );
    let event = stream.until("lab", |event| event["services"][2]["state"] == "restarting").await;
    assert_eq!((&event["down"], &event["checkout"]["root"]), (&json!([]), &json!("/lab")));

    supervisor.says("stopped", "failed");
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!((&event["down"][0]["name"], &event["build"]), (&json!("worker"), &json!("failed")));
    assert_eq!(event["build_error"], "the build failed: it has a reason");
    assert_eq!(event["down"][0]["do"], "cargo xtask lab logs worker");
    supervisor.says("running", "ok");
    stream.until("lab", |event| event["down"] == json!([])).await;

    supervisor.answers.abort();
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!(event["down"][0]["name"], "lab");
    assert_eq!(event["down"][0]["do"], "cargo xtask lab start --detach");
}

#[tokio::test]
async fn the_versions_are_asked_for_only_while_the_lab_runs_some_and_their_transfers_described_once() {
    /// The service describes the transfers of its list at least as often as this.
    const LOOK: &str = "workflow-count";
    const ROUTING: &str = "worker-deployments";
    const DESCRIBED: &str = "workflows/pinned?";
    let lab = Lab::start().await;
    let supervisor = Supervisor::start().await;
    let services = supervisor.says("running", "ok");
    // In a stage with versions, the goals depend on the routing, too.
    let folder = Folder::at("jerry");
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    let temporal = Proxy::before(&lab.testbed.server.http_url).await;
    let endpoints = lab_client::Endpoints { temporal_http: temporal.url.clone(), ..endpoints(&lab.testbed) };
    let service = Service::start(endpoints, Some(folder)).await;
    let mut stream = Stream::of(&service.web, "").await;
    lab.testbed.start_transfer("pinned", json!({ "from_account": "account_A" })).await;
    stream.until("transfers", |event| event["running"] == 1).await;
    let event = stream.until("lab", |event| event["down"] == json!([])).await;
    assert_eq!(event["versions"], json!([]));
    temporal.more(LOOK, 8).await;
    assert_eq!(temporal.count(ROUTING), 0);

    let mut versioned = services.clone();
    versioned[2] = json!({ "name": "worker@1", "state": "running", "pid": 7 });
    let versions = json!([{ "version": 1, "service": "worker@1" }]);
    supervisor
        .shows(&json!({ "services": versioned, "versions": versions, "build": "ok", "undeployed": true }));
    let event = stream.until("lab", |event| event["versions"] != json!([])).await;
    let row = &event["versions"][0];
    assert_eq!((&row["build_id"], &row["deployment"]), (&json!("1"), &json!("money-transfer")));
    assert_eq!(
        (&row["service"], &row["state"], &row["pid"]),
        (&json!("worker@1"), &json!("running"), &json!(7))
    );
    assert_eq!(event["undeployed"], true);
    let before = [LOOK, DESCRIBED].map(|part| temporal.count(part));
    temporal.more(ROUTING, 3).await;
    let [looks, described] = [LOOK, DESCRIBED].map(|part| temporal.count(part));
    // One look may have begun before, and one not ended yet.
    assert!(described - before[1] <= looks - before[0] + 2, "{:?}", temporal.lines());

    supervisor.shows(&json!({ "services": services, "build": "ok" }));
    stream.until("lab", |event| event["versions"] == json!([])).await;
    temporal.more(LOOK, 8).await;
    let asked = temporal.count(ROUTING);
    temporal.more(LOOK, 8).await;
    assert_eq!(temporal.count(ROUTING), asked);
}

#[tokio::test]
async fn a_failing_service_and_a_flood_are_named_with_what_to_type() {
    let lab = Lab::start().await;
    let supervisor = Supervisor::start().await;
    let mut services = supervisor.says("restarting", "ok");
    let folder = Folder::at("jerry");
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    let service = Service::start(endpoints(&lab.testbed), Some(folder)).await;
    let mut stream = Stream::of(&service.web, "").await;
    services[2]["failing"] = json!({ "in_a_row": 4, "why": "ended (exit code 101)", "log": ["the moon"] });
    services[1]["lines_left_out"] = json!(7);
    supervisor.shows(&json!({ "services": services, "build": "ok" }));
    let event =
        stream.until("lab", |event| event["down"].as_array().is_some_and(|down| down.len() == 3)).await;
    assert_eq!(event["services"], services);
    let (flood, failing) = (&event["down"][1], &event["down"][2]);
    assert_eq!(flood["do"], "cargo xtask lab logs account-api");
    assert_eq!(
        failing["says"],
        "worker is failing: it ended (exit code 101), 4 times in a row; its last line: the moon"
    );
    assert_eq!(failing["do"], "cargo xtask lab logs worker");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stopped_supervisor_is_named_with_how_to_continue_it() {
    let lab = Lab::start().await;
    // Nothing has to answer: the process is stopped.
    let process = Sleeper(std::process::Command::new("sleep").arg("600").spawn().expect("sleep is there"));
    let (pid, started) = (process.0.id(), "a time");
    let stopped = std::process::Command::new("kill").args(["-STOP", &pid.to_string()]).status();
    assert!(stopped.expect("kill is there").success());
    // A busy system stops it a moment later.
    testbed::until("it is stopped", || async {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
        if stat.contains(") T ") { Ok(()) } else { Err(stat) }
    })
    .await;
    let folder = Folder::at("jerry");
    let supervisor = json!({ "pid": pid, "started": started });
    folder.write("lab.json", &json!({ "supervisor": supervisor, "control_port": 1, "token": "secret" }));
    let service = Service::start(endpoints(&lab.testbed), Some(folder)).await;
    let mut stream = Stream::of(&service.web, "").await;
    let event = stream.until("lab", |event| event["down"] != json!([])).await;
    assert_eq!(event["down"][0]["do"], format!("kill -CONT {pid}"), "{event}");
}

/// A process that is ended with its test, also when that fails: a stopped one would stay.
#[cfg(target_os = "linux")]
struct Sleeper(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_failed_build_is_reported_with_the_goals() {
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

#[tokio::test]
async fn the_supervisor_enters_a_stage_and_its_error_is_reported() {
    let (_supervisor, service) = supervised("fix-workflow").await;
    let web = &service.web;

    let stages = web.get("/api/stage").await.json;
    assert_eq!(stages["stage"], "fix-workflow");
    let names: Vec<&Value> =
        stages["stages"].as_array().expect("a list").iter().map(|stage| &stage["name"]).collect();
    assert_eq!(names, lab::STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>());

    let enter = async |name: &str| {
        web.send(web.request("POST", "/api/stage").body(json!({ "name": name }).to_string())).await
    };
    let answer = enter("jerry").await;
    assert_eq!((answer.status, &answer.json["stage"]), (200, &json!("jerry")), "{}", answer.text);
    let keep = json!({ "name": "jerry", "keep": true }).to_string();
    let kept = web.send(web.request("POST", "/api/stage").body(keep)).await;
    assert_eq!(kept.json["kept"], true, "{}", kept.text);
    let odd = json!({ "name": "jerry", "keep": "yes" }).to_string();
    let odd = web.send(web.request("POST", "/api/stage").body(odd)).await;
    assert_eq!(odd.error(), (400, "keep must be true or false"));
    let question = web.get("/api/stage/jerry").await;
    assert_eq!(
        (question.status, &question.json["keeps_by_default"]),
        (200, &json!(true)),
        "{}",
        question.text
    );
    let edit = web.get("/api/saved-edits/20261122T120501Z-jerry").await;
    assert_eq!((edit.status, &edit.json["diff"]), (200, &json!(["+mine"])), "{}", edit.text);
    let unknown = web.send(web.request("POST", "/api/saved-edits/none").body("{}")).await;
    let (status, error) = unknown.error();
    assert!(status == 404 && error.contains("there is no saved edit none"), "{error}");
    let answer = enter("fix-activity").await;
    let (status, error) = answer.error();
    assert!(
        status == 503 && error.contains("could not enter the stage fix-activity: the build failed"),
        "{error}"
    );
    let answer = enter("../jerry").await;
    let (status, error) = answer.error();
    assert!(status == 400 && error.contains("jerry-adds-step"), "{error}");
}

#[tokio::test]
async fn the_transfer_without_temporal_is_run_by_the_supervisor() {
    let (supervisor, service) = supervised("jerry").await;
    let web = &service.web;
    let run = async || web.send(web.request("POST", "/api/without-temporal")).await;
    let answer = run().await;
    assert_eq!((answer.status, &answer.json["conclusion"]), (200, &json!("It is gone.")), "{}", answer.text);

    supervisor.answers.abort();
    let answer = run().await;
    let (status, error) = answer.error();
    assert!(status == 503 && error.contains("type: cargo xtask without-temporal"), "{error}");
}

#[tokio::test]
async fn a_question_to_the_instructor_is_passed_on_by_the_supervisor() {
    let (supervisor, service) = supervised("jerry").await;
    let web = &service.web;
    let ask = async |text: Value| {
        web.send(web.request("POST", "/api/help").body(json!({ "text": text }).to_string())).await
    };
    let answer = ask(json!("which file?")).await;
    let (status, error) = answer.error();
    assert!(status == 409 && error.contains("has not joined a class"), "{error}");

    supervisor.shows(&json!({ "class": { "learner": "ada" } }));
    let answer = ask(json!("which\nfile?")).await;
    assert_eq!(
        (answer.status, &answer.json["help"]["text"]),
        (200, &json!("which file?")),
        "{}",
        answer.text
    );
    for text in [json!(" \n"), json!(7), json!(null)] {
        let answer = ask(text).await;
        let (status, error) = answer.error();
        assert!(status == 400 && error.contains("in a sentence"), "{error}");
    }
    let answer = web.send(web.request("POST", "/api/help/done")).await;
    assert_eq!((answer.status, &answer.json["help"]), (200, &Value::Null), "{}", answer.text);
}
