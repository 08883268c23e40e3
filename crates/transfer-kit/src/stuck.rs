//! Why a transfer does not move on: what Temporal reports of a task that fails again and again.

use std::fmt;

use futures::TryStreamExt as _;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionInfo, WorkflowFetchHistoryOptions,
    WorkflowHandle, errors::WorkflowInteractionError,
};
use temporalio_common::protos::temporal::api::{
    failure::v1::Failure, history::v1::history_event::Attributes, workflow::v1::PendingActivityInfo,
};

/// Which task fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// The Workflow's own code.
    Workflow,
    /// An activity, by its id.
    Activity(String),
}

/// A transfer that is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which task fails.
    pub task: Task,
    /// The attempt in progress or waiting; the first is 1.
    pub attempt: i32,
    /// What the last failed attempt said, with its causes.
    pub failure: String,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stuck { task, attempt, failure } = self;
        match task {
            Task::Workflow => write!(f, "its Workflow Task fails (attempt {attempt}): {failure}"),
            Task::Activity(id) => write!(f, "its Activity {id} fails (attempt {attempt}): {failure}"),
        }
    }
}

/// Asks Temporal why this transfer does not move on; `None` where nothing has failed.
///
/// # Errors
/// The Temporal Service does not answer, or knows no such transfer.
pub async fn why(
    client: &Client,
    workflow_id: &str,
    run_id: &str,
) -> Result<Option<Stuck>, WorkflowInteractionError> {
    let execution = WorkflowExecutionInfo::builder()
        .namespace(client.options().namespace.clone())
        .workflow_id(workflow_id)
        .run_id(run_id)
        .build();
    let handle = WorkflowHandle::<Client, UntypedWorkflow>::new(client.clone(), execution);
    let description = handle.describe(WorkflowDescribeOptions::default()).await?.raw_description;

    if let Some(stuck) = description.pending_activities.iter().find_map(of_activity) {
        return Ok(Some(stuck));
    }
    match description.pending_workflow_task {
        Some(task) if task.attempt > 1 => {
            let failure = last_workflow_task_failure(&handle).await?;
            Ok(failure.map(|failure| Stuck { task: Task::Workflow, attempt: task.attempt, failure }))
        }
        _ => Ok(None),
    }
}

/// The run that a Workflow Id stands for now.
///
/// # Errors
/// The Temporal Service does not answer, or knows no such transfer.
pub async fn current_run(client: &Client, workflow_id: &str) -> Result<String, WorkflowInteractionError> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(workflow_id);
    let description = handle.describe(WorkflowDescribeOptions::default()).await?;
    Ok(description.run_id().to_owned())
}

fn of_activity(activity: &PendingActivityInfo) -> Option<Stuck> {
    let failure = activity.last_failure.as_ref()?;
    Some(Stuck {
        task: Task::Activity(activity.activity_id.clone()),
        attempt: activity.attempt,
        failure: chain(failure),
    })
}

async fn last_workflow_task_failure(
    handle: &WorkflowHandle<Client, UntypedWorkflow>,
) -> Result<Option<String>, WorkflowInteractionError> {
    let mut events = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    let mut last = None;
    while let Some(event) = events.try_next().await? {
        if let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = event.attributes {
            last = failed.failure.as_ref().map(chain);
        }
    }
    Ok(last)
}

/// A failure's message and those of its causes, outermost first.
fn chain(failure: &Failure) -> String {
    let mut messages: Vec<&str> = Vec::new();
    let mut next = Some(failure);
    while let Some(failure) = next {
        // Some layers repeat the message of the one inside.
        if !failure.message.is_empty() && messages.last().is_none_or(|last| !last.contains(&failure.message))
        {
            messages.push(&failure.message);
        }
        next = failure.cause.as_deref();
    }
    messages.join(": ")
}
