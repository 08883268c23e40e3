//! Saved Event Histories against today's code: a change that would break transfers under way fails here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stages::workflow::{added_step, fixed, jerry, versioned};
use temporalio_client::{WorkflowFetchHistoryOptions, WorkflowHistory};
use temporalio_common::WorkflowDefinition;
use temporalio_sdk::{
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};
use testbed::Testbed;

use crate::{example, result, worker};

async fn replay<W>(file: &Path) -> Result<(), String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let options = WorkflowReplayerOptions::new().register_workflow::<W>().expect("one workflow").build();
    let replayer = WorkflowReplayer::new(options).expect("a replayer");
    let json = fs::read(file).expect("a history");
    let history = WorkflowHistory::from_json(&json).expect("a history's JSON");
    replayer.replay_workflow(history).await.map_err(|error| error.to_string())
}

fn histories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

/// The saved histories of transfers that made the step behind the patch.
const PATCHED: &[&str] = &["completed-with-the-patch.json"];

/// Those whose file's name is picked.
fn saved(picked: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(histories()).expect("the folder of histories");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let name = |file: &PathBuf| file.file_name().expect("a name").to_string_lossy().into_owned();
    let picked: Vec<_> = files.filter(|file| picked(&name(file))).collect();
    assert!(!picked.is_empty(), "no history in {}", histories().display());
    picked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixed_workflow_replays_every_history_from_before_the_patch() {
    for file in saved(|name| !PATCHED.contains(&name)) {
        let outcome = replay::<fixed::MoneyTransferWorkflow>(&file).await;
        assert_eq!(outcome, Ok(()), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_versioned_workflow_replays_every_saved_history() {
    for file in saved(|_| true) {
        let outcome = replay::<versioned::MoneyTransferWorkflow>(&file).await;
        assert_eq!(outcome, Ok(()), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixed_workflow_does_not_replay_what_a_patch_has_marked() {
    for file in saved(|name| PATCHED.contains(&name)) {
        let outcome = replay::<fixed::MoneyTransferWorkflow>(&file).await;
        let failure = outcome.expect_err("it knows neither the step nor the patch");
        assert!(failure.contains("Nondeterminism"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_patch_does_not_replay_what_is_past_it() {
    let outcome = replay::<added_step::MoneyTransferWorkflow>(&histories().join("completed.json")).await;
    let failure = outcome.expect_err("the history has no such step");
    for part in ["Nondeterminism", "withdraw", "confirm_balance"] {
        assert!(failure.contains(part), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jerrys_workflow_does_not_replay_what_the_fixed_one_did() {
    let outcome = replay::<jerry::MoneyTransferWorkflow>(&histories().join("completed.json")).await;
    let failure = outcome.expect_err("it divides by zero where the history goes on");
    assert!(failure.contains("divide by zero"), "{failure}");
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
