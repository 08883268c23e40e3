//! The Event Histories that a server has of transfers, and which builds of the code made them.

use anyhow::Context as _;
use futures::TryStreamExt as _;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowExecutionInfo, WorkflowFetchHistoryOptions, WorkflowHandle,
    WorkflowListOptions, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::{TaskQueueType, VersioningBehavior},
    history::v1::{HistoryEvent, WorkflowTaskCompletedEventAttributes, history_event::Attributes},
    taskqueue::v1::TaskQueue,
    workflow::v1::{VersioningOverride, versioning_override::Override},
    workflowservice::v1::DescribeTaskQueueRequest,
};

/// A transfer with what was recorded of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its Run Id.
    pub run_id: String,
    /// Its Event History so far.
    pub events: Vec<HistoryEvent>,
}

impl Recorded {
    /// Whether workers of this build, and no others, have completed its Workflow Tasks.
    pub fn is_of_build(&self, build_id: &str) -> bool {
        let mut builds = self.events.iter().filter_map(build_of).peekable();
        builds.peek().is_some() && builds.all(|build| build == build_id)
    }

    /// Whether it is pinned to a Deployment Version: code of another version runs it only if somebody moves it.
    pub fn is_pinned(&self) -> bool {
        let (mut by_worker, mut by_override) = (false, None);
        for event in &self.events {
            match &event.attributes {
                Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => {
                    by_worker = completed.deployment_version.is_some()
                        && completed.versioning_behavior() == VersioningBehavior::Pinned;
                }
                Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                    by_override = started.versioning_override.as_ref().map(pins);
                }
                Some(Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated)) => {
                    if updated.unset_versioning_override {
                        by_override = None;
                    } else if let Some(changed) = &updated.versioning_override {
                        by_override = Some(pins(changed));
                    }
                }
                _ => {}
            }
        }
        by_override.unwrap_or(by_worker)
    }
}

/// Whether this override pins, rather than have the Workflow follow the current version.
fn pins(changed: &VersioningOverride) -> bool {
    matches!(changed.r#override, Some(Override::Pinned(_)))
}

/// The Build ID of the worker that has completed this Workflow Task; `None` for other events.
fn build_of(event: &HistoryEvent) -> Option<&str> {
    let Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) = &event.attributes else {
        return None;
    };
    Some(match &completed.deployment_version {
        Some(version) => &version.build_id,
        None => unversioned_build(completed),
    })
}

#[allow(deprecated, reason = "without Worker Versioning, the server records the Build ID here alone")]
fn unversioned_build(completed: &WorkflowTaskCompletedEventAttributes) -> &str {
    completed.worker_version.as_ref().map_or("", |version| &version.build_id)
}

/// The transfers in progress on this server, at most so many, and how many there are in all.
///
/// # Errors
/// The server does not answer.
pub async fn in_progress(client: &Client, most: usize) -> anyhow::Result<(Vec<Recorded>, usize)> {
    let (mut found, count) = with_status(client, "Running", most).await?;
    // A list is a moment old: what has ended since is in progress no more.
    let listed = found.len();
    found.retain(|transfer| transfer.events.last().is_some_and(|event| !event.is_final_wf_execution_event()));
    let ended = listed - found.len();
    Ok((found, count - ended))
}

/// The transfers that have completed on this server, at most so many of the newest, and how many there are in all.
///
/// # Errors
/// The server does not answer.
pub async fn completed(client: &Client, most: usize) -> anyhow::Result<(Vec<Recorded>, usize)> {
    with_status(client, "Completed", most).await
}

async fn with_status(client: &Client, status: &str, most: usize) -> anyhow::Result<(Vec<Recorded>, usize)> {
    let query = format!("WorkflowType = '{}' AND ExecutionStatus = '{status}'", contract::WORKFLOW_TYPE);
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
        found.push(Recorded { workflow_id, run_id, events });
    }
    Ok((found, listed.len()))
}

/// The Build ID of the code that is deployed: what the worker reports that polled this Task Queue last. The server forgets a
/// worker some minutes after its last poll; then it is the build that completed the last Workflow Task of these transfers.
///
/// # Errors
/// The server does not answer.
pub async fn deployed_build<'a>(
    client: &Client,
    queue: &str,
    transfers: impl Iterator<Item = &'a Recorded>,
) -> anyhow::Result<Option<String>> {
    let request = DescribeTaskQueueRequest {
        namespace: client.options().namespace.clone(),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..Default::default() }),
        task_queue_type: TaskQueueType::Workflow as i32,
        ..Default::default()
    };
    let answer = client.connection().workflow_service().describe_task_queue(request.into_request()).await;
    let pollers =
        answer.context("the server does not say which workers poll the Task Queue")?.into_inner().pollers;
    let time = |seconds: i64, nanos: i32| (seconds, nanos);
    let last = pollers
        .into_iter()
        .max_by_key(|poller| poller.last_access_time.map(|at| time(at.seconds, at.nanos)))
        .and_then(|poller| poller.deployment_options)
        .map(|options| options.build_id);
    let of_task = || {
        let tasks = transfers.flat_map(|transfer| &transfer.events).filter(|event| build_of(event).is_some());
        let last = tasks.max_by_key(|event| event.event_time.map(|at| time(at.seconds, at.nanos)))?;
        build_of(last).map(str::to_owned)
    };
    Ok(last.or_else(of_task).filter(|build| !build.is_empty()))
}
