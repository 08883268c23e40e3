//! Transfers that can never work fail at once, say why, and leave every balance as it was.

use contract::{TASK_QUEUE, WORKFLOW_TYPE};
use serde_json::json;
use temporalio_client::{UntypedWorkflow, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;
use testbed::Testbed;

use crate::{events, worker};

#[tokio::test]
async fn a_transfer_that_can_never_work_fails_at_once_and_says_why() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let before = testbed.balances().await;
    let transfer = |from: &str, to: &str, amount: serde_json::Value| json!({"from_account": from, "to_account": to, "amount": amount, "unknown": {"field": true}});
    let cases = [
        ("from unknown", transfer("account_X", "account_B", json!(1)), "UnknownAccount", "Account not found"),
        ("to unknown", transfer("account_A", "account_X", json!(1)), "UnknownAccount", "Account not found"),
        ("no account id", transfer("account_A", "../reset", json!(1)), "UnknownAccount", "Account not found"),
        ("too much", transfer("account_A", "account_B", json!(1000.01)), "InsufficientFunds", "1000.00"),
        ("zero", transfer("account_A", "account_B", json!(0)), "BadAmount", "greater than zero"),
        ("negative", transfer("account_A", "account_B", json!(-5)), "BadAmount", "greater than zero"),
        ("too precise", transfer("account_A", "account_B", json!(0.001)), "BadAmount", "two decimals"),
        ("no number", transfer("account_A", "account_B", json!("25")), "BadAmount", "number"),
        ("same account", transfer("account_A", "account_A", json!(1)), "SameAccount", "both account_A"),
        ("no object", json!(null), "BadRequest", "needs"),
    ];
    for (id, input, kind, word) in cases {
        let transfer = testbed.start_transfer(id, input).await;
        let (message, failure_type) = events::failure(&transfer).await;
        assert_eq!(failure_type, kind, "{id}: {message}");
        assert!(message.contains(word), "{id}: {message}");
    }
    assert_eq!(testbed.balances().await, before);
    worker.stop().await;
}

#[tokio::test]
async fn a_refused_withdrawal_says_that_no_money_was_taken() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let input = json!({"from_account": "account_E", "to_account": "account_B", "amount": 300.01});
    let transfer = testbed.start_transfer("refused", input).await;
    let (message, _) = events::failure(&transfer).await;
    assert_eq!(message, "Insufficient funds: the account holds 300.00, less than 300.01; no money was taken");
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_without_any_input_fails_at_once_and_says_what_it_needs() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let options = WorkflowStartOptions::new(TASK_QUEUE, "nothing").build();
    let workflow = UntypedWorkflow::new(WORKFLOW_TYPE);
    let started = testbed.client.start_workflow(workflow, RawValue::new(Vec::new()), options).await;
    let (message, failure_type) = events::failure(&started.expect("the server starts it")).await;
    assert_eq!(failure_type, "BadRequest", "{message}");
    assert!(message.starts_with("a transfer needs from_account, to_account and amount"), "{message}");
    worker.stop().await;
}
