//! Starting transfers from the command line.

use crate::support::{Checkout, eventually};

#[test]
fn an_invalid_amount_is_rejected_before_anything_is_started() {
    let checkout = Checkout::without_server("amounts");
    for (amount, reason) in [
        ("0", "greater than zero"),
        ("-5", "greater than zero"),
        ("0.001", "two decimals"),
        ("1000000000.01", "at most"),
        ("NaN", "a number"),
        ("lots", "a number"),
        ("", "a number"),
    ] {
        let error = checkout.run(&["transfer", "account_A", "account_B", amount]).fails_with(2);
        assert!(error.contains(reason), "{amount}: {error}");
    }
    let error = checkout.run(&["transfer", "account_A", "account_A", "5"]).fails_with(2);
    assert!(error.contains("both are account_A"), "{error}");
}

#[test]
fn a_transfer_prints_its_ids_and_its_link() {
    let checkout = Checkout::new("transfer");
    checkout.start();
    let started = checkout.run(&["transfer", "account_A", "account_B", "25.50", "--json"]).json();
    let id = started["workflow_id"].as_str().expect("it has one");
    let parts: Vec<&str> = id.split('-').collect();
    assert!(parts.len() == 3 && parts[0] == "transfer" && parts[2].len() == 8, "{id}");
    let run = started["run_id"].as_str().expect("it has one");
    let ui = checkout.ports[1];
    let page = format!("http://127.0.0.1:{ui}/namespaces/default/workflows/{id}/{run}/history");
    assert_eq!(started["url"], page);

    let text = checkout.run(&["transfer", "account_C", "account_D", "1", "--workflow-id", "mine"]).ok();
    assert!(text.contains("started mine") && text.contains("/workflows/mine/"), "{text}");
    // A list of transfers lags behind.
    eventually("both are listed", || checkout.status()["transfers_running"] == 2);
    let error =
        checkout.run(&["transfer", "account_C", "account_D", "1", "--workflow-id", "mine"]).fails_with(1);
    assert!(error.contains("mine was not started"), "{error}");
    assert!(checkout.run(&["retry"]).ok().contains("no Activity is waiting"));
}
