//! Replay: whether a Workflow's code, as it is now, can continue transfers that older code has begun.

use std::{env, fmt, path::Path, time::Duration};

use crate::{
    histories::{self, Recorded},
    host,
};
use contract::replay::{MOST_COMPLETED, NAMESPACE_VARIABLE, TASK_QUEUE_VARIABLE};
use serde::Serialize;
use temporalio_client::{Client, WorkflowHistory};
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

/// More than so many transfers in progress are not replayed: one of 500 shows what the others would.
const MOST_IN_PROGRESS: usize = 500;
/// Code that waits for something that never comes is given up on after this.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(20);

/// What came of replaying the transfers of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many transfers in progress were replayed, without those that are pinned.
    pub replayed: usize,
    /// How many are in progress, without those that were found to be pinned. Above the limit, unread ones may be pinned too.
    pub in_progress: usize,
    /// Those in progress that the code cannot continue.
    pub broken: Vec<Broken>,
    /// Those in progress that are pinned.
    pub pinned: Pinned,
    /// The completed ones.
    pub completed: Completed,
}

/// What came of replaying the transfers in progress that are pinned to a Deployment Version. The code will be another version, so it breaks
/// none of them; it shows which ones could be moved to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// How many were replayed.
    pub replayed: usize,
    /// Those that the code could not continue, were they moved to it.
    pub broken: Vec<Broken>,
}

/// What came of replaying the completed transfers. They show what the deployed code does, and so what a transfer would have in its
/// history that is started before the next deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completed {
    /// The Build ID of the deployed code, where it is known.
    pub build_id: Option<String>,
    /// How many were replayed: those whose Workflow Tasks the deployed code has all done.
    pub replayed: usize,
    /// How many were left out since other code has done some of their Workflow Tasks.
    pub other_build: usize,
    /// How many were left out since they were pinned to a Deployment Version: the code will not run one like that.
    pub pinned: usize,
    /// How many were left out since there are newer ones enough.
    pub over_limit: usize,
    /// Those that the code does not replay.
    pub broken: Vec<Broken>,
}

/// A transfer that the code does not replay.
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
    /// The transfers for which the code must not be deployed: those in progress that it breaks. Where none is in progress, the
    /// completed ones stand for those that are started before the deployment.
    pub fn reasons(&self) -> &[Broken] {
        if self.replayed == 0 { &self.completed.broken } else { &self.broken }
    }

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
        let reasons = self.reasons();
        let (count, s) = (reasons.len(), if reasons.len() == 1 { "" } else { "s" });
        match self.replayed {
            0 => write!(f, "this change does not replay {count} completed transfer{s}:")?,
            _ => write!(f, "this change breaks {count} transfer{s} in progress:")?,
        }
        reasons.iter().try_for_each(|broken| write!(f, "\n  {}: {}", broken.workflow_id, broken.why))
    }
}

/// Connects to the server at this address, in the namespace whose transfers are to be replayed.
///
/// # Errors
/// None answers there.
pub async fn connect(address: &str) -> anyhow::Result<Client> {
    host::connect_to(address, &variable(NAMESPACE_VARIABLE, "default")).await
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Replays with the Workflow's code the transfers that are in progress on this server, and the completed ones that the deployed
/// code alone has run.
///
/// # Errors
/// The server does not answer.
pub async fn all<W>(client: &Client) -> anyhow::Result<Report>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let (transfers, in_progress) = histories::in_progress(client, MOST_IN_PROGRESS).await?;
    let (ended, in_all) = histories::completed(client, MOST_COMPLETED).await?;
    let queue = variable(TASK_QUEUE_VARIABLE, contract::TASK_QUEUE);
    let build_id = histories::deployed_build(client, &queue, transfers.iter().chain(&ended)).await?;
    let (pinned, transfers): (Vec<_>, Vec<_>) = transfers.into_iter().partition(Recorded::is_pinned);
    let over_limit = in_all - ended.len();
    let (pinned_ended, mut ended): (Vec<_>, Vec<_>) = ended.into_iter().partition(Recorded::is_pinned);
    let looked_at = ended.len();
    ended.retain(|transfer| build_id.as_ref().is_some_and(|build_id| transfer.is_of_build(build_id)));
    Ok(Report {
        replayed: transfers.len(),
        in_progress: in_progress - pinned.len(),
        broken: broken::<W>(transfers).await,
        pinned: Pinned { replayed: pinned.len(), broken: broken::<W>(pinned).await },
        completed: Completed {
            build_id,
            replayed: ended.len(),
            other_build: looked_at - ended.len(),
            pinned: pinned_ended.len(),
            over_limit,
            broken: broken::<W>(ended).await,
        },
    })
}

/// Those of these transfers that the Workflow's code does not replay.
async fn broken<W>(transfers: Vec<Recorded>) -> Vec<Broken>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let mut broken = Vec::new();
    for Recorded { workflow_id, run_id, events } in transfers {
        if let Err(why) = replay::<W>(events).await {
            broken.push(Broken { workflow_id, run_id, why });
        }
    }
    broken
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

    fn broken(id: &str) -> Vec<Broken> {
        let why = "divide by zero".to_owned();
        vec![Broken { workflow_id: id.to_owned(), run_id: "r".to_owned(), why }]
    }

    #[test]
    fn completed_transfers_decide_only_where_none_is_in_progress() {
        let completed = Completed { replayed: 1, broken: broken("completed"), ..Completed::default() };
        let none_in_progress = Report { completed: completed.clone(), ..Report::default() };
        assert_eq!(none_in_progress.reasons(), broken("completed"));
        assert_eq!(
            none_in_progress.to_string(),
            "this change does not replay 1 completed transfer:\n  completed: divide by zero"
        );
        let fine = Report { replayed: 1, in_progress: 1, completed, ..Report::default() };
        assert_eq!(fine.reasons(), []);
        let breaks = Report { broken: broken("in-progress"), ..fine };
        assert_eq!(breaks.reasons(), broken("in-progress"));
        assert_eq!(
            breaks.to_string(),
            "this change breaks 1 transfer in progress:\n  in-progress: divide by zero"
        );
    }

    #[test]
    fn the_reason_of_a_failed_replay_is_one_sentence() {
        let said = "workflow replay was nondeterministic: Workflow activation completion failed: Failure { \
                    failure: Some(Failure { message: \"[TMPRL1100] Nondeterminism error: Activity 'a'\", \
                    source: \"\", stack_trace: \"\" }) }";
        assert_eq!(reason(said), "[TMPRL1100] Nondeterminism error: Activity 'a'");
        assert_eq!(reason("one line\nand another"), "one line");
    }
}
