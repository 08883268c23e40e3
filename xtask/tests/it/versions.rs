//! Several versions of the worker at a time.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use lab_client::{
    http::post_json,
    state::State,
    supervisor::{Supervisor, versions},
    temporal::Server,
};
use serde_json::{Value, json};

use crate::{
    held::Running,
    support::{Checkout, eventually, is_alive, outcome, pid_in, send_signal, service},
};

impl Checkout {
    /// What the supervisor answers to this request, as a command would send it.
    #[track_caller]
    pub(crate) fn ask(&self, request: Value) -> Value {
        self.try_to_ask(request).expect("the supervisor does it")
    }

    fn try_to_ask(&self, request: Value) -> Result<Value, String> {
        let supervisor = Supervisor::of(Path::new(&self.path(".lab"))).expect("a lab runs");
        supervisor.exchange(request).map_err(|error| format!("{error:#}"))
    }

    /// Has the lab deploy what is saved as one more version.
    #[track_caller]
    pub(crate) fn deploy_version(&self) -> Value {
        self.ask(json!({ "request": "deploy-version", "over": null }))["version"].clone()
    }

    /// The code that this version runs, by the stand-in's own words.
    fn code_of(&self, version: u32) -> String {
        let log = self.log(&format!("worker@{version}"));
        let last = log.lines().rfind(|line| line.contains("stand-in worker, version"));
        last.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    }

    /// Waits until these versions run this code: what a worker prints is copied to its log.
    #[track_caller]
    fn wait_for_codes(&self, codes: &[(u32, &str)]) {
        eventually(&format!("the versions run {codes:?}"), || {
            codes.iter().all(|&(version, code)| self.code_of(version) == code)
        });
    }

    /// The processes of these services.
    fn pids_of(&self, names: &[&str]) -> Vec<u32> {
        let status = self.status();
        names.iter().map(|name| pid_in(service(&status, name))).collect()
    }

    /// Asserts that each of the three versions runs the program that is kept of it.
    #[track_caller]
    fn assert_own_programs(&self) {
        for (number, pid) in (1..).zip(self.pids_of(&THREE)) {
            let program = fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
            let kept =
                fs::canonicalize(self.path(&format!(".lab/versions/{number}/worker"))).expect("it is kept");
            assert_eq!(program, kept);
        }
    }

    /// The names of the services, in their order.
    fn services(&self) -> Vec<String> {
        let status = self.status();
        let services = status["services"].as_array().expect("there is a list").iter();
        services.filter_map(|service| service["name"].as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    fn wait_until_built(&self) {
        eventually("the edit is built", || {
            let status = self.status();
            status["build"] == "ok" && status["unbuilt"] == false
        });
    }
}

const THREE: [&str; 3] = ["worker@1", "worker@2", "worker@3"];

/// A lab at the stage that has versions, which runs one worker yet.
fn started(name: &str) -> Checkout {
    started_in(Checkout::with_stand_in_server(name))
}

fn started_in(checkout: Checkout) -> Checkout {
    checkout.run(&["stage", "roll-out"]).ok();
    checkout.start();
    checkout
}

/// A lab with three versions of the worker: of the code `one`, `two` and `three`.
fn with_three_versions(name: &str) -> Checkout {
    let checkout = started(name);
    for (number, code) in [(1, "one"), (2, "two"), (3, "three")] {
        checkout.save_version(code);
        assert_eq!(checkout.deploy_version(), number);
    }
    checkout
}

#[test]
fn each_version_is_a_service_of_its_own_in_place_of_the_worker() {
    let checkout = started("versions");
    let worker = pid_in(service(&checkout.status(), "worker"));
    assert_eq!(checkout.status()["versions"], json!([]));
    assert_eq!(checkout.deploy_version(), 1);
    assert!(!is_alive(worker), "the worker without a version is left");
    assert_eq!(checkout.services(), ["temporal", "account-api", "worker@1", "transfer-web"]);

    // A saved file is built and not deployed.
    let first = checkout.pids_of(&["worker@1"]);
    checkout.save_version("two");
    checkout.wait_until_built();
    let status = checkout.status();
    assert_eq!((&status["undeployed"], versions(&status)), (&json!(true), vec![1]));
    assert_eq!(checkout.pids_of(&["worker@1"]), first);
    checkout.wait_for_codes(&[(1, "one")]);
    let watch = checkout.run(&["lab", "watch"]).ok();
    assert!(watch.contains("builds each edit") && watch.contains("not deployed yet"), "{watch}");
    let warning = checkout.run(&["lab", "status"]).ok();
    assert!(warning.contains("not deployed as a version yet: cargo xtask lab deploy"), "{warning}");

    let deployed = checkout.run(&["lab", "deploy"]).ok();
    let next = "set-ramping-version --deployment-name money-transfer --build-id 2 --percentage 20 --yes";
    assert!(deployed.contains("deployed version 2") && deployed.contains(next), "{deployed}");
    let status = checkout.status();
    let services: Vec<&Value> =
        status["versions"].as_array().into_iter().flatten().map(|version| &version["service"]).collect();
    assert_eq!((versions(&status), services), (vec![1, 2], vec![&json!("worker@1"), &json!("worker@2")]));
    assert_eq!(status["undeployed"], false);
    assert_eq!(checkout.pids_of(&["worker@1"]), first);
    checkout.wait_for_codes(&[(1, "one"), (2, "two")]);
    eventually("its log has its version", || {
        checkout.run(&["lab", "logs", "worker@2"]).ok().contains("it is version 2 of money-transfer")
    });
    let logs = checkout.run(&["lab", "logs"]).ok();
    assert!(logs.lines().any(|line| line.starts_with("worker@1     | ")), "{logs}");

    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}

#[test]
fn a_build_that_fails_deploys_no_version_and_the_others_keep_running() {
    let checkout = started("versions-fail");
    checkout.deploy_version();
    let running = checkout.pids_of(&["worker@1"]);
    checkout.save_version("\"two");
    let error = checkout.run(&["lab", "deploy"]).fails_with(1);
    assert!(
        error.contains("the build failed") && error.contains("the deployed versions still run"),
        "{error}"
    );
    let status = checkout.status();
    assert_eq!((versions(&status), &status["build"]), (vec![1], &json!("failed")));
    assert_eq!(checkout.pids_of(&["worker@1"]), running);
    // The next start begins with code that does not compile, too.
    checkout.run(&["lab", "stop"]).ok();
    let summary = checkout.start();
    assert!(!summary.contains("except for the worker"), "{summary}");
    assert_eq!(versions(&checkout.status()), [1]);
    checkout.wait_for_codes(&[(1, "one")]);
    checkout.save_version("two");
    checkout.run(&["lab", "deploy"]).ok();
    assert_eq!(versions(&checkout.status()), [1, 2]);
}

#[test]
fn a_killed_version_is_restarted_from_its_own_program_and_the_others_do_not_notice() {
    let checkout = with_three_versions("versions-killed");
    let before = checkout.pids_of(&THREE);
    send_signal(before[1], "KILL");
    eventually("worker@2 runs again", || {
        let status = checkout.status();
        let one = service(&status, "worker@2");
        one["state"] == "running" && one["restarts"] == 1
    });
    let after = checkout.pids_of(&THREE);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);

    checkout.run(&["lab", "restart", "worker@1"]).ok();
    let once_more = checkout.pids_of(&THREE);
    assert_ne!(once_more[0], after[0]);
    assert_eq!(once_more[1..], after[1..]);
    // `worker` is all of them.
    checkout.run(&["lab", "restart", "worker"]).ok();
    let all = checkout.pids_of(&THREE);
    assert!(all.iter().all(|pid| !once_more.contains(pid)), "{all:?} {once_more:?}");
    checkout.wait_for_codes(&[(1, "one"), (2, "two"), (3, "three")]);
    checkout.assert_own_programs();
    let error = checkout.run(&["lab", "restart", "worker@4"]).fails_with(1);
    assert!(error.contains("no service worker@4 is running"), "{error}");
    let restarted = checkout.run(&["lab", "restart"]).ok();
    assert!(restarted.contains("worker@1, worker@2, worker@3"), "{restarted}");
}

#[test]
fn after_a_kill_of_the_supervisor_the_next_start_takes_the_versions_up_again() {
    let checkout = with_three_versions("versions-orphans");
    // What is saved meanwhile is part of no version.
    checkout.save_version("four");
    checkout.wait_until_built();
    let pids = checkout.pids();
    checkout.kill_supervisor();
    let status = checkout.run(&["lab", "status"]);
    for name in THREE {
        assert!(status.stderr.contains(&format!("{name} (pid ")), "{status:?}");
    }
    checkout.assert_nothing_is_left(&pids);
    checkout.assert_no_litter("after the kill");

    checkout.start();
    assert_eq!(
        checkout.services(),
        ["temporal", "account-api", "worker@1", "worker@2", "worker@3", "transfer-web"]
    );
    checkout.wait_for_codes(&[(1, "one"), (2, "two"), (3, "three")]);
    checkout.assert_own_programs();
    assert_eq!(checkout.status()["undeployed"], true);
    assert_eq!(checkout.deploy_version(), 4);
    checkout.wait_for_codes(&[(4, "four")]);
}

#[test]
fn a_version_is_replaced_under_its_number_only_when_that_is_asked_for() {
    let checkout = with_three_versions("versions-over");
    let before = checkout.pids_of(&THREE);
    checkout.save_version("fixed");
    let over = checkout.run(&["lab", "deploy", "--over", "2"]).ok();
    assert!(over.contains("deployed over version 2") && over.contains("the same Build ID"), "{over}");
    checkout.wait_for_codes(&[(1, "one"), (2, "fixed"), (3, "three")]);
    let after = checkout.pids_of(&THREE);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    let error = checkout.run(&["lab", "deploy", "--over", "7"]).fails_with(1);
    assert!(error.contains("no version 7 is deployed; there are: worker@1, worker@2, worker@3"), "{error}");
}

#[test]
fn a_retired_version_ends_and_its_number_is_not_used_again() {
    let checkout = with_three_versions("versions-retired");
    let retired = checkout.pids_of(&["worker@3"])[0];
    assert_eq!(checkout.ask(json!({ "request": "retire", "version": 3 })), json!({ "version": 3 }));
    assert!(!is_alive(retired) && !checkout.path(".lab/versions/3").exists());
    assert_eq!(versions(&checkout.status()), [1, 2]);
    let again = checkout.try_to_ask(json!({ "request": "retire", "version": 3 })).expect_err("it is gone");
    assert!(again.contains("no version 3 is deployed"), "{again}");
    checkout.run(&["lab", "stop"]).ok();
    checkout.start();
    assert_eq!(checkout.deploy_version(), 4);
    for version in [1, 2] {
        checkout.ask(json!({ "request": "retire", "version": version }));
    }
    let last = checkout.try_to_ask(json!({ "request": "retire", "version": 4 })).expect_err("it is the last");
    assert!(last.contains("worker@4 is the only worker"), "{last}");
    assert_eq!(versions(&checkout.status()), [4]);
}

#[test]
fn a_rebuild_and_an_emptied_lab_have_one_worker_again() {
    let checkout = with_three_versions("versions-left");
    for request in ["rebuild", "empty"] {
        let pids = checkout.pids_of(&THREE[..1]);
        checkout.ask(json!({ "request": request }));
        assert_eq!(checkout.services(), lab_client::state::SERVICES);
        assert!(!is_alive(pids[0]) && !checkout.path(".lab/versions").exists());
        assert!(!checkout.path(".lab/versions.json").exists());
        assert_eq!(checkout.status()["undeployed"], false);
        eventually("the worker runs the saved code", || {
            checkout.log("worker").contains("stand-in worker, version three")
        });
        // Their numbers start over.
        assert_eq!(checkout.deploy_version(), 1);
    }
    checkout.run(&["lab", "stop"]).ok();
    outcome(checkout.start_command(&["--detach", "--fresh"])).ok();
    assert_eq!(checkout.services(), lab_client::state::SERVICES);
    let error = checkout.run(&["lab", "deploy", "--over", "1"]).fails_with(1);
    assert!(error.contains("cargo xtask stage roll-out"), "{error}");
    let error = checkout.run(&["lab", "retire", "1"]).fails_with(1);
    assert!(error.contains("cargo xtask stage roll-out"), "{error}");
}

#[test]
fn a_version_whose_program_is_gone_is_left_out() {
    let checkout = with_three_versions("versions-lost");
    fs::remove_file(checkout.path(".lab/versions/2/worker")).expect("it is there");
    send_signal(checkout.pids_of(&["worker@2"])[0], "KILL");
    eventually("it is left out", || versions(&checkout.status()) == [1, 3]);
    let log = checkout.log("supervisor");
    assert!(
        log.contains("version 2 does not run; to deploy all versions again: cargo xtask stage roll-out"),
        "{log}"
    );
    checkout.run(&["lab", "stop"]).ok();
    fs::remove_dir_all(checkout.path(".lab/versions")).expect("it is there");
    checkout.start();
    assert_eq!(checkout.services(), lab_client::state::SERVICES);
    assert!(!checkout.path(".lab/versions.json").exists());
}

#[test]
fn a_version_that_does_not_start_keeps_no_lab_from_starting_and_can_be_retired() {
    let checkout = started("versions-failing");
    checkout.deploy_version();
    let source = checkout.read_text("crates/worker/src/main.rs");
    checkout.write(
        "crates/worker/src/main.rs",
        source.replace("fn main() {", "fn main() {\n    panic!(\"no\");"),
    );
    let error = checkout.run(&["lab", "deploy"]).fails_with(1);
    assert!(
        error.contains("worker@2 ended before it was ready") && error.contains("lab logs worker@2"),
        "{error}"
    );
    checkout.run(&["lab", "stop"]).ok();
    checkout.start();
    let states = || {
        let status = checkout.status();
        ["worker@1", "worker@2"].map(|name| service(&status, name)["state"].clone())
    };
    eventually("only the other one runs", || states() == ["running", "restarting"]);
    checkout.ask(json!({ "request": "retire", "version": 2 }));
    assert_eq!(versions(&checkout.status()), [1]);
}

#[test]
fn a_supervisor_that_is_killed_while_it_deploys_leaves_the_versions_before_or_all() {
    let checkout = started("versions-half");
    checkout.deploy_version();
    for (phase, left) in [("build", &[1][..]), ("worker", &[1, 2])] {
        checkout.hold(phase);
        let mut deploy = Running::start(&checkout, checkout.xtask(&["lab", "deploy"]), "deploy");
        checkout.wait_for_held(phase);
        checkout.kill_supervisor();
        assert_eq!(deploy.wait(phase).code(), Some(1), "{phase}: {}", deploy.output());
        checkout.let_go();
        checkout.run(&["lab", "status"]).ok();
        checkout.assert_nothing_runs(phase);
        checkout.assert_no_litter(phase);
        checkout.start();
        assert_eq!(versions(&checkout.status()), left, "{phase}");
    }
}

#[test]
fn a_version_that_no_transfer_needs_is_retired() {
    // On a real server, which knows no such deployment: nothing polls for it.
    let checkout = started_in(Checkout::new("versions-retire"));
    for _ in 0..2 {
        checkout.deploy_version();
    }
    let retired = checkout.run(&["lab", "retire", "2"]).ok();
    assert_eq!(retired, "retired version 2: its worker, worker@2, was shut down\n");
    let error = checkout.run(&["lab", "retire", "2"]).fails_with(1);
    assert!(error.contains("no version 2 is deployed; there are: 1"), "{error}");
    let error = checkout.run(&["lab", "retire", "1"]).fails_with(1);
    assert!(error.contains("worker@1 is the only worker"), "{error}");
}

#[test]
fn a_lab_that_was_interrupted_while_it_entered_the_stage_starts_with_one_worker() {
    // On the way, the code of another stage becomes version 1.
    let checkout = Checkout::with_stand_in_server("versions-on-the-way");
    checkout.start();
    assert_eq!(checkout.deploy_version(), 1);
    checkout.kill_supervisor();
    checkout.start();
    assert_eq!(checkout.services(), lab_client::state::SERVICES);
    assert!(!checkout.path(".lab/versions.json").exists() && !checkout.path(".lab/versions").exists());
}

#[test]
fn the_routing_to_versions_ends_whenever_the_lab_runs_one_worker() {
    let checkout = started_in(Checkout::new("versions-routing"));
    let endpoints = || State::read(&checkout.path(".lab")).expect("a lab runs").endpoints();
    // The server refuses to tell it too often.
    let is_current = |build_id: Option<&str>| {
        let deployment = Server::new(&endpoints()).deployment();
        deployment.is_ok_and(|deployment| {
            deployment.and_then(|deployment| deployment.current).as_deref() == build_id
        })
    };
    let deploy = || {
        checkout.deploy_version();
        // The stand-in does not poll.
        let order = json!({ "buildId": "1", "allowNoPollers": true, "identity": "test" });
        let path = "api/v1/namespaces/default/worker-deployments/money-transfer/set-current-version";
        post_json(&format!("{}/{path}", endpoints().temporal_http), &order).expect("the server allows it");
        eventually("version 1 is current", || is_current(Some("1")));
    };
    // The command that enters another stage is interrupted after the build.
    deploy();
    checkout.ask(json!({ "request": "rebuild" }));
    eventually("no version is current", || is_current(None));
    // Nothing of the lab's own says any more that there were versions.
    deploy();
    checkout.kill_supervisor();
    fs::remove_file(checkout.path(".lab/versions.json")).expect("it is there");
    checkout.start();
    eventually("no version is current after the start", || is_current(None));
}

#[test]
fn a_version_that_waits_for_the_build_by_which_the_lab_leaves_the_versions_is_not_deployed() {
    let checkout = started("versions-leaving");
    checkout.deploy_version();
    checkout.hold("build");
    let mut deploy = Running::start(&checkout, checkout.xtask(&["lab", "deploy"]), "deploy");
    checkout.wait_for_held("build");
    let state = State::read(&checkout.path(".lab")).expect("a lab runs");
    let mut rebuild = TcpStream::connect(("127.0.0.1", state.control_port)).expect("it listens");
    writeln!(rebuild, "{}", json!({ "token": state.token, "request": "rebuild" })).expect("it reads");
    // It writes empty lines from when the request waits.
    let mut answer = [0];
    rebuild.read_exact(&mut answer).expect("it answers");
    checkout.let_go();
    assert_eq!(deploy.wait("the lab leaves the versions").code(), Some(1), "{}", deploy.output());
    assert!(deploy.output().contains("no version was deployed"), "{}", deploy.output());
    eventually("the lab runs one worker", || checkout.services() == lab_client::state::SERVICES);
}

#[test]
fn nothing_is_deployed_or_retired_while_a_stage_is_being_entered() {
    let checkout = started("versions-entering");
    checkout.deploy_version();
    checkout.write(".lab/entering.lock", "roll-out");
    let held = File::open(checkout.path(".lab/entering.lock")).expect("it is there");
    held.lock().expect("nobody is entering one");
    for command in [&["lab", "deploy"][..], &["lab", "deploy", "--over", "1"], &["lab", "retire", "1"]] {
        let error = checkout.run(command).fails_with(1);
        assert!(error.contains("another command is entering a stage"), "{error}");
    }
    assert_eq!(versions(&checkout.status()), [1]);
}

#[test]
fn a_lab_at_another_stage_that_was_entered_while_it_was_down_starts_with_one_worker() {
    let checkout = with_three_versions("versions-elsewhere");
    checkout.run(&["lab", "stop"]).ok();
    checkout.run(&["stage", "fix-activity"]).ok();
    checkout.start();
    assert_eq!(checkout.services(), lab_client::state::SERVICES);
    assert!(!checkout.path(".lab/versions.json").exists() && !checkout.path(".lab/versions").exists());
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_no_litter("after the stop");
}
