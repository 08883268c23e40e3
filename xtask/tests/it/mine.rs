//! `test --mine` while the lab builds what was just saved.

use std::{fs, fs::File, process::Stdio};

use crate::support::{Checkout, eventually};

#[test]
fn the_learners_tests_say_that_they_wait_for_the_labs_build() {
    let checkout = Checkout::with_stand_in_server("mine");
    checkout.start();
    checkout.hold("build");
    let source = String::from_utf8(checkout.read(lab::LIVE_WORKFLOW)).expect("it is text");
    checkout.write(lab::LIVE_WORKFLOW, format!("{source}// An edit.\n"));
    checkout.wait_for_held("build");

    let said = checkout.path("said.txt");
    let mut tests = checkout.xtask(&["test", "--mine"]);
    tests.stdout(Stdio::null()).stderr(File::create(&said).expect("it can be made"));
    let mut tests = tests.spawn().expect("the program is there");
    eventually("it says what it waits for", || {
        fs::read_to_string(&said)
            .is_ok_and(|said| said.contains("the lab is building the worker; the tests start when"))
    });
    assert!(matches!(tests.try_wait(), Ok(None)), "it waits");
    checkout.let_go();
    // The stand-ins have no such tests, so how it ends says nothing.
    tests.wait().expect("it ends");
    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}
