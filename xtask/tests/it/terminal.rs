//! Closing the terminal and killing the shell from which a lab was started.
//!
//! `script` acts as the terminal: it holds the other end of a pseudo-terminal, and closes it when killed.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::{
    held::{Running, signal},
    support::{Checkout, eventually, is_alive, outcome},
};

/// A terminal whose shell runs this; `$@` is `lab start` with its flags. None if `script` is not installed.
fn terminal(checkout: &Checkout, shell: &str, flags: &[&str]) -> Option<Running> {
    let script = checkout.on_terminal(&checkout.start_command(flags), shell)?;
    Some(Running::start(checkout, script, "terminal"))
}

/// Closes it.
fn close(mut terminal: Running) {
    assert!(signal(terminal.child.id(), Signal::SIGKILL));
    terminal.wait("it was killed");
}

#[test]
fn a_lab_in_the_foreground_ends_with_its_terminal_at_any_phase() {
    let checkout = Checkout::with_stand_in_server("terminal");
    for phase in ["build", "temporal", "worker", "ready"] {
        checkout.hold(phase);
        let Some(terminal) = terminal(&checkout, "exec \"$@\"", &[]) else { return };
        match phase {
            "ready" => eventually("it is ready", || terminal.output().contains("the lab is ready")),
            _ => checkout.wait_for_held(phase),
        }
        close(terminal);
        eventually(&format!("{phase}: everything has ended"), || checkout.processes().is_empty());
        checkout.assert_nothing_runs(phase);
        checkout.assert_the_next_commands_work(phase, &checkout.sources());
    }
}

#[test]
fn a_detached_lab_survives_its_terminal_and_a_start_in_progress_is_interrupted() {
    let checkout = Checkout::with_stand_in_server("terminal-detached");
    // The shell stays open after the start.
    let Some(it) = terminal(&checkout, "\"$@\"; echo started; exec sleep 600", &["--detach"]) else { return };
    eventually("it is started", || it.output().contains("started"));
    let supervisor = checkout.pid_of("supervisor").expect("it is written down");
    close(it);
    assert!(is_alive(supervisor));
    checkout.run(&["lab", "restart", "worker"]).ok();
    assert_eq!(checkout.pid_of("supervisor"), Some(supervisor));
    checkout.run(&["lab", "stop"]).ok();

    checkout.hold("worker");
    let it = terminal(&checkout, "exec \"$@\"", &["--detach"]).expect("there is one");
    checkout.wait_for_held("worker");
    close(it);
    eventually("everything has ended", || checkout.processes().is_empty());
    checkout.assert_the_next_commands_work("a start in a closed terminal", &checkout.sources());
}

/// A background job gets no signal when its shell dies, so it must detect that its terminal is gone.
#[test]
fn a_lab_in_the_background_of_a_shell_that_is_killed_ends_with_its_terminal() {
    let checkout = Checkout::with_stand_in_server("terminal-background");
    let Some(terminal) = terminal(&checkout, "set -m; \"$@\" & while :; do sleep 0.1; done", &[]) else {
        return;
    };
    eventually("it is ready", || terminal.output().contains("the lab is ready"));
    let supervisor = checkout.pid_of("supervisor").expect("it is written down");
    // The shell is killed without a warning, and the terminal with it.
    let shell = || {
        let stat = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).expect("it runs");
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("it has a name").1.split(' ').collect();
        fields[1].parse().expect("it has a parent")
    };
    assert!(signal(shell(), Signal::SIGKILL));
    drop(terminal);
    eventually("everything has ended", || checkout.processes().is_empty());
    checkout.assert_the_next_commands_work("its shell was killed", &checkout.sources());
}

#[test]
fn a_lab_without_a_terminal_survives_its_parent_shell() {
    let checkout = Checkout::with_stand_in_server("orphaned");
    for (flags, shell) in [
        (&["--detach"][..], "\"$@\" > target/said.txt 2>&1"),
        (&[], "\"$@\" > target/said.txt 2>&1 < /dev/null & echo $! > target/pid.txt; kill -9 $$"),
    ] {
        let start = checkout.start_command(flags);
        let mut command = Command::new("sh");
        command.args(["-c", shell, "sh"]).arg(start.get_program()).args(start.get_args());
        checkout.prepare(&mut command);
        command.env("CARGO_MANIFEST_DIR", checkout.root.join("xtask"));
        outcome(command);
        eventually("it is ready", || checkout.is_ready());
        let killed = checkout.pid_of("worker").expect("it is written down");
        assert!(signal(killed, Signal::SIGKILL));
        eventually("it still looks after its services", || {
            checkout.pid_of("worker").is_some_and(|worker| worker != killed && is_alive(worker))
        });
        checkout.run(&["lab", "stop"]).ok();
        checkout.assert_nothing_runs("after a stop");
    }
}
