//! Keeps web pages of elsewhere from moving money.
//!
//! A browser sends requests to `127.0.0.1` for any page. What a foreign page sends carries its
//! `Origin`; and a page whose name was made to point at this machine carries that name as its `Host`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Failure;

/// Refuses what a page of another site sends.
pub(crate) async fn check_origin(request: Request, next: Next) -> Response {
    let local = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.is_some_and(|origin| origin.host().is_some_and(is_local))
    };
    if request.headers().get_all(header::ORIGIN).iter().all(local) {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::FORBIDDEN,
        "the Origin header names a web page of another site, and only pages of this machine may \
         ask this bank",
    )
    .into_response()
}

/// Refuses what was sent to a name that is not this machine's own.
pub(crate) async fn check_host(request: Request, next: Next) -> Response {
    let local = |host: &HeaderValue| {
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        host.is_some_and(|host| is_local(host.host()))
    };
    if request.headers().get_all(header::HOST).iter().all(local) && request.uri().host().is_none_or(is_local)
    {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        "this bank answers only to localhost and 127.0.0.1, not to the name in the Host header",
    )
    .into_response()
}

/// Whether a host's name or address always means this machine.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_loopback_is_local() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
