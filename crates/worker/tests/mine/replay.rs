//! The Event Histories of the transfers under way in the lab, against the Workflow's code as it is now.

use std::{env, io::Write as _, path::Path};

use serde_json::{Value, json};
use testbed::replay;
use worker::workflow::MoneyTransferWorkflow;

/// Names the Temporal server whose transfers are replayed, as host:port.
const SERVER: &str = "BUGLAB_REPLAY_SERVER";
/// Names a file for a report that programs can read.
const REPORT: &str = "BUGLAB_REPLAY_REPORT";
/// More than so many are not replayed: one in 500 tells what the others would.
const MOST: usize = 500;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the learner's: cargo xtask test --mine"]
async fn this_change_breaks_no_transfer_under_way() {
    let Ok(server) = env::var(SERVER) else {
        println!("skipped: no lab runs, so there are no transfers under way to replay");
        return;
    };
    let client = testbed::connect(&server).await;
    let (transfers, under_way) = replay::under_way(&client, MOST).await.expect("the lab's server answers");
    let replayed = transfers.len();
    let mut broken = Vec::new();
    for transfer in transfers {
        if let Err(why) = replay::replay::<MoneyTransferWorkflow>(transfer.events).await {
            let (workflow_id, run_id) = (transfer.workflow_id, transfer.run_id);
            broken.push(json!({ "workflow_id": workflow_id, "run_id": run_id, "why": why }));
        }
    }
    if let Some(path) = env::var_os(REPORT) {
        let report = json!({ "replayed": replayed, "under_way": under_way, "broken": broken });
        write_whole(Path::new(&path), &report);
    }
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let lines: String = broken
        .iter()
        .map(|one| format!("\n  {}: {}", text(&one["workflow_id"]), text(&one["why"])))
        .collect();
    let (count, s) = (broken.len(), if broken.len() == 1 { "" } else { "s" });
    assert!(broken.is_empty(), "this change breaks {count} transfer{s} under way:{lines}");
}

/// Writes the file beside its place and moves it there, so that nobody reads half of it.
fn write_whole(path: &Path, report: &Value) {
    let folder = path.parent().expect("a file is in a folder");
    let mut beside = tempfile::NamedTempFile::new_in(folder).expect("the report's folder can be written to");
    writeln!(beside, "{report}").expect("the report can be written");
    beside.persist(path).expect("the report can be moved to its place");
}
