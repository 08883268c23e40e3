//! Replay: whether a Workflow's code, as it is now, can go on with transfers that older code has begun.

use std::{env, fmt, path::Path, time::Duration};

use crate::host;
use anyhow::Context as _;
use futures::TryStreamExt as _;
use serde::Serialize;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowExecutionInfo, WorkflowFetchHistoryOptions, WorkflowHandle,
    WorkflowHistory, WorkflowListOptions,
};
use temporalio_common::{
    WorkflowDefinition,
    protos::temporal::api::{
        enums::v1::EventType,
        history::v1::{
            History, HistoryEvent, WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes,
            history_event::Attributes,
        },
    },
};
use temporalio_sdk::workflows::WorkflowImplementation;

/// Names the Temporal server whose transfers are replayed, as `host:port`.
pub const SERVER_VARIABLE: &str = "BUGLAB_REPLAY_SERVER";
/// Names the namespace of those transfers, where it is not `default`.
pub const NAMESPACE_VARIABLE: &str = "BUGLAB_REPLAY_NAMESPACE";
/// Names a file for a report that programs can read.
pub const REPORT_VARIABLE: &str = "BUGLAB_REPLAY_REPORT";

/// More than so many transfers are not replayed: one in 500 tells what the others would.
const MOST: usize = 500;
/// Code that waits for something that never comes is given up on after this.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(20);

/// A transfer that has begun.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its Run Id.
    pub run_id: String,
    /// Its Event History so far.
    pub events: Vec<HistoryEvent>,
}

/// What came of replaying the transfers under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many were replayed.
    pub replayed: usize,
    /// How many there are.
    pub under_way: usize,
    /// Those that the code cannot go on with.
    pub broken: Vec<Broken>,
}

/// A transfer that the code cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its Run Id.
    pub run_id: String,
    /// Why, in a line.
    pub why: String,
}

impl Report {
    /// Writes it as JSON beside the file and renames it, so that nobody reads half of it.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        files::replace(file, format!("{}\n", serde_json::to_string(self)?).as_bytes(), 0o600)?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.broken.len(), if self.broken.len() == 1 { "" } else { "s" });
        write!(f, "this change breaks {count} transfer{s} under way:")?;
        self.broken.iter().try_for_each(|broken| write!(f, "\n  {}: {}", broken.workflow_id, broken.why))
    }
}

/// Connects to the server at this address, in the namespace whose transfers are to be replayed.
///
/// # Errors
/// None answers there.
pub async fn connect(address: &str) -> anyhow::Result<Client> {
    let namespace = env::var(NAMESPACE_VARIABLE).ok().filter(|name| !name.is_empty());
    host::connect_to(address, namespace.as_deref().unwrap_or("default")).await
}

/// Replays the transfers that are under way on this server with the Workflow's code.
///
/// # Errors
/// The server does not answer.
pub async fn all<W>(client: &Client) -> anyhow::Result<Report>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let (transfers, under_way) = under_way(client, MOST).await?;
    let mut report = Report { replayed: transfers.len(), under_way, broken: Vec::new() };
    for UnderWay { workflow_id, run_id, events } in transfers {
        if let Err(why) = replay::<W>(events).await {
            report.broken.push(Broken { workflow_id, run_id, why });
        }
    }
    Ok(report)
}

/// The transfers that are under way on this server, at most so many, and how many there are in all.
///
/// # Errors
/// The server does not answer.
pub async fn under_way(client: &Client, most: usize) -> anyhow::Result<(Vec<UnderWay>, usize)> {
    let query = format!("WorkflowType = '{}' AND ExecutionStatus = 'Running'", contract::WORKFLOW_TYPE);
    let listed: Vec<_> = client.list_workflows(query, WorkflowListOptions::default()).try_collect().await?;
    let mut found = Vec::new();
    for execution in listed.iter().take(most) {
        let (workflow_id, run_id) = (execution.id().to_owned(), execution.run_id().to_owned());
        let info = WorkflowExecutionInfo::builder()
            .namespace(client.options().namespace.clone())
            .workflow_id(&workflow_id)
            .run_id(&run_id)
            .build();
        let handle = WorkflowHandle::<Client, UntypedWorkflow>::new(client.clone(), info);
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        let events = history.into_events().await.with_context(|| format!("no history of {workflow_id}"))?;
        found.push(UnderWay { workflow_id, run_id, events });
    }
    // A list is a moment old: what has ended since is under way no more.
    let looked_at = found.len();
    found.retain(|transfer| transfer.events.last().is_some_and(|event| !event.is_final_wf_execution_event()));
    let ended = looked_at - found.len();
    Ok((found, listed.len() - ended))
}

/// Runs the Workflow's code along this history, as a worker with that code would at the next Workflow Task.
///
/// # Errors
/// The code does not fit the history, or fails where the history ends: why, in a line.
pub async fn replay<W>(mut events: Vec<HistoryEvent>) -> Result<(), String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    begin_next_task(&mut events);
    let replayed = host::replay::<W>(WorkflowHistory::from(History { events }));
    match tokio::time::timeout(REPLAY_TIMEOUT, replayed).await {
        Ok(replayed) => replayed.map_err(|error| reason(&format!("{error:#}"))),
        Err(_) => Err(format!("its replay did not end within {REPLAY_TIMEOUT:?}")),
    }
}

/// Begins another attempt of a Workflow Task that failed or waits, as the server would: the SDK replays the
/// tasks that completed and the one that has begun.
fn begin_next_task(events: &mut Vec<HistoryEvent>) {
    let Some(last) = events.last() else { return };
    let mut next = last.clone();
    if matches!(last.event_type(), EventType::WorkflowTaskFailed | EventType::WorkflowTaskTimedOut) {
        next.event_id += 1;
        next.set_event_type(EventType::WorkflowTaskScheduled);
        let scheduled = WorkflowTaskScheduledEventAttributes::default();
        next.attributes = Some(Attributes::WorkflowTaskScheduledEventAttributes(scheduled));
        events.push(next.clone());
    }
    if next.event_type() == EventType::WorkflowTaskScheduled {
        let started = WorkflowTaskStartedEventAttributes {
            scheduled_event_id: next.event_id,
            ..WorkflowTaskStartedEventAttributes::default()
        };
        next.event_id += 1;
        next.set_event_type(EventType::WorkflowTaskStarted);
        next.attributes = Some(Attributes::WorkflowTaskStartedEventAttributes(started));
        events.push(next);
    }
}

/// The sentence in what the SDK says of a failed replay, which is a whole failure in Rust's own notation.
fn reason(said: &str) -> String {
    let inside = said.split_once("message: \"").and_then(|(_, rest)| rest.split_once("\", source: "));
    let sentence = inside.map_or(said, |(sentence, _)| sentence);
    sentence.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failed_replay_is_one_sentence() {
        let said = "workflow replay was nondeterministic: Workflow activation completion failed: Failure { \
                    failure: Some(Failure { message: \"[TMPRL1100] Nondeterminism error: Activity 'a'\", \
                    source: \"\", stack_trace: \"\" }) }";
        assert_eq!(reason(said), "[TMPRL1100] Nondeterminism error: Activity 'a'");
        assert_eq!(reason("one line\nand another"), "one line");
    }
}
