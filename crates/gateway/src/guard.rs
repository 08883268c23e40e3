//! Keeps the Workflows of several learners in one namespace apart.
//!
//! Each learner has a Task Queue, and owns the Workflows on it; and a Worker Deployment. The guard forwards a learner's requests by these rules:
//!
//! - lists, counts and batches are narrowed to the learner's own Workflows;
//! - a request that changes a Workflow, such as terminate or reset, is forwarded if the Workflow is on that Task Queue;
//! - Workflows may be started, and tasks polled, only on that Task Queue; and no Workflow with an id that another learner has used;
//! - every Task Queue and Worker Deployment that such a request names must be the learner's: a worker polls only as a version of that
//!   Worker Deployment, and which of its versions is current is changed only there;
//! - reading is allowed, including other learners' Workflows by their ids;
//! - everything else that changes something is rejected, because it would affect other learners.
//!
//! It protects against mistakes, not against attackers: anyone with the profile can reach the service without the guard.

use std::time::Duration;

use lab_client::class;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value, prost::Message as _};
use tonic::{Code, Status};

use crate::{
    api::{self, WORKFLOWS},
    link::{BUSY_TIMEOUT, Link},
    query::narrowed,
};

/// How long looking up the Task Queue of a Workflow may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The rules for one learner; without a learner, everything is allowed.
#[derive(Clone, Debug)]
pub struct Guard {
    learner: Option<String>,
    namespace: String,
    task_queue: String,
    deployment: String,
}

/// The rule for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Forwarded.
    Pass,
    /// The field of this name is a query, which is narrowed.
    Narrow(&'static str),
    /// A batch, which must have a query; the query is narrowed.
    Batch,
    /// Changes a Workflow, which must be the learner's.
    Own,
    /// Changes a Worker Deployment, which must be the learner's.
    Deployment,
    /// Starts a Workflow.
    Start,
    /// Polls for tasks.
    Poll,
    /// Rejected.
    Refuse,
}

fn rule(method: &str) -> Rule {
    match method {
        "ListWorkflowExecutions" | "CountWorkflowExecutions" | "ScanWorkflowExecutions" => Rule::Narrow("query"),
        "StartBatchOperation" => Rule::Batch,
        "RequestCancelWorkflowExecution"
        | "SignalWorkflowExecution"
        | "TerminateWorkflowExecution"
        | "ResetWorkflowExecution"
        | "DeleteWorkflowExecution"
        | "UpdateWorkflowExecution"
        | "UpdateWorkflowExecutionOptions"
        | "PauseWorkflowExecution"
        | "UnpauseWorkflowExecution"
        | "PauseActivity"
        | "UnpauseActivity"
        | "ResetActivity"
        | "UpdateActivityOptions"
        // Newer names of the same.
        | "PauseActivityExecution"
        | "UnpauseActivityExecution"
        | "ResetActivityExecution"
        | "UpdateActivityExecutionOptions"
        // These identify an Activity by ids, without a task token.
        | "RecordActivityTaskHeartbeatById"
        | "RespondActivityTaskCompletedById"
        | "RespondActivityTaskFailedById"
        | "RespondActivityTaskCanceledById" => Rule::Own,
        "SetWorkerDeploymentCurrentVersion"
        | "SetWorkerDeploymentRampingVersion"
        | "UpdateWorkerDeploymentVersionMetadata"
        | "DeleteWorkerDeployment"
        | "DeleteWorkerDeploymentVersion" => Rule::Deployment,
        "StartWorkflowExecution" | "SignalWithStartWorkflowExecution" => Rule::Start,
        "PollWorkflowTaskQueue" | "PollActivityTaskQueue" | "PollNexusTaskQueue" => Rule::Poll,
        // These carry the token of a task that the worker polled, or are about that worker itself.
        "RespondWorkflowTaskCompleted"
        | "RespondWorkflowTaskFailed"
        | "RespondQueryTaskCompleted"
        | "RespondActivityTaskCompleted"
        | "RespondActivityTaskFailed"
        | "RespondActivityTaskCanceled"
        | "RespondNexusTaskCompleted"
        | "RespondNexusTaskFailed"
        | "RecordActivityTaskHeartbeat"
        | "RecordWorkerHeartbeat"
        | "ShutdownWorker"
        | "ResetStickyTaskQueue"
        | "QueryWorkflow"
        | "PollWorkflowExecutionUpdate" => Rule::Pass,
        // These have filters instead of a query, and nothing in the lab uses them.
        "ListOpenWorkflowExecutions" | "ListClosedWorkflowExecutions" | "ListArchivedWorkflowExecutions" => {
            Rule::Refuse
        }
        reading if ["Get", "List", "Describe", "Count"].iter().any(|word| reading.starts_with(word)) => Rule::Pass,
        _ => Rule::Refuse,
    }
}

impl Guard {
    /// The guard for a learner in a namespace.
    pub fn new(learner: Option<&str>, namespace: &str) -> Guard {
        Guard {
            learner: learner.map(str::to_owned),
            namespace: namespace.to_owned(),
            task_queue: contract::task_queue(learner),
            deployment: contract::deployment(learner),
        }
    }

    /// The learner's name.
    pub fn learner(&self) -> Option<&str> {
        self.learner.as_deref()
    }

    /// Whether messages of the method at this path must be checked.
    pub(crate) fn is_needed(&self, path: &str) -> bool {
        let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return true };
        let passes = match service {
            WORKFLOWS => rule(method) == Rule::Pass,
            // A learner may read the cluster's settings, but not change them.
            other if other.starts_with("temporal.api.") => {
                ["Get", "List", "Describe"].iter().any(|word| method.starts_with(word))
            }
            // Health and reflection. Other services, such as `temporal.server.api.adminservice`, change what is everybody's.
            other => other.starts_with("grpc."),
        };
        self.learner.is_some() && !passes
    }

    /// The error of a rejected request.
    pub(crate) fn refusal(&self, path: &str) -> Status {
        let method = path.rsplit('/').next().unwrap_or(path);
        Status::permission_denied(format!(
            "{method} is not allowed for learners, because it affects everyone in namespace {}; ask the instructor",
            self.namespace
        ))
    }

    /// The message as it may be forwarded.
    ///
    /// # Errors
    /// It must not be forwarded.
    pub(crate) async fn check(
        &self,
        link: &Link,
        method: &MethodDescriptor,
        mut message: DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        if !self.is_needed(&api::path(method)) {
            return Ok(message);
        }
        if method.parent_service().full_name() != WORKFLOWS || rule(method.name()) == Rule::Refuse {
            return Err(self.refusal(&api::path(method)));
        }
        let namespace = api::text(&message, &["namespace"]);
        if namespace.as_ref().is_some_and(|namespace| *namespace != self.namespace) {
            return Err(Status::permission_denied(format!(
                "this lab is in namespace {}, not in {}; add --namespace",
                self.namespace,
                namespace.unwrap_or_default()
            )));
        }
        self.own_names(&message)?;
        match rule(method.name()) {
            // Rejected above.
            Rule::Pass | Rule::Refuse => {}
            Rule::Narrow(field) => self.narrow(&mut message, field)?,
            Rule::Batch => {
                let has_query = api::text(&message, &["visibility_query"]).is_some();
                if !has_query
                    || ["executions", "target_executions"].iter().any(|list| has_any(&message, list))
                {
                    return Err(Status::permission_denied(
                        "a learner's batch needs a query, so that it can be narrowed to the learner's own Workflows; use --query",
                    ));
                }
                self.narrow(&mut message, "visibility_query")?;
            }
            Rule::Own => self.own(link, &message).await?,
            Rule::Deployment => self.own_deployment(&message)?,
            Rule::Start => {
                self.own_queue(&message)?;
                // It could terminate or signal a running Workflow of this id, or take the id of a completed one.
                self.own(link, &message).await?;
            }
            Rule::Poll => self.own_poll(&message)?,
        }
        Ok(message)
    }

    fn narrow(&self, message: &mut DynamicMessage, field: &str) -> Result<(), Status> {
        let query = api::text(message, &[field]).unwrap_or_default();
        let narrowed = narrowed(&query, &self.task_queue).ok_or_else(|| {
            Status::invalid_argument(format!(
                "the query {query} has unbalanced quotes or parentheses, or a comment"
            ))
        })?;
        message.set_field_by_name(field, Value::String(narrowed));
        Ok(())
    }

    /// Whether a Task Queue is one of the learner's two: for transfers, and for reports.
    fn is_own(&self, queue: &str) -> bool {
        queue == self.task_queue || queue == self.class_queue()
    }

    /// The Task Queue of the learner's reports, so that other learners' guards protect them too.
    fn class_queue(&self) -> String {
        class::queue(self.learner.as_deref().unwrap_or_default())
    }

    /// Checks that all Task Queues and Worker Deployments that a request names are the learner's, wherever in the request they are: one
    /// may also move an Activity to another Task Queue, or pin Workflows to a version, whose workers would take their tasks.
    fn own_names(&self, message: &DynamicMessage) -> Result<(), Status> {
        const STICKY: i32 = 2;
        let form = message.descriptor();
        let kind = message.get_field_by_name("kind").and_then(|kind| kind.as_enum_number());
        for (field, value) in message.fields() {
            let Value::String(name) = value else {
                messages(value).try_for_each(|message| self.own_names(message))?;
                continue;
            };
            match (form.name(), field.name()) {
                _ if name.is_empty() => {}
                // A worker's sticky queue has a random name; another field names its Task Queue.
                ("TaskQueue", "name") if kind == Some(STICKY) => {}
                ("TaskQueue", "name" | "normal_name") if !self.is_own(name) => {
                    return Err(self.other_queue(name));
                }
                (_, "deployment_name" | "deployment_series_name" | "series_name")
                    if *name != self.deployment =>
                {
                    return Err(self.other_deployment(name));
                }
                // The deprecated form of a version.
                (request, "pinned_version" | "version")
                    if (field.name() == "pinned_version" || request.ends_with("Request"))
                        && !self.is_own_version(name) =>
                {
                    return Err(self.other_deployment(name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a version, as `<deployment>.<Build ID>`, is of the learner's Worker Deployment.
    fn is_own_version(&self, version: &str) -> bool {
        const UNVERSIONED: &str = "__unversioned__";
        let build_id = version.strip_prefix(&self.deployment);
        version == UNVERSIONED || build_id.is_some_and(|build_id| build_id.starts_with(['.', ':']))
    }

    fn own_queue(&self, message: &DynamicMessage) -> Result<(), Status> {
        self.own_queue_in(message, "name")
    }

    fn own_poll(&self, message: &DynamicMessage) -> Result<(), Status> {
        // Of a worker's sticky queue, this names its Task Queue.
        self.own_queue_in(message, "normal_name").or_else(|_| self.own_queue(message))
    }

    fn own_queue_in(&self, message: &DynamicMessage, field: &str) -> Result<(), Status> {
        let queue = api::text(message, &["task_queue", field]).unwrap_or_default();
        if self.is_own(&queue) { Ok(()) } else { Err(self.other_queue(&queue)) }
    }

    fn other_queue(&self, queue: &str) -> Status {
        Status::permission_denied(format!(
            "the Task Queue {queue} belongs to somebody else: workers and transfers of {} use {}",
            self.learner.as_deref().unwrap_or_default(),
            self.task_queue
        ))
    }

    /// Checks that the Worker Deployment of a request is the learner's.
    fn own_deployment(&self, message: &DynamicMessage) -> Result<(), Status> {
        let places: [&[&str]; 2] = [&["deployment_name"], &["deployment_version", "deployment_name"]];
        let name = places.into_iter().find_map(|place| api::text(message, place)).unwrap_or_default();
        if name == self.deployment { Ok(()) } else { Err(self.other_deployment(&name)) }
    }

    fn other_deployment(&self, name: &str) -> Status {
        Status::permission_denied(format!(
            "the Worker Deployment {name} is not that of {}, which is {}; nothing was changed",
            self.learner.as_deref().unwrap_or_default(),
            self.deployment
        ))
    }

    /// Checks that the Workflow of a request is the learner's.
    async fn own(&self, link: &Link, message: &DynamicMessage) -> Result<(), Status> {
        let places: [&[&str]; 3] = [&["workflow_execution"], &["execution"], &[]];
        let text = |place: &[&str], field| api::text(message, &[place, &[field]].concat());
        let execution = places.into_iter().find_map(|place| Some((place, text(place, "workflow_id")?)));
        let Some((place, id)) = execution else {
            return Err(Status::permission_denied(
                "this request names no Workflow; a learner's must name one of their own",
            ));
        };
        // Another learner may have used the id before.
        let run_id = text(place, "run_id");
        let runs = [Some(String::new()), run_id];
        for run_id in runs.into_iter().flatten() {
            match self.queue_of(link, &id, run_id).await? {
                // The service will report that it does not exist.
                None => {}
                Some(queue) if self.is_own(&queue) => {}
                Some(queue) => {
                    return Err(Status::permission_denied(format!(
                        "{id} is not a transfer of {}: it is on the Task Queue {queue}; nothing was changed",
                        self.learner.as_deref().unwrap_or_default()
                    )));
                }
            }
        }
        Ok(())
    }

    /// The Task Queue of a run of a Workflow; without a run, of the newest one.
    async fn queue_of(&self, link: &Link, id: &str, run_id: String) -> Result<Option<String>, Status> {
        let method =
            api::method("DescribeWorkflowExecution").ok_or_else(|| Status::internal("no such method"))?;
        let mut question = DynamicMessage::new(method.input());
        question.set_field_by_name("namespace", Value::String(self.namespace.clone()));
        let mut execution = execution(&question)?;
        execution.set_field_by_name("workflow_id", Value::String(id.to_owned()));
        execution.set_field_by_name("run_id", Value::String(run_id));
        question.set_field_by_name("execution", Value::Message(execution));
        let path = api::path(&method);
        let answer =
            link.ask_with_retries(&path, question.encode_to_vec(), REQUEST_TIMEOUT, BUSY_TIMEOUT).await;
        match answer {
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
            Ok(answer) => {
                let answer = api::answer(&method, &answer)
                    .ok_or_else(|| Status::internal("could not decode the description"))?;
                Ok(Some(api::text(&answer, &["execution_config", "task_queue", "name"]).unwrap_or_default()))
            }
        }
    }
}

/// An empty message of the field `execution`.
fn execution(question: &DynamicMessage) -> Result<DynamicMessage, Status> {
    let field = question.descriptor().get_field_by_name("execution");
    match field.map(|field| field.kind()) {
        Some(prost_reflect::Kind::Message(form)) => Ok(DynamicMessage::new(form)),
        _ => Err(Status::internal("no such field")),
    }
}

/// The messages in the value of a field.
fn messages(value: &Value) -> impl Iterator<Item = &DynamicMessage> {
    let (items, entries) = (value.as_list(), value.as_map());
    let items = items.into_iter().flatten().chain(entries.into_iter().flat_map(|entries| entries.values()));
    value.as_message().into_iter().chain(items.filter_map(Value::as_message))
}

fn has_any(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).is_some_and(|list| list.as_list().is_some_and(|list| !list.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_method_is_read_only_or_has_a_rule() {
        let any = api::method("GetSystemInfo").expect("there is one");
        let service = any.parent_service();
        for method in service.methods() {
            let name = method.name();
            let reads = ["Get", "List", "Describe", "Count", "Query", "Scan"]
                .iter()
                .any(|word| name.starts_with(word));
            let of_a_task = ["Respond", "Record", "Poll", "Shutdown", "ResetSticky"]
                .iter()
                .any(|word| name.starts_with(word));
            assert!(
                reads || of_a_task || rule(name) != Rule::Pass,
                "{name} changes something, but is forwarded"
            );
        }
    }

    /// A message of a method, from JSON.
    fn message(method: &str, json: serde_json::Value) -> DynamicMessage {
        let method = api::method(method).expect("there is one");
        crate::json::from_json(method.input(), json).expect("it has these fields")
    }

    #[test]
    fn a_learner_may_change_only_their_own_worker_deployment() {
        let ada = Guard::new(Some("ada"), "default");
        let version = |name: &str| json!({ "deploymentVersion": { "deploymentName": name, "buildId": "1" } });
        for method in [
            "SetWorkerDeploymentCurrentVersion",
            "SetWorkerDeploymentRampingVersion",
            "DeleteWorkerDeployment",
            "DeleteWorkerDeploymentVersion",
        ] {
            assert_eq!(rule(method), Rule::Deployment, "{method}");
            let of = |name: &str| match method {
                "DeleteWorkerDeploymentVersion" => message(method, version(name)),
                _ => message(method, json!({ "deploymentName": name })),
            };
            ada.own_deployment(&of("money-transfer-ada")).expect(method);
            for other in ["money-transfer-bob", "money-transfer", "", "money-transfer-ada2"] {
                let refused = ada.own_deployment(&of(other)).expect_err(method);
                assert_eq!(refused.code(), Code::PermissionDenied);
            }
        }
        assert_eq!(rule("DescribeWorkerDeployment"), Rule::Pass);
        assert_eq!(rule("SetWorkerDeploymentManager"), Rule::Refuse);
    }

    #[test]
    fn a_learner_may_pin_workflows_only_to_their_own_worker_deployment() {
        let ada = Guard::new(Some("ada"), "default");
        let to = |name: &str| {
            let version = json!({ "deploymentName": name, "buildId": "1" });
            let options = json!({ "versioningOverride": { "pinned": { "version": version } } });
            [
                message("StartWorkflowExecution", options.clone()),
                message("UpdateWorkflowExecutionOptions", json!({ "workflowExecutionOptions": options })),
                message(
                    "StartBatchOperation",
                    json!({ "updateWorkflowOptionsOperation": { "workflowExecutionOptions": options } }),
                ),
            ]
        };
        assert!(to("money-transfer-ada").iter().all(|message| ada.own_names(message).is_ok()));
        assert!(to("money-transfer-bob").iter().all(|message| ada.own_names(message).is_err()));
        let unpin = json!({ "workflowExecutionOptions": { "versioningOverride": { "autoUpgrade": true } } });
        assert!(ada.own_names(&message("UpdateWorkflowExecutionOptions", unpin)).is_ok());
    }

    #[test]
    fn a_learners_worker_may_be_a_version_only_of_their_own_worker_deployment() {
        let ada = Guard::new(Some("ada"), "default");
        for method in ["PollWorkflowTaskQueue", "PollActivityTaskQueue"] {
            let poll = |deployment: &str, mode: &str| {
                let name = contract::task_queue(Some("ada"));
                message(
                    method,
                    json!({ "taskQueue": { "name": name }, "deploymentOptions":
                        { "deploymentName": deployment, "buildId": "1", "workerVersioningMode": mode } }),
                )
            };
            for (deployment, mode, may) in [
                ("money-transfer-ada", "WORKER_VERSIONING_MODE_VERSIONED", true),
                ("money-transfer-bob", "WORKER_VERSIONING_MODE_VERSIONED", false),
                ("money-transfer", "WORKER_VERSIONING_MODE_VERSIONED", false),
                ("", "WORKER_VERSIONING_MODE_UNVERSIONED", true),
            ] {
                assert_eq!(ada.own_names(&poll(deployment, mode)).is_ok(), may, "{method}: {deployment}");
            }
        }
    }

    #[test]
    fn without_a_learner_everything_is_forwarded() {
        let everybody = Guard::new(None, "default");
        let ada = Guard::new(Some("ada"), "default");
        for method in ["TerminateWorkflowExecution", "ListWorkflowExecutions", "UpdateNamespace"] {
            let path = format!("/{WORKFLOWS}/{method}");
            assert!(!everybody.is_needed(&path) && ada.is_needed(&path), "{method}");
        }
        assert!(ada.is_needed(&format!("/{}/DeleteNamespace", api::OPERATOR)));
        assert!(!ada.is_needed("/grpc.health.v1.Health/Check"));
        for method in ["GetWorkflowExecutionHistory", "DescribeTaskQueue"] {
            assert!(!ada.is_needed(&format!("/{WORKFLOWS}/{method}")), "{method}");
        }
    }
    #[test]
    fn a_learner_may_name_only_their_own_task_queue_and_deployment_wherever_it_is() {
        let ada = Guard::new(Some("ada"), "default");
        let queue = |learner: &str| json!({ "name": contract::task_queue(Some(learner)) });
        let version = |learner: &str| json!({ "deploymentName": format!("money-transfer-{learner}") });
        let of = |learner: &str| {
            let name = &format!("money-transfer-{learner}");
            let sticky = json!({ "name": "random", "kind": "TASK_QUEUE_KIND_STICKY", "normalName": queue(learner)["name"] });
            let pinned = json!({ "versioningOverride": { "pinnedVersion": format!("{name}.1") } });
            let once = json!({ "versioningOverride": { "oneTime": { "targetDeploymentVersion": version(learner) } } });
            let reset = json!({ "postResetOperations": [{ "updateWorkflowOptions": { "workflowExecutionOptions": once } }] });
            [
                message(
                    "UpdateActivityOptions",
                    json!({ "activityOptions": { "taskQueue": queue(learner) } }),
                ),
                message("PollWorkflowTaskQueue", json!({ "taskQueue": sticky })),
                message(
                    "PollWorkflowTaskQueue",
                    json!({ "workerVersionCapabilities": { "deploymentSeriesName": name } }),
                ),
                message("PollActivityTaskQueue", json!({ "deploymentOptions": version(learner) })),
                message(
                    "StartWorkflowExecution",
                    json!({ "eagerWorkerDeploymentOptions": version(learner) }),
                ),
                message("StartWorkflowExecution", pinned),
                message("UpdateWorkflowExecutionOptions", json!({ "workflowExecutionOptions": once })),
                message("ResetWorkflowExecution", reset),
                message("SetWorkerDeploymentCurrentVersion", json!({ "version": format!("{name}.1") })),
            ]
        };
        for message in of("ada") {
            ada.own_names(&message).expect("it is ada's");
        }
        for other in ["bob", "ada2", "Ada"] {
            for message in of(other) {
                let refused = ada.own_names(&message).expect_err("it is not ada's");
                assert_eq!(refused.code(), Code::PermissionDenied);
            }
        }
    }

    #[test]
    fn only_known_services_are_forwarded_unchecked() {
        let ada = Guard::new(Some("ada"), "default");
        for path in [
            "/temporal.server.api.adminservice.v1.AdminService/DeleteWorkflowExecution",
            "/temporal%2eapi.workflowservice.v1.WorkflowService/TerminateWorkflowExecution",
            "/x/temporal.api.workflowservice.v1.WorkflowService/TerminateWorkflowExecution",
        ] {
            assert!(ada.is_needed(path), "{path}");
        }
    }

    /// Checks a message of ada's, which needs no service.
    async fn checked(method: &str, json: serde_json::Value) -> Result<DynamicMessage, Status> {
        let ada = Guard::new(Some("ada"), "default");
        // Nothing listens there.
        let service = crate::Service::at("127.0.0.1:1", "default").expect("an address");
        let found = api::method(method).expect("there is one");
        ada.check(&Link::new(service), &found, message(method, json)).await
    }

    #[tokio::test]
    async fn a_batch_has_only_its_query() {
        let batch = |more: serde_json::Value| {
            let mut batch = json!({ "namespace": "default", "visibilityQuery": "A=1" });
            batch.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
            checked("StartBatchOperation", batch)
        };
        batch(json!({})).await.expect("it is narrowed");
        let one = json!([{ "workflowId": "bob.one" }]);
        for more in
            [json!({ "executions": one }), json!({ "targetExecutions": [{ "businessId": "bob.one" }] })]
        {
            assert_eq!(batch(more).await.expect_err("it names others").code(), Code::PermissionDenied);
        }
    }

    #[tokio::test]
    async fn an_activity_without_a_workflow_is_nobodys() {
        let by_id = json!({ "namespace": "default", "activityId": "bobs", "resourceId": "ada.one" });
        let refused =
            checked("RespondActivityTaskCompletedById", by_id).await.expect_err("it names no Workflow");
        assert!(refused.message().contains("names no Workflow"), "{refused}");
    }
}
