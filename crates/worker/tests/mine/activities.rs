//! Each Activity by itself: on a real worker, in a Workflow of a few Activities, at a bank of the test's own.

use std::time::Duration;

use contract::TASK_QUEUE;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowStartOptions};
use temporalio_common::{
    RetryPolicy, UntypedActivity,
    data_converters::{PayloadConverter, RawValue},
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};
use testbed::{TestWorker, Testbed};
use transfer_kit::{Bank, host};
use worker::activities::MoneyActivities;

use crate::{Failed, Handle, TRIES, balances, end_of, end_within, stuck_on};

/// Runs Activities one after the other and returns their answers.
#[workflow]
#[derive(Default)]
struct Activities;

#[workflow_methods]
impl Activities {
    #[run(name = "Activities")]
    async fn run(ctx: &mut WorkflowContext<Self>, calls: Vec<(String, Value)>) -> WorkflowResult<Vec<Value>> {
        let mut answers = Vec::new();
        for (name, input) in calls {
            let input = RawValue::from_value(&input, &PayloadConverter::default());
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(5))
                .activity_id(name.clone())
                // A test has no time to be patient.
                .retry_policy(
                    RetryPolicy::builder()
                        .initial_interval(Duration::from_millis(50))
                        .maximum_interval(Duration::from_millis(50))
                        .build(),
                )
                .build();
            let answer = ctx.execute_activity(UntypedActivity::new(name), input, options).await?;
            answers.push(serde_json::from_slice(&answer.payloads[0].data).unwrap_or_default());
        }
        Ok(answers)
    }
}

/// How much is moved here: more than an account of the lab's own bank holds, so that an Activity which asks
/// that bank by mistake takes nothing there.
const AMOUNT: i32 = 25_500;
/// What account_A and account_B hold at first, after a withdrawal from A, and after a deposit to B, in cents.
const BEFORE: (i64, i64) = (10_100_000, 50_000);
const TAKEN: (i64, i64) = (7_550_000, 50_000);
const GIVEN: (i64, i64) = (10_100_000, 2_600_000);

/// A server, a bank whose account_A holds 101,000, and a worker that runs the live Activities against it.
async fn lab() -> (Testbed, TestWorker) {
    let testbed = Testbed::start().await;
    testbed.give("account_A", 100_000).await;
    let activities = MoneyActivities::new(Bank::at(&testbed.bank_url));
    let options = host::options::<Activities, _>(activities).expect("one Workflow of that name");
    let worker = TestWorker::start(&testbed.client, options).await;
    (testbed, worker)
}

async fn start(testbed: &Testbed, calls: Value) -> Handle {
    let workflow = UntypedWorkflow::new("Activities");
    let options = WorkflowStartOptions::new(TASK_QUEUE, format!("activities {calls}")).build();
    let started = testbed.client.start_workflow(workflow, testbed::raw_json(&calls), options).await;
    started.expect("the server starts a Workflow")
}

async fn run(testbed: &Testbed, calls: Value) -> Result<Value, Failed> {
    let handle = start(testbed, calls).await;
    end_of(testbed, &handle).await
}

/// The answers of Activities that have to work.
async fn answers(testbed: &Testbed, calls: Value) -> Value {
    let Failed { message, kind } = match run(testbed, calls).await {
        Ok(answers) => return answers,
        Err(failed) => failed,
    };
    let hint = match kind.as_str() {
        "InsufficientFunds" => "; does it ask another bank than the one that MoneyActivities::new is given?",
        _ => "",
    };
    panic!("it was refused: {message}{hint}")
}

fn movement(account: &str, amount: i32) -> Value {
    json!({ "account_id": account, "amount": amount })
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn check_balance_answers_what_the_bank_has() {
    let (testbed, worker) = lab().await;
    let calls = json!([["check_balance", { "account_id": "account_C" }]]);
    assert_eq!(answers(&testbed, calls).await, json!([{ "account_id": "account_C", "balance": 750 }]));
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn withdraw_takes_the_money_once() {
    let (testbed, worker) = lab().await;
    let answer = json!({
        "account_id": "account_A", "previous_balance": 101_000, "new_balance": 75_500, "amount": AMOUNT,
    });
    let calls = json!([["withdraw", movement("account_A", AMOUNT)]]);
    assert_eq!(answers(&testbed, calls).await, json!([answer]));
    assert_eq!(balances(&testbed).await, TAKEN);
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn deposit_gives_the_money_once() {
    let (testbed, worker) = lab().await;
    let answer = json!({
        "account_id": "account_B", "previous_balance": 500, "new_balance": 26_000, "amount": AMOUNT,
    });
    assert_eq!(answers(&testbed, json!([["deposit", movement("account_B", AMOUNT)]])).await, json!([answer]));
    assert_eq!(balances(&testbed).await, GIVEN);
    worker.stop().await;
}

/// Lets the bank make each change and then fail to say so, until the Activity has been tried a few times.
async fn lose_the_first_answers(activity: &str, account: &str, after: (i64, i64)) {
    let (testbed, worker) = lab().await;
    let lose = json!({ "enabled": true, "error_rate": 1, "timeout_rate": 0, "strikes": "after" });
    testbed.put("/real-world-mode", lose).await;
    let handle = start(&testbed, json!([[activity, movement(account, AMOUNT)]])).await;
    let stuck = testbed::until("another attempt", || async {
        match stuck_on(&testbed, &handle).await {
            Some(stuck) if stuck.attempt >= TRIES => Ok(stuck),
            other => Err(other),
        }
    });
    tokio::select! {
        stuck = stuck => {
            let made = balances(&testbed).await == after;
            assert!(made, "{activity} does not move the money once: {stuck}");
        }
        // An Activity may make up for a lost answer by itself.
        ended = end_within(&testbed, &handle, i32::MAX) => {
            assert!(ended.is_ok(), "a lost answer is no reason to give up: {ended:?}");
        }
    }
    testbed.put("/real-world-mode", json!({ "enabled": false })).await;
    let tries = stuck_on(&testbed, &handle).await.map_or(0, |stuck| stuck.attempt) + TRIES;
    let ended = end_within(&testbed, &handle, tries).await;
    assert!(ended.is_ok(), "a lost answer is no reason to give up: {ended:?}");
    assert_eq!(balances(&testbed).await, after, "an answer was lost, and the money moved once more");
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn withdraw_takes_the_money_once_though_its_first_answers_are_lost() {
    lose_the_first_answers("withdraw", "account_A", TAKEN).await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn deposit_gives_the_money_once_though_its_first_answers_are_lost() {
    lose_the_first_answers("deposit", "account_B", GIVEN).await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn refund_gives_back_what_was_taken_and_not_delivered() {
    let (testbed, worker) = lab().await;
    let refund = json!(["refund", movement("account_A", AMOUNT)]);
    let nothing = answers(&testbed, json!([refund])).await;
    assert_eq!(nothing, json!([{ "account_id": "account_A", "refunded": 0, "delivered": false }]));

    let withdraw = json!(["withdraw", movement("account_A", AMOUNT)]);
    let back = answers(&testbed, json!([withdraw, refund])).await;
    assert_eq!(back[1], json!({ "account_id": "account_A", "refunded": AMOUNT, "delivered": false }));
    assert_eq!(balances(&testbed).await, BEFORE);

    let deposit = json!(["deposit", movement("account_B", AMOUNT)]);
    let delivered = answers(&testbed, json!([withdraw, deposit, refund])).await;
    assert_eq!(delivered[2], json!({ "account_id": "account_A", "refunded": 0, "delivered": true }));
    assert_eq!(balances(&testbed).await, (TAKEN.0, GIVEN.1));
    worker.stop().await;
}

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn a_refusal_by_the_bank_is_final() {
    let (testbed, worker) = lab().await;
    for (activity, input, kind) in [
        ("withdraw", movement("account_A", 101_001), "InsufficientFunds"),
        ("withdraw", movement("account_X", 1), "UnknownAccount"),
        ("deposit", movement("account_X", 1), "UnknownAccount"),
        ("check_balance", json!({ "account_id": "account_X" }), "UnknownAccount"),
    ] {
        let failed = run(&testbed, json!([[activity, input]])).await;
        let failed = failed.expect_err("the bank refuses, so the Activity must fail");
        assert_eq!(failed.kind, kind, "{activity}: {}", failed.message);
    }
    assert_eq!(balances(&testbed).await, BEFORE);
    worker.stop().await;
}
