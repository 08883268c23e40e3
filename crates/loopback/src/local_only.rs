//! Rejects requests that web pages of other machines make a browser send to this machine.
//!
//! A browser sends requests to `127.0.0.1` for any page. A request from a foreign page has its `Origin`, or at least
//! `Sec-Fetch-Site`; one from a page whose name was made to point at this machine has that name as its `Host`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Failure;

/// A middleware that rejects, with a 400, requests without the Host header that HTTP/1.1 requires, or with several.
pub(crate) async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    Failure::bad_request(format!("HTTP/1.1 requires one Host header, and this request has {hosts}"))
        .into_response()
}

/// A middleware that rejects, with a 421, requests whose Host is not this machine.
pub async fn local_host(request: Request, next: Next) -> Response {
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
        "this service accepts only localhost and 127.0.0.1 in the Host header",
    )
    .into_response()
}

/// A middleware that rejects, with a 403, requests from pages of other machines. Pages of this machine may send requests,
/// whatever their port.
pub async fn local_origin(request: Request, next: Next) -> Response {
    let local = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.is_some_and(|origin| origin.host().is_some_and(is_local))
    };
    if request.headers().get_all(header::ORIGIN).iter().all(local) {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::FORBIDDEN,
        "the Origin header names a web page of another site; only pages of this machine may use \
         this service",
    )
    .into_response()
}

/// A middleware that rejects, with a 403, requests from any page other than the service's own. Other pages may link to it, and
/// programs other than browsers may send requests.
///
/// It trusts the `Host` header, so [`local_host`] must check that first.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let of_this_page =
        has_own_origin(request.headers()) && (!is_from_elsewhere(request.headers()) || is_link(&request));
    if of_this_page {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::FORBIDDEN,
        "rejected: the request comes from another web page; open this service's own page in a \
         separate browser tab",
    )
    .into_response()
}

/// Whether the request's origin, if any, is its target. These services use plain HTTP, so an `https` origin is a different one.
fn has_own_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let own = |origin: &HeaderValue| {
        let authority = origin.as_bytes().strip_prefix(b"http://");
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    headers.get_all(header::ORIGIN).iter().all(own)
}

/// Whether a browser marks the request as one from another origin, which it also does without an `Origin`, for example for an image.
/// `same-site` is another port of this machine.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site" || site == "same-site")
}

/// Whether a browser opens the response as a top-level page, not in a frame, so that the linking page cannot read it.
fn is_link(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
        && headers.get("sec-fetch-dest").is_none_or(|destination| destination == "document")
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
