//! Saving a file while the lab runs, and deploying it.

use std::process::{Command, Stdio};

use crate::support::{Checkout, eventually, outcome, pid_in, service};

const SOURCE: &str = "crates/worker/src/main.rs";

impl Checkout {
    /// Saves a stand-in for the worker that names this version.
    pub(crate) fn save_version(&self, version: &str) {
        let source = include_str!("stand_in/worker.rs").replace("\"one\"", &format!("\"{version}\""));
        self.write(SOURCE, source);
    }

    /// How often a worker of this version was started.
    fn starts_of(&self, version: &str) -> usize {
        self.log("worker").matches(&format!("stand-in worker, version {version}")).count()
    }

    /// Waits until a worker of this version was started so often: what it prints is in its log a moment later.
    #[track_caller]
    fn wait_for_starts_of(&self, version: &str, number: usize) {
        let what = format!("{number} workers of version {version} were started");
        eventually(&what, || self.starts_of(version) == number);
    }
}

#[test]
fn a_saved_file_is_built_and_a_compile_error_leaves_the_worker_running() {
    let checkout = Checkout::new("watch");
    checkout.start();
    let source = checkout.read_text("crates/worker/src/main.rs");
    let first = pid_in(service(&checkout.status(), "worker"));

    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"one"));
    eventually("the failure is known", || checkout.status()["build"] == "failed");
    let status = checkout.status();
    assert_eq!(service(&status, "worker")["state"], "running");
    assert_eq!(pid_in(service(&status, "worker")), first);
    assert!(checkout.log("build").contains("error"), "{}", checkout.log("build"));
    let error = &status["build_errors"][0];
    assert!(
        error["place"].as_str().is_some_and(|place| place.starts_with("crates/worker/src/main.rs:")),
        "{error}"
    );
    assert!(
        error["excerpt"].as_str().is_some_and(|excerpt| excerpt.contains("--> crates/worker/src/main.rs:")),
        "{error}"
    );
    let told = checkout.run(&["lab", "status"]).ok();
    assert!(
        told.contains("the last build failed") && told.contains("--> crates/worker/src/main.rs:"),
        "{told}"
    );

    // What failed for another reason than its code builds when it is saved again.
    let builds = || checkout.log("supervisor").matches("was saved: building").count();
    let before = builds();
    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"one"));
    eventually("it is built again", || builds() > before);

    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"two\""));
    eventually("the new worker runs", || {
        let status = checkout.status();
        let worker = service(&status, "worker");
        status["build"] == "ok" && worker["state"] == "running" && pid_in(worker) != first
    });
    eventually("it is the new one", || checkout.log("worker").contains("stand-in worker, version two"));
}

#[test]
fn an_edit_that_is_built_before_the_lab_is_ready_runs() {
    let checkout = Checkout::new("watch-early");
    checkout.write(SOURCE, "fn main() { loop { std::thread::park() } }");
    let mut start = checkout.start_command(&["--detach"]);
    start.stdout(Stdio::null()).stderr(Stdio::null());
    let mut start = start.spawn().expect("the program is there");
    eventually("the first worker was started", || {
        let status = checkout.status();
        let mut services = status["services"].as_array().into_iter().flatten();
        services.any(|one| one["name"] == "worker" && one["pid"].is_u64())
    });
    checkout.save_version("two");
    assert!(start.wait().expect("it is this test's own").success(), "{}", checkout.log("supervisor"));
    checkout.wait_for_starts_of("two", 1);
}

#[test]
fn with_watch_off_an_edit_waits_until_it_is_deployed() {
    let checkout = Checkout::new("watch-off");
    checkout.start();
    let off = checkout.run(&["lab", "watch", "off"]).ok();
    assert!(off.contains("watch is off") && off.contains("cargo xtask lab deploy"), "{off}");
    let status = checkout.status();
    assert_eq!((&status["watch"], &status["undeployed"]), (&false.into(), &false.into()));

    checkout.save_version("two");
    assert_eq!(checkout.status()["undeployed"], true);
    let text = checkout.run(&["lab", "status"]).ok();
    assert!(text.contains("an edit is not deployed yet: cargo xtask lab deploy"), "{text}");
    assert!(text.contains("watch is off"), "{text}");
    // Nor does it run when somebody builds the project, as the learner's tests do, and the worker starts again.
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "worker"]).current_dir(&checkout.root);
    outcome(build).ok();
    checkout.run(&["lab", "restart", "worker"]).ok();
    checkout.wait_for_starts_of("one", 2);
    assert_eq!(checkout.starts_of("two"), 0, "{}", checkout.log("worker"));

    checkout.run(&["lab", "deploy"]).ok();
    checkout.wait_for_starts_of("two", 1);
    assert_eq!(checkout.status()["undeployed"], false);
    assert!(!checkout.log("supervisor").contains("was saved"), "{}", checkout.log("supervisor"));
}

#[test]
fn code_that_does_not_compile_is_not_deployed() {
    let checkout = Checkout::new("deploy-fails");
    outcome(checkout.start_command(&["--detach", "--no-watch"])).ok();
    let first = pid_in(service(&checkout.status(), "worker"));
    checkout.write(SOURCE, "fn main() { nothing }");
    let error = checkout.run(&["lab", "deploy"]).fails_with(1);
    assert!(error.contains("error[E0425]"), "cargo's output is shown: {error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: the build failed: cannot find value `nothing`"), "{error}");
    assert!(
        last.contains("at crates/worker/src/main.rs:1:13; the worker still runs the previous code"),
        "{error}"
    );
    assert_eq!(pid_in(service(&checkout.status(), "worker")), first);
    let transfer = checkout.run(&["transfer", "account_A", "account_B", "25.50"]);
    assert!(transfer.stderr.contains("warning: the last build failed"), "{transfer:?}");
}

#[test]
fn watch_on_deploys_an_edit_that_waits_and_those_to_come() {
    let checkout = Checkout::new("watch-on");
    outcome(checkout.start_command(&["--detach", "--no-watch"])).ok();
    assert_eq!(checkout.run(&["lab", "watch", "--json"]).json()["watch"], false);
    checkout.save_version("two");
    let on = checkout.run(&["lab", "watch", "on", "--json"]).json();
    assert_eq!((&on["watch"], &on["undeployed"]), (&true.into(), &true.into()));
    eventually("the edit runs", || checkout.starts_of("two") == 1);
    checkout.save_version("three");
    eventually("the next edit runs", || checkout.starts_of("three") == 1);
    checkout.run(&["lab", "watch", "sometimes"]).fails_with(2);
}

#[test]
fn entering_a_stage_deploys_also_with_watch_off() {
    let checkout = Checkout::new("enter-unwatched");
    outcome(checkout.start_command(&["--detach", "--no-watch"])).ok();
    checkout.save_version("two");
    // Its modules are in place already; the worker was built before the edit.
    checkout.run(&["stage", "jerry"]).ok();
    checkout.wait_for_starts_of("two", 1);
    assert_eq!(
        (&checkout.status()["watch"], &checkout.status()["undeployed"]),
        (&false.into(), &false.into())
    );
}
