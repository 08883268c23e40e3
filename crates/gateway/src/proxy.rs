//! Forwards gRPC, message by message.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, body::Incoming, header};
use prost_reflect::prost::Message as _;
use tonic::{Status, body::Body};

use crate::{
    api::{self, FRAME_HEADER},
    gateway::Gateway,
};

/// The longest message that the guard checks; the server's own limit is no higher.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// How long a batch waits for an earlier one.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it tries to start.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The gRPC status code of a batch that cannot start yet, as text.
const RESOURCE_EXHAUSTED: &str = "8";
/// The longest message of a status, in characters. In a header, each takes up to twelve bytes.
const MAX_STATUS: usize = 1000;

/// Handles a gRPC request: returns the service's response, or an error.
pub(crate) async fn answer(gateway: Gateway, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let answer = async {
        if !gateway.guard.is_needed(request.uri().path()) {
            return gateway.link.forward(without_host(request.map(Body::new))).await;
        }
        let request = checked(&gateway, request).await?;
        if request.uri().path().ends_with("/StartBatchOperation") {
            return start_batch(&gateway, request).await;
        }
        gateway.link.forward_with_retries(without_host(request)).await
    };
    let answer = answer.await.unwrap_or_else(|status| shortened(status).into_http());
    gateway.link.moves.watch(&path, answer)
}

/// A status that fits into a header, of which clients accept 16 KiB: it may quote a query or a name of any length.
fn shortened(status: Status) -> Status {
    match status.message().char_indices().nth(MAX_STATUS) {
        Some((end, _)) => Status::new(status.code(), format!("{}…", &status.message()[..end])),
        None => status,
    }
}

/// Starts a batch once it can: by default, a namespace runs one at a time, and in a class several learners may start one.
async fn start_batch(gateway: &Gateway, request: Request<Full<Bytes>>) -> Result<Response<Body>, Status> {
    let begin = Instant::now();
    loop {
        let answer = gateway.link.forward_with_retries(without_host(request.clone())).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?;
        // The status may be in the headers of a response without a message, or in its trailers.
        let is_taken = [Some(&head.headers), body.trailers()]
            .into_iter()
            .flatten()
            .any(|fields| fields.get("grpc-status").is_some_and(|code| code == RESOURCE_EXHAUSTED));
        if !is_taken || begin.elapsed() > BATCH_TIMEOUT {
            let trailers = body.trailers().cloned();
            let bytes = body.to_bytes();
            // A client reads a status in the headers only if no body and no trailers follow.
            let body = match bytes.is_empty() && trailers.is_none() {
                true => Body::empty(),
                false => Body::new(Full::new(bytes).with_trailers(std::future::ready(trailers.map(Ok)))),
            };
            return Ok(Response::from_parts(head, body));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Lets the guard check and change the request's message.
async fn checked(gateway: &Gateway, request: Request<Incoming>) -> Result<Request<Full<Bytes>>, Status> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let method = path
        .trim_start_matches('/')
        .split_once('/')
        .and_then(|(service, name)| api::method_of(service, name))
        .ok_or_else(|| gateway.guard.refusal(&path))?;
    let body = Limited::new(body, MAX_MESSAGE + FRAME_HEADER)
        .collect()
        .await
        .map_err(|error| Status::invalid_argument(format!("could not read the message: {error}")))?
        .to_bytes();
    let message = message(&body)?;
    let message = api::request(&method, &message)
        .ok_or_else(|| Status::invalid_argument("the message does not match this method"))?;
    let message = gateway.guard(&method, message).await?.encode_to_vec();
    let mut body = BytesMut::with_capacity(FRAME_HEADER + message.len());
    body.put_u8(0);
    body.put_u32(
        u32::try_from(message.len()).map_err(|_| Status::invalid_argument("the message is too long"))?,
    );
    body.put(&message[..]);
    parts.headers.remove("grpc-encoding");
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Full::new(body.freeze())))
}

/// The one message of a request's body.
fn message(body: &Bytes) -> Result<Bytes, Status> {
    let broken = || Status::invalid_argument("the message is broken");
    let (head, rest) = body.split_at_checked(FRAME_HEADER).ok_or_else(broken)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if rest.len() != length {
        return Err(broken());
    }
    if head[0] == 0 {
        return Ok(body.slice(FRAME_HEADER..));
    }
    // The only compression that Temporal's SDKs support.
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(rest).take(MAX_MESSAGE as u64 + 1);
    reader.read_to_end(&mut plain).map_err(|_| broken())?;
    if plain.len() > MAX_MESSAGE {
        return Err(Status::resource_exhausted("the message is too long"));
    }
    Ok(plain.into())
}

/// The client's `Host` names this gateway, not the service, and the credentials are the gateway's own.
fn without_host<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::AUTHORIZATION);
    request
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn a_message_is_read_with_and_without_compression() {
        let framed = |flag: u8, bytes: &[u8]| {
            let mut body = vec![flag];
            body.extend((bytes.len() as u32).to_be_bytes());
            body.extend(bytes);
            Bytes::from(body)
        };
        assert_eq!(message(&framed(0, b"hello")).expect("it is one"), &b"hello"[..]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"hello").expect("memory");
        assert_eq!(message(&framed(1, &gzip.finish().expect("memory"))).expect("it is one"), &b"hello"[..]);
        for broken in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x02x", b"\x01\0\0\0\x01x"] {
            assert!(message(&Bytes::copy_from_slice(broken)).is_err(), "{broken:?}");
        }
    }
    #[test]
    fn a_refusal_of_a_long_query_fits_into_a_header() {
        let status = shortened(Status::invalid_argument("ä".repeat(100_000)));
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let response = status.into_http::<Body>();
        let message = response.headers().get("grpc-message").expect("it has one");
        assert!((1000..14_000).contains(&message.len()), "{}", message.len());
        assert_eq!(shortened(Status::not_found("no such id")).message(), "no such id");
    }
}
