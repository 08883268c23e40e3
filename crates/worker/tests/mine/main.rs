//! The learner's tests: what a careful developer runs before a change of `workflow.rs` or `activities.rs` is
//! deployed, by `cargo xtask test --mine`. All other rounds leave them out, as the modules that the lab
//! begins with hold Jerry's bugs, and these tests find them.
//!
//! They hold the two modules to what a transfer promises, not to how it is written.

mod activities;
mod replay;
mod workflow;
#[allow(dead_code, reason = "the macro's items")]
mod working;

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use serde_json::Value;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowHandle,
    errors::WorkflowGetResultError,
};
use temporalio_common::protos::temporal::api::{
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
};
use testbed::Testbed;
use transfer_kit::{
    host,
    stuck::{self, Stuck, Task},
};

type Handle = WorkflowHandle<Client, UntypedWorkflow>;

/// A transfer that has not ended after this has no end.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Nor has one whose code blocks after this.
const BLOCKED_LIMIT: Duration = Duration::from_secs(10);
/// So many attempts of an Activity in a row are no accident.
const TRIES: i32 = 3;

/// How a Workflow ended that failed: the sentence at the bottom, and its type.
#[derive(Debug)]
struct Failed {
    message: String,
    kind: String,
}

/// Waits for the end of this Workflow. It must end by itself: one that fails and is retried, and would be
/// for ever, is a bug, and its failure names the line.
///
/// # Panics
/// Where it is stuck, or does not end within a minute.
async fn end_of(testbed: &Testbed, handle: &Handle) -> Result<Value, Failed> {
    end_within(testbed, handle, TRIES).await
}

/// The same where an Activity may fail at first.
async fn end_within(testbed: &Testbed, handle: &Handle, tries: i32) -> Result<Value, Failed> {
    let begin = Instant::now();
    let mut result = std::pin::pin!(handle.get_result(WorkflowGetResultOptions::default()).fuse());
    let result = loop {
        tokio::select! {
            result = &mut result => break result,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        match stuck_on(testbed, handle).await {
            // Workflow code is deterministic: what has failed once fails again.
            Some(stuck) if stuck.task == Task::Workflow => panic!("it is stuck: {stuck}"),
            Some(stuck) if stuck.attempt >= tries => panic!("it is stuck: {stuck}"),
            _ => assert_it_does_not_hang(begin, &handle.info().workflow_id),
        }
    };
    match result {
        Ok(result) => Ok(result
            .payloads
            .first()
            .map_or(Value::Null, |payload| serde_json::from_slice(&payload.data).expect("a result is JSON"))),
        Err(WorkflowGetResultError::Failed(_)) => Err(failure_of(handle).await),
        Err(error) => panic!("the transfer has neither a result nor a failure: {error}"),
    }
}

/// Asserts that this transfer, which was waited for since then, may still end.
fn assert_it_does_not_hang(since: Instant, workflow_id: &str) {
    let blocking = host::blocking().into_iter().find(|blocking| blocking.workflow_id == workflow_id);
    match blocking.filter(|_| since.elapsed() > BLOCKED_LIMIT) {
        Some(blocking) => panic!("it hangs: {}", blocking.words()),
        None => assert!(
            since.elapsed() < TIME_LIMIT,
            "it hangs: nothing of it fails; does it wait for something that Temporal does not know, such as tokio::time::sleep?"
        ),
    }
}

/// What fails again and again, if anything does.
async fn stuck_on(testbed: &Testbed, handle: &Handle) -> Option<Stuck> {
    let run_id = handle.run_id().expect("a Workflow that was started has a run");
    let stuck = stuck::why(&testbed.client, &handle.info().workflow_id, run_id).await;
    stuck.expect("the server answers")
}

/// The Event History.
async fn history_of(handle: &Handle) -> Vec<HistoryEvent> {
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    history.into_events().await.expect("the server has the history")
}

/// The innermost Application Failure of a Workflow that failed.
async fn failure_of(handle: &Handle) -> Failed {
    let mut next = history_of(handle).await.into_iter().rev().find_map(|event| match event.attributes {
        Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => failed.failure,
        _ => None,
    });
    let mut found = Failed { message: String::new(), kind: String::new() };
    while let Some(Failure { message, cause, failure_info, .. }) = next {
        if let Some(FailureInfo::ApplicationFailureInfo(info)) = failure_info {
            found = Failed { message, kind: info.r#type };
        }
        next = cause.map(|cause| *cause);
    }
    found
}

/// What account_A and account_B hold, in cents.
async fn balances(testbed: &Testbed) -> (i64, i64) {
    (testbed.balance("account_A").await, testbed.balance("account_B").await)
}
