//! The connection to the service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use hyper::{Request, Response, http::uri::PathAndQuery};
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tower_service::Service as _;

use crate::service::{Service, chain};

/// The connection to a Temporal Service. It is made when it is first needed, and made again whenever it was lost.
#[derive(Clone)]
pub struct Link {
    /// To where.
    pub service: Service,
    channel: Channel,
    pub(crate) heard: Arc<Mutex<Heard>>,
}

/// When the service was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// How long its last answer to a short question took.
    pub(crate) round_trip: Option<Duration>,
    /// Since when it has not answered, and what comes instead.
    pub(crate) silent: Option<(Instant, String)>,
}

impl Link {
    /// A connection to that service, yet to be made.
    pub fn new(service: Service) -> Link {
        let channel = service.endpoint.connect_lazy();
        Link { service, channel, heard: Arc::default() }
    }

    /// The service's answer to a message of that method, such as `/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo`.
    ///
    /// # Errors
    /// What the service says, or why it cannot be asked.
    pub async fn ask(&self, method: &str, message: Vec<u8>, within: Duration) -> Result<Bytes, Status> {
        let mut request = tonic::Request::new(Bytes::from(message));
        *request.metadata_mut() = self.service.metadata.clone();
        request.set_timeout(within);
        let path: PathAndQuery = method.parse().map_err(|_| Status::internal("that is no method"))?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let answer = tokio::time::timeout(within, async {
            grpc.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
            grpc.unary(request, path, Raw).await
        });
        match answer.await {
            Ok(answer) => answer.map(tonic::Response::into_inner).map_err(|status| plain(&status)),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", within.as_secs()))),
        }
    }

    /// Hands a whole gRPC request on, and its answer back.
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
        channel.call(request).await.map_err(|error| Status::unavailable(chain(&error)))
    }

    pub(crate) fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status whose message has the causes that tonic keeps beside it.
fn plain(status: &Status) -> Status {
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

/// Messages as they are.
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
