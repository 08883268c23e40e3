//! The first story: Jerry's two bugs, fixed one after the other, while a transfer is in progress.

use testbed::{Testbed, until};
use transfer_kit::stuck::Task;

use crate::{events, example, result, state, stuck, worker};

#[tokio::test]
async fn a_transfer_survives_both_of_jerrys_bugs_and_moves_the_money_once() {
    let testbed = Testbed::start().await;
    let jerry = worker(&testbed, "jerry").await;
    let transfer = testbed.start_transfer("story", example()).await;

    let bug = stuck(&testbed, &transfer, Task::Workflow, 3).await;
    assert!(
        bug.failure.contains("attempt to divide by zero, at crates/stages/src/workflow/jerry.rs:"),
        "{bug}"
    );
    let failures = events::workflow_task_failures(&transfer).await;
    assert!(failures.iter().all(|failure| failure.contains("attempt to divide by zero")), "{failures:?}");
    assert_eq!(events::scheduled_activities(&transfer).await, ["check_balance"]);
    jerry.stop().await;

    let fix_workflow = worker(&testbed, "fix-workflow").await;
    let bug = stuck(&testbed, &transfer, Task::Activity("withdraw".to_owned()), 2).await;
    for part in [
        "http://127.0.0.1:5005/accounts/account_A/withdraw",
        "called at crates/stages/src/activities/jerry.rs:",
        "Connection refused",
    ] {
        assert!(bug.failure.contains(part), "{bug}");
    }
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (100_000, 50_000));
    fix_workflow.stop().await;

    let fix_activity = worker(&testbed, "reset-workflows").await;
    assert_eq!(
        result(&transfer).await,
        serde_json::json!({
            "success": true,
            "from_account": "account_A",
            "to_account": "account_B",
            "amount": 25.5,
            "from_account_starting_balance": 1000,
            "to_account_starting_balance": 500,
        })
    );
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    let steps = ["check_balance", "check_balance", "withdraw", "deposit"];
    assert_eq!(events::scheduled_activities(&transfer).await, steps);
    fix_activity.stop().await;
}

#[tokio::test]
async fn a_transfer_tells_how_far_it_is_when_asked() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("asked", example()).await;
    stuck(&testbed, &transfer, Task::Activity("deposit".to_owned()), 1).await;
    let told = state(&transfer).await;
    assert_eq!(told["input"], example());
    assert_eq!(told["status"], "RUNNING");
    assert_eq!(told["current_step"], "deposit");
    let done = serde_json::json!(["check_balance_from", "check_balance_to", "withdraw"]);
    assert_eq!(told["completed_steps"], done);
    assert_eq!(told["from_account_starting_balance"], 1000);
    assert!(told["result"].is_null());

    testbed.put("/outage", serde_json::json!({"deposits": false})).await;
    let result = result(&transfer).await;
    let told = state(&transfer).await;
    assert_eq!(told["status"], "COMPLETED");
    assert_eq!(told["result"], result);
    assert!(told["current_step"].is_null());
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_can_be_found_by_its_accounts() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("findable", example()).await;
    result(&transfer).await;
    until("the transfer to be listed", || async {
        let query = "from_account = 'account_A' AND to_account = 'account_B'";
        let found =
            testbed.client.count_workflows(query, Default::default()).await.expect("the server counts");
        if found.count() == 1 { Ok(()) } else { Err(found.count()) }
    })
    .await;
    worker.stop().await;
}

#[test]
fn every_stage_of_the_table_has_its_modules_compiled() {
    for stage in lab::STAGES {
        let options = stages::worker_options(stage, transfer_kit::Bank::at("http://127.0.0.1:1"));
        assert!(options.is_ok(), "{:?}", options.err());
    }
}
