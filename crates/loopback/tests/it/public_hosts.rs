//! Names at which a proxy forwards a service: only listed ones are accepted, and only for the service's own page.

use std::net::SocketAddr;

use axum::{Router, middleware, routing::get};
use webtest::ask;

use crate::support::serve;

/// The public names: PAGE and LAB are the page's, UI is that of another service.
const NAMES: [(&str, &str); 3] =
    [("PAGE", "x-5051.app.example"), ("UI", "x-8233.app.example"), ("LAB", "lab.example.com")];

/// With the names in place.
fn named(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (short, name)| text.replace(short, name))
}

/// A service that is forwarded at two names, beside another one.
async fn service() -> SocketAddr {
    let hosts: contract::PublicHosts = named("PAGE, UI, LAB:8443").parse().expect("names of hosts");
    let public = hosts.of_page(5051);
    let app = Router::new()
        .route("/", get(async || "a page").post(async || "done"))
        .layer(middleware::from_fn_with_state(public.clone(), loopback::same_origin))
        .layer(middleware::from_fn_with_state(public, loopback::known_host));
    serve(app).await
}

/// The status of a POST with these headers, separated by bars.
fn post(service: SocketAddr, headers: &str) -> u16 {
    let headers = named(headers);
    let headers: Vec<_> =
        headers.split(" | ").map(|header| header.split_once(": ").unwrap_or((header, ""))).collect();
    ask(service, "POST /", &headers, "").status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_at_a_public_host_is_accepted_however_a_proxy_rewrites_its_requests() {
    let service = service().await;
    for headers in [
        // The Host is kept, with or without its port.
        "Host: PAGE | Origin: https://PAGE",
        "Host: PAGE:443 | Origin: https://PAGE",
        "Host: X-5051.App.Example | Origin: https://PAGE",
        "Host: LAB | Origin: https://LAB:8443",
        "Host: LAB:8443 | Origin: https://LAB:8443",
        // The Host is that of this machine, and the name is forwarded, or not.
        "Host: localhost:5051 | X-Forwarded-Host: PAGE | Origin: https://PAGE",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE:443 | X-Forwarded-Proto: https | Origin: https://PAGE",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE, PAGE | Origin: https://PAGE",
        "Host: localhost:5051 | Forwarded: for=192.0.2.1;host=\"PAGE\";proto=https | Origin: https://PAGE",
        "Host: 127.0.0.1:5051 | Origin: https://PAGE",
        // A chain of proxies, of which the last one speaks HTTP.
        "Host: PAGE | X-Forwarded-Host: PAGE | X-Forwarded-Proto: http | Origin: https://PAGE",
        // The Origin is rewritten, too.
        "Host: localhost:5051 | X-Forwarded-Host: PAGE | Origin: http://localhost:5051 | Sec-Fetch-Site: same-origin",
        "Host: PAGE | Origin: http://localhost:5051 | Sec-Fetch-Site: same-origin",
        "Host: PAGE | Origin: https://localhost | Sec-Fetch-Site: same-origin",
        "Host: localhost:5051 | Origin: http://localhost:5051 | Sec-Fetch-Site: same-origin",
        // A program, or an address typed by hand.
        "Host: PAGE",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE",
        // Beside a proxy, the page is still opened directly.
        "Host: localhost:5051 | Origin: http://localhost:5051",
    ] {
        assert_eq!(post(service, headers), 200, "{headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_listed_gains_nothing() {
    let service = service().await;
    for headers in [
        "Host: rebound.example.com",
        "Host: rebound.example.com | Origin: http://rebound.example.com",
        "Host: rebound.example.com | X-Forwarded-Host: PAGE",
        "Host: PAGE | X-Forwarded-Host: rebound.example.com",
        "Host: x.PAGE",
        "Host: app.example",
        "Host: LAB.evil.example",
        "Host: localhost:5051 | X-Forwarded-Host: rebound.example.com",
        "Host: localhost:5051 | X-Forwarded-Host: rebound.example.com | Origin: http://rebound.example.com",
        "Host: localhost:5051 | X-Forwarded-Host: rebound.example.com | Origin: http://localhost:5051",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE, rebound.example.com",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE | X-Forwarded-Host: rebound.example.com",
        "Host: localhost:5051 | Forwarded: for=192.0.2.1;host=rebound.example.com",
        "Host: localhost:5051 | X-Forwarded-Host: a b",
        "Host: localhost:5051 | X-Forwarded-Host",
        // The name of another service of this machine.
        "Host: UI",
        "Host: localhost:5051 | X-Forwarded-Host: UI",
    ] {
        assert_eq!(post(service, headers), 421, "{headers}");
    }
    let answer = ask(service, "GET /", &[("Host", "rebound.example.com")], "");
    let explains =
        ["BUGLAB_PUBLIC_HOSTS", "rebound.example.com"].iter().all(|part| answer.body.contains(part));
    assert!(explains, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_page_is_rejected_behind_a_proxy_too() {
    let service = service().await;
    for headers in [
        "Host: PAGE | Origin: https://evil.example",
        "Host: PAGE | Origin: null",
        "Host: PAGE | Origin: http://PAGE",
        "Host: PAGE | Origin: https://PAGE:8443",
        "Host: PAGE | Origin: https://PAGE.evil.example",
        "Host: PAGE | Origin: https://PAGE | Origin: https://evil.example",
        "Host: PAGE | Origin: https://UI",
        "Host: localhost:5051 | X-Forwarded-Host: PAGE | Origin: https://UI",
        "Host: localhost:5051 | Origin: https://UI",
        // Another name of the page is another page to a browser.
        "Host: PAGE | Origin: https://LAB:8443",
        "Host: LAB | Origin: https://LAB",
        // A rewritten Origin says nothing; the browser's mark does, and it must be there.
        "Host: localhost:5051 | X-Forwarded-Host: PAGE | Origin: http://localhost:5051",
        "Host: PAGE | Origin: http://localhost:5051",
        "Host: PAGE | Origin: http://localhost:5051 | Sec-Fetch-Site: same-site",
        "Host: PAGE | Origin: http://localhost:5051 | Sec-Fetch-Site: cross-site",
        "Host: localhost:5051 | Origin: http://localhost:5051 | Sec-Fetch-Site: cross-site",
        "Host: PAGE | Origin: https://evil.example | Sec-Fetch-Site: same-origin",
        "Host: localhost:5051 | Origin: https://localhost:5051 | Sec-Fetch-Site: same-origin",
    ] {
        assert_eq!(post(service, headers), 403, "{headers}");
    }
}
