//! Orphans and files that were once left behind. The matrix tests the rest.

use std::{fs, os::unix::process::CommandExt, process::Command};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    held::{Running, signal},
    support::{Checkout, eventually, is_alive, outcome},
};

/// Whether a stand-in for a compiler is running.
fn compiles(checkout: &Checkout) -> bool {
    checkout.processes().into_values().any(|words| words.contains("sleep 600"))
}

#[test]
fn scratch_files_of_a_killed_supervisor_are_removed() {
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

#[test]
fn scratch_files_of_a_supervisor_killed_before_it_wrote_its_state_are_removed() {
    let checkout = Checkout::without_server("unnamed");
    checkout.write(".lab/lock", "");
    checkout.write(".lab/.ports.json.4711", "half of it");
    checkout.run(&["lab", "status"]).ok();
    checkout.assert_no_litter("after a status");
}

#[test]
fn files_of_a_killed_download_are_removed_by_the_next_one() {
    let checkout = Checkout::without_server("half-fetched");
    checkout.write(".lab/cli.4711/unpacked/bin/temporal", "half of it");
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    // Without Python, nothing is downloaded.
    command.env("PATH", checkout.path("xtask"));
    outcome(command).fails_with(1);
    checkout.assert_no_litter("after a download that failed");
}

#[test]
fn compilers_end_with_their_killed_cargo() {
    let checkout = Checkout::with_stand_in_server("killed-cargo");
    checkout.hold("build");
    let mut start = Running::start(&checkout, checkout.start_command(&["--detach"]), "start");
    checkout.wait_for_held("build");
    assert!(compiles(&checkout));
    assert!(signal(checkout.pid_of("build").expect("it is written down"), Signal::SIGKILL));
    assert_eq!(start.wait("cargo was killed").code(), Some(1));
    assert!(start.output().contains("the build failed"), "{}", start.output());
    checkout.assert_nothing_runs("cargo was killed");
}

#[test]
fn compilers_that_outlive_both_cargo_and_the_supervisor_are_ended_by_the_next_command() {
    let checkout = Checkout::with_stand_in_server("both-killed");
    checkout.hold("build");
    let mut start = Running::start(&checkout, checkout.start_command(&["--detach"]), "start");
    checkout.wait_for_held("build");
    let pids = ["supervisor", "build"].map(|name| checkout.pid_of(name).expect("it is written down"));
    for pid in pids {
        assert!(signal(pid, Signal::SIGKILL));
    }
    start.wait("the supervisor was killed");
    eventually("both are dead", || !pids.into_iter().any(is_alive));
    assert!(compiles(&checkout));
    checkout.run(&["lab", "status"]).ok();
    checkout.assert_nothing_runs("after a status");
}

#[test]
fn another_programs_process_group_without_a_leader_is_not_touched() {
    let checkout = Checkout::without_server("other-group");
    // A leader that ends at once and leaves a process in its group.
    let mut leader = Command::new("sh");
    leader.args(["-c", "sleep 600 > /dev/null 2>&1 & echo $!"]).process_group(0);
    let child = leader.stdout(std::process::Stdio::piped()).spawn().expect("sh is there");
    let group = child.id();
    let output = child.wait_with_output().expect("it ends");
    let bystander: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("it says an id");
    let dead = json!({ "name": "build", "pid": group, "started": "long ago" });
    let state = json!({
        "supervisor": dead, "control_port": 1, "token": "", "ready": true, "ports": {}, "services": [dead],
    });
    checkout.write(".lab/lab.json", state.to_string());
    checkout.run(&["lab", "status"]).ok();
    assert!(is_alive(bystander), "the bystander was ended");
    assert!(signal(bystander, Signal::SIGKILL));
}

#[test]
fn a_stop_whose_supervisor_is_killed_ends_the_services_itself() {
    let checkout = Checkout::with_stand_in_server("killed-stop");
    checkout.hold("stop");
    checkout.start();
    let mut stop = Running::start(&checkout, checkout.xtask(&["lab", "stop"]), "stop");
    checkout.wait_for_held("stop");
    assert!(signal(checkout.pid_of("supervisor").expect("it is written down"), Signal::SIGKILL));
    assert!(stop.wait("the supervisor was killed").success(), "{}", stop.output());
    checkout.assert_nothing_runs("after the stop");
}

#[test]
fn a_second_ctrl_c_during_a_detached_start_ends_everything_at_once() {
    let checkout = Checkout::with_stand_in_server("twice");
    // The worker is ready and ignores TERM; the page is not ready yet.
    checkout.hold("stop");
    checkout.hold("transfer-web");
    let mut start = Running::start(&checkout, checkout.start_command(&["--detach"]), "start");
    eventually("the worker is ready", || checkout.log("supervisor").contains("worker is ready"));
    assert!(signal(start.child.id(), Signal::SIGINT));
    checkout.wait_for_held("stop");
    assert!(signal(start.child.id(), Signal::SIGINT));
    assert_eq!(start.wait("Ctrl-C twice").code(), Some(1));
    let log = checkout.log("supervisor");
    assert!(log.contains("worker had to stop at once and was killed"), "{log}");
    checkout.assert_nothing_runs("Ctrl-C twice");
}

#[test]
fn a_start_ends_at_ctrl_c_while_the_cli_does_not_answer() {
    let checkout = Checkout::with_stand_in_server("silent-cli");
    for flags in [&["--detach"][..], &[]] {
        checkout.hold("version");
        let path = std::env::var("PATH").expect("it is set");
        let mut command = checkout.start_command(flags);
        command.env_remove("BUGLAB_TEMPORAL_CLI");
        command.env("PATH", format!("{}:{path}", checkout.path("bin").display()));
        let mut start = Running::start(&checkout, command, "start");
        checkout.wait_for_held("version");
        assert!(signal(start.child.id(), Signal::SIGINT));
        assert!(!start.wait("the CLI hangs").success());
        // The shell around the CLI detects that nothing waits for it any more.
        eventually("the CLI is over", || checkout.processes().is_empty());
        checkout.assert_nothing_runs("the CLI hangs");
    }
}
