//! The server's HTTP API, `/api/v1/…`: each route maps to a gRPC method.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use percent_encoding::percent_decode_str;
use prost_reflect::{Cardinality, DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use crate::{
    api::{ROUTES, Route},
    gateway::Gateway,
    health::is_silence,
    json,
};

/// The largest request body.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// How long a response may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a long poll, to which the service responds after up to 20 s.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// Handles a request of the HTTP API.
pub(crate) async fn answer(State(gateway): State<Gateway>, request: Request) -> Response {
    match ask(&gateway, request).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(status) => error_response(&plain(&gateway, status)),
    }
}

async fn ask(gateway: &Gateway, request: Request) -> Result<Value, Status> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let Some((route, fields)) = find(&parts.method, parts.uri.path()) else {
        return Err(Status::not_found(format!("not found: {} {}", parts.method, parts.uri.path())));
    };
    let form = route.method.input();
    let body =
        to_bytes(body, MAX_BODY).await.map_err(|_| Status::invalid_argument("the body is too long"))?;
    let mut request_json = match &body[..] {
        [] => Value::Object(Map::new()),
        body if route.has_body => serde_json::from_slice(body)
            .map_err(|error| Status::invalid_argument(format!("the body is not valid JSON: {error}")))?,
        _ => Value::Object(Map::new()),
    };
    if !request_json.is_object() {
        return Err(Status::invalid_argument("the body must be a JSON object"));
    }
    let asked = form_urlencoded::parse(query.as_bytes()).into_owned();
    // The path takes precedence over everything else.
    for (name, value) in asked.filter(|_| !route.has_body).chain(fields) {
        set(&mut request_json, &form, &name, &value);
    }
    let message = json::from_json(form, request_json).map_err(Status::invalid_argument)?;
    let answer = gateway.ask(&route.method, &message, timeout(&message)).await?;
    Ok(json::to_json(&answer))
}

/// How long the response to a message may take.
fn timeout(message: &DynamicMessage) -> Duration {
    let waits =
        message.get_field_by_name("wait_new_event").is_some_and(|waits| waits.as_bool() == Some(true));
    if waits { LONG_POLL_TIMEOUT } else { REQUEST_TIMEOUT }
}

/// The route of a path, and the fields in it.
fn find(verb: &Method, path: &str) -> Option<(&'static Route, Vec<(String, String)>)> {
    let parts: Option<Vec<String>> = path.trim_start_matches('/').split('/').map(decode).collect();
    let parts = parts?;
    ROUTES
        .iter()
        .filter(|route| route.verb == verb)
        .filter_map(|route| Some((route, route.fields(&parts)?)))
        .max_by_key(|(route, _)| route.literals())
}

/// Percent-decodes a part of a path; none if that is not UTF-8.
fn decode(part: &str) -> Option<String> {
    percent_decode_str(part).decode_utf8().ok().map(Cow::into_owned)
}

/// Sets a field by its path, such as `execution.runId`. Unknown fields are ignored, as by the server.
fn set(request_json: &mut Value, form: &MessageDescriptor, path: &str, value: &str) {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(field) = form.get_field_by_json_name(name).or_else(|| form.get_field_by_name(name)) else {
        return;
    };
    let key = field.json_name();
    match field.kind() {
        Kind::Message(form) if !rest.is_empty() => {
            if !request_json[key].is_object() {
                request_json[key] = json!({});
            }
            set(&mut request_json[key], &form, rest, value);
        }
        kind => {
            let value = match kind {
                Kind::Bool => Value::Bool(value == "true" || value == "1"),
                Kind::Bytes => Value::String(value.replace('-', "+").replace('_', "/")),
                _ => Value::String(value.to_owned()),
            };
            if field.cardinality() == Cardinality::Repeated {
                match request_json[key].as_array_mut() {
                    Some(list) => list.push(value),
                    None => request_json[key] = json!([value]),
                }
            } else {
                request_json[key] = value;
            }
        }
    }
}

/// The status in words for a person, if the connection to the service was lost.
fn plain(gateway: &Gateway, status: Status) -> Status {
    if !is_silence(status.code()) || !status.message().contains("keep-alive timed out") {
        return status;
    }
    let service = match gateway.guard.learner() {
        Some(_) => "The class server".to_owned(),
        None => format!("The Temporal Service at {}", gateway.link.service.address),
    };
    Status::new(status.code(), format!("{service} is unreachable; retrying"))
}

/// A status as a response of the server's HTTP API.
fn error_response(status: &Status) -> Response {
    let http = match status.code() {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        // The connection ended before the response.
        Code::Unavailable | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (http, axum::Json(json!({ "code": status.code() as i32, "message": status.message() }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_maps_to_the_same_method_as_in_the_server() {
        let method =
            |verb: Method, path: &str| find(&verb, path).map(|(route, _)| route.method.name().to_owned());
        let base = "/api/v1/namespaces/default";
        for (verb, path, name) in [
            (Method::GET, "", "DescribeNamespace"),
            (Method::GET, "/workflows", "ListWorkflowExecutions"),
            (Method::GET, "/workflow-count", "CountWorkflowExecutions"),
            (Method::GET, "/workflows/transfer-1", "DescribeWorkflowExecution"),
            (Method::GET, "/workflows/transfer-1/history", "GetWorkflowExecutionHistory"),
            (Method::GET, "/workflows/transfer-1/history-reverse", "GetWorkflowExecutionHistoryReverse"),
            (Method::POST, "/workflows/transfer-1", "StartWorkflowExecution"),
            (Method::POST, "/workflows/transfer-1/terminate", "TerminateWorkflowExecution"),
            (Method::POST, "/workflows/transfer-1/update-options", "UpdateWorkflowExecutionOptions"),
            (Method::GET, "/worker-deployments", "ListWorkerDeployments"),
            (Method::GET, "/worker-deployments/money-transfer", "DescribeWorkerDeployment"),
            (
                Method::POST,
                "/worker-deployments/money-transfer/set-current-version",
                "SetWorkerDeploymentCurrentVersion",
            ),
            (
                Method::POST,
                "/worker-deployments/money-transfer/set-ramping-version",
                "SetWorkerDeploymentRampingVersion",
            ),
            (Method::GET, "/worker-deployment-versions/money-transfer/1", "DescribeWorkerDeploymentVersion"),
            (Method::POST, "/activities-deprecated/pause", "PauseActivity"),
            (Method::POST, "/activities-deprecated/unpause", "UnpauseActivity"),
        ] {
            assert_eq!(method(verb, &format!("{base}{path}")).as_deref(), Some(name), "{path}");
        }
        assert_eq!(method(Method::DELETE, ""), None);
        assert_eq!(method(Method::GET, "/nobody"), None);
    }

    #[test]
    fn a_path_may_contain_any_workflow_id() {
        let (_, fields) =
            find(&Method::GET, "/api/v1/namespaces/n/workflows/a%20b%2Fc+%C3%A4").expect("it is one");
        assert!(fields.contains(&("execution.workflow_id".to_owned(), "a b/c+ä".to_owned())), "{fields:?}");
        assert!(find(&Method::GET, "/api/v1/namespaces/n/workflows/%FF").is_none(), "it names no Workflow");
    }
}
