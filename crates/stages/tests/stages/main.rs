//! What each stage does on a real server: the failures a learner sees, and the money.

mod business_errors;
mod events;
mod idempotency;
mod interruptions;
mod replay;
mod story;

use temporalio_client::{Client, UntypedWorkflow, WorkflowGetResultOptions, WorkflowHandle};
use testbed::{TestWorker, Testbed};
use transfer_kit::Bank;

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
