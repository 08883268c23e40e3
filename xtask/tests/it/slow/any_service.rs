//! The whole lab on any remote Temporal Service, with nothing but real parts: several learners in a namespace of a server that
//! knows nothing of the lab.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use lab_client::{Endpoints, class, temporal};
use serde_json::{Value, json};
use webtest::{Certificates, Front, Manner, has};

use crate::support::{eventually, free_port, outcome, program, temporal_cli};

/// A dev server as anybody would start one, and so not by `dev_server::DevServer`: without the lab's settings and its Search Attributes.
struct Server {
    child: Child,
    address: String,
    /// Its HTTP API.
    http: String,
    folder: PathBuf,
}

impl Server {
    fn start(name: &str) -> Server {
        let folder = env::temp_dir().join(format!("xtask-it-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("temporary files can be written");
        let (port, http) = (free_port(), free_port());
        let child = temporal_cli()
            .command()
            .args(["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"])
            .args(["--port", &port.to_string(), "--http-port", &http.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Temporal CLI can be run");
        let (address, http) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{http}"));
        let server = Server { child, address, http, folder };
        eventually("the server answers", || {
            let health = ["operator", "cluster", "health", "--address", &server.address];
            outcome_of(temporal_cli().command().args(health))
        });
        server
    }

    /// `cargo xtask` for this very checkout, with a folder of its own.
    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(arguments));
        command.args(arguments).env("NO_COLOR", "1").env("BUGLAB_DIR", &self.folder);
        command.env("BUGLAB_TEMPORAL_CLI", temporal_cli().path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn outcome_of(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn is_empty_but_for_its_lock(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == "lock"))
}

/// The names of a report's stages, in the order in which they were played.
fn names_of(stages: &Value) -> Vec<&str> {
    stages.as_array().into_iter().flatten().filter_map(|stage| stage["name"].as_str()).collect()
}

fn all_stages() -> Vec<&'static str> {
    lab::STAGES.iter().map(|stage| stage.name).collect()
}

#[test]
fn several_learners_finish_every_stage_in_one_namespace_of_any_service() {
    let server = Server::start("rehearsal");
    let arguments = [
        "class",
        "rehearse",
        "--learners",
        "2",
        "--address",
        &server.address,
        "--namespace",
        "spring",
        "--json",
    ];
    let report: Value = outcome(server.xtask(&arguments)).json();
    assert_eq!(report["ok"], true, "{report:#}");
    let learners = report["learners"].as_array().expect("there is a list");
    assert_eq!(learners.len(), 2, "{report:#}");
    for learner in learners {
        assert_eq!(names_of(&learner["stages"]), all_stages(), "{report:#}");
    }
    assert!(is_empty_but_for_its_lock(&server.folder.join("rehearse")));

    // The board had each of them, at the last stage, with all its goals, and gone by then.
    let endpoints = Endpoints { namespace: "spring".to_owned(), ..Endpoints::own(&server.http, "", "") };
    let api = temporal::Server::new(&endpoints);
    let last = lab::STAGES.last().expect("there are stages");
    for learner in learners {
        let name = learner["learner"].as_str().expect("it has a name");
        let Some(held) = class::last(&api, name).expect("it answers") else {
            panic!("{name} never reported")
        };
        let reached = held.report.goals.iter().filter(|goal| goal.reached).count();
        let shown = (&*held.report.stage, reached, held.report.stopped);
        assert_eq!(shown, (last.name, last.goals.len(), true), "{name}");
    }
    // The service's own Workflow Task time-out is ten seconds; each transfer has brought a shorter one.
    let shown = |arguments: &[&str]| -> Value {
        let mut command = temporal_cli().command();
        command.args(arguments).args([
            "--address",
            &server.address,
            "--namespace",
            "spring",
            "--output",
            "json",
        ]);
        outcome(command).json()
    };
    let transfers =
        shown(&["workflow", "list", "--limit", "3", "--query", "WorkflowType = 'MoneyTransferWorkflow'"]);
    let transfers = transfers.as_array().expect("it is a list");
    assert_eq!(transfers.len(), 3, "{transfers:#?}");
    for transfer in transfers {
        let id = transfer["execution"]["workflowId"].as_str().expect("it has one");
        let history = shown(&["workflow", "show", "--workflow-id", id]);
        let started = &history["events"][0]["workflowExecutionStartedEventAttributes"];
        assert_eq!(started["workflowTaskTimeout"], "2s", "{id}: {started:#}");
    }
    // It is for the class that comes now.
    eventually("the rehearsal is off the board", || class::board(&api).expect("it answers").rows.is_empty());
}

#[test]
fn two_learners_recover_from_the_drill_of_their_class_in_one_namespace() {
    let server = Server::start("class-drill");
    let incident = lab::incident("nothing-moves").expect("an incident of the table");
    let seed = incident.seed().to_string();
    let run =
        |arguments: &[&str]| outcome(server.xtask(&[arguments, &["--address", &server.address]].concat()));
    run(&["class", "drill", &seed]).ok();
    let play = |learner: &'static str| {
        let mut play = server.xtask(&["play", "--drill", incident.stage.name, "--json"]);
        play.args(["--address", &server.address, "--learner", learner]);
        std::thread::spawn(move || outcome(play))
    };
    for learner in ["ada", "bob"].map(play) {
        let report = learner.join().expect("it ends").json();
        assert_eq!(report["ok"], true, "{report:#}");
    }
    let board = run(&["class", "board", "--json"]).json();
    let states: Vec<_> =
        board["learners"].as_array().into_iter().flatten().map(|row| &row["drill"]["state"]).collect();
    assert_eq!(states, ["recovered", "recovered"], "{board:#}");
}

#[test]
fn every_stage_plays_over_tls_with_a_client_certificate_through_a_proxy() {
    if !has(&["nginx"]) {
        return;
    }
    let server = Server::start("tls");
    let certificates = Certificates::make();
    let manner = Manner { wants_certificate: true, ..Manner::default() };
    let front = Front::start(&certificates, manner, &server.address);
    let profile = certificates.profile(&front, "spring");
    let play = |words: &[&str]| {
        let mut play = server.xtask(&[&["play", "--profile", "class", "--learner"], words].concat());
        play.env("TEMPORAL_CONFIG_FILE", &profile);
        outcome(play)
    };
    let report: Value = play(&["ada", "--json"]).json();
    assert_eq!(report["ok"], true, "{report:#}");
    let names = names_of(&report["stages"]);
    assert_eq!((names[0], &names[1..]), ("without-temporal", &*all_stages()), "{report:#}");

    // It was the certificate that opened the way.
    let lines = fs::read_to_string(&profile).expect("it was written");
    let without: Vec<&str> = lines.lines().filter(|line| !line.starts_with("client_")).collect();
    fs::write(&profile, without.join("\n")).expect("it can be written");
    let said = play(&["eve", "--stage", "jerry"]).fails_with(1);
    assert!(
        said.contains("seems to require a client certificate") || said.contains("closes the connection"),
        "{said}"
    );
}

#[test]
fn a_name_that_another_lab_has_at_this_moment_is_refused_and_its_transfers_go_on() {
    let server = Server::start("taken");
    let endpoints = Endpoints { learner: Some("ada".to_owned()), ..Endpoints::own(&server.http, "", "") };
    let api = temporal::Server::new(&endpoints);
    let report = class::Report { learner: "ada".to_owned(), lab: "another".to_owned(), ..Default::default() };
    class::send(&api, &report).expect("the server takes it").expect("it is the first");
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
    let transfer = api.start_transfer("theirs", &input).expect("it can be started");
    let words = ["play", "--stage", "jerry", "--address", &server.address, "--learner", "ada"];
    let said = outcome(server.xtask(&words));
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("another lab is ada at this moment"), "{said:#?}");
    let description = api.describe(&transfer).expect("it is there");
    assert_eq!(description["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");
}

#[test]
fn a_service_that_is_not_there_or_not_named_is_told_before_anything_is_built() {
    let folder = env::temp_dir().join(format!("xtask-it-nowhere-{}", std::process::id()));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program(arguments));
        command.args(arguments).env("NO_COLOR", "1").env("BUGLAB_DIR", &folder);
        outcome(command)
    };
    assert!(run(&["class", "rehearse"]).fails_with(2).contains("--profile or --address"));
    assert!(run(&["lab", "start", "--learner", "ada"]).fails_with(2).contains("--profile or --address"));
    let said = run(&["lab", "start", "--address", "127.0.0.1:1", "--learner", "Ada L"]).fails_with(2);
    assert!(said.contains("is not a valid learner name"), "{said}");
    let said = run(&["lab", "start", "--address", "127.0.0.1:1", "--profile", "x"]).fails_with(2);
    assert!(said.contains("cannot be used with"), "{said}");
    let _ = fs::remove_dir_all(folder);
}
