//! Measuring without touching what a learner writes.

use std::{fs, process::Stdio};

use crate::support::{Checkout, eventually, pid_in, send_signal};

#[test]
fn a_measurement_that_is_interrupted_leaves_neither_its_lab_nor_a_trace_in_the_live_modules() {
    let checkout = Checkout::new("bench");
    checkout.write(lab::LIVE_WORKFLOW, "// mine");
    let mut child = checkout
        .xtask(&["bench", "--no-compile"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is there");
    let state = checkout.path(".lab/bench/checkout/.lab/lab.json");
    let mut pids = Vec::new();
    eventually("the measured lab runs", || {
        let text = fs::read_to_string(&state).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let services = state["services"].as_array().cloned().unwrap_or_default();
        pids = services.iter().chain(state.get("supervisor")).map(pid_in).collect();
        state["ready"] == true && pids.len() == 5
    });
    // What is saved in the meantime stays.
    checkout.write(lab::LIVE_WORKFLOW, "// still mine");
    let error = checkout.run(&["bench"]).fails_with(1);
    assert!(error.contains("another measurement is running"), "{error}");
    send_signal(child.id(), "TERM");
    assert_eq!(child.wait().expect("it is this test's own").code(), Some(1));
    checkout.assert_nothing_is_left(&pids);
    assert!(!checkout.path(".lab/bench/checkout").exists());
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), b"// still mine");
    assert!(checkout.run(&["stage", "restore"]).ok().contains("nothing was saved"));
}
