//! The first story: Jerry's two bugs, mended one after the other, under a transfer that is under way.

use temporalio_client::{UntypedQuery, WorkflowQueryOptions};
use testbed::{Testbed, until};
use transfer_kit::stuck::{self, Stuck, Task};

use crate::{Handle, events, example, result, worker};

/// Waits until the transfer is stuck at `task` for at least `attempts` attempts.
async fn stuck(testbed: &Testbed, handle: &Handle, task: Task, attempts: i32) -> Stuck {
    let run_id = handle.run_id().expect("a started transfer has a run");
    until("the transfer to be stuck", || async {
        let workflow_id = &handle.info().workflow_id;
        let stuck = stuck::why(&testbed.client, workflow_id, run_id).await.expect("the server answers");
        match stuck {
            Some(stuck) if stuck.task == task && stuck.attempt >= attempts => Ok(stuck),
            other => Err(other),
        }
    })
    .await
}

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

    let fix_activity = worker(&testbed, "fix-activity").await;
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
    let worker = worker(&testbed, "fix-activity").await;
    let transfer = testbed.start_transfer("asked", example()).await;
    let ask = || async {
        let nothing = temporalio_common::data_converters::RawValue::new(Vec::new());
        let options = WorkflowQueryOptions::default();
        let answer = transfer.query(UntypedQuery::new(contract::STATE_QUERY), nothing, options).await;
        let answer = answer.expect("a running transfer answers");
        serde_json::from_slice::<serde_json::Value>(&answer.payloads[0].data).expect("the state is JSON")
    };

    stuck(&testbed, &transfer, Task::Activity("deposit".to_owned()), 1).await;
    let state = ask().await;
    assert_eq!(state["input"], example());
    assert_eq!(state["status"], "RUNNING");
    assert_eq!(state["current_step"], "deposit");
    let done = serde_json::json!(["check_balance_from", "check_balance_to", "withdraw"]);
    assert_eq!(state["completed_steps"], done);
    assert_eq!(state["from_account_starting_balance"], 1000);
    assert!(state["result"].is_null());

    testbed.put("/outage", serde_json::json!({"deposits": false})).await;
    let result = result(&transfer).await;
    let state = ask().await;
    assert_eq!(state["status"], "COMPLETED");
    assert_eq!(state["result"], result);
    assert!(state["current_step"].is_null());
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_can_be_found_by_its_accounts() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "fix-activity").await;
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
