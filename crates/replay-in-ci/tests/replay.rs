//! Replays exported Event Histories with this project's Workflow: a change that breaks Workflows in progress fails here, before
//! it is deployed. Replayed are the Workflow Tasks that completed; whether code gets a stuck Workflow past a failing task, it does
//! not tell. `crates/transfer-kit/src/replay.rs` does that too.
//!
//! To use it in a project of yours:
//!
//! 1. copy `build.rs`, `export-histories.sh` and this file, and the dependencies that `Cargo.toml` has for them;
//! 2. name your Workflow below, and its type where `replay.yml` calls the script;
//! 3. copy `replay.yml` to `.github/workflows`.
//!
//! To try it by hand, with the lab or another Temporal Service:
//!
//! ```sh
//! crates/replay-in-ci/export-histories.sh histories
//! HISTORIES=$PWD/histories cargo test --package replay-in-ci --test replay -- --ignored
//! ```

use std::{env, fs, path::Path, time::Duration};

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use temporalio_client::WorkflowHistory;
use temporalio_common::{WorkflowDefinition, protos::temporal::api::history::v1::History};
use temporalio_sdk::{
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};
// Your Workflow.
use worker::workflow::MoneyTransferWorkflow;

/// Code that waits for something that the history does not have is given up on after this.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs exported histories: see replay.yml"]
async fn every_exported_history_replays() {
    let folder = env::var_os("HISTORIES").expect("HISTORIES names the folder of exported histories");
    match replay_all::<MoneyTransferWorkflow>(Path::new(&folder)).await {
        Ok(count) => println!("{count} histories replayed"),
        Err(failures) => panic!("{failures}"),
    }
}

/// Replays each `*.json` of this folder, and returns how many there are; or which do not replay, and why.
pub(crate) async fn replay_all<W>(folder: &Path) -> Result<usize, String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    // An export that found nothing must not look like a change that breaks nothing.
    if files.is_empty() {
        return Err(format!("no history in {}", folder.display()));
    }
    let mut failures = Vec::new();
    for file in &files {
        if let Err(why) = replay::<W>(file).await {
            failures.push(format!("{}: {why}", file.display()));
        }
    }
    if failures.is_empty() { Ok(files.len()) } else { Err(failures.join("\n")) }
}

async fn replay<W>(file: &Path) -> Result<(), String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let json = fs::read(file).map_err(|error| error.to_string())?;
    let history = WorkflowHistory::from(history(&json)?);
    let options =
        WorkflowReplayerOptions::new().register_workflow::<W>().map_err(|error| error.to_string())?;
    let replayer = WorkflowReplayer::new(options.build()).map_err(|error| error.to_string())?;
    match tokio::time::timeout(REPLAY_TIMEOUT, replayer.replay_workflow(history)).await {
        Ok(replayed) => replayed.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("its replay did not end within {REPLAY_TIMEOUT:?}")),
    }
}

/// A history as the Temporal CLI exports it. `WorkflowHistory::from_json` reads another JSON, the SDK's own.
fn history(json: &[u8]) -> Result<History, String> {
    let descriptors = &include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"))[..];
    let pool = DescriptorPool::decode(descriptors).map_err(|error| error.to_string())?;
    let form = pool.get_message_by_name("temporal.api.history.v1.History").ok_or("no such message")?;
    // A server may be newer than the SDK.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut json = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize_with_options(form, &mut json, &options);
    message.map_err(|error| error.to_string())?.transcode_to().map_err(|error| error.to_string())
}
