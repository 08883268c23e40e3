//! Commands that need the code that was just saved wait for the lab's build of it, and say so.

use std::{fs, fs::File, process::Stdio};

use crate::support::{Checkout, eventually};

#[test]
fn the_learners_tests_a_transfer_and_a_retry_wait_for_the_build_and_say_so() {
    let checkout = Checkout::with_stand_in_server("waiting");
    checkout.start();
    checkout.hold("build");
    let source = checkout.read_text(lab::LIVE_WORKFLOW);
    checkout.write(lab::LIVE_WORKFLOW, format!("{source}// An edit.\n"));
    checkout.wait_for_held("build");

    let commands: [(&[&str], &str); 3] = [
        (&["test", "--mine"], "the tests start"),
        (&["transfer", "account_A", "account_B", "25.50"], "the transfer starts"),
        (&["retry"], "the retry follows"),
    ];
    let mut waiting = Vec::new();
    for (arguments, then) in commands {
        let output = checkout.path(&format!("{}.txt", arguments[0]));
        let mut command = checkout.xtask(arguments);
        command.stdout(Stdio::null()).stderr(File::create(&output).expect("it can be made"));
        waiting.push(command.spawn().expect("the program is there"));
        eventually("it says what it waits for", || {
            let line = format!("the lab is building the worker; {then} when that build finishes");
            fs::read_to_string(&output).is_ok_and(|output| output.contains(&line))
        });
    }
    for command in &mut waiting {
        assert!(matches!(command.try_wait(), Ok(None)), "it waits");
    }
    checkout.let_go();
    for command in &mut waiting {
        // The stand-ins have no such tests, and their server no transfers, so how it ends says nothing.
        command.wait().expect("it ends");
    }
    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}
