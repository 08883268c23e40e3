//! Which requests are accepted, by their Host and by the page that made a browser send them.

use std::net::SocketAddr;

use axum::{Router, middleware, routing::get};
use contract::PublicHosts;
use webtest::{Answer, Connection, ask};

use crate::support::serve;

fn app() -> Router {
    Router::new().route("/", get(async || "a page").post(async || "done").put(async || "done"))
}

/// Asserts that this is an error in the common form.
fn assert_refused(answer: &Answer, status: u16, what: impl std::fmt::Debug) {
    assert_eq!(answer.status, status, "{what:?}: {answer:?}");
    assert!(answer.head.contains("\r\ncontent-type: application/json\r\n"), "{what:?}: {answer:?}");
    assert!(answer.body.starts_with("{\"error\":\"") && answer.body.ends_with("\"}"), "{what:?}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_of_this_machine_is_misdirected() {
    let service =
        serve(app().layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::known_host)))
            .await;
    for host in [
        "rebound.example.com",
        "rebound.example.com:80",
        "0.0.0.0",
        "localhost.evil",
        "a b",
        "evil@localhost",
        "",
    ] {
        assert_refused(&ask(service, "POST /", &[("Host", host)], ""), 421, host);
        assert_refused(&ask(service, "GET /nowhere", &[("Host", host)], ""), 421, host);
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:5050", "[::1]:5050"] {
        assert_eq!(ask(service, "POST /", &[("Host", host)], "").status, 200, "{host}");
    }
    // A tunnel may replace the Host by this machine's, and say so.
    for forwarded in
        [("X-Forwarded-Host", "rebound.example.com"), ("Forwarded", "for=x;host=rebound.example.com")]
    {
        let headers = [("Host", "localhost"), forwarded];
        assert_refused(&ask(service, "POST /", &headers, ""), 421, headers);
    }
    let whole = "POST http://example.com/";
    assert_refused(&ask(service, whole, &[("Host", "localhost")], ""), 421, whole);
    assert_eq!(ask(service, "POST http://localhost/", &[("Host", "localhost")], "").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_this_machine_has_a_local_origin() {
    let service = serve(app().layer(middleware::from_fn(loopback::local_origin))).await;
    let ask = |origin| ask(service, "POST /", &[("Host", "localhost:80"), ("Origin", origin)], "");
    for origin in ["https://example.com", "http://127.0.0.1.example.com", "null", "nonsense", ""] {
        assert_refused(&ask(origin), 403, origin);
    }
    for origin in ["http://localhost:5051", "http://127.0.0.1:5051", "http://[::1]:1", "https://localhost"] {
        assert_eq!(ask(origin).status, 200, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_services_own_page_has_the_same_origin() {
    let service =
        serve(app().layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::same_origin)))
            .await;
    let ask = |host, origin| ask(service, "POST /", &[("Host", host), ("Origin", origin)], "");
    for (host, origin) in [
        ("localhost:5060", "http://localhost:5060"),
        ("LOCALHOST:5060", "http://localhost:5060"),
        ("127.0.0.1:5060", "http://127.0.0.1:5060"),
        ("[::1]:5060", "http://[::1]:5060"),
        ("localhost", "http://localhost"),
    ] {
        assert_eq!(ask(host, origin).status, 200, "{origin}");
    }
    for origin in [
        "null",
        "",
        "nonsense",
        "https://example.com",
        "http://localhost:5060.example.com",
        // Other services of this machine.
        "http://localhost:5050",
        "http://localhost",
        "http://127.0.0.1:5060",
        "https://localhost:5060",
        "localhost:5060",
    ] {
        assert_refused(&ask("localhost:5060", origin), 403, origin);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_foreign_origin_is_rejected() {
    let service =
        serve(app().layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::same_origin)))
            .await;
    let own = ("Origin", "http://localhost:5060");
    let both = [("Host", "localhost:5060"), own, ("Origin", "http://example.com")];
    assert_refused(&ask(service, "POST /", &both, ""), 403, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_requires_one_host() {
    // The service checks nothing itself.
    let service = serve(app()).await;
    let (own, other) = (("Host", "localhost:5060"), ("Host", "example.com"));
    for hosts in [&[][..], &[own, own], &[own, other], &[("Origin", "http://localhost:5060")]] {
        for request_line in ["GET /", "POST /", "GET /nowhere", "GET http://localhost:5060/"] {
            let answer = ask(service, request_line, hosts, "");
            assert_refused(&answer, 400, (request_line, hosts));
            assert!(answer.body.contains("HTTP/1.1 requires one Host header"), "{answer:?}");
        }
    }
    assert_eq!(ask(service, "GET /", &[own], "").status, 200);
    // HTTP/1.0 does not require it.
    let mut connection = Connection::to(service);
    connection.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(connection.answer().expect("an answer").status, 200);
}

/// Sends a request as a browser does, with its Sec-Fetch headers.
fn fetch(service: SocketAddr, request_line: &str, site: &str, mode: &str, destination: &str) -> Answer {
    let headers = [
        ("Host", "localhost:5060"),
        ("Sec-Fetch-Site", site),
        ("Sec-Fetch-Mode", mode),
        ("Sec-Fetch-Dest", destination),
    ];
    ask(service, request_line, &headers, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_may_link_to_a_service_but_not_use_it() {
    let service =
        serve(app().layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::same_origin)))
            .await;
    for site in ["cross-site", "same-site"] {
        // A link, or an address that a program opens in the browser.
        assert_eq!(fetch(service, "GET /", site, "navigate", "document").status, 200, "{site}");
        for (request_line, mode, destination) in [
            // An image, a script, a fetch.
            ("GET /", "no-cors", "image"),
            ("GET /", "no-cors", "script"),
            ("GET /", "cors", "empty"),
            ("POST /", "no-cors", "empty"),
            ("PUT /", "cors", "empty"),
            // A submitted form.
            ("POST /", "navigate", "document"),
            // A frame.
            ("GET /", "navigate", "iframe"),
            ("GET /", "navigate", "object"),
        ] {
            let answer = fetch(service, request_line, site, mode, destination);
            assert_refused(&answer, 403, (site, request_line, mode, destination));
        }
        let bare = [("Host", "localhost:5060"), ("Sec-Fetch-Site", site)];
        assert_refused(&ask(service, "GET /", &bare, ""), 403, bare);
        let without_destination = [bare[0], bare[1], ("Sec-Fetch-Mode", "navigate")];
        assert_eq!(ask(service, "GET /", &without_destination, "").status, 200, "{site}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_own_page_the_address_bar_and_programs_are_accepted() {
    let service =
        serve(app().layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::same_origin)))
            .await;
    for (request_line, site, mode, destination) in [
        ("GET /", "same-origin", "cors", "empty"),
        ("POST /", "same-origin", "cors", "empty"),
        ("GET /", "same-origin", "no-cors", "script"),
        ("GET /", "none", "navigate", "document"),
    ] {
        let answer = fetch(service, request_line, site, mode, destination);
        assert_eq!(answer.status, 200, "{request_line} {site} {mode} {destination}");
    }
    assert_eq!(ask(service, "POST /", &[("Host", "localhost:5060")], "").status, 200);
    // A foreign origin is rejected, whatever the other headers.
    let liar = [
        ("Host", "localhost:5060"),
        ("Origin", "http://example.com"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
    ];
    assert_refused(&ask(service, "GET /", &liar, ""), 403, liar);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_checks_reject_a_page_whose_name_was_made_to_point_here() {
    let app = app()
        .layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::same_origin))
        .layer(middleware::from_fn_with_state(PublicHosts::default(), loopback::known_host));
    let service = serve(app).await;
    // From its own point of view, the origin is the same.
    let rebound = [("Host", "rebound.example.com"), ("Origin", "http://rebound.example.com")];
    assert_refused(&ask(service, "POST /", &rebound, ""), 421, rebound);
}
