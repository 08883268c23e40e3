//! What Temporal's API consists of, from its descriptors: its methods, and where each stands in the HTTP API.

use std::sync::LazyLock;

use axum::http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(&include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"))[..])
        .expect("the SDK's build has made these descriptors")
});

/// The service by which workflows are asked for and run.
pub(crate) const WORKFLOWS: &str = "temporal.api.workflowservice.v1.WorkflowService";
/// The service by which a cluster is run.
pub(crate) const OPERATOR: &str = "temporal.api.operatorservice.v1.OperatorService";

/// The method of that name of the workflow service.
pub(crate) fn method(name: &str) -> Option<MethodDescriptor> {
    method_of(WORKFLOWS, name)
}

/// The method of that name of that service.
pub(crate) fn method_of(service: &str, name: &str) -> Option<MethodDescriptor> {
    POOL.get_service_by_name(service)?.methods().find(|method| method.name() == name)
}

/// The path by which gRPC calls a method.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A place in the HTTP API.
pub(crate) struct Route {
    pub(crate) verb: Method,
    template: Vec<Part>,
    /// Whether the request's body is its message.
    pub(crate) has_body: bool,
    pub(crate) method: MethodDescriptor,
}

enum Part {
    Is(String),
    /// The field that this part of the path is the value of, such as `execution.workflow_id`.
    Field(String),
}

/// Every place in the HTTP API, as the descriptors have it by `google.api.http`.
pub(crate) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let Some(extension) = POOL.get_extension_by_name("google.api.http") else { return Vec::new() };
    let services = [WORKFLOWS, OPERATOR].into_iter().filter_map(|name| POOL.get_service_by_name(name));
    let mut routes = Vec::new();
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        if !options.has_extension(&extension) {
            continue;
        }
        let rule = options.get_extension(&extension);
        let Some(rule) = rule.as_message() else { continue };
        routes.extend(route(rule, &method));
        if let Some(more) = rule.get_field_by_name("additional_bindings") {
            let more = more.as_list().unwrap_or_default().iter().filter_map(Value::as_message);
            routes.extend(more.filter_map(|rule| route(rule, &method)));
        }
    }
    routes
});

fn route(rule: &DynamicMessage, method: &MethodDescriptor) -> Option<Route> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name)?;
        Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty())
    };
    let verbs =
        [("get", Method::GET), ("post", Method::POST), ("put", Method::PUT), ("delete", Method::DELETE)];
    let (verb, template) = verbs.into_iter().find_map(|(name, verb)| Some((verb, text(name)?)))?;
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(field) => Part::Field(field.to_owned()),
        None => Part::Is(part.to_owned()),
    };
    let template = template.trim_start_matches('/').split('/').map(part).collect();
    Some(Route { verb, template, has_body: text("body").is_some(), method: method.clone() })
}

impl Route {
    /// The values that this path has for fields, if it is one of this place.
    pub(crate) fn fields(&self, path: &[String]) -> Option<Vec<(String, String)>> {
        if path.len() != self.template.len() {
            return None;
        }
        let mut fields = Vec::new();
        for (part, given) in self.template.iter().zip(path) {
            match part {
                Part::Is(word) if word == given => {}
                Part::Is(_) => return None,
                Part::Field(name) => fields.push((name.clone(), given.clone())),
            }
        }
        Some(fields)
    }

    /// How many parts of its path are words: of two places for a path, the one with more of them is meant.
    pub(crate) fn words(&self) -> usize {
        self.template.iter().filter(|part| matches!(part, Part::Is(_))).count()
    }
}

/// Reads a message of what a method is asked.
pub(crate) fn request(method: &MethodDescriptor, message: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(method.input(), message).ok()
}

/// Reads a message of what a method answers.
pub(crate) fn answer(method: &MethodDescriptor, message: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(method.output(), message).ok()
}

/// The text at the end of these fields, such as `["task_queue", "name"]`; nothing where there are no such fields, or no text.
pub(crate) fn text(message: &DynamicMessage, fields: &[&str]) -> Option<String> {
    let (last, before) = fields.split_last()?;
    let mut message = message.clone();
    for field in before {
        let next = message.get_field_by_name(field)?.as_message()?.clone();
        message = next;
    }
    message.descriptor().get_field_by_name(last)?;
    let value = message.get_field_by_name(last)?;
    Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty())
}
