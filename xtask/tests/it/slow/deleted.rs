//! The lab's folder is deleted while a lab runs. lifecycle.rs tests a foreground lab that is ready.

use std::fs;

use crate::{
    held::Running,
    support::{Checkout, eventually, outcome},
};

/// Deletes the lab's folder, while processes may be writing to it.
fn delete(checkout: &Checkout) {
    eventually("it is deleted", || {
        let _ = fs::remove_dir_all(checkout.path(".lab"));
        !checkout.path(".lab").exists()
    });
}

/// Asserts that nothing of the deleted lab is left, and that another lab can start.
fn assert_another_can_be_started(checkout: &Checkout, when: &str) {
    eventually("nothing of it runs", || checkout.processes().is_empty());
    checkout.assert_the_next_commands_work(when, &checkout.sources());
}

#[test]
fn a_detached_lab_ends_when_its_folder_is_deleted() {
    let checkout = Checkout::with_stand_in_server("deleted-detached");
    checkout.start();
    delete(&checkout);
    assert_another_can_be_started(&checkout, "deleted while it ran");
}

#[test]
fn a_start_whose_folder_is_deleted_at_any_phase_reports_it_and_ends() {
    let checkout = Checkout::with_stand_in_server("deleted-start");
    for flags in [&["--detach"][..], &[]] {
        for phase in ["version", "build"].into_iter().chain(lab_client::state::SERVICES) {
            let when = format!("{flags:?} {phase}");
            checkout.hold(phase);
            let mut command = checkout.start_command(flags);
            if phase == "version" {
                let path = std::env::var("PATH").expect("it is set");
                command.env_remove("BUGLAB_TEMPORAL_CLI");
                command.env("PATH", format!("{}:{path}", checkout.path("bin").display()));
            }
            let mut start = Running::start(&checkout, command, "start");
            checkout.wait_for_held(phase);
            delete(&checkout);
            if phase == "version" {
                checkout.let_go();
            }
            assert_eq!(start.wait(&when).code(), Some(1), "{when}: {}", start.output());
            let said = start.output();
            let says_so =
                said.contains(".lab was deleted") || said.contains(".lab is not this lab's any more");
            // Before anything runs, the error names the file that cannot be written.
            let names_it = phase == "version" && said.contains("could not") && said.contains(".lab");
            assert!(says_so || names_it, "{when}: {said}");
            assert_another_can_be_started(&checkout, &when);
        }
    }
}

#[test]
fn a_lab_whose_folder_is_deleted_during_a_build_or_an_exchange_ends() {
    let checkout = Checkout::with_stand_in_server("deleted-swap");
    checkout.start();
    checkout.hold("build");
    let mut stage = Running::start(&checkout, checkout.xtask(&["stage", "fix-workflow", "--bare"]), "stage");
    checkout.wait_for_held("build");
    delete(&checkout);
    assert_eq!(stage.wait("deleted during a swap").code(), Some(1), "{}", stage.output());
    assert!(stage.output().contains("error: "), "{}", stage.output());
    assert_another_can_be_started(&checkout, "deleted during a swap");
}

#[test]
fn a_lab_is_not_affected_by_a_new_folder_in_place_of_its_own() {
    let checkout = Checkout::with_stand_in_server("replaced");
    checkout.start();
    let supervisor = checkout.pid_of("supervisor").expect("it is written down");
    // Another start after the deletion uses other ports, or names the program that has them.
    delete(&checkout);
    let start = outcome(checkout.xtask(&["lab", "start", "--detach"]));
    assert_eq!(start.code, Some(0), "{start:#?}");
    eventually("the first one has ended", || !crate::support::is_alive(supervisor));
    assert!(checkout.is_ready());
    let status = checkout.status();
    for service in status["services"].as_array().expect("there is a list") {
        assert_eq!(service["state"], "running", "{status}");
    }
    assert_eq!(checkout.processes().len(), 5, "{:#?}", checkout.processes());
}
