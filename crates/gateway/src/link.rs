//! The connection to the service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use http_body_util::Full;
use hyper::{Request, Response, http::uri::PathAndQuery};
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::Channel,
};
use tower_service::Service as _;

use crate::{
    moves::Moves,
    service::{Service, chain},
};

/// The backoff while the service is over its rate limit; up to the same again is added at random. Rejected requests cost it little.
const BUSY_BACKOFF: Duration = Duration::from_millis(250);
/// How long we retry a request while the service is over its rate limit: after five seconds without a response, the page and the
/// commands report the service as down.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_millis(3500);

/// The connection to a Temporal Service. It connects at the first request, and again after a lost connection.
#[derive(Clone)]
pub struct Link {
    /// The service.
    pub service: Service,
    channel: Channel,
    pub(crate) heard: Arc<Mutex<Heard>>,
    pub(crate) moves: Moves,
}

/// The outcome of the last requests to the service.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The duration of the last short request.
    pub(crate) round_trip: Option<Duration>,
    /// Set while the service does not answer or authentication fails.
    pub(crate) silent: Option<Silence>,
}

/// The service does not answer, or authentication failed.
#[derive(Debug)]
pub(crate) struct Silence {
    /// Since when.
    pub(crate) since: Instant,
    /// The error.
    pub(crate) why: String,
    /// Whether the service answers, but authentication fails because a key or a certificate is no longer valid.
    pub(crate) refuses: bool,
}

impl Link {
    /// A link to a service, which connects at the first request.
    pub fn new(service: Service) -> Link {
        let channel = service.endpoint.connect_lazy();
        Link { service, channel, heard: Arc::default(), moves: Moves::default() }
    }

    /// Like [`ask`](Link::ask), retried for up to `busy_timeout` while the service is over its rate limit: Temporal Cloud allows thirty
    /// lists and counts per second and namespace, which a class shares.
    pub(crate) async fn ask_with_retries(
        &self,
        method: &str,
        message: Vec<u8>,
        within: Duration,
        busy_timeout: Duration,
    ) -> Result<Bytes, Status> {
        let begin = Instant::now();
        loop {
            // A whole class must not retry at the same moment.
            let wait = BUSY_BACKOFF.mul_f64(1.0 + fastrand::f64());
            match self.ask(method, message.clone(), within).await {
                Err(status)
                    if status.code() == Code::ResourceExhausted && begin.elapsed() + wait < busy_timeout =>
                {
                    tokio::time::sleep(wait).await;
                }
                answer => break answer,
            }
        }
    }

    /// The service's response to a message of a method, such as `/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo`.
    ///
    /// # Errors
    /// The service's own status, or why there is no response.
    pub async fn ask(&self, method: &str, message: Vec<u8>, within: Duration) -> Result<Bytes, Status> {
        let message = Bytes::from(message);
        let path: PathAndQuery = method.parse().map_err(|_| Status::internal("invalid method"))?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let answer = tokio::time::timeout(within, async {
            let mut attempts = 1;
            loop {
                let mut request = tonic::Request::new(message.clone());
                *request.metadata_mut() = self.service.metadata.clone();
                request.set_timeout(within);
                grpc.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
                match grpc.unary(request, path.clone(), Raw).await {
                    Err(status) if attempts < MAX_ATTEMPTS && was_not_sent(&status) => attempts += 1,
                    answer => break answer,
                }
            }
        });
        let begin = Instant::now();
        match answer.await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            // tonic has the same timeout; if that expires first, it reports that the request was cancelled.
            Ok(Err(status)) if status.code() != Code::Cancelled || begin.elapsed() < within => {
                Err(plain(&status))
            }
            _ => Err(Status::deadline_exceeded(format!("no answer within {} s", within.as_secs()))),
        }
    }

    /// Forwards a whole gRPC request, and returns its response.
    pub(crate) async fn forward(
        &self,
        mut request: Request<tonic::body::Body>,
    ) -> Result<Response<tonic::body::Body>, Status> {
        for (name, value) in self.service.metadata.clone().into_headers() {
            if let Some(name) = name {
                request.headers_mut().insert(name, value);
            }
        }
        let mut channel = self.channel.clone();
        std::future::poll_fn(|context| channel.poll_ready(context))
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        channel.call(request).await.map_err(|error| {
            let mut status = Status::unavailable(chain(&error));
            if was_not_sent(&error) {
                status.metadata_mut().insert(NOT_SENT, MetadataValue::from_static("true"));
            }
            status
        })
    }

    /// Like [`Link::forward`], retried if the connection was being closed and the request was not sent: the other side may close it at
    /// any time, and a proxy does so after some thousand requests.
    pub(crate) async fn forward_with_retries(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<tonic::body::Body>, Status> {
        for _ in 1..MAX_ATTEMPTS {
            match self.forward(request.clone().map(tonic::body::Body::new)).await {
                Err(status) if status.metadata().contains_key(NOT_SENT) => {}
                answer => return answer,
            }
        }
        self.forward(request.map(tonic::body::Body::new)).await
    }

    pub(crate) fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a status that this gateway made, for a request that was not sent to the service.
const NOT_SENT: &str = "not-sent";
/// The attempts for a request that was not sent on a connection.
const MAX_ATTEMPTS: u32 = 4;

/// Whether hyper says that the request was never sent.
fn was_not_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The status with tonic's causes in its message, and with the code that matches an HTTP status.
fn plain(status: &Status) -> Status {
    if let Some(http) = http_status(status.message()) {
        return Status::new(code_of(http), format!("HTTP status {http}"));
    }
    if status.code() == Code::Unavailable || status.code() == Code::Unknown {
        let source = std::error::Error::source(status);
        if let Some(cause) = source {
            let words = chain(cause);
            if !status.message().contains(&words) {
                return Status::new(Code::Unavailable, words);
            }
        }
    }
    status.clone()
}

/// The HTTP status of a response that is not gRPC, such as `502 Bad Gateway`, from tonic's message. A proxy in front of the service
/// responds with an HTML page, which tonic reports as a broken message.
fn http_status(words: &str) -> Option<&str> {
    let status = ["receiving response with status: ", "mapped from HTTP status code "]
        .iter()
        .find_map(|before| words.split_once(before).map(|(_, status)| status))?;
    (!status.starts_with("200")).then_some(status)
}

/// The gRPC code of an HTTP status, which shows whether the service behind a proxy answers.
fn code_of(http: &str) -> Code {
    match http.get(..3) {
        Some("401") => Code::Unauthenticated,
        Some("403") => Code::PermissionDenied,
        Some("404") => Code::Unimplemented,
        Some("429" | "502" | "503" | "504") => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// Passes messages through as bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_error_page_is_judged_by_its_http_status() {
        let broken = "protocol error: received message with invalid compression flag: 60 while receiving response with status: ";
        for (words, code, told) in [
            (format!("{broken}502 Bad Gateway"), Code::Unavailable, "HTTP status 502 Bad Gateway"),
            (format!("{broken}401 Unauthorized"), Code::Unauthenticated, "HTTP status 401 Unauthorized"),
            (
                "grpc-status header missing, mapped from HTTP status code 403".to_owned(),
                Code::PermissionDenied,
                "HTTP status 403",
            ),
            (format!("{broken}200 OK"), Code::Internal, &*format!("{broken}200 OK")),
        ] {
            let status = plain(&Status::internal(words));
            assert_eq!((status.code(), status.message()), (code, told));
        }
    }
}
