//! Saved Event Histories against today's code: a change that would break transfers under way fails here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stages::workflow::{added_step, fixed, jerry, versioned};
use temporalio_client::{WorkflowFetchHistoryOptions, WorkflowHistory};
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};
use testbed::Testbed;
use transfer_kit::replay::{UnderWay, replay, under_way};

use crate::{example, result, worker};

async fn saved(file: &Path) -> Vec<HistoryEvent> {
    let json = fs::read(file).expect("a history");
    let history = WorkflowHistory::from_json(&json).expect("a history's JSON");
    history.into_events().await.expect("it is all here")
}

fn histories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

/// The saved histories of transfers that made the step behind the patch.
const PATCHED: &[&str] = &["completed-with-the-patch.json"];

/// Those whose file's name is picked.
fn files(picked: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(histories()).expect("the folder of histories");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let name = |file: &PathBuf| file.file_name().expect("a name").to_string_lossy().into_owned();
    let picked: Vec<_> = files.filter(|file| picked(&name(file))).collect();
    assert!(!picked.is_empty(), "no history in {}", histories().display());
    picked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixed_workflow_replays_every_history_from_before_the_patch() {
    for file in files(|name| !PATCHED.contains(&name)) {
        let outcome = replay::<fixed::MoneyTransferWorkflow>(saved(&file).await).await;
        assert_eq!(outcome, Ok(()), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_versioned_workflow_replays_every_saved_history() {
    for file in files(|_| true) {
        let outcome = replay::<versioned::MoneyTransferWorkflow>(saved(&file).await).await;
        assert_eq!(outcome, Ok(()), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixed_workflow_does_not_replay_what_a_patch_has_marked() {
    for file in files(|name| PATCHED.contains(&name)) {
        let outcome = replay::<fixed::MoneyTransferWorkflow>(saved(&file).await).await;
        let failure = outcome.expect_err("it knows neither the step nor the patch");
        assert!(failure.contains("Nondeterminism"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_patch_does_not_replay_what_is_past_it() {
    let outcome =
        replay::<added_step::MoneyTransferWorkflow>(saved(&histories().join("completed.json")).await).await;
    let failure = outcome.expect_err("the history has no such step");
    for part in ["Nondeterminism", "withdraw", "confirm_balance"] {
        assert!(failure.contains(part), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jerrys_workflow_does_not_replay_what_the_fixed_one_did() {
    let history = saved(&histories().join("completed.json")).await;
    let outcome = replay::<jerry::MoneyTransferWorkflow>(history).await;
    let failure = outcome.expect_err("it divides by zero where the history goes on");
    assert!(failure.contains("divide by zero"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_breaks_the_transfers_that_are_past_it_and_no_others() {
    let history = saved(&histories().join("through-the-workflow-bug.json")).await;
    let has = |events: &[HistoryEvent], kind| events.iter().any(|event| event.event_type() == kind);
    let scheduled = |events: &[HistoryEvent]| {
        events.iter().filter(|event| event.event_type() == EventType::ActivityTaskScheduled).count()
    };
    for length in 2..=history.len() {
        let begun = &history[..length];
        let kind = begun[length - 1].event_type();
        // The server tells of these two together with what follows from them.
        if matches!(kind, EventType::ActivityTaskStarted | EventType::ActivityTaskCompleted) {
            continue;
        }
        let moment = format!("{length} events, the last {kind:?}");
        assert_eq!(replay::<fixed::MoneyTransferWorkflow>(begun.to_vec()).await, Ok(()), "{moment}");

        let jerry = replay::<jerry::MoneyTransferWorkflow>(begun.to_vec()).await;
        match has(begun, EventType::ActivityTaskCompleted) {
            false => assert_eq!(jerry, Ok(()), "{moment}"),
            true => {
                let failure = jerry.expect_err(&moment);
                let place = "attempt to divide by zero, at crates/stages/src/workflow/jerry.rs:";
                assert!(failure.contains(place), "{moment}: {failure}");
            }
        }
        let added_step = replay::<added_step::MoneyTransferWorkflow>(begun.to_vec()).await;
        match scheduled(begun) < 3 {
            true => assert_eq!(added_step, Ok(()), "{moment}"),
            false => {
                let failure = added_step.expect_err(&moment);
                assert!(failure.starts_with("[TMPRL1100] Nondeterminism error"), "{moment}: {failure}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_under_way_are_found_with_their_histories_and_replay() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let jerry = worker(&testbed, "jerry").await;
    let stuck = testbed.start_transfer("stuck", example()).await;
    testbed::until("a failed Workflow Task", || async {
        let failures = crate::events::workflow_task_failures(&stuck).await;
        if failures.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    jerry.stop().await;
    let (found, count) = until_under_way(&testbed, 1).await;
    assert_eq!((&*found[0].workflow_id, Some(&*found[0].run_id), count), ("stuck", stuck.run_id(), 1));
    let outcome = replay::<jerry::MoneyTransferWorkflow>(found[0].events.clone()).await;
    assert!(outcome.is_err_and(|failure| failure.contains("divide by zero")));
    assert_eq!(replay::<fixed::MoneyTransferWorkflow>(found[0].events.clone()).await, Ok(()));

    let fixed = worker(&testbed, "fix-activity").await;
    let held = testbed.start_transfer("held", example()).await;
    for transfer in [&stuck, &held] {
        testbed::until("the deposit to be tried", || async {
            let scheduled = crate::events::scheduled_activities(transfer).await;
            if scheduled.contains(&"deposit".to_owned()) { Ok(()) } else { Err(scheduled) }
        })
        .await;
    }
    for transfer in until_under_way(&testbed, 2).await.0 {
        assert_eq!(replay::<fixed::MoneyTransferWorkflow>(transfer.events.clone()).await, Ok(()));
        let outcome = replay::<added_step::MoneyTransferWorkflow>(transfer.events).await;
        assert!(outcome.is_err_and(|failure| failure.contains("Nondeterminism")), "{}", transfer.workflow_id);
    }
    let (found, count) = under_way(&testbed.client, 1).await.expect("the server answers");
    assert_eq!((found.len(), count), (1, 2));

    testbed.put("/outage", serde_json::json!({"deposits": false})).await;
    for transfer in [&stuck, &held] {
        result(transfer).await;
    }
    fixed.stop().await;
}

/// Waits until the server lists so many transfers under way: a list follows what happens, a moment later.
async fn until_under_way(testbed: &Testbed, count: usize) -> (Vec<UnderWay>, usize) {
    testbed::until("the transfers to be listed", || async {
        let found = under_way(&testbed.client, 500).await.expect("the server answers");
        if found.0.len() == count { Ok(found) } else { Err(found.0.len()) }
    })
    .await
}

/// Renews the saved histories. By hand: `cargo test -p stages --test stages renew -- --ignored`.
#[tokio::test]
#[ignore = "writes to the source tree"]
async fn renew_the_saved_histories() {
    let testbed = Testbed::start().await;
    let folder = histories();
    let save = |name: &'static str, transfer: &crate::Handle| {
        let file = folder.join(format!("{name}.json"));
        let history = transfer.fetch_history(WorkflowFetchHistoryOptions::default());
        async move {
            let json = history.to_json().await.expect("a history");
            let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            fs::write(&file, format!("{value:#}\n")).expect("a writable folder");
        }
    };

    let jerry = worker(&testbed, "jerry").await;
    let transfer = testbed.start_transfer("through-both-bugs", example()).await;
    testbed::until("a failed Workflow Task", || async {
        let failures = crate::events::workflow_task_failures(&transfer).await;
        if failures.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    jerry.stop().await;
    save("stuck-on-the-workflow-bug", &transfer).await;

    let fixed = worker(&testbed, "fix-activity").await;
    result(&transfer).await;
    save("through-the-workflow-bug", &transfer).await;
    let transfer = testbed.start_transfer("plain", example()).await;
    result(&transfer).await;
    save("completed", &transfer).await;
    let input = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 100000});
    let transfer = testbed.start_transfer("insufficient", input).await;
    crate::events::failure(&transfer).await;
    save("insufficient-funds", &transfer).await;
    fixed.stop().await;

    let versioned = worker(&testbed, "version-workflow").await;
    let transfer = testbed.start_transfer("patched", example()).await;
    result(&transfer).await;
    save("completed-with-the-patch", &transfer).await;
    versioned.stop().await;

    let limited = worker(&testbed, "jerry-limits-retries").await;
    let transfer = testbed.start_transfer("limited", example()).await;
    crate::events::failure(&transfer).await;
    save("out-of-attempts", &transfer).await;
    limited.stop().await;
}
