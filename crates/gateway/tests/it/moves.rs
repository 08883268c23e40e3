//! The counter of what moves in a learner's lab, with a real server and the messages of a worker.

use std::time::Duration;

use lab_client::{
    Endpoints,
    class::{self, Report},
    temporal::Server,
};
use serde_json::json;
use temporalio_client::{Client, grpc::WorkflowService};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, ScheduleActivityTaskCommandAttributes, command::Attributes},
    common::v1::ActivityType,
    enums::v1::CommandType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::*,
};
use testbed::{Testbed, connect};
use tonic::Request;

use crate::support::{Program, Start};

/// The counter, and how much it has grown since the last call.
struct Counter<'a>(&'a Program, u64);

impl Counter<'_> {
    async fn grown(&mut self) -> u64 {
        let (_, link) = self.0.get("/link").await;
        let last = std::mem::replace(&mut self.1, link["moves"].as_u64().expect("a number"));
        self.1 - last
    }
}

/// A request that the server answers within this time, if need be without a task.
fn poll<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(4));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_tasks_are_counted_and_everything_else_is_not() {
    let testbed = Testbed::start().await;
    let flags = &["--address", testbed.server_address(), "--learner", "ada"];
    let gateway = Program::start(Start { flags, ..Start::default() }).await;
    let mut counter = Counter(&gateway, 0);
    assert_eq!(counter.grown().await, 0);

    let mut client: Client = connect(&gateway.grpc).await;
    let namespace = || "default".to_owned();
    let queue = Some(TaskQueue { name: contract::task_queue(Some("ada")), ..TaskQueue::default() });
    let workflow_task = || {
        poll(PollWorkflowTaskQueueRequest {
            namespace: namespace(),
            task_queue: queue.clone(),
            ..PollWorkflowTaskQueueRequest::default()
        })
    };
    let activity_task = || {
        poll(PollActivityTaskQueueRequest {
            namespace: namespace(),
            task_queue: queue.clone(),
            ..PollActivityTaskQueueRequest::default()
        })
    };
    let base = "/api/v1/namespaces/default";
    for path in ["/workflows", "/workflow-count", "/worker-deployments"] {
        assert_eq!(gateway.get(&format!("{base}{path}")).await.0, 200, "{path}");
    }
    let empty = client.poll_workflow_task_queue(workflow_task()).await.expect("it answers").into_inner();
    assert!(empty.task_token.is_empty());
    let empty = client.poll_activity_task_queue(activity_task()).await.expect("it answers").into_inner();
    assert!(empty.task_token.is_empty());
    assert_eq!(counter.grown().await, 0);

    let endpoints = Endpoints { learner: Some("ada".to_owned()), ..Endpoints::own(&gateway.http, "", "") };
    let asked = tokio::task::spawn_blocking(move || {
        let server = Server::new(&endpoints);
        let report = Report { learner: "ada".to_owned(), ..Report::default() };
        class::send(&server, &report).expect("it is sent");
        server.start_transfer("ada.one", &json!({})).expect("it starts")
    });
    asked.await.expect("it does not panic");
    assert_eq!(counter.grown().await, 1, "the start, and not the report");

    let task = client.poll_workflow_task_queue(workflow_task()).await.expect("a task").into_inner();
    assert_eq!(counter.grown().await, 1);
    let schedule = ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: "withdraw".to_owned() }),
        task_queue: queue.clone(),
        start_to_close_timeout: Duration::from_secs(10).try_into().ok(),
        ..Default::default()
    };
    let command = Command {
        command_type: CommandType::ScheduleActivityTask.into(),
        attributes: Some(Attributes::ScheduleActivityTaskCommandAttributes(schedule)),
        ..Command::default()
    };
    let completed = RespondWorkflowTaskCompletedRequest {
        namespace: namespace(),
        task_token: task.task_token,
        commands: vec![command],
        ..Default::default()
    };
    client.respond_workflow_task_completed(Request::new(completed)).await.expect("it is taken");
    assert_eq!(counter.grown().await, 1);

    let task = client.poll_activity_task_queue(activity_task()).await.expect("a task").into_inner();
    assert_eq!(counter.grown().await, 1);
    let heartbeat = RecordActivityTaskHeartbeatRequest {
        namespace: namespace(),
        task_token: task.task_token.clone(),
        ..Default::default()
    };
    client.record_activity_task_heartbeat(Request::new(heartbeat)).await.expect("it is taken");
    assert_eq!(counter.grown().await, 0);
    let completed = RespondActivityTaskCompletedRequest {
        namespace: namespace(),
        task_token: task.task_token,
        ..Default::default()
    };
    client.respond_activity_task_completed(Request::new(completed)).await.expect("it is taken");
    assert_eq!(counter.grown().await, 1);
}
