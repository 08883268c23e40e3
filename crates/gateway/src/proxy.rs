//! gRPC, handed on message by message.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, body::Incoming, header};
use prost_reflect::prost::Message as _;
use tonic::{Status, body::Body};

use crate::{api, gateway::Gateway};

/// No message that is looked into is longer; the server takes none either.
const LONGEST: usize = 4 * 1024 * 1024;
/// How long a batch waits for the one before it.
const TURN: Duration = Duration::from_secs(60);
/// How often it asks whether that is over.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The status of a batch whose turn it is not, as gRPC writes it.
const RESOURCE_EXHAUSTED: &str = "8";
/// What stands before a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// Answers a gRPC request, with the service's answer or with why there is none.
pub(crate) async fn answer(gateway: Gateway, request: Request<Incoming>) -> Response<Body> {
    let answer = async {
        if !gateway.guard.is_needed(request.uri().path()) {
            return gateway.link.forward(without_host(request.map(Body::new))).await;
        }
        let request = looked_into(&gateway, request).await?;
        if request.uri().path().ends_with("/StartBatchOperation") {
            return in_turn(&gateway, request).await;
        }
        gateway.link.forward_surely(without_host(request)).await
    };
    answer.await.unwrap_or_else(|status| status.into_http())
}

/// Starts a batch, when it is its turn: a namespace has one at a time, unless its service was told otherwise, and in a class
/// several want one.
async fn in_turn(gateway: &Gateway, request: Request<Full<Bytes>>) -> Result<Response<Body>, Status> {
    let begin = Instant::now();
    loop {
        let answer = gateway.link.forward_surely(without_host(request.clone())).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?;
        // A refusal may stand before an answer that has no message, or behind it.
        let is_taken = [Some(&head.headers), body.trailers()]
            .into_iter()
            .flatten()
            .any(|fields| fields.get("grpc-status").is_some_and(|code| code == RESOURCE_EXHAUSTED));
        if !is_taken || begin.elapsed() > TURN {
            let trailers = body.trailers().cloned();
            let bytes = body.to_bytes();
            // A client reads a refusal that stands before an answer only where nothing comes behind it.
            let body = match bytes.is_empty() && trailers.is_none() {
                true => Body::empty(),
                false => Body::new(Full::new(bytes).with_trailers(std::future::ready(trailers.map(Ok)))),
            };
            return Ok(Response::from_parts(head, body));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Lets the guard look at the request's message, and change it.
async fn looked_into(gateway: &Gateway, request: Request<Incoming>) -> Result<Request<Full<Bytes>>, Status> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let method = path
        .trim_start_matches('/')
        .split_once('/')
        .and_then(|(service, name)| api::method_of(service, name))
        .ok_or_else(|| gateway.guard.refusal(&path))?;
    let body = Limited::new(body, LONGEST + HEAD)
        .collect()
        .await
        .map_err(|error| Status::invalid_argument(format!("the message cannot be read: {error}")))?
        .to_bytes();
    let message = message(&body)?;
    let message = api::request(&method, &message)
        .ok_or_else(|| Status::invalid_argument("the message is not what this method takes"))?;
    let message = gateway.guard(&method, message).await?.encode_to_vec();
    let mut body = BytesMut::with_capacity(HEAD + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).map_err(|_| Status::invalid_argument("it is too long"))?);
    body.put(&message[..]);
    parts.headers.remove("grpc-encoding");
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Full::new(body.freeze())))
}

/// The one message of a request's body.
fn message(body: &Bytes) -> Result<Bytes, Status> {
    let broken = || Status::invalid_argument("the message is broken");
    let (head, rest) = body.split_at_checked(HEAD).ok_or_else(broken)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if rest.len() != length {
        return Err(broken());
    }
    if head[0] == 0 {
        return Ok(body.slice(HEAD..));
    }
    // The only compression that Temporal's SDKs have.
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(rest).take(LONGEST as u64 + 1);
    reader.read_to_end(&mut plain).map_err(|_| broken())?;
    if plain.len() > LONGEST {
        return Err(Status::resource_exhausted("the message is too long"));
    }
    Ok(plain.into())
}

/// The client's name for this gateway is none of the service's, and its credentials are the gateway's.
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
    fn a_message_is_read_also_when_it_is_compressed() {
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
}
