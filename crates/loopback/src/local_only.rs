//! Rejects requests that web pages of other machines make a browser send to this machine.
//!
//! A browser sends requests to `127.0.0.1` for any page. A request from a foreign page has its `Origin`, or at least
//! `Sec-Fetch-Site`; one from a page whose name was made to point at this machine has that name as its `Host`. Names at which a proxy
//! forwards a service are accepted only if they are listed; see [`PublicHosts`].

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use contract::{PUBLIC_HOSTS_VARIABLE, PublicHosts};

use crate::Failure;
use crate::forwarded::names;

/// A middleware that rejects, with a 400, requests without the Host header that HTTP/1.1 requires, or with several.
pub(crate) async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    Failure::bad_request(format!("HTTP/1.1 requires one Host header, and this request has {hosts}"))
        .into_response()
}

/// A middleware that rejects, with a 421, requests whose Host is neither this machine nor a public host, and those that a proxy forwards
/// from another name.
pub async fn known_host(State(public): State<PublicHosts>, request: Request, next: Next) -> Response {
    let is_known = |name: &str| is_local(name) || public.has_name(name);
    let unknown = match names(request.headers()) {
        Ok(names) => names.into_iter().find(|name| !is_known(name)),
        Err(malformed) => Some(malformed),
    };
    let unknown = unknown.or_else(|| request.uri().host().filter(|name| !is_known(name)).map(str::to_owned));
    let Some(unknown) = unknown else { return next.run(request).await };
    Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        format!(
            "this service answers at localhost and 127.0.0.1, not at {unknown:?}; where a proxy of yours forwards the lab's page \
             from that name, list it in {PUBLIC_HOSTS_VARIABLE} and start the lab again"
        ),
    )
    .into_response()
}

/// A middleware that rejects, with a 403, requests from pages of other machines. Pages of this machine may send requests,
/// whatever their port.
pub async fn local_origin(request: Request, next: Next) -> Response {
    let local = |origin: &HeaderValue| origin.to_str().is_ok_and(is_of_this_machine);
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

/// A middleware that rejects, with a 403, requests from any page other than the service's own, here or at a public host. Other pages may
/// link to it, and programs other than browsers may send requests.
///
/// It trusts the `Host` header, so [`known_host`] must check that first.
pub async fn same_origin(State(public): State<PublicHosts>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let of_this_page = has_own_origin(headers, &public) && (!is_from_elsewhere(headers) || is_link(&request));
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

/// Whether the request's origin, if any, is its target.
fn has_own_origin(headers: &HeaderMap, public: &PublicHosts) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let mut came_by = names(headers).unwrap_or_default();
    came_by.retain(|name| public.has_name(name));
    let own = |origin: &HeaderValue| {
        let Ok(origin) = origin.to_str() else { return false };
        if let Some(listed) = public.with_origin(origin) {
            // Some proxies forward no name at all.
            return came_by.is_empty() || came_by.iter().any(|name| name == listed.name());
        }
        if !came_by.is_empty() {
            // Some tunnels replace the Origin by that of this machine, also for another port; then only the browser's own
            // mark tells which page it was.
            return is_of_this_machine(origin)
                && headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
        }
        // These services use plain HTTP, so an `https` origin is a different one.
        let authority = origin.strip_prefix("http://");
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    headers.get_all(header::ORIGIN).iter().all(own)
}

/// Whether an origin is one of this machine, whatever its port.
fn is_of_this_machine(origin: &str) -> bool {
    origin.parse::<Uri>().is_ok_and(|origin| origin.host().is_some_and(is_local))
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
