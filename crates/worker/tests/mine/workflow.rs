//! The Workflow on a real server, with Activities that work: what fails here is the Workflow's own fault.

use std::time::Instant;

use contract::{TransferState, step};
use serde_json::{Value, json};
use temporalio_client::{UntypedQuery, WorkflowQueryOptions};
use temporalio_common::{
    data_converters::RawValue, protos::temporal::api::history::v1::history_event::Attributes,
};
use testbed::{TestWorker, Testbed, until};
use transfer_kit::{Bank, host, stuck::Task};
use worker::workflow::MoneyTransferWorkflow;

use crate::{
    Handle, assert_it_does_not_hang, balances, end_of, end_within, history_of, stuck_on,
    working::WorkingActivities,
};

/// A server, a bank, and a worker that runs the live Workflow.
async fn lab(refuses_deposits: bool) -> (Testbed, TestWorker) {
    let testbed = Testbed::start().await;
    let activities = WorkingActivities { bank: Bank::at(&testbed.bank_url), refuses_deposits };
    let options = host::options::<MoneyTransferWorkflow, _>(activities).expect("one Workflow of that name");
    let worker = TestWorker::start(&testbed.client, options).await;
    (testbed, worker)
}

/// A transfer from account_A to account_B.
fn transfer(amount: f64) -> Value {
    json!({ "from_account": "account_A", "to_account": "account_B", "amount": amount })
}

/// The Activity Types that were scheduled, in order.
async fn activities_of(handle: &Handle) -> Vec<String> {
    let events = history_of(handle).await.into_iter();
    let scheduled = events.filter_map(|event| match event.attributes {
        Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => scheduled.activity_type,
        _ => None,
    });
    scheduled.map(|activity_type| activity_type.name).collect()
}

/// What the transfer answers to the Query.
async fn state_of(handle: &Handle) -> TransferState {
    let query = UntypedQuery::new(contract::STATE_QUERY);
    let answer = handle.query(query, RawValue::new(Vec::new()), WorkflowQueryOptions::default()).await;
    let answer = answer.unwrap_or_else(|error| panic!("the transfer does not answer get_state: {error}"));
    serde_json::from_slice(&answer.payloads[0].data).expect("the answer is of the contract's form")
}

/// Whether all of these are in the list, in this order; others may be between.
fn in_order(list: &[String], wanted: &[&str]) -> bool {
    let mut list = list.iter();
    wanted.iter().all(|wanted| list.any(|one| one == wanted))
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn a_transfer_completes_and_moves_the_money_once() {
    let (testbed, worker) = lab(false).await;
    let handle = testbed.start_transfer("completes", transfer(25.5)).await;
    let result = end_of(&testbed, &handle).await.expect("a transfer that can be made completes");
    let expected = json!({
        "success": true,
        "from_account": "account_A",
        "to_account": "account_B",
        "amount": 25.5,
        "from_account_starting_balance": 1000,
        "to_account_starting_balance": 500,
    });
    assert_eq!(result, expected);
    assert_eq!(balances(&testbed).await, (97_450, 52_550));

    let steps = activities_of(&handle).await;
    assert!(in_order(&steps, &["check_balance", "check_balance", "withdraw", "deposit"]), "{steps:?}");
    for once in ["withdraw", "deposit"] {
        assert_eq!(steps.iter().filter(|step| *step == once).count(), 1, "{steps:?}");
    }
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn a_transfer_shows_how_far_it_is() {
    let (testbed, worker) = lab(false).await;
    testbed.put("/outage", json!({ "deposits": true })).await;
    let handle = testbed.start_transfer("tells", transfer(25.5)).await;
    let begin = Instant::now();
    until("the deposit to be tried", || async {
        match stuck_on(&testbed, &handle).await {
            Some(stuck) if stuck.task == Task::Workflow => panic!("it is stuck: {stuck}"),
            Some(_) => Ok(()),
            None => {
                assert_it_does_not_hang(begin, "tells");
                Err("not yet")
            }
        }
    })
    .await;
    let state = state_of(&handle).await;
    assert_eq!(state.status, contract::Status::Running);
    assert!(in_order(&state.steps, &step::ALL), "{state:?}");
    assert!(in_order(&state.completed_steps, &step::ALL[..3]), "{state:?}");
    assert_eq!(state.current_step.as_deref(), Some(step::DEPOSIT));
    assert_eq!(state.from_account_starting_balance.map(contract::Money::cents), Some(100_000));
    assert_eq!(state.to_account_starting_balance.map(contract::Money::cents), Some(50_000));

    testbed.put("/outage", json!({ "deposits": false })).await;
    // The bank refused to do anything for a while, so there may have been any number of attempts.
    end_within(&testbed, &handle, i32::MAX).await.expect("it completes once the bank is there again");
    let state = state_of(&handle).await;
    assert_eq!(state.status, contract::Status::Completed);
    assert!(in_order(&state.completed_steps, &step::ALL), "{state:?}");
    assert!(state.result.is_some_and(|result| result.success));
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn insufficient_funds_fail_a_transfer_at_once_and_move_nothing() {
    let (testbed, worker) = lab(false).await;
    let handle = testbed.start_transfer("too much", transfer(1000.01)).await;
    let failed = end_of(&testbed, &handle).await.expect_err("the account holds less");
    assert_eq!(failed.kind, "InsufficientFunds", "{}", failed.message);
    assert_eq!(balances(&testbed).await, (100_000, 50_000));
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn a_deposit_that_is_refused_for_good_gives_the_money_back() {
    let (testbed, worker) = lab(true).await;
    let handle = testbed.start_transfer("refused", transfer(25.5)).await;
    let failed = end_of(&testbed, &handle).await.expect_err("a transfer that did not arrive has failed");
    assert_eq!(failed.kind, "UnknownAccount", "{}", failed.message);
    assert_eq!(balances(&testbed).await, (100_000, 50_000));
    worker.stop().await;
}
