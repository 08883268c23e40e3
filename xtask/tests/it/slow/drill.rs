//! A drill from its ticket to its report, with nothing but real parts. The lab is restarted in the middle.

use std::collections::BTreeSet;

use serde_json::Value;

use super::story::real_checkout;
use crate::support::{Checkout, eventually};

const NAME: &str = "some-never-arrive";

/// The numbers of the transfers that the traffic has started, by what the server lists.
fn numbers(checkout: &Checkout) -> BTreeSet<u64> {
    let ledger = checkout.run(&["ledger", "--json"]).json();
    let transfers = ledger["transfers"].as_array().expect("there is a list").clone();
    let number = |transfer: &Value| {
        let id = transfer["workflow_id"].as_str().expect("it has an id").to_owned();
        u64::from_str_radix(id.rsplit('-').next().unwrap_or_default(), 16).expect("it ends with its number")
    };
    let numbers: BTreeSet<u64> = transfers.iter().map(number).collect();
    assert_eq!(numbers.len(), transfers.len(), "a number was started twice: {transfers:?}");
    numbers
}

fn status(checkout: &Checkout) -> Value {
    checkout.run(&["drill", "status", "--json"]).json()
}

#[test]
fn a_learner_resolves_an_incident_across_a_restart_of_the_lab() {
    let checkout = real_checkout("drill");
    checkout.start();
    let entered = checkout.run(&["drill", NAME, "--seed", "7"]).ok();
    assert!(entered.contains("seed 7") && entered.contains("cargo xtask drill status"), "{entered}");
    eventually("the burst is there and transfers are hit", || {
        numbers(&checkout).len() >= 25 && status(&checkout)["drill"]["hit"].as_u64() > Some(0)
    });
    let refused = checkout.run(&["drill", "finish"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");

    // The bank stays as it is, for the command and for the page; what is done on the page is in the timeline.
    for command in [&["real-world-mode", "off"][..], &["outage", "deposits", "down"]] {
        let refused = checkout.run(command).fails_with(1);
        assert!(refused.contains("in a drill nobody can change how the bank behaves"), "{refused}");
    }
    let page = |path: &str, body: &str| {
        let url = format!("http://127.0.0.1:{}/api/{path}", checkout.ports[3]);
        let request = minreq::post(url).with_header("Content-Type", "application/json").with_body(body);
        request.send().expect("the page answers").status_code
    };
    assert_eq!(page("outage", r#"{"deposits": true}"#), 409);
    assert_eq!(page("drill", r#"{"hint": true}"#), 200);

    // It continues where it was, without a gap, and starts none twice.
    checkout.run(&["lab", "stop"]).ok();
    checkout.start();
    let before = numbers(&checkout).len();
    // Transfers in progress and closed ones are listed one after the other, so one that begins in between may be missing for a moment.
    eventually("the traffic continues without a gap", || {
        let after = numbers(&checkout);
        after.len() > before + 5 && after.last().map(|last| last + 1) == Some(after.len() as u64)
    });

    let incident = &lab::incident(NAME).expect("an incident of the table").stage;
    let fix = lab::stage(incident.fixed_by.expect("it is fixed")).expect("a stage");
    checkout.write(lab::LIVE_WORKFLOW, fix.workflow.source);
    eventually("everything has recovered", || status(&checkout)["reached"] == true);
    let finished = checkout.run(&["drill", "finish"]).ok();
    assert!(finished.contains("recovered after"), "{finished}");
    let report = checkout.run(&["drill", "report", "--json"]).json();
    assert_eq!((&report["outcome"], &report["seed"]), (&"recovered".into(), &7.into()), "{report}");
    assert!(report["transfers_hit"].as_u64() > Some(0) && report["explanation"].is_string(), "{report}");
    let timeline = report["timeline"].to_string();
    for done in ["cargo xtask lab stop", "on the page: show a hint"] {
        assert!(timeline.contains(done), "{report}");
    }
    assert_eq!(report["hints"], 1, "{report}");
    let listed = checkout.run(&["drill", "--json"]).json();
    let said = (&listed["incidents"][0]["done"], &listed["drill"]["in_progress"]);
    assert_eq!(said, (&true.into(), &false.into()), "{listed}");

    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}
