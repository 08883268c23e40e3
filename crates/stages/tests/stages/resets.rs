//! Workflow Resets by the Temporal CLI, as a learner types them: what has failed comes back, and pays once.

use temporalio_common::protos::temporal::api::enums::v1::EventType;
use testbed::{Testbed, until};
use transfer_kit::stuck;

use crate::{Handle, balances, balances_after, events, example, result, worker};

const STEPS: [&str; 4] = ["check_balance_from", "check_balance_to", "withdraw", "deposit"];

/// The event that ends the Workflow Task which schedules the withdrawal: the third one, after those of the balance
/// checks. A reset takes the end of a Workflow Task.
pub(crate) async fn before_the_withdrawal(transfer: &Handle) -> String {
    events::completed_workflow_tasks(transfer).await[2].to_string()
}

/// Transfers that have failed for good, under a worker that has left.
async fn failed_for_good(testbed: &Testbed, ids: &[&str]) -> Vec<Handle> {
    let worker = worker(testbed, "jerry-limits-retries").await;
    let mut transfers = Vec::new();
    for id in ids {
        transfers.push(testbed.start_transfer(id, example()).await);
    }
    for transfer in &transfers {
        events::failure(transfer).await;
    }
    worker.stop().await;
    transfers
}

/// The run that a reset has started, once it has.
pub(crate) async fn next_run(testbed: &Testbed, transfer: &Handle) -> Handle {
    let workflow_id = &transfer.info().workflow_id;
    let run_id = until("the reset", || async {
        let current = stuck::current_run(&testbed.client, workflow_id).await.expect("a transfer");
        if Some(current.as_str()) == transfer.run_id() { Err("no new run") } else { Ok(current) }
    })
    .await;
    let info = temporalio_client::WorkflowExecutionInfo::builder()
        .namespace("default")
        .workflow_id(workflow_id.clone())
        .run_id(run_id)
        .build();
    Handle::new(testbed.client.clone(), info)
}

/// Waits until so many runs are found: the server lists a change a moment after it.
async fn until_found(testbed: &Testbed, query: &str, expected: usize) {
    until("the runs to be listed", || async {
        let found = testbed.client.count_workflows(query, Default::default()).await;
        let found = found.expect("the server counts").count();
        if found == expected { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn a_reset_to_before_its_withdrawal_brings_a_failed_transfer_back() {
    let testbed = Testbed::start().await;
    let transfers = failed_for_good(&testbed, &["transfer-1"]).await;
    let worker = worker(&testbed, "reset-workflows").await;

    let history = events::of(&transfers[0]).await;
    let withdrawal = history.iter().rposition(|event| event.event_type() == EventType::ActivityTaskFailed);
    let before = history[..withdrawal.expect("it failed")]
        .iter()
        .rposition(|event| event.event_type() == EventType::WorkflowTaskCompleted)
        .expect("a Workflow Task");
    let event_id = before_the_withdrawal(&transfers[0]).await;
    assert_eq!(history[before].event_id.to_string(), event_id);

    let reset = ["workflow", "reset", "--workflow-id", "transfer-1"];
    let why = ["--reason", "withdraw has its address back"];
    let printed = testbed.temporal(&[&reset[..], &["--event-id", event_id.as_str()], &why].concat());
    assert_eq!(printed, format!("Resetting workflow transfer-1 to event ID {event_id}\n"));
    let again = next_run(&testbed, &transfers[0]).await;
    result(&again).await;
    assert_eq!(events::steps(&again).await, STEPS);
    assert_eq!(balances(&testbed).await, balances_after(1));
    // What came before the event was kept.
    assert_eq!(events::of(&again).await[..before], history[..before]);
    worker.stop().await;
}

#[tokio::test]
async fn a_reset_to_the_last_workflow_task_fails_again() {
    let testbed = Testbed::start().await;
    let transfers = failed_for_good(&testbed, &["transfer-1"]).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let tasks = events::completed_workflow_tasks(&transfers[0]).await;
    let reset = ["workflow", "reset", "--workflow-id", "transfer-1", "--type", "LastWorkflowTask"];
    let printed = testbed.temporal(&[&reset[..], &["--reason", "a try"]].concat());
    // Behind the failed withdrawal and its refund, the code can but fail once more.
    assert_eq!(printed, format!("Resetting workflow transfer-1 to event ID {}\n", tasks[tasks.len() - 1]));
    let again = next_run(&testbed, &transfers[0]).await;
    assert_eq!(events::failure(&again).await, events::failure(&transfers[0]).await);
    assert_eq!(balances(&testbed).await, balances_after(0));
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_of_resets_brings_all_failed_transfers_back_and_moves_money_once() {
    let testbed = Testbed::start().await;
    let ids = ["transfer-1", "transfer-2", "transfer-3", "transfer-4"];
    let transfers = failed_for_good(&testbed, &ids).await;
    let worker = worker(&testbed, "reset-workflows").await;

    let tasks = events::completed_workflow_tasks(&transfers[0]).await;
    let by_hand = ["workflow", "reset", "--workflow-id", "transfer-1", "--type", "FirstWorkflowTask"];
    let printed = testbed.temporal(&[&by_hand[..], &["--reason", "a try"]].concat());
    assert_eq!(printed, format!("Resetting workflow transfer-1 to event ID {}\n", tasks[0]));
    result(&next_run(&testbed, &transfers[0]).await).await;

    // The run that the reset left behind is listed as Failed for ever, and no Search Attribute says why.
    until_found(&testbed, "ExecutionStatus = 'Failed'", 4).await;
    let query = "ExecutionStatus = 'Failed' AND WorkflowId != 'transfer-1'";
    until_found(&testbed, query, 3).await;
    let batch = |query| {
        let reset = ["workflow", "reset", "--query", query, "--type", "FirstWorkflowTask"];
        testbed.temporal(&[&reset[..], &["--reason", "withdraw has its address back", "--yes"]].concat())
    };
    let printed = batch(query);
    assert!(printed.contains("Started batch for job ID: "), "{printed}");
    let mut again = Vec::new();
    for transfer in &transfers {
        let run = next_run(&testbed, transfer).await;
        result(&run).await;
        assert_eq!(events::steps(&run).await, STEPS);
        again.push(run);
    }
    assert_eq!(balances(&testbed).await, balances_after(4));
    until_found(&testbed, "ExecutionStatus = 'Completed'", 4).await;
    until_found(&testbed, "WorkflowType = 'MoneyTransferWorkflow'", 8).await;

    // Without its last part the query finds what was left behind: all run once more, for nothing.
    batch("ExecutionStatus = 'Failed'");
    for run in &again {
        result(&next_run(&testbed, run).await).await;
    }
    assert_eq!(balances(&testbed).await, balances_after(4));
    worker.stop().await;
}

#[tokio::test]
async fn a_reset_of_a_completed_transfer_withdraws_again_and_moves_no_money() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("transfer-1", example()).await;
    result(&transfer).await;
    let event_id = before_the_withdrawal(&transfer).await;
    let reset = ["workflow", "reset", "--workflow-id", "transfer-1", "--event-id", event_id.as_str()];
    testbed.temporal(&[&reset[..], &["--reason", "a try"]].concat());
    let again = next_run(&testbed, &transfer).await;
    result(&again).await;
    assert_eq!(events::steps(&again).await, STEPS);
    assert_eq!(balances(&testbed).await, balances_after(1));
    worker.stop().await;
}
