//! Lost answers, cancellations and workers that are killed: the money moves once or goes back.

use serde_json::json;
use temporalio_client::{WorkflowCancelOptions, WorkflowGetResultOptions, errors::WorkflowGetResultError};
use testbed::{Testbed, until};
use transfer_kit::stuck;

use crate::{Handle, events, example, process::Process, result, worker};

async fn until_deposit_fails(testbed: &Testbed, transfer: &Handle) {
    until("the deposit to fail", || async {
        let run_id = transfer.run_id().expect("a started transfer has a run");
        let why = stuck::why(&testbed.client, &transfer.info().workflow_id, run_id).await;
        match why.expect("the server answers") {
            Some(stuck) if stuck.task == stuck::Task::Activity("deposit".to_owned()) => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test]
async fn money_moves_once_though_every_first_answer_is_lost() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let lose = json!({"enabled": true, "error_rate": 1, "timeout_rate": 0, "strikes": "after"});
    testbed.put("/real-world-mode", lose).await;
    let transfer = testbed.start_transfer("lost-answers", example()).await;
    until("the withdrawal to be made", || async {
        let balance = testbed.balance("account_A").await;
        if balance == 97_450 { Ok(()) } else { Err(balance) }
    })
    .await;
    testbed.put("/real-world-mode", json!({"enabled": false})).await;

    result(&transfer).await;
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_transfer_gives_the_money_back() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", json!({"deposits": true})).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("cancelled", example()).await;
    until_deposit_fails(&testbed, &transfer).await;
    assert_eq!(testbed.balance("account_A").await, 97_450);

    transfer.cancel(WorkflowCancelOptions::default()).await.expect("the server takes the request");
    let ended = transfer.get_result(WorkflowGetResultOptions::default()).await;
    assert!(matches!(ended, Err(WorkflowGetResultError::Cancelled { .. })), "{ended:?}");
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (100_000, 50_000));
    assert_eq!(events::scheduled_activities(&transfer).await.last().map(String::as_str), Some("refund"));
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_whose_deposit_was_made_completes_though_its_answer_was_lost_for_good() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", json!({"deposits": true})).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("delivered", example()).await;
    until_deposit_fails(&testbed, &transfer).await;
    let lose = json!({"enabled": true, "error_rate": 1, "timeout_rate": 0, "strikes": "after"});
    testbed.put("/real-world-mode", lose).await;
    testbed.put("/outage", json!({"deposits": false})).await;
    until_balances(&testbed, (97_450, 52_550)).await;

    // The transfer does not know of the deposit: asked to give up, it asks the bank, and the money has arrived.
    transfer.cancel(WorkflowCancelOptions::default()).await.expect("the server takes the request");
    assert_eq!(result(&transfer).await["success"], true);
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    worker.stop().await;
}

async fn until_balances(testbed: &Testbed, expected: (i64, i64)) {
    until("the money to move", || async {
        let balances = (testbed.balance("account_A").await, testbed.balance("account_B").await);
        if balances == expected { Ok(()) } else { Err(balances) }
    })
    .await;
}

async fn completes_though_its_worker_ends_by(signal: &str) {
    let testbed = Testbed::start().await;
    testbed.put("/outage", json!({"deposits": true})).await;
    let mut first = Process::start(&testbed, "reset-workflows");
    let transfer = testbed.start_transfer("interrupted", example()).await;
    until_deposit_fails(&testbed, &transfer).await;
    first.signal(signal);
    until("the worker to end", || {
        let ended = first.has_ended();
        async move { if ended { Ok(()) } else { Err("it runs") } }
    })
    .await;
    testbed.put("/outage", json!({"deposits": false})).await;

    let _second = Process::start(&testbed, "reset-workflows");
    result(&transfer).await;
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    assert_eq!(events::scheduled_activities(&transfer).await.len(), 4);
}

#[tokio::test]
async fn a_transfer_completes_once_though_its_worker_is_terminated_in_the_middle() {
    completes_though_its_worker_ends_by("TERM").await;
}

#[tokio::test]
async fn a_transfer_completes_once_though_its_worker_is_killed_in_the_middle() {
    completes_though_its_worker_ends_by("KILL").await;
}

#[tokio::test]
async fn money_moves_once_though_the_worker_is_killed_between_the_banks_commit_and_its_answer() {
    let testbed = Testbed::start().await;
    let keep_waiting = json!({"enabled": true, "error_rate": 0, "timeout_rate": 1, "strikes": "after"});
    testbed.put("/real-world-mode", keep_waiting).await;
    let mut first = Process::start(&testbed, "reset-workflows");
    let transfer = testbed.start_transfer("between", example()).await;
    until_balances(&testbed, (97_450, 50_000)).await;
    first.signal("KILL");
    testbed.put("/real-world-mode", json!({"enabled": false})).await;

    let _second = Process::start(&testbed, "reset-workflows");
    result(&transfer).await;
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
}
