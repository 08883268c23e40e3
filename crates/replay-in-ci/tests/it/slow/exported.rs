//! Exports histories by the script, and replays them with code that fits and with code that does not.

use std::{env, ffi::OsString, fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::json;
use stages::workflow::{added_step, fixed};
use temporalio_client::{WorkflowFetchHistoryOptions, WorkflowGetResultOptions};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use testbed::{TestWorker, Testbed, until};
use transfer_kit::Bank;
use webtest::has;

use crate::replay::replay_all;

/// Runs the script as the CI job does, with the Temporal CLI on PATH; returns what it said.
fn export(testbed: &Testbed, folder: &Path, variables: &[(&str, &str)]) -> String {
    let programs = tempfile::tempdir().expect("a temporary folder");
    symlink(testbed::temporal_cli().path(), programs.path().join("temporal")).expect("a link can be made");
    let mut path = OsString::from(programs.path());
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut script = Command::new("bash");
    script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/export-histories.sh")).arg(folder);
    dev_server::forget_cli_settings(&mut script);
    script.env("PATH", path);
    script.env("TEMPORAL_ADDRESS", testbed.server_address()).env("TEMPORAL_NAMESPACE", "default");
    let output = script.envs(variables.iter().copied()).output().expect("bash is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_histories_replay_with_the_code_they_ran_and_not_with_one_more_step() {
    if !has(&["bash", "jq"]) {
        return;
    }
    let testbed = Testbed::start().await;
    let stage = lab::stage("fix-activity").expect("a stage of the table");
    let options =
        stages::worker_options(stage, Bank::at(&testbed.bank_url)).expect("its modules are compiled");
    let worker = TestWorker::start(&testbed.client, options).await;
    let input = json!({"from_account": "account_A", "to_account": "account_B", "amount": 25.5});
    let completed = testbed.start_transfer("completed", input.clone()).await;
    completed.get_result(WorkflowGetResultOptions::default()).await.expect("it completes");
    testbed.put("/outage", json!({"deposits": true})).await;
    let held = testbed.start_transfer("held", input).await;
    until("the deposit to be scheduled", || async {
        let history = held.fetch_history(WorkflowFetchHistoryOptions::default());
        let events = history.into_events().await.expect("it has a history");
        let is_deposit = |attributes: &Attributes| match attributes {
            Attributes::ActivityTaskScheduledEventAttributes(scheduled) => scheduled.activity_id == "deposit",
            _ => false,
        };
        let scheduled = events.iter().filter_map(|event| event.attributes.as_ref()).any(is_deposit);
        if scheduled { Ok(()) } else { Err(events.len()) }
    })
    .await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    // The server's list lags behind.
    until("both to be exported", || async {
        let said = export(&testbed, folder.path(), &[]);
        let both = ["exported held (Running)", "exported completed (Completed)"];
        if both.iter().all(|line| said.contains(line)) { Ok(()) } else { Err(said) }
    })
    .await;
    assert_eq!(replay_all::<fixed::MoneyTransferWorkflow>(folder.path()).await, Ok(2));
    let failures = replay_all::<added_step::MoneyTransferWorkflow>(folder.path()).await;
    let failures = failures.expect_err("it has a step that neither history has");
    assert_eq!(failures.matches("[TMPRL1100] Nondeterminism error").count(), 2, "{failures}");

    // What completed can be left out; and what was not exported is no success.
    let running = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(export(&testbed, running.path(), &[("COMPLETED", "0")]), "exported held (Running)\n");
    assert_eq!(replay_all::<fixed::MoneyTransferWorkflow>(running.path()).await, Ok(1));
    fs::remove_file(running.path().join(format!("{}.json", held.run_id().expect("it is known"))))
        .expect("it is there");
    assert!(replay_all::<fixed::MoneyTransferWorkflow>(running.path()).await.is_err());
    worker.stop().await;
}
