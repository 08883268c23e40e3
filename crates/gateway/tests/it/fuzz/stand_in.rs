//! A gateway in this process, and the service behind it, which records what the gateway forwards.

use std::{
    convert::Infallible,
    future::{pending, ready},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use contract::PublicHosts;
use gateway::{Gateway, Guard, Link, Service};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, header::HeaderValue, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use prost_reflect::{DynamicMessage, Value, prost::Message as _};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::body::Body;

use super::messages::{self, LEARNER, NAMESPACE};

/// A header of the requests that the test sends over gRPC. The gateway's own requests to the service do not have it.
pub(crate) const OF_THE_TEST: &str = "of-the-test";

/// A request that the gateway forwarded.
pub(crate) struct Forwarded {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The message, without its prefix.
    pub(crate) message: Bytes,
}

/// What the service responds with: a message and a gRPC status.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) message: Vec<u8>,
    pub(crate) status: u16,
    /// Whether it is the response to `DescribeWorkflowExecution` too, for a request for which the guard looks nothing up.
    pub(crate) describes: bool,
}

#[derive(Default)]
struct State {
    forwarded: Vec<Forwarded>,
    answer: Answer,
}

/// A gateway for the learner, and its service. Both end when dropped.
pub(crate) struct Setup {
    state: Arc<Mutex<State>>,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    _both: JoinSet<()>,
}

impl Setup {
    pub(crate) async fn start() -> Setup {
        let state = Arc::<Mutex<State>>::default();
        let listener = listen().await;
        let service = listener.local_addr().expect("it listens");
        let mut both = JoinSet::new();
        both.spawn(serve(listener, state.clone()));
        let (grpc, http) = start_gateway(&service.to_string(), &mut both).await;
        Setup { state, grpc, http, _both: both }
    }

    /// What the service responds with from now on. Forgets the requests so far.
    pub(crate) fn respond_with(&self, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { answer, ..State::default() };
    }

    /// The requests since then.
    pub(crate) fn forwarded(&self) -> Vec<Forwarded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.forwarded)
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// Starts a gateway for the learner in front of a service. Returns the addresses of its gRPC and of its HTTP API.
pub(crate) async fn start_gateway(service: &str, tasks: &mut JoinSet<()>) -> (SocketAddr, SocketAddr) {
    let gateway = Gateway {
        link: Link::new(Service::at(service, NAMESPACE).expect("an address")),
        guard: Arc::new(Guard::new(Some(LEARNER), NAMESPACE)),
        findings: Arc::default(),
        board: false,
        public: PublicHosts::default(),
    };
    let (grpc, http) = (listen().await, listen().await);
    let addresses = (grpc.local_addr().expect("it listens"), http.local_addr().expect("it listens"));
    tasks.spawn(gateway::serve(gateway, grpc, http, pending()));
    addresses
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a connection");
        let state = state.clone();
        let service = service_fn(move |request| {
            let state = state.clone();
            async move { Ok::<_, Infallible>(answer(&state, request).await) }
        });
        connections.spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new()).http2_only();
            // The gateway may disconnect.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await.expect("a body").to_bytes();
    let message = body.slice(5.min(body.len())..);
    // The gateway's own requests: its health check, and those of the guard.
    let is_own = !head.headers.contains_key(OF_THE_TEST);
    if is_own && path.ends_with("/GetSystemInfo") {
        return response(Answer::default());
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let is_lookup = is_own && path.ends_with("/DescribeWorkflowExecution") && !state.answer.describes;
    if is_lookup && let Some(answer) = description(&message) {
        return response(answer);
    }
    state.forwarded.push(Forwarded { path, headers: head.headers, message });
    response(state.answer.clone())
}

/// The description of a Workflow: on the Task Queue of its owner.
fn description(message: &[u8]) -> Option<Answer> {
    const NOT_FOUND: u16 = 5;
    let method = messages::method("DescribeWorkflowExecution");
    let message = DynamicMessage::decode(method.input(), message).ok()?;
    let execution = message.get_field_by_name("execution")?;
    let text = |name| Some(execution.as_message()?.get_field_by_name(name)?.as_str()?.to_owned());
    let owner = messages::owner(&text("workflow_id")?, &text("run_id")?);
    let Some(owner) = owner else { return Some(Answer { status: NOT_FOUND, ..Answer::default() }) };
    let mut answer = DynamicMessage::new(method.output());
    let mut at = &mut answer;
    for name in ["execution_config", "task_queue"] {
        at = at.get_field_by_name_mut(name).expect("the API has it").as_message_mut().expect("a message");
    }
    at.set_field_by_name("name", Value::String(contract::task_queue(Some(&owner))));
    Some(Answer { message: answer.encode_to_vec(), ..Answer::default() })
}

fn response(answer: Answer) -> Response<Body> {
    let status = HeaderValue::from(answer.status);
    let response = Response::builder().header("content-type", "application/grpc");
    if answer.status != 0 {
        return response.header("grpc-status", status).body(Body::empty()).expect("a response");
    }
    let body = Full::new(messages::framed(0, &answer.message));
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), status)]);
    response.body(Body::new(body.with_trailers(ready(Some(Ok(trailers)))))).expect("a response")
}
