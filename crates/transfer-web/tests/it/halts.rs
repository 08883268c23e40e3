//! What holds a transfer up although nothing of it fails: each state of the server has its words and its way out.

use lab_client::{
    retry::Retried,
    stuck,
    temporal::{Run, Server},
};
use serde_json::{Value, json};

use crate::support::{Lab, endpoints};

/// Types the command that a row names.
fn type_command(lab: &Lab, row: &Value) {
    let command = row["stuck"]["command"].as_str().expect("a command");
    let arguments = command.strip_prefix("cargo xtask temporal ").expect("a command of the Temporal CLI");
    lab.testbed.temporal(&arguments.split(' ').collect::<Vec<_>>());
}

/// The row of the transfer, once it is in this state.
async fn row(lab: &Lab, id: &str, state: &str) -> Value {
    lab.web().row(id, &format!("the transfer to be {state}"), |row| row["stuck"]["state"] == state).await
}

/// The lab's server as the command line sees it, and the run of this row.
fn seen(lab: &Lab, row: &Value) -> (Server, Run) {
    let text = |name: &str| row[name].as_str().expect("an id").to_owned();
    let run = Run { workflow_id: text("workflow_id"), run_id: text("run_id") };
    (Server::new(&endpoints(&lab.testbed)), run)
}

#[tokio::test]
async fn a_paused_activity_is_not_retried_and_its_command_continues_it() {
    let lab = Lab::start().await;
    let worker = lab.worker("fix-workflow").await;
    let id = lab.web().start("account_A", "account_B", 25.5).await;
    lab.web().stuck(&id, "activity", 2).await;
    let pause = ["activity", "pause", "--workflow-id", &id, "--activity-id", "withdraw"];
    lab.testbed.temporal(&[&pause[..], &["--identity", "ada", "--reason", "a look"]].concat());
    let paused = row(&lab, &id, "paused").await;
    let stuck = &paused["stuck"];
    assert_eq!(stuck["says"], "the Activity withdraw is paused by ada (a look)");
    assert_eq!((&stuck["can_retry"], &stuck["kind"]), (&json!(false), &json!("activity")));
    assert_eq!(stuck["next_attempt"], Value::Null);

    let (server, run) = seen(&lab, &paused);
    let answer = lab.web().post(&format!("/api/workflows/{id}/retry"), json!({})).await;
    let (status, error) = answer.error();
    assert_eq!(status, 409);
    assert!(error.contains("paused by ada") && error.contains("activity unpause"), "{error}");
    let retried = tokio::task::spawn_blocking(move || {
        let found = stuck::look(&server, &run).expect("the server answers");
        (server.retry_activity(&run, "withdraw").expect("it is not refused"), found[0].can_retry())
    });
    let (retried, can_retry) = retried.await.expect("it does not panic");
    assert!(matches!(retried, Retried::Paused(_)) && !can_retry, "{retried:?}");

    worker.stop().await;
    let fixed = lab.worker("reset-workflows").await;
    type_command(&lab, &paused);
    lab.web().completed(&id).await;
    fixed.stop().await;
}

#[tokio::test]
async fn a_retry_finishes_what_an_interrupted_retry_left_paused() {
    let lab = Lab::start().await;
    let worker = lab.worker("fix-workflow").await;
    let id = lab.web().start("account_A", "account_B", 25.5).await;
    lab.web().stuck(&id, "activity", 2).await;
    // What a `retry` does before it is killed.
    let pause = ["activity", "pause", "--workflow-id", &id, "--activity-id", "withdraw"];
    lab.testbed.temporal(&[&pause[..], &["--identity", lab::RETRY_IDENTITY]].concat());
    let paused = row(&lab, &id, "paused").await;
    assert_eq!(paused["stuck"]["command"], "cargo xtask retry");
    assert_eq!(paused["stuck"]["can_retry"], true);
    worker.stop().await;
    let fixed = lab.worker("reset-workflows").await;
    let answer = lab.web().post(&format!("/api/workflows/{id}/retry"), json!({})).await;
    assert_eq!((answer.status, &answer.json), (200, &json!({ "retried": 1 })));
    lab.web().completed(&id).await;
    fixed.stop().await;
}

#[tokio::test]
async fn a_paused_workflow_is_still_in_progress_and_its_command_continues_it() {
    let lab = Lab::with(&["frontend.WorkflowPauseEnabled=true"]).await;
    let worker = lab.worker("fix-workflow").await;
    let id = lab.web().start("account_A", "account_B", 25.5).await;
    lab.web().stuck(&id, "activity", 2).await;
    lab.testbed.temporal(&["workflow", "pause", "--workflow-id", &id, "--reason", "a look"]);
    let paused = row(&lab, &id, "paused").await;
    assert_eq!((&paused["status"], &paused["stuck"]["can_retry"]), (&json!("RUNNING"), &json!(false)));
    let says = paused["stuck"]["says"].as_str().unwrap_or_default();
    assert!(says.starts_with("the Workflow is paused by ") && says.ends_with("(a look)"), "{says}");
    let (server, run) = seen(&lab, &paused);
    let running = tokio::task::spawn_blocking(move || server.running().expect("the server answers"));
    assert_eq!(running.await.expect("it does not panic"), [run]);

    worker.stop().await;
    let fixed = lab.worker("reset-workflows").await;
    type_command(&lab, &paused);
    lab.web().completed(&id).await;
    fixed.stop().await;
}

#[tokio::test]
async fn a_transfer_without_a_worker_says_so_and_one_with_a_requested_cancellation_too() {
    let lab = Lab::start().await;
    let id = lab.web().start("account_A", "account_B", 25.5).await;
    let waiting = row(&lab, &id, "no_worker").await;
    let stuck = &waiting["stuck"];
    assert_eq!(stuck["says"], "its Workflow Task is due, and no worker takes it");
    assert_eq!(stuck["command"], "cargo xtask lab logs worker");
    lab.testbed.temporal(&["workflow", "cancel", "--workflow-id", &id]);
    lab.web().row(&id, "its cancellation", |row| row["stuck"]["cancel_requested"] == true).await;

    let worker = lab.worker("fix-workflow").await;
    lab.web().row(&id, "it to be canceled", |row| row["status"] == "CANCELED").await;

    // An Activity that is due, with nobody to run it.
    let id = lab.web().start("account_A", "account_B", 25.5).await;
    lab.web().stuck(&id, "activity", 2).await;
    worker.stop().await;
    let waiting = row(&lab, &id, "no_worker").await;
    assert_eq!(waiting["stuck"]["says"], "the Activity withdraw is due, and no worker takes it");
    let failure = waiting["stuck"]["failure"].as_str().unwrap_or_default();
    assert!(failure.contains("Connection refused"), "what it failed on is still there: {failure}");
}
