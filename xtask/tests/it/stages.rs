//! Changing stages without losing what a learner wrote.

use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW, STAGES};
use serde_json::json;

use crate::support::{Checkout, eventually, pid_in, service};

/// Nothing that an editor on this system would write, and still to be kept.
const EDIT: &[u8] = b"// caf\xC3\xA9\r\n\0\xFF no newline at the end";

fn assert_at(checkout: &Checkout, stage: &lab::Stage) {
    assert_eq!(checkout.read(LIVE_WORKFLOW), stage.workflow.source.as_bytes());
    assert_eq!(checkout.read(LIVE_ACTIVITIES), stage.activities.source.as_bytes());
    assert_eq!(checkout.run(&["stage", "--json"]).json()["stage"], stage.name);
}

/// The only backup's id.
fn backup(checkout: &Checkout) -> String {
    let list = checkout.run(&["stage", "restore", "--json"]).json();
    let list = list["backups"].as_array().expect("there is a list").clone();
    assert_eq!(list.len(), 1, "{list:?}");
    list[0]["id"].as_str().expect("it has an id").to_owned()
}

#[test]
fn stages_are_entered_while_the_lab_is_down() {
    let checkout = Checkout::without_server("down-stage");
    for stage in STAGES.iter().rev() {
        let text = checkout.run(&["stage", stage.name]).ok();
        assert!(text.contains(stage.look[0]) && text.contains("next start"), "{text}");
        assert_at(&checkout, stage);
    }
    let text = checkout.run(&["stage"]).ok();
    assert!(text.contains("* 1  jerry  "), "{text}");
    assert!(checkout.run(&["stage", "restore"]).ok().contains("nothing was saved"));
}

#[test]
fn an_edit_is_saved_before_a_stage_replaces_it_and_can_be_brought_back() {
    let checkout = Checkout::without_server("edit-stage");
    checkout.write(LIVE_WORKFLOW, EDIT);
    let entered = checkout.run(&["stage", "fix-activity"]);
    let id = backup(&checkout);
    assert!(entered.stderr.contains(&format!(".lab/backup/{id}")), "{entered:?}");
    assert_eq!(checkout.read(&format!(".lab/backup/{id}/workflow.rs")), EDIT);
    assert_at(&checkout, lab::stage("fix-activity").expect("a stage of the table"));

    checkout.run(&["stage", "restore", &id]).ok();
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);
    assert_eq!(checkout.read(LIVE_ACTIVITIES), STAGES[0].activities.source.as_bytes());
    assert_eq!(checkout.run(&["stage", "--json"]).json()["stage"], "jerry");
}

#[test]
fn a_backup_is_listed_with_its_time_its_stage_and_what_was_changed() {
    let checkout = Checkout::without_server("list-backups");
    checkout.write(LIVE_ACTIVITIES, EDIT);
    checkout.run(&["stage", "fix-activity"]).ok();
    checkout.write(LIVE_WORKFLOW, EDIT);
    checkout.write(LIVE_ACTIVITIES, "mine");
    checkout.run(&["stage", "jerry"]).ok();
    checkout.write(".lab/backup/a folder of mine/workflow.rs", "mine");

    let list = checkout.run(&["stage", "restore", "--json"]).json()["backups"].clone();
    let at = |stage: &str| {
        let mut list = list.as_array().expect("there is a list").iter();
        list.find(|backup| backup["stage"] == stage).unwrap_or_else(|| panic!("{stage}: {list:?}"))
    };
    assert_eq!(at("jerry")["changed"], json!(["activities.rs"]));
    let both = at("fix-activity");
    assert_eq!(both["changed"], json!(["workflow.rs", "activities.rs"]));
    assert_eq!(at("")["time"], json!(null));
    let id = both["id"].as_str().expect("it has an id");
    let time = both["time"].as_str().expect("it has a time");
    assert!(both["folder"].as_str().is_some_and(|folder| folder.ends_with(id)), "{list}");

    let text = checkout.run(&["stage", "restore"]).ok();
    let time = time.replace('T', " ").replace('Z', " UTC");
    let line = text.lines().find(|line| line.starts_with(id)).expect("it is listed");
    assert!(line.ends_with(&format!("  {time}  fix-activity  workflow.rs, activities.rs")), "{text}");
}

#[test]
fn an_edit_that_cannot_be_saved_is_not_replaced() {
    let checkout = Checkout::without_server("no-save");
    checkout.write(LIVE_WORKFLOW, EDIT);
    // Where the backups belong there is a file.
    checkout.write(".lab/backup", "");
    checkout.run(&["stage", "fix-activity"]).fails_with(1);
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);
}

#[test]
fn a_reset_without_a_terminal_and_without_yes_is_refused() {
    let checkout = Checkout::without_server("refuse");
    checkout.write(LIVE_WORKFLOW, EDIT);
    checkout.write(".lab/bank.db", "books");
    let error = checkout.run(&["reset"]).fails_with(2);
    assert!(error.contains("cargo xtask reset --yes"), "{error}");
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);
    assert_eq!(checkout.read(".lab/bank.db"), b"books");
}

#[test]
fn a_reset_of_a_lab_that_is_down_saves_edits_and_empties_the_databases() {
    let checkout = Checkout::without_server("reset-down");
    checkout.run(&["stage", "fix-activity"]).ok();
    checkout.write(LIVE_ACTIVITIES, EDIT);
    for database in ["bank.db", "bank.db-wal", "temporal.db", "temporal.db-shm"] {
        checkout.write(&format!(".lab/{database}"), "books");
    }
    checkout.run(&["reset", "--yes"]).ok();
    assert_at(&checkout, &STAGES[0]);
    let id = backup(&checkout);
    assert_eq!(checkout.read(&format!(".lab/backup/{id}/activities.rs")), EDIT);
    for database in ["bank.db", "bank.db-wal", "temporal.db", "temporal.db-shm"] {
        assert!(!checkout.path(&format!(".lab/{database}")).exists(), "{database}");
    }
}

#[test]
fn a_running_lab_uses_a_stage_at_once_and_a_reset_empties_it() {
    let checkout = Checkout::new("up-stage");
    checkout.start();
    let first = pid_in(service(&checkout.status(), "worker"));
    checkout.run(&["stage", "fix-workflow", "--bare"]).ok();
    let status = checkout.status();
    assert_eq!(status["stage"], "fix-workflow");
    assert_eq!(service(&status, "worker")["state"], "running");
    assert_ne!(pid_in(service(&status, "worker")), first);

    checkout.run(&["transfer", "account_A", "account_B", "25.50"]).ok();
    eventually("the transfer is listed", || checkout.status()["transfers_running"] == 1);
    checkout.run(&["reset", "--yes"]).ok();
    let status = checkout.status();
    assert_eq!((&status["stage"], &status["transfers_running"]), (&"jerry".into(), &0.into()));
    for name in lab_client::state::SERVICES {
        assert_eq!(service(&status, name)["state"], "running", "{status}");
    }
}

#[test]
fn a_reset_whose_build_fails_says_so_although_the_worker_from_before_runs() {
    let checkout = Checkout::new("reset-fails");
    checkout.start();
    // The stand-in's own module is none of those that a reset replaces.
    checkout.write("crates/worker/src/main.rs", "fn main() { not Rust }");
    let error = checkout.run(&["reset", "--yes"]).fails_with(1);
    assert!(error.contains("the build failed") && error.contains("cargo xtask lab logs build"), "{error}");
    let status = checkout.status();
    assert_eq!(status["build"], "failed");
    for name in lab_client::state::SERVICES {
        eventually("what ran before runs again", || service(&checkout.status(), name)["state"] == "running");
    }
}

#[test]
fn the_page_can_have_a_stage_entered_and_an_edit_is_saved_first() {
    let checkout = Checkout::new("enter-stage");
    checkout.start();
    checkout.write(LIVE_WORKFLOW, EDIT);
    let supervisor =
        lab_client::supervisor::Supervisor::of(&checkout.path(".lab")).expect("it is written down");
    let enter = |stage: &str| supervisor.exchange(json!({ "request": "enter", "stage": stage }));
    let error = enter("jerry; rm -rf .").expect_err("there is no such stage").to_string();
    assert!(error.contains("there is no stage"), "{error}");
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);

    // What it would replace is asked first, and asking changes nothing.
    let ask = |request: &str, field: &str, value: &str| {
        supervisor.exchange(json!({ "request": request, field: value })).expect("it answers")
    };
    let question = ask("question", "stage", "jerry");
    let shows_edit = |diff: &serde_json::Value| diff.to_string().contains("no newline at the end");
    assert!(shows_edit(&question["edit"]), "{question}");
    assert_eq!(
        (&question["keeps_by_default"], &question["leftovers"]),
        (&true.into(), &json!([])),
        "the stage starts again: {question}"
    );
    assert_eq!(ask("question", "stage", "fix-workflow")["is_fix"], true);
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);

    let entered = enter("jerry").expect("it is entered");
    assert_eq!(entered["stage"], "jerry");
    assert_at(&checkout, lab::stage("jerry").expect("a stage of the table"));
    let id = backup(&checkout);
    assert_eq!(checkout.read(&format!(".lab/backup/{id}/workflow.rs")), EDIT);
    assert_eq!(entered["saved"]["id"], id, "{entered}");
    assert_eq!(ask("question", "stage", "jerry")["edit"], json!([]), "nothing of the learner's is in place");

    // The learner compares, edits once more, and restores: neither edit is lost.
    assert!(shows_edit(&ask("compare", "id", &id)["diff"]));
    checkout.write(LIVE_WORKFLOW, "// a later edit");
    let restored = ask("restore", "id", &id);
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);
    let later = restored["saved"]["id"].as_str().expect("it is saved");
    assert_eq!(checkout.read(&format!(".lab/backup/{later}/workflow.rs")), b"// a later edit");
    assert_eq!(ask("restore", "id", "../backup")["missing"], true);
    assert_eq!(checkout.read(LIVE_WORKFLOW), EDIT);
}
