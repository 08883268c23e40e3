//! The Event Histories of the lab's transfers, against the Workflow's code as it is now.

use std::{env, path::Path, thread};

use tokio::{runtime::Runtime, sync::oneshot};
use transfer_kit::{host, replay};
use worker::workflow::MoneyTransferWorkflow;

use crate::BLOCKED_LIMIT;

#[tokio::test]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn this_change_breaks_no_transfer_in_progress() {
    let Ok(server) = env::var(contract::replay::SERVER_VARIABLE) else {
        println!("skipped: no lab runs, so there are no transfers to replay");
        return;
    };
    // Code that hangs blocks its thread, so not this one.
    let (send, mut report) = oneshot::channel();
    thread::spawn(move || {
        let runtime = Runtime::new().expect("a runtime");
        let report = runtime.block_on(async {
            let client = replay::connect(&server).await.expect("the lab's server answers");
            replay::all::<MoneyTransferWorkflow>(&client).await.expect("the lab's server answers")
        });
        // The test has given up.
        let _ = send.send(report);
    });
    let report = loop {
        tokio::select! {
            report = &mut report => break report.expect("the replay ends"),
            () = tokio::time::sleep(BLOCKED_LIMIT) => {}
        }
        // Many transfers may take longer, but none by itself.
        if let Some(blocking) = host::blocking().first() {
            panic!("the replay hangs: {}", blocking.words());
        }
    };
    if let Some(file) = env::var_os(contract::replay::REPORT_VARIABLE) {
        report.write(Path::new(&file)).expect("the report can be written");
    }
    assert!(report.reasons().is_empty(), "{report}");
}
