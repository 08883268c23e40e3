//! Orphans and litter that were left once: each has its test. The matrix has the rest.

use std::{fs, os::unix::process::CommandExt, process::Command};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    held::{Running, signal},
    support::{Checkout, eventually, is_alive, outcome},
};

/// Whether something runs that stands in for a compiler.
fn compiles(checkout: &Checkout) -> bool {
    checkout.processes().into_values().any(|words| words.contains("sleep 600"))
}

#[test]
fn files_that_a_killed_supervisor_did_not_get_to_rename_are_removed() {
    let checkout = Checkout::without_server("half-written");
    let dead = json!({ "pid": 4_000_000, "started": "before the reboot" });
    let state = json!({
        "supervisor": dead, "control_port": 1, "token": "", "ready": true, "ports": {}, "services": [],
    });
    checkout.write(".lab/lab.json", state.to_string());
    for file in
        [".lab.json.4711", ".ports.json.4711", "run/worker.ready", "run/.tmpAbC", "run/worker.ready.new"]
    {
        checkout.write(&format!(".lab/{file}"), "half of it");
    }
    checkout.run(&["lab", "status"]).ok();
    checkout.assert_no_litter("after a status");
    assert!(fs::read_dir(checkout.path(".lab/run")).expect("it is there").next().is_none());
}

