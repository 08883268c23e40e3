//! Starting transfers from the command line.

#[cfg(target_os = "linux")]
use crate::fake_lab::FakeLab;
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
    let long = "i".repeat(1001);
    for id in ["", "a/b", "/", ".", "..", &long] {
        let error =
            checkout.run(&["transfer", "account_A", "account_B", "5", "--workflow-id", id]).fails_with(2);
        assert!(error.contains("must be 1 to 1000 bytes without a slash"), "{id}: {error}");
    }
    let all =
        checkout.run(&["transfer", "account_A", "account_A", "lots", "--workflow-id", "a/b"]).fails_with(2);
    assert!(["both are", "a number", "without a slash"].iter().all(|part| all.contains(part)), "{all}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_unknown_account_is_refused_before_anything_is_started() {
    let lab = FakeLab::start("unknown-accounts");
    let transfer = |from: &str, to: &str, amount: &str| lab.checkout.run(&["transfer", from, to, amount]);
    for name in ["account_a", "acount_A", "accountA", "ACCOUNT-A", "account_A "] {
        let error = transfer(name, "account_B", "5").fails_with(2);
        assert!(error.contains(&format!("no account {name}; did you mean account_A?")), "{error}");
    }
    for name in ["account_Z", "", "nobody", "account_A account_B"] {
        let error = transfer("account_A", name, "5").fails_with(2);
        assert!(error.contains(&format!("no account {name}; it has: account_A, account_B")), "{error}");
    }
    let all = transfer("account_Y", "account_Z", "0.001").fails_with(2);
    assert!(["account_Y;", "account_Z;", "two decimals"].iter().all(|part| all.contains(part)), "{all}");
    assert!(lab.world().transfers.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn traffic_is_ten_transfers_without_versions_and_counted_by_version_with_them() {
    let lab = FakeLab::start("traffic");
    let said = lab.checkout.run(&["traffic"]).ok();
    assert!(said.starts_with("started 10 transfers; "), "{said}");
    assert_eq!(lab.world().transfers.len(), 10);

    let service = |name: &str| serde_json::json!({ "name": name, "state": "running" });
    lab.world().services = serde_json::json!([service("worker@1"), service("worker@2")]);
    lab.world().versions = serde_json::json!([{ "version": 1 }, { "version": 2 }]);
    // Both run the first stage's code, in which every transfer is stuck.
    let counted = lab.checkout.run(&["traffic", "--json"]).json();
    assert_eq!((&counted["started"], &counted["no_version"]), (&10.into(), &serde_json::json!([])));
    for (at, (build_id, stuck)) in [("1", 4), ("2", 6)].into_iter().enumerate() {
        let version = &counted["versions"][at];
        assert_eq!((&version["build_id"], &version["stuck"]), (&build_id.into(), &stuck.into()), "{counted}");
    }
    let said = lab.checkout.run(&["traffic"]).ok();
    assert_eq!(said, "version 1: 6 transfers, 6 of them stuck\nversion 2: 4 transfers, 4 of them stuck\n");

    lab.world().services = serde_json::json!([service("worker@1")]);
    let error = lab.checkout.run(&["traffic"]).fails_with(1);
    assert!(
        error.contains("version 2 takes 50% of the new transfers, and the lab runs no worker of it"),
        "{error}"
    );
    lab.take_temporal_down();
    let error = lab.checkout.run(&["traffic"]).fails_with(1);
    assert!(error.contains("no answer from"), "{error}");
    assert_eq!(lab.world().transfers.len(), 30);
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
