//! What each stage does on a real server: the failures a learner sees, and the money.

mod build_ids;
mod business_errors;
mod checks;
mod determinism;
mod drills;
mod events;
mod halts;
mod idempotency;
mod limits;
mod modules;
mod process;
mod replay;
mod resets;
mod snippets;
mod story;
mod versioning;

/// Slow tests that seldom fail: `cargo xtask test --slow` runs them.
mod slow {
    mod interruptions;
    mod no_dead_ends;
    mod roll_out;
    mod wrong_roll_out;
}

use temporalio_client::{
    Client, UntypedQuery, UntypedWorkflow, WorkflowGetResultOptions, WorkflowHandle, WorkflowQueryOptions,
};
use temporalio_common::data_converters::RawValue;
use testbed::{TestWorker, Testbed, until};
use transfer_kit::{
    Bank,
    stuck::{self, Stuck, Task},
};

type Handle = WorkflowHandle<Client, UntypedWorkflow>;

/// A worker that runs this stage's modules against the testbed's bank.
async fn worker(testbed: &Testbed, stage: &str) -> TestWorker {
    let stage = lab::stage(stage).expect("a stage of the table");
    let options =
        stages::worker_options(stage, Bank::at(&testbed.bank_url)).expect("its modules are compiled");
    TestWorker::start(&testbed.client, options).await
}

/// 25.50 from account_A to account_B.
fn example() -> serde_json::Value {
    serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 25.5})
}

/// The result of a transfer that has to complete.
async fn result(handle: &Handle) -> serde_json::Value {
    let options = WorkflowGetResultOptions::default();
    let result = handle.get_result(options).await.expect("the transfer completes");
    serde_json::from_slice(&result.payloads[0].data).expect("the result is JSON")
}

/// What a transfer tells of itself.
async fn state(handle: &Handle) -> serde_json::Value {
    let query = UntypedQuery::new(contract::STATE_QUERY);
    let answer = handle.query(query, RawValue::new(Vec::new()), WorkflowQueryOptions::default()).await;
    let answer = answer.expect("a worker answers for the transfer");
    serde_json::from_slice(&answer.payloads[0].data).expect("the state is JSON")
}

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

/// What account_A and account_B hold, in cents.
async fn balances(testbed: &Testbed) -> (i64, i64) {
    (testbed.balance("account_A").await, testbed.balance("account_B").await)
}

/// What both hold once this many of [`example`]'s transfers have moved their money.
fn balances_after(transfers: i64) -> (i64, i64) {
    (100_000 - transfers * 2_550, 50_000 + transfers * 2_550)
}
