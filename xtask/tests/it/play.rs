//! Playing the lab beside a learner's.

use std::{
    fs,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::support::{Checkout, eventually, is_alive, pid_in, send_signal};

/// A play that follows the first text by now.
struct Play {
    process: Child,
    /// The processes of its lab.
    pids: Vec<u32>,
    folder: String,
}

impl Play {
    fn start(checkout: &Checkout) -> Play {
        let mut command = checkout.xtask(&["play"]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is there");
        let folder = format!(".lab/play/{}", process.id());
        let mut state = Value::Null;
        eventually("the lab of the play is ready", || {
            let text = fs::read_to_string(checkout.path(&format!("{folder}/.lab/lab.json")));
            state = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
            state["ready"] == true
        });
        let services = state["services"].as_array().expect("there is a list").iter();
        Play { pids: services.chain([&state["supervisor"]]).map(pid_in).collect(), process, folder }
    }
}

#[test]
fn a_play_leaves_a_learners_lab_alone_and_nothing_behind() {
    let checkout = Checkout::new("play");
    checkout.write("crates/worker/src/bin/stage_worker.rs", include_str!("stand_in/worker.rs"));
    checkout.write("crates/worker/src/bin/plain-transfer.rs", "fn main() {}");
    checkout.write(lab::LIVE_WORKFLOW, "// mine, and it need not compile");
    checkout.start();
    let mine = checkout.pids();

    // Killed, it leaves its lab running. The next one sees to that.
    let mut killed = Play::start(&checkout);
    send_signal(killed.process.id(), "KILL");
    killed.process.wait().expect("it was started");
    assert!(killed.pids.iter().all(|&pid| is_alive(pid)), "{:?}", killed.pids);
    let play = Play::start(&checkout);
    assert!(!killed.pids.iter().any(|&pid| is_alive(pid)), "{:?}", killed.pids);
    assert!(!checkout.path(&killed.folder).exists());

    // Told to end, it ends everything itself.
    send_signal(play.process.id(), "TERM");
    let output = play.process.wait_with_output().expect("it was started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("interrupted"), "{output:?}");
    assert!(!play.pids.iter().any(|&pid| is_alive(pid)), "{:?}", play.pids);
    assert!(!checkout.path(&play.folder).exists());

    assert_eq!(checkout.pids(), mine);
    assert!(mine.iter().all(|&pid| is_alive(pid)), "{mine:?}");
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), b"// mine, and it need not compile");
    assert_eq!(checkout.status()["stage"], "jerry");
}
