//! Reading an Event History.

use futures::TryStreamExt as _;
use temporalio_client::{
    WorkflowFetchHistoryOptions, WorkflowGetResultOptions, errors::WorkflowGetResultError,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    failure::v1::Failure,
    history::v1::{HistoryEvent, history_event::Attributes},
};

use crate::Handle;

/// The whole Event History.
pub(crate) async fn of(handle: &Handle) -> Vec<HistoryEvent> {
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    history.try_collect().await.expect("the server has the history")
}

/// The messages of the failed Workflow Tasks, in order.
pub(crate) async fn workflow_task_failures(handle: &Handle) -> Vec<String> {
    of(handle)
        .await
        .into_iter()
        .filter_map(|event| match event.attributes {
            Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => failed.failure,
            _ => None,
        })
        .map(|failure| failure.message)
        .collect()
}

/// The activity types that were scheduled, in order.
pub(crate) async fn scheduled_activities(handle: &Handle) -> Vec<String> {
    of(handle)
        .await
        .into_iter()
        .filter_map(|event| match event.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => scheduled.activity_type,
            _ => None,
        })
        .map(|activity_type| activity_type.name)
        .collect()
}

/// The steps whose Activities were scheduled, in order: an Activity's id is its step.
pub(crate) async fn steps(handle: &Handle) -> Vec<String> {
    of(handle)
        .await
        .into_iter()
        .filter_map(|event| match event.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => Some(scheduled.activity_id),
            _ => None,
        })
        .collect()
}

/// The events that complete a Workflow Task, in order. Their numbers are not fixed: a Workflow Task that times out on a busy
/// machine has events too.
pub(crate) async fn completed_workflow_tasks(handle: &Handle) -> Vec<i64> {
    of(handle)
        .await
        .into_iter()
        .filter(|event| event.event_type() == EventType::WorkflowTaskCompleted)
        .map(|event| event.event_id)
        .collect()
}

/// Whether the Event History has a marker, as a patch leaves one.
pub(crate) async fn has_marker(handle: &Handle) -> bool {
    of(handle).await.iter().any(|event| event.event_type() == EventType::MarkerRecorded)
}

/// How a transfer failed that has to: the message and the type of the Application Failure at the bottom.
pub(crate) async fn failure(handle: &Handle) -> (String, String) {
    match handle.get_result(WorkflowGetResultOptions::default()).await {
        Err(WorkflowGetResultError::Failed(_)) => {}
        other => panic!("the transfer should have failed: {other:?}"),
    }
    let mut failure = of(handle).await.into_iter().rev().find_map(|event| match event.attributes {
        Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => failed.failure,
        _ => None,
    });
    let mut found = None;
    while let Some(Failure { message, cause, failure_info, .. }) = failure {
        use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;
        if let Some(FailureInfo::ApplicationFailureInfo(info)) = failure_info {
            found = Some((message, info.r#type));
        }
        failure = cause.map(|cause| *cause);
    }
    found.expect("an Application Failure says why")
}
