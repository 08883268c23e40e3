//! Ports in use.

use std::net::TcpListener;

use crate::support::{Checkout, outcome, service};

#[test]
fn if_a_default_port_is_in_use_the_next_free_one_is_used_and_reported() {
    let checkout = Checkout::new("moves");
    // In use by this test or another program.
    let held = TcpListener::bind(("127.0.0.1", 5050));
    let [temporal, ui, ..] = checkout.ports.map(|port| port.to_string());
    let flags = ["lab", "start", "--detach", "--temporal-port", &temporal, "--ui-port", &ui];
    let start = checkout.run(&flags);
    assert!(start.stderr.contains("port 5050 is taken by "), "{start:?}");
    start.ok();
    let status = checkout.status();
    let address = service(&status, "account-api")["address"].as_str().expect("it has one").to_owned();
    assert_ne!(address, "127.0.0.1:5050");
    assert!(address.starts_with("127.0.0.1:5"), "{address}");

    // The next start keeps that port, even if the default is free again.
    checkout.run(&["lab", "stop"]).ok();
    drop(held);
    checkout.run(&["lab", "start", "--detach"]).ok();
    assert_eq!(service(&checkout.status(), "account-api")["address"], address);
}

#[test]
fn a_requested_port_in_use_is_an_error_that_names_the_program() {
    let checkout = Checkout::new("asked");
    let _held = TcpListener::bind(("127.0.0.1", checkout.ports[1])).expect("it is this test's own");
    let error = outcome(checkout.start_command(&["--detach"])).fails_with(1);
    for part in [&checkout.ports[1].to_string(), "--ui-port", &format!("(pid {})", std::process::id())] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!checkout.path(".lab/lab.json").exists());
}
