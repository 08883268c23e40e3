//! Requests of the HTTP API.

use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, Value, prost::Message as _};
use tokio::task::block_in_place;

use super::{
    Round, Rounds, check_names, count, is_unchecked,
    messages::{Counts, Generator, Named, method},
    normal, show,
    stand_in::{Answer, Setup},
};

/// A request of the HTTP API: its verb, the path after the namespace, its method, and where the Workflow Id in the path belongs.
type HttpCall = (&'static str, &'static str, &'static str, &'static [&'static str]);

const HTTP_CALLS: [HttpCall; 16] = [
    ("GET", "", "DescribeNamespace", &[]),
    ("GET", "/workflows", "ListWorkflowExecutions", &[]),
    ("GET", "/workflow-count", "CountWorkflowExecutions", &[]),
    ("GET", "/workflows/{}", "DescribeWorkflowExecution", &["execution", "workflow_id"]),
    ("GET", "/workflows/{}/history", "GetWorkflowExecutionHistory", &["execution", "workflow_id"]),
    ("POST", "/workflows/{}", "StartWorkflowExecution", &["workflow_id"]),
    ("POST", "/workflows/{}/terminate", "TerminateWorkflowExecution", &["workflow_execution", "workflow_id"]),
    (
        "POST",
        "/workflows/{}/cancel",
        "RequestCancelWorkflowExecution",
        &["workflow_execution", "workflow_id"],
    ),
    ("POST", "/workflows/{}/reset", "ResetWorkflowExecution", &["workflow_execution", "workflow_id"]),
    ("POST", "/workflows/{}/signal/x", "SignalWorkflowExecution", &["workflow_execution", "workflow_id"]),
    ("POST", "/workflows/{}/query/x", "QueryWorkflow", &["execution", "workflow_id"]),
    (
        "POST",
        "/workflows/{}/update-options",
        "UpdateWorkflowExecutionOptions",
        &["workflow_execution", "workflow_id"],
    ),
    (
        "POST",
        "/worker-deployments/money-transfer-ada/set-current-version",
        "SetWorkerDeploymentCurrentVersion",
        &[],
    ),
    (
        "POST",
        "/worker-deployments/money-transfer-bob/set-ramping-version",
        "SetWorkerDeploymentRampingVersion",
        &[],
    ),
    ("POST", "/activities-deprecated/pause", "PauseActivity", &[]),
    ("GET", "/nobody/knows/this", "", &[]),
];

/// Percent-encodes what a path cannot contain, and some of the rest.
fn encoded(generator: &mut Generator, text: &str) -> String {
    let encode_all = generator.is(0.2);
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() && !encode_all {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A parameter of a URL's query.
fn parameter(generator: &mut Generator) -> String {
    let value = match generator.random.u8(..4) {
        0 => generator.query(),
        1 => generator.name(Named::Workflow),
        2 => "%FF%".to_owned(),
        _ => generator.pick(&["1", "true", "-1", "1e9", "", "99999999999999999999"]).to_owned(),
    };
    const NAMES: [&str; 12] = [
        "query",
        "namespace",
        "pageSize",
        "maximumPageSize",
        "execution.runId",
        "execution.workflowId",
        "execution",
        "execution.workflow_id.x",
        "nextPageToken",
        "waitNewEvent",
        "historyEventFilterType",
        "a.b.c",
    ];
    format!("{}={}", generator.pick(&NAMES), encoded(generator, &value))
}

/// A request over HTTP, and what of it was forwarded.
fn http_round(round: &Round, setup: &Setup, counts: &mut Counts) {
    let mut generator = round.generator();
    let (verb, place, name, id_place) = generator.pick(&HTTP_CALLS);
    let namespace = generator.name(Named::Namespace);
    let id = generator.name(Named::Workflow);
    let mut path = format!("/api/v1/namespaces/{}{place}", encoded(&mut generator, &namespace));
    path = path.replace("{}", &encoded(&mut generator, &id));
    let is_odd = generator.is(0.1);
    if is_odd {
        let at = generator.random.usize(1..=path.len());
        path.insert_str(
            at,
            generator.pick(&["/", "//", "/..", ".", "%", "%2F", "%FF", "%C3%28", "%00", ";x", "+"]),
        );
    }
    let mut target = path.clone();
    for number in 0..generator.random.usize(..3) {
        target += &format!("{}{}", if number == 0 { "?" } else { "&" }, parameter(&mut generator));
    }
    // What a message holds as data has a form of its own in JSON.
    generator.has_data = false;
    let form = method(if name.is_empty() { "StartWorkflowExecution" } else { name });
    let sent = normal(&generator.message(&form.input(), 0));
    let mut body = serde_json::to_string(&sent).expect("it can be written as JSON");
    let is_mutated = generator.is(0.4);
    if is_mutated {
        generator.mutate_json(&mut body);
        // A longer one may be cut off by an early response.
        body.truncate(body.floor_char_boundary(4000));
    } else if body.len() > 4000 {
        return;
    }
    let answer_message = normal(&generator.message(&form.output(), 0));
    let status = generator.pick(&[0, 0, 0, 3, 5, 13]);
    setup.respond_with(Answer { message: answer_message.encode_to_vec(), status, describes: verb == "GET" });

    let is_elsewhere = generator.is(0.03);
    let host = if is_elsewhere { "example.com".to_owned() } else { setup.http.to_string() };
    let mut headers = vec![("host", host.as_str())];
    if generator.is(0.2) {
        headers.push(generator.pick(&[
            ("content-type", "x/y"),
            ("accept", ""),
            ("grpc-timeout", "-1"),
            ("x", "\u{e4}"),
        ]));
    }
    let answer = webtest::ask(setup.http, &format!("{verb} {target}"), &headers, &body);
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let forwarded = setup.forwarded();
    // The URL is too long for any HTTP server here.
    if answer.status == 414 && forwarded.is_empty() {
        return;
    }
    let Some(forwarded) = forwarded.last() else {
        let is_refusal = [400, 403, 404, 421].contains(&answer.status);
        assert!(is_refusal, "{target} was refused with {}: {} {body}", answer.status, answer.body);
        assert!(json["message"].is_string() || json["error"].is_string(), "{target}: {}", answer.body);
        count(counts, format!("refused with {}", answer.status));
        return;
    };
    assert!(!is_elsewhere, "a request to another host was forwarded");
    assert!(forwarded.headers.get("host").is_none());
    let forwarded_name = forwarded.path.rsplit('/').next().unwrap_or_default();
    count(counts, forwarded_name);
    let received = match is_unchecked(&forwarded.path) {
        true => DynamicMessage::decode(method(forwarded_name).input(), forwarded.message.clone())
            .expect("a message"),
        false => check_names(&forwarded.path, &forwarded.message),
    };
    // An odd path may be of another method, whose response would have another form.
    if forwarded_name != name {
        return;
    }
    assert_eq!(answer.status == 200, status == 0, "{target}: {}", answer.body);
    if is_odd {
        return;
    }
    let text = |fields: &[&str]| {
        let mut value = Value::Message(received.clone());
        for field in fields {
            value = value
                .as_message()
                .expect("a message")
                .get_field_by_name(field)
                .expect("a field")
                .into_owned();
        }
        value.as_str().expect("a text").to_owned()
    };
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().expect("UTF-8").into_owned();
    let parts: Vec<String> = path.split('/').map(decoded).collect();
    assert_eq!(text(&["namespace"]), parts[4], "the namespace in the path");
    if !id_place.is_empty() {
        assert_eq!(text(id_place), parts[6], "the Workflow Id in the path");
    }
    if verb == "POST" && !is_mutated {
        same_except_path(sent, &received);
    }
    if status == 0 {
        let again = DynamicMessage::deserialize(form.output(), json).expect("it is the method's response");
        assert!(again == answer_message, "{} became {}", show(&answer_message), answer.body);
    }
}

/// Checks that a message is the one that was sent as JSON, except for what the path of its request says.
fn same_except_path(sent: DynamicMessage, received: &DynamicMessage) {
    let (mut sent, mut received) = (sent, received.clone());
    for message in [&mut sent, &mut received] {
        for field in [
            "namespace",
            "workflow_id",
            "workflow_execution",
            "execution",
            "signal_name",
            "query",
            "deployment_name",
        ] {
            message.clear_field_by_name(field);
        }
    }
    assert!(sent == received, "{} became {}", show(&sent), show(&received));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_http_request_only_what_names_the_learners_own_is_forwarded() {
    fuzz(Rounds::of(2500)).await;
}

pub(crate) async fn fuzz(mut rounds: Rounds) {
    let setup = Setup::start().await;
    let mut counts = Counts::new();
    block_in_place(|| {
        for seed in rounds.seeds.by_ref() {
            http_round(&Round(seed), &setup, &mut counts);
            count(&mut counts, "rounds");
        }
    });
    rounds.report(&counts);
    for (_, _, name, _) in HTTP_CALLS.iter().filter(|(_, _, name, _)| rounds.are_all && !name.is_empty()) {
        assert!(
            counts.contains_key(*name) || *name == "SetWorkerDeploymentRampingVersion",
            "{name} was never forwarded"
        );
    }
}
