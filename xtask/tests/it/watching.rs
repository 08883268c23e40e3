//! File watching.

use crate::support::{Checkout, eventually, outcome, pid_in, service};

#[test]
fn a_saved_file_is_built_and_a_compile_error_leaves_the_worker_running() {
    let checkout = Checkout::new("watch");
    checkout.start();
    let source = String::from_utf8(checkout.read("crates/worker/src/main.rs")).expect("it is text");
    let first = pid_in(service(&checkout.status(), "worker"));

    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"one"));
    eventually("the failure is known", || checkout.status()["build"] == "failed");
    let status = checkout.status();
    assert_eq!(service(&status, "worker")["state"], "running");
    assert_eq!(pid_in(service(&status, "worker")), first);
    assert!(checkout.log("build").contains("error"), "{}", checkout.log("build"));
    assert!(checkout.run(&["lab", "status"]).ok().contains("the last build failed"));

    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"two\""));
    eventually("the new worker runs", || {
        let status = checkout.status();
        let worker = service(&status, "worker");
        status["build"] == "ok" && worker["state"] == "running" && pid_in(worker) != first
    });
    eventually("it is the new one", || checkout.log("worker").contains("stand-in worker, version two"));
}

#[test]
fn a_lab_without_file_watching_says_so_and_builds_on_request() {
    let checkout = Checkout::new("no-watch");
    outcome(checkout.start_command(&["--detach", "--no-watch"])).ok();
    assert_eq!(checkout.status()["watch"], false);
    let source = String::from_utf8(checkout.read("crates/worker/src/main.rs")).expect("it is text");
    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"two\""));
    checkout.run(&["lab", "restart", "--build"]).fails_with(2);
    checkout.run(&["lab", "restart", "worker", "--build"]).ok();
    assert!(checkout.log("worker").contains("stand-in worker, version two"), "{}", checkout.log("worker"));
    assert!(!checkout.log("supervisor").contains("has changed"), "{}", checkout.log("supervisor"));
}
