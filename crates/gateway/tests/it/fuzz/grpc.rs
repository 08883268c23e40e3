//! Requests over gRPC.

use std::{error::Error, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use prost_reflect::{
    DynamicMessage, Kind, MethodDescriptor, Value,
    prost::{Message as _, encoding::encode_varint},
};
use tonic::{body::Body, transport::Channel};
use tower_service::Service as _;

use super::{
    Round, Rounds, check_names, count, is_unchecked,
    messages::{self, Counts, METHODS, WORKFLOWS, method},
    narrowed_from, show,
    stand_in::{Answer, OF_THE_TEST, Setup},
    without_spaces,
};

/// The methods that a learner needs; each must be forwarded at least once.
const NEEDED: [&str; 27] = [
    "CountWorkflowExecutions",
    "DeleteWorkflowExecution",
    "DescribeWorkflowExecution",
    "GetWorkflowExecutionHistory",
    "ListWorkflowExecutions",
    "PauseActivity",
    "PollActivityTaskQueue",
    "PollNexusTaskQueue",
    "PollWorkflowTaskQueue",
    "QueryWorkflow",
    "RequestCancelWorkflowExecution",
    "ResetActivity",
    "ResetWorkflowExecution",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskCompletedById",
    "RespondActivityTaskFailedById",
    "RespondWorkflowTaskCompleted",
    "SetWorkerDeploymentCurrentVersion",
    "SetWorkerDeploymentRampingVersion",
    "SignalWithStartWorkflowExecution",
    "SignalWorkflowExecution",
    "StartBatchOperation",
    "StartWorkflowExecution",
    "TerminateWorkflowExecution",
    "UnpauseActivity",
    "UpdateActivityOptions",
    "UpdateWorkflowExecutionOptions",
];

/// Paths that are no method of the API, or look like another one.
const ODD_PATHS: [&str; 12] = [
    "/",
    "//",
    "/temporal.api.workflowservice.v1.WorkflowService/",
    "//temporal.api.workflowservice.v1.WorkflowService/TerminateWorkflowExecution",
    "/x/temporal.api.workflowservice.v1.WorkflowService/TerminateWorkflowExecution",
    "/temporal.api.workflowservice.v1.WorkflowService//TerminateWorkflowExecution",
    "/temporal.api.workflowservice.v1.WorkflowService/TerminateWorkflowExecution/",
    "/temporal.api.workflowservice.v1.WorkflowService/%54erminateWorkflowExecution",
    "/temporal%2eapi.workflowservice.v1.WorkflowService/TerminateWorkflowExecution",
    "/temporal.server.api.adminservice.v1.AdminService/DeleteWorkflowExecution",
    "/temporal.server.api.historyservice.v1.HistoryService/TerminateWorkflowExecution",
    "/grpc.health.v1.Health/Check",
];

/// How long a response may take on a slow machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A failure with this many causes, encoded.
fn nested_failure(causes: usize) -> Vec<u8> {
    const CAUSE: u8 = (4 << 3) | 2;
    (0..causes).fold(Vec::new(), |inner, _| {
        let mut outer = vec![CAUSE];
        encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    })
}

/// A request over gRPC, and what of it was forwarded.
async fn grpc_round(round: &Round, setup: &Setup, channel: &mut Channel, counts: &mut Counts) {
    /// A field that no descriptor has.
    const UNKNOWN: &[u8] = &[0xba, 0xbe, 0x04, 4, b'k', b'e', b'p', b't'];
    let mut generator = round.generator();
    let path = match generator.random.u8(..20) {
        0 => generator.pick(&ODD_PATHS).to_owned(),
        1 => format!("/{WORKFLOWS}/{}", "x".repeat(generator.random.usize(..8000))),
        2..6 => messages::path(&generator.pick(&METHODS)),
        _ => format!("/{WORKFLOWS}/{}", generator.pick(&NEEDED)),
    };
    let known = METHODS.iter().find(|method| messages::path(method)[1..] == *path.trim_start_matches('/'));
    let form = known.map_or_else(|| method("TerminateWorkflowExecution").input(), MethodDescriptor::input);
    let message = generator.message(&form, 0);
    let mut bytes = message.encode_to_vec();
    let is_valid = match generator.random.u8(..10) {
        0..3 => {
            generator.mutate(&mut bytes);
            false
        }
        3 => {
            let failure = form
                .fields()
                .find(|field| matches!(field.kind(), Kind::Message(form) if form.name() == "Failure"));
            let causes = generator.random.usize(..2000);
            if let Some(field) = failure.filter(|_| generator.is(0.2)) {
                encode_varint(u64::from(field.number() << 3 | 2), &mut bytes);
                let failure = nested_failure(causes);
                encode_varint(failure.len() as u64, &mut bytes);
                bytes.extend(failure);
            }
            false
        }
        4..6 => {
            bytes.extend(UNKNOWN);
            true
        }
        _ => true,
    };
    let (body, is_whole) = generator.frame(&bytes);
    let answer = Answer {
        message: (0..generator.random.usize(..50)).map(|_| generator.random.u8(..)).collect(),
        status: generator.pick(&[0, 0, 0, 3, 5, 13]),
        describes: false,
    };
    setup.respond_with(answer.clone());

    let mut request = Request::post(Uri::try_from(&path).expect("a path")).header(OF_THE_TEST, "1");
    request = request.header("content-type", "application/grpc").header("te", "trailers");
    request = request.header("authorization", "Bearer secret");
    if generator.is(0.3) {
        let encodings = ["gzip", "identity", "", "deflate, gzip", "x"];
        request = request.header("grpc-encoding", generator.pick(&encodings));
        request = request.header("grpc-timeout", generator.pick(&["9S", "", "-1S", "99999999H", "x"]));
        request = request.header("odd-bin", generator.pick(&["AAE=", "%%%", "\u{e4}"]));
    }
    let request = request.body(Body::new(Full::new(body.clone()))).expect("a request");
    let response = tokio::time::timeout(ANSWER_TIMEOUT, async {
        std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("a connection");
        let (head, body) = channel.call(request).await?.into_parts();
        let body = body.collect().await.map_err(Box::new)?;
        Ok::<_, Box<dyn Error + Send + Sync>>((head, body.trailers().cloned(), body.to_bytes()))
    });
    let (head, trailers, received) = response
        .await
        .unwrap_or_else(|_| panic!("no response to {path}: {}", show(&message)))
        .unwrap_or_else(|error| panic!("no proper response to {path}: {error:?}: {}", show(&message)));
    let status = [Some(&head.headers), trailers.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|fields| fields.get("grpc-status"));
    let status: u16 = status.and_then(|status| status.to_str().ok()?.parse().ok()).expect("a gRPC status");
    let forwarded = setup.forwarded();
    let [forwarded] = &forwarded[..] else {
        assert!(forwarded.is_empty(), "{path} was forwarded {} times", forwarded.len());
        // Invalid, not allowed, too long.
        assert!([3, 7, 8].contains(&status), "{path} was refused with {status}: {:?}", head.headers);
        count(counts, format!("refused with {status}"));
        return;
    };
    assert_eq!(status, answer.status, "the service's own status");
    if status == 0 {
        assert_eq!(received, messages::framed(0, &answer.message), "the service's own answer");
    }
    assert_eq!(forwarded.path, path);
    assert!(forwarded.headers.get("authorization").is_none(), "the client's key was forwarded");
    count(counts, path.rsplit('/').next().unwrap_or_default());
    if is_unchecked(&path) {
        assert_eq!(forwarded.message, body.slice(5.min(body.len())..), "{path} was changed");
        return;
    }
    assert!(is_whole, "{path} was forwarded from a broken frame");
    let received = check_names(&path, &forwarded.message);
    let sent = DynamicMessage::decode(form, &bytes[..]).expect("the gateway could decode it");
    same_but_narrowed(&sent, &received);
    if is_valid && bytes.ends_with(UNKNOWN) {
        let is_kept = forwarded.message.windows(UNKNOWN.len()).any(|part| part == UNKNOWN);
        assert!(is_kept, "a field that the gateway does not know is missing: {}", show(&received));
    }
}

/// Checks that a forwarded message is the one that was sent, except for its query.
fn same_but_narrowed(sent: &DynamicMessage, forwarded: &DynamicMessage) {
    let mut sent = sent.clone();
    for field in ["query", "visibility_query"] {
        let text = |message: &DynamicMessage| Some(message.get_field_by_name(field)?.as_str()?.to_owned());
        if let (Some(query), Some(narrowed)) = (text(&sent), text(forwarded)) {
            assert_eq!(narrowed_from(&narrowed), Some(without_spaces(&query)), "it was another query");
            sent.set_field_by_name(field, Value::String(narrowed));
        }
    }
    // What is not a number equals nothing, but its bytes do.
    let is_same = sent == *forwarded || sent.encode_to_vec() == forwarded.encode_to_vec();
    assert!(is_same, "the message was changed: {} instead of {}", show(forwarded), show(&sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_grpc_request_only_what_names_the_learners_own_is_forwarded() {
    fuzz(Rounds::of(2500)).await;
}

pub(crate) async fn fuzz(mut rounds: Rounds) {
    let setup = Setup::start().await;
    let address = format!("http://{}", setup.grpc);
    let mut channel = Channel::from_shared(address).expect("an address").connect().await.expect("it listens");
    let mut counts = Counts::new();
    for seed in rounds.seeds.by_ref() {
        grpc_round(&Round(seed), &setup, &mut channel, &mut counts).await;
        count(&mut counts, "rounds");
    }
    rounds.report(&counts);
    for method in NEEDED.iter().filter(|_| rounds.are_all) {
        assert!(counts.contains_key(*method), "{method} was never forwarded");
    }
}
