//! A lab that is killed before any system call of its start, or of the command that cleans up after it.
//!
//! It tests a few random ones of some hundreds; all of them with `SWEEP=all`.

use std::{
    env, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::signal::Signal;

use crate::{
    held::{Running, signal},
    stepped::Stepped,
    support::Checkout,
};

/// The number of tested moments.
const TRIED: usize = 12;

/// The tested moments, and the seed for failure messages.
fn moments(number: usize) -> (Vec<usize>, u64) {
    let named = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = named.unwrap_or_else(now);
    if env::var("SWEEP").is_ok_and(|value| value == "all") {
        return ((1..=number).collect(), seed);
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut moments = random.choose_multiple(1..=number, TRIED);
    moments.sort_unstable();
    (moments, seed)
}

/// Continues until the condition holds; returns the number of changes.
fn changes_until(command: &mut Stepped, mut is_so: impl FnMut() -> bool) -> usize {
    // The start of the first one, so that each further step stops at a start.
    command.half_a_step(None);
    let mut changes = 0;
    while !is_so() {
        assert!(command.step_to_change(), "it ended after {changes} changes");
        changes += 1;
    }
    changes
}

#[test]
fn a_start_can_be_killed_anywhere() {
    let checkout = Checkout::with_stand_in_server("anywhere");
    let start = || Stepped::start(&checkout, &checkout.start_command(&[]));
    let Some(mut whole) = start() else { return };
    let all = changes_until(&mut whole, || checkout.is_ready());
    whole.kill();
    let sources = checkout.sources();
    checkout.assert_the_next_commands_work("killed when it was ready", &sources);
    assert!(all > 60, "only {all} changes were seen");
    let (moments, seed) = moments(all);
    for moment in moments {
        let when = format!("killed before change {moment} of {all} (SEED={seed})");
        let mut command = start().expect("it was allowed before");
        command.half_a_step(None);
        let _ = (0..moment).all(|_| command.step_to_change());
        command.kill();
        checkout.assert_the_next_commands_work(&when, &sources);
        println!("{when}");
    }
}

#[test]
fn a_command_that_cleans_up_a_killed_lab_can_be_killed_anywhere() {
    let checkout = Checkout::with_stand_in_server("clearing");
    let sources = checkout.sources();
    let leave_a_killed_one = || {
        checkout.start();
        checkout.kill_supervisor();
    };
    let status = || Stepped::start(&checkout, &checkout.xtask(&["lab", "status"]));
    leave_a_killed_one();
    let Some(mut whole) = status() else { return };
    let all = changes_until(&mut whole, || !checkout.path(".lab/lab.json").exists());
    whole.kill();
    checkout.assert_the_next_commands_work("killed when it had cleared away", &sources);
    let (moments, seed) = moments(all);
    for moment in moments.into_iter().step_by(2) {
        let when = format!("killed before change {moment} of {all} (SEED={seed})");
        leave_a_killed_one();
        let mut command = status().expect("it was allowed before");
        command.half_a_step(None);
        let _ = (0..moment).all(|_| command.step_to_change());
        command.kill();
        checkout.assert_the_next_commands_work(&when, &sources);
    }
}

/// Before it becomes the program, a service is a shell that waits for the supervisor's signal.
#[test]
fn a_service_that_is_killed_before_it_becomes_the_program_is_reported() {
    let checkout = Checkout::with_stand_in_server("gate");
    for name in ["build"].into_iter().chain(lab_client::state::SERVICES) {
        let Some(mut start) = Stepped::start(&checkout, &checkout.start_command(&[])) else { return };
        let waits_at_its_gate = || {
            let words = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            checkout.pid_of(name).is_some_and(|pid| words(pid).contains("read -r go"))
        };
        changes_until(&mut start, waits_at_its_gate);
        assert!(signal(checkout.pid_of(name).expect("it is written down"), Signal::SIGKILL));
        let mut start = start.let_go();
        let status = start.wait().expect("it is this test's own");
        assert_eq!(status.code(), Some(1), "{name}");
        checkout.assert_nothing_runs(name);
        checkout.assert_no_litter(name);
    }
}

/// A start while another command cleans up: one waits for the other.
#[test]
fn two_concurrent_starts_after_a_kill_make_one_lab() {
    let checkout = Checkout::with_stand_in_server("two-starts");
    checkout.start();
    checkout.kill_supervisor();
    let start = |name: &str| Running::start(&checkout, checkout.start_command(&["--detach"]), name);
    let mut starts = [start("one"), start("two"), start("three")];
    let done: Vec<bool> = starts.iter_mut().map(|start| start.wait("three at once").success()).collect();
    let said: Vec<String> = starts.iter().map(Running::output).collect();
    assert_eq!(done.iter().filter(|&&done| done).count(), 1, "{said:#?}");
    for (done, said) in done.iter().zip(&said) {
        assert!(*done || said.contains("runs already"), "{said}");
    }
    assert_eq!(checkout.processes().len(), 5, "{:#?}", checkout.processes());
}
