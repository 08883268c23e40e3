//! The Event Histories of the lab's transfers, against the Workflow's code as it is now.

use std::{env, path::Path};

use transfer_kit::replay;
use worker::workflow::MoneyTransferWorkflow;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn this_change_breaks_no_transfer_in_progress() {
    let Ok(server) = env::var(contract::replay::SERVER_VARIABLE) else {
        println!("skipped: no lab runs, so there are no transfers to replay");
        return;
    };
    let client = replay::connect(&server).await.expect("the lab's server answers");
    let report = replay::all::<MoneyTransferWorkflow>(&client).await.expect("the lab's server answers");
    if let Some(file) = env::var_os(contract::replay::REPORT_VARIABLE) {
        report.write(Path::new(&file)).expect("the report can be written");
    }
    assert!(report.reasons().is_empty(), "{report}");
}
