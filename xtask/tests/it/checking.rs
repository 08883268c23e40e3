//! What `check` says while the lab is not at rest.

use serde_json::{Value, json};

use crate::fake_lab::{FakeLab, Place};

#[test]
fn while_a_build_runs_check_says_that_it_shows_the_code_from_before() {
    let lab = FakeLab::start("check-build");
    lab.world().start("first", Place::Task);
    lab.world().build = "building".to_owned();
    let checked = lab.checkout.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let lines: Vec<&str> = checked.stdout.lines().collect();
    assert_eq!(lines[0], "stage 1: A bug in the Workflow (jerry)");
    assert_eq!(lines[1], "building: this shows the code from before your edit");
    assert!(lines[2].starts_with("[x] "), "{lines:?}");
    let json = lab.checkout.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!((&json["building"], &json["title"]), (&true.into(), &"A bug in the Workflow".into()));

    lab.world().build = "failed".to_owned();
    let checked = lab.checkout.run(&["check"]).stdout;
    assert!(
        checked.contains("the last build failed, so the worker still runs the previous code"),
        "{checked}"
    );
    lab.world().services[2]["state"] = "stopped".into();
    let checked = lab.checkout.run(&["check"]).stdout;
    assert!(checked.contains("the last build failed, so no worker is running: cargo xtask"), "{checked}");
}

#[test]
fn a_service_that_restarts_is_named_as_lab_status_names_it_and_never_by_a_url() {
    let lab = FakeLab::start("check-down");
    lab.take_temporal_down();
    let checked = lab.checkout.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("\ntemporal: restarting for "), "{checked:?}");
    assert!(checked.stdout.contains("the goals cannot be judged until"), "{checked:?}");
    assert!(!checked.stdout.contains("http") && checked.stderr.is_empty(), "{checked:?}");
    let json = lab.checkout.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!(json["reached"], false);
    assert!(json["down"][0].as_str().is_some_and(|down| down.starts_with("temporal: restarting")), "{json}");
}

#[test]
fn the_command_that_is_next_is_alone_on_its_line() {
    let lab = FakeLab::start("check-next");
    let checked = lab.checkout.run(&["check"]).stdout;
    let lines: Vec<&str> = checked.lines().collect();
    let next = lines.iter().position(|line| line.starts_with("    next: ")).expect("there is a next");
    assert!(lines[next].ends_with(':'), "{checked}");
    assert!(lines[next + 1].starts_with("      cargo xtask transfer "), "{checked}");
}

#[test]
fn each_version_of_the_worker_is_a_line_of_lab_status_and_of_check() {
    let lab = FakeLab::start("check-versions");
    let version = |number: u32| json!({ "version": number, "service": format!("worker@{number}") });
    lab.world().versions = json!([version(1), version(2)]);
    let since = lab.world().services[2]["since"].clone();
    let worker = |name: &str, state: &str| json!({ "name": name, "state": state, "since": since });
    lab.world().services[2] = worker("worker@1", "running");
    lab.world().services.as_array_mut().expect("a list").push(worker("worker@2", "restarting"));
    // Each version takes two in turn.
    for (id, place) in [("a", Place::Deposit), ("b", Place::Task), ("c", Place::Task), ("d", Place::Task)] {
        lab.world().start(id, place);
    }
    let expected = "versions\n  version 1  current 50%  2 in progress, 2 failing  worker@1 running\n  version 2  ramping 50%  2 in progress, 2 failing  worker@2 restarting\n";
    for words in [&["lab", "status"][..], &["check"]] {
        let shown = lab.checkout.run(words).stdout;
        assert!(shown.contains(expected), "{words:?}: {shown}");
        let json = lab.checkout.run(&[words, &["--json"]].concat()).stdout;
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        let second = &json["versions"][1];
        assert_eq!(
            (&second["build_id"], &second["status"], &second["failing"]),
            (&json!("2"), &json!("ramping"), &json!(2))
        );
    }
    // Without them, neither has a word about versions.
    lab.world().versions = json!([]);
    let shown = lab.checkout.run(&["lab", "status"]).stdout;
    assert!(!shown.contains("version 1"), "{shown}");
}
