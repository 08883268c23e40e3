//! Temporal's API from its descriptors: its methods, and their routes in the HTTP API.

use std::sync::LazyLock;

use axum::http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(&include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"))[..])
        .expect("the SDK's build generates valid descriptors")
});

/// The gRPC service for Workflows.
pub(crate) const WORKFLOWS: &str = "temporal.api.workflowservice.v1.WorkflowService";
/// The gRPC service for operating a cluster.
pub(crate) const OPERATOR: &str = "temporal.api.operatorservice.v1.OperatorService";
/// The length of a gRPC message's prefix: a flag for compression, and the message's length.
pub(crate) const FRAME_HEADER: usize = 5;

/// A method of the workflow service, by name.
pub(crate) fn method(name: &str) -> Option<MethodDescriptor> {
    method_of(WORKFLOWS, name)
}

/// A method of a service, by name.
pub(crate) fn method_of(service: &str, name: &str) -> Option<MethodDescriptor> {
    POOL.get_service_by_name(service)?.methods().find(|method| method.name() == name)
}

/// The path by which gRPC calls a method.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A route of the HTTP API.
pub(crate) struct Route {
    pub(crate) verb: Method,
    template: Vec<Part>,
    /// Whether the request's body is its message.
    pub(crate) has_body: bool,
    pub(crate) method: MethodDescriptor,
}

enum Part {
    Literal(String),
    /// The field whose value is this part of the path, such as `execution.workflow_id`.
    Field(String),
}

/// The routes of the HTTP API that a lab and its clients use, below `/api/v1/namespaces/{namespace}`. The SDK's descriptors do not
/// contain them, because they are extensions.
const PATHS: [(Method, &str, &str); 22] = [
    (Method::GET, "", "DescribeNamespace"),
    (Method::GET, "workflows", "ListWorkflowExecutions"),
    (Method::GET, "workflow-count", "CountWorkflowExecutions"),
    (Method::GET, "workflows/{execution.workflow_id}", "DescribeWorkflowExecution"),
    (Method::GET, "workflows/{execution.workflow_id}/history", "GetWorkflowExecutionHistory"),
    (Method::GET, "workflows/{execution.workflow_id}/history-reverse", "GetWorkflowExecutionHistoryReverse"),
    (Method::GET, "task-queues/{task_queue.name}", "DescribeTaskQueue"),
    (Method::POST, "workflows/{workflow_id}", "StartWorkflowExecution"),
    (Method::POST, "workflows/{workflow_execution.workflow_id}/terminate", "TerminateWorkflowExecution"),
    (Method::POST, "workflows/{workflow_execution.workflow_id}/cancel", "RequestCancelWorkflowExecution"),
    (Method::POST, "workflows/{workflow_execution.workflow_id}/reset", "ResetWorkflowExecution"),
    (
        Method::POST,
        "workflows/{workflow_execution.workflow_id}/signal/{signal_name}",
        "SignalWorkflowExecution",
    ),
    (Method::POST, "workflows/{execution.workflow_id}/query/{query.query_type}", "QueryWorkflow"),
    (
        Method::POST,
        "workflows/{workflow_execution.workflow_id}/update-options",
        "UpdateWorkflowExecutionOptions",
    ),
    (Method::GET, "worker-deployments", "ListWorkerDeployments"),
    (Method::GET, "worker-deployments/{deployment_name}", "DescribeWorkerDeployment"),
    (
        Method::POST,
        "worker-deployments/{deployment_name}/set-current-version",
        "SetWorkerDeploymentCurrentVersion",
    ),
    (
        Method::POST,
        "worker-deployments/{deployment_name}/set-ramping-version",
        "SetWorkerDeploymentRampingVersion",
    ),
    (
        Method::GET,
        "worker-deployment-versions/{deployment_version.deployment_name}/{deployment_version.build_id}",
        "DescribeWorkerDeploymentVersion",
    ),
    (Method::POST, "activities-deprecated/pause", "PauseActivity"),
    (Method::POST, "activities-deprecated/unpause", "UnpauseActivity"),
    (Method::POST, "activities-deprecated/reset", "ResetActivity"),
];

/// The same, parsed, with their methods.
pub(crate) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(field) => Part::Field(field.to_owned()),
        None => Part::Literal(part.to_owned()),
    };
    let route = |(verb, place, name): (Method, &str, &str)| {
        let template = format!("api/v1/namespaces/{{namespace}}/{place}");
        let template = template.trim_end_matches('/').split('/').map(part).collect();
        Some(Route { has_body: verb == Method::POST, verb, template, method: method(name)? })
    };
    PATHS.into_iter().filter_map(route).collect()
});

impl Route {
    /// The values of the fields in this path, if it matches this route.
    pub(crate) fn fields(&self, path: &[String]) -> Option<Vec<(String, String)>> {
        if path.len() != self.template.len() {
            return None;
        }
        let mut fields = Vec::new();
        for (part, given) in self.template.iter().zip(path) {
            match part {
                Part::Literal(word) if word == given => {}
                Part::Literal(_) => return None,
                Part::Field(name) => fields.push((name.clone(), given.clone())),
            }
        }
        Some(fields)
    }

    /// The number of literal parts in its path. If two routes match a path, the one with more of them wins.
    pub(crate) fn literals(&self) -> usize {
        self.template.iter().filter(|part| matches!(part, Part::Literal(_))).count()
    }
}

/// Decodes the request message of a method.
pub(crate) fn request(method: &MethodDescriptor, message: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(method.input(), message).ok()
}

/// Decodes the response message of a method.
pub(crate) fn answer(method: &MethodDescriptor, message: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(method.output(), message).ok()
}

/// The text field at this path, such as `["task_queue", "name"]`; none if a field is missing or not a text.
pub(crate) fn text(message: &DynamicMessage, fields: &[&str]) -> Option<String> {
    let (last, before) = fields.split_last()?;
    let mut message = message.clone();
    for field in before {
        let next = message.get_field_by_name(field)?.as_message()?.clone();
        message = next;
    }
    let value = message.get_field_by_name(last)?;
    Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_http_api_has_a_method_with_its_fields() {
        assert_eq!(ROUTES.len(), PATHS.len());
        for route in ROUTES.iter() {
            for part in &route.template {
                let Part::Field(path) = part else { continue };
                let mut form = Some(route.method.input());
                for name in path.split('.') {
                    let field = form.as_ref().and_then(|form| form.get_field_by_name(name));
                    let field = field.unwrap_or_else(|| panic!("{} has no {path}", route.method.name()));
                    form = match field.kind() {
                        prost_reflect::Kind::Message(form) => Some(form),
                        _ => None,
                    };
                }
            }
        }
    }
}
