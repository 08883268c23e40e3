//! The first build, a dependency that a learner adds, and a user's settings for cargo.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use crate::support::{Checkout, eventually, outcome, pid_in, service};

const SOURCE: &str = "crates/worker/src/main.rs";
const MANIFEST: &str = "crates/worker/Cargo.toml";

impl Checkout {
    /// Adds these lines to the end of the worker's manifest, and has it say that it is this version.
    fn add_to_manifest(&self, lines: &str, version: &str) {
        let manifest = self.read_text(MANIFEST);
        self.write(MANIFEST, format!("{manifest}{lines}\n"));
        let source = include_str!("stand_in/worker.rs").replace("\"one\"", version);
        self.write(SOURCE, source);
    }
}

#[test]
fn the_bank_and_the_page_run_and_a_start_shows_signs_of_life_while_the_worker_compiles() {
    let checkout = Checkout::new("first-build");
    // A compiler that takes its time.
    checkout.write("hold/compiler", "");
    let held = checkout.path("hold/compiler");
    let script = format!(
        "fn main() {{ while std::path::Path::new({held:?}).exists() {{ std::thread::sleep(std::time::Duration::from_millis(20)) }} }}"
    );
    checkout.write("crates/worker/build.rs", script);
    let output = checkout.path("start.txt");
    let mut start = checkout.start_command(&["--detach"]);
    start.stdout(Stdio::null()).stderr(File::create(&output).expect("it can be made"));
    let mut start = start.spawn().expect("the program is there");
    let said = || fs::read_to_string(&output).unwrap_or_default();

    for (name, port) in [("temporal", 1), ("account-api", 2), ("transfer-web", 3)] {
        let url = format!("http://127.0.0.1:{}", checkout.ports[port]);
        eventually(&format!("{name} runs"), || {
            let said = said();
            let mut lines = said.lines();
            lines.any(|line| line.starts_with(&format!("{name} is ready on")) && line.contains(&url))
        });
    }
    eventually("it says what it compiles, and for how long", || {
        let said = said();
        let mut lines =
            said.lines().filter(|line| line.contains("Building") && line.contains("worker(build"));
        lines.any(|line| line.rsplit_once(" 0:").is_some_and(|(_, seconds)| seconds.len() == 2))
    });
    let status = checkout.status();
    assert_eq!(
        (&status["build"], &service(&status, "worker")["state"]),
        (&"building".into(), &"starting".into())
    );
    assert!(matches!(start.try_wait(), Ok(None)), "the lab is not ready without the worker");

    fs::remove_file(&held).expect("it is this test's own");
    assert!(start.wait().expect("it is this test's own").success(), "{}", said());
    assert_eq!(service(&checkout.status(), "worker")["state"], "running");
}

#[test]
fn a_dependency_that_a_learner_adds_is_built() {
    let checkout = Checkout::new("dependency");
    checkout.start();
    let manifest = "[package]\nname = \"fees\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    checkout.write("vendor/fees/Cargo.toml", manifest);
    checkout.write("vendor/fees/src/lib.rs", "pub const NAME: &str = \"with a dependency\";");
    checkout.add_to_manifest("[dependencies]\nfees = { path = \"../../vendor/fees\" }", "fees::NAME");
    eventually("the worker runs with it", || {
        checkout.log("worker").contains("stand-in worker, version with a dependency")
    });
    assert!(String::from_utf8_lossy(&checkout.read("Cargo.lock")).contains("name = \"fees\""));
    assert_eq!(checkout.status()["build"], "ok");
}

#[test]
fn a_manifest_that_cargo_cannot_use_is_reported_in_one_sentence_and_the_commands_run() {
    let checkout = Checkout::new("manifest");
    let offline = |mut command: Command| {
        command.env("CARGO_NET_OFFLINE", "true");
        command
    };
    outcome(offline(checkout.start_command(&["--detach"]))).ok();
    let worker = pid_in(service(&checkout.status(), "worker"));
    checkout.add_to_manifest("[dependencies]\nno-such-crate = \"1\"", "\"two\"");
    eventually("the failure is known", || checkout.status()["build"] == "failed");
    let undo = "cp .lab/worker-Cargo.toml crates/worker/Cargo.toml";
    let parts = [
        "cargo cannot use crates/worker/Cargo.toml: no matching package named `no-such-crate` found",
        "(new there: [dependencies]; no-such-crate = \"1\"); correct it, or undo the change: ",
        undo,
        "in place of cargo xtask",
    ];
    let tested = offline(checkout.xtask(&["test", "--mine"]));
    let doctor = offline(checkout.xtask(&["doctor"]));
    for said in [
        checkout.run(&["lab", "status"]).ok(),
        outcome(tested).fails_with(1),
        outcome(doctor).stdout,
        checkout.log("supervisor"),
    ] {
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    assert_eq!(pid_in(service(&checkout.status(), "worker")), worker, "the worker from before still runs");
    checkout.run(&["stage", "restore"]).ok();

    // A lab that starts now has all but the worker.
    checkout.run(&["lab", "stop"]).ok();
    let started = outcome(offline(checkout.start_command(&["--detach"]))).ok();
    assert!(started.contains("except for the worker") && started.contains(undo), "{started}");
    let status = checkout.status();
    for name in ["temporal", "account-api", "transfer-web"] {
        assert_eq!(service(&status, name)["state"], "running", "{status}");
    }
    assert_eq!(service(&status, "worker")["state"], "stopped");

    let mut undo = undo.split(' ');
    let mut typed = Command::new(undo.next().expect("a program"));
    typed.args(undo).current_dir(&checkout.root);
    outcome(typed).ok();
    eventually("it is built again", || {
        let status = checkout.status();
        let worker_now = service(&status, "worker");
        status["build"] == "ok" && worker_now["state"] == "running" && pid_in(worker_now) != worker
    });
    // What it prints is in its log a moment later.
    eventually("it is the saved code", || checkout.log("worker").contains("stand-in worker, version two"));
    // In between, no earlier program of the worker's ran: a learner would take it for the saved code.
    let workers = checkout.log("worker").matches("stand-in worker, version").count();
    assert_eq!(workers, 2, "{}", checkout.log("worker"));
    checkout.run(&["lab", "stop"]).ok();
}

#[test]
fn a_users_settings_for_cargo_keep_no_lab_from_starting_and_doctor_names_them() {
    let checkout = Checkout::new("cargo-settings");
    let source = include_str!("stand_in/worker.rs");
    let panics = "if cfg!(panic = \"unwind\") { \"that unwinds\" } else { \"that aborts\" }";
    checkout.write(SOURCE, source.replace("\"one\"", panics));
    checkout.write_program("wrapper", "#!/bin/sh\nexec \"$@\"\n");
    let home = checkout.path("home");
    let configuration = "[build]\njobs = 1\nincremental = false\n[profile.dev]\npanic = \"abort\"\n";
    checkout.write("home/config.toml", configuration);
    let as_this_user = |mut command: Command| {
        command.env("CARGO_HOME", &home).env("CARGO_BUILD_TARGET", "wasm32-unknown-unknown");
        command.env("CARGO_TARGET_DIR", "other-target").current_dir(checkout.path("crates/worker"));
        command.env("RUSTFLAGS", "-D warnings").env("RUSTC_WRAPPER", checkout.path("wrapper"));
        command.env("CARGO_TERM_QUIET", "true").env("CARGO_TERM_COLOR", "always");
        command
    };
    outcome(as_this_user(checkout.start_command(&["--detach"]))).ok();
    // What it prints is in its log a moment later.
    eventually("the worker unwinds", || {
        checkout.log("worker").contains("stand-in worker, version that unwinds")
    });
    assert!(
        checkout.path("crates/worker/other-target/debug/worker").exists(),
        "the folder is where it was named"
    );
    let build = checkout.log("build");
    assert!(build.contains("Compiling worker") && !build.contains('\x1b'), "{build}");

    checkout.run(&["lab", "stop"]).ok();

    // A folder that several projects share is named in a configuration file.
    checkout.write("home/config.toml", "[build]\ntarget-dir = \"shared\"\n");
    for is_first in [true, false] {
        let mut start = checkout.start_command(&["--detach"]);
        start.env("CARGO_HOME", &home);
        let started = outcome(start);
        assert_eq!(started.stderr.contains("the first build takes"), is_first, "{started:?}");
        started.ok();
        checkout.run(&["lab", "stop"]).ok();
    }
    assert!(checkout.path("shared/debug/worker").exists());

    checkout.write("home/config.toml", configuration);
    checkout.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.0.0\"\n");
    let mut doctor = as_this_user(checkout.xtask(&["doctor"]));
    // As rustup sets it for a toolchain that somebody else has chosen.
    doctor.env("RUSTUP_TOOLCHAIN", std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned()));
    let doctor = outcome(doctor).stdout;
    for named in [
        "instead of 1.0.0, which rust-toolchain.toml names",
        "CARGO_TARGET_DIR=other-target: ",
        "RUSTFLAGS=-D warnings: ",
        "RUSTC_WRAPPER=",
        "build.jobs = 1 in ",
        "build.incremental = false in ",
        "profile.dev.panic = abort in ",
        "-> unset RUSTFLAGS",
    ] {
        assert!(doctor.contains(named), "no {named} in {doctor}");
    }
}
