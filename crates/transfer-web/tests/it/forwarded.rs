//! The page behind nginx, with each of the ways in which proxies and tunnels rewrite requests.

use serde_json::json;
use webtest::{Front, has};

use crate::{
    stream::Stream,
    support::{Client, Service, nowhere},
};

/// What a browser shows in its address bar, and so sends as the Origin.
const ORIGIN: &str = "https://lab.example.com:8443";
/// The Host that it sends.
const HOST: &str = "lab.example.com:8443";
/// The names that are listed: the page, and two for the Temporal UI, of which one has no port of this lab.
const PUBLIC: &str = "lab.example.com:8443, 1=ui.example.com, x-8233.app.example";

/// The directives of nginx, and whether the service can see from which name it forwards.
const PROXIES: [(&str, bool); 8] = [
    // What nginx does by itself: the Host is the service's own, and the request is HTTP/1.0.
    ("", false),
    ("proxy_set_header Host $http_host;", true),
    // Without the port.
    ("proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;", true),
    (
        "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $http_host; \
         proxy_set_header X-Forwarded-Host $host:$server_port; proxy_set_header X-Forwarded-Proto https; \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        true,
    ),
    ("proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https;", true),
    ("proxy_set_header Forwarded \"for=192.0.2.1;host=\\\"$http_host\\\";proto=https\";", true),
    // A tunnel that replaces its own Origin by that of this machine, with the Host or without it.
    (
        "set $origin $http_origin; if ($origin = https://lab.example.com:8443) { set $origin http://localhost:5051; } \
         proxy_set_header Origin $origin; proxy_set_header Host $http_host;",
        true,
    ),
    (
        "set $origin $http_origin; if ($origin = https://lab.example.com:8443) { set $origin http://localhost:5051; } \
         proxy_set_header Origin $origin; proxy_set_header Host localhost:5051; \
         proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https;",
        true,
    ),
];

/// nginx in front of a service, and the client of a browser that opened the page there.
async fn forwarded(service: &Service, directives: &str) -> (Front, Client) {
    let host = service.web.host().to_owned();
    let directives = directives.to_owned();
    let start = move || Front::of_web(None, &directives, &host);
    let front = tokio::task::spawn_blocking(start).await.expect("nginx starts");
    let web = Client::through(front.port, HOST);
    (front, web)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_behind_each_kind_of_proxy_and_for_nobody_else() {
    if !has(&["nginx"]) {
        return;
    }
    let service = Service::start_at(nowhere(), None, PUBLIC).await;
    for (proxy, shows_its_name) in PROXIES {
        let (front, web) = forwarded(&service, proxy).await;
        let post = async |client: &Client, origin: &str, site: &str| {
            let request = client.request("POST", "/api/transfer").header("Origin", origin);
            let transfer = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
            client.send(request.header("Sec-Fetch-Site", site).body(transfer.to_string())).await
        };
        let page = web.get("/").await;
        assert_eq!(page.status, 200, "{proxy}: {}", page.text);
        assert!(
            page.text.contains("<meta name=\"temporal-ui\" content=\"https://ui.example.com\">"),
            "{proxy}"
        );
        // Temporal does not answer here, so the request came to where it should.
        let own = post(&web, ORIGIN, "same-origin").await;
        assert_eq!(own.status, 503, "{proxy}: {}", own.text);
        for (origin, site) in [
            ("https://evil.example", "cross-site"),
            ("https://ui.example.com", "same-site"),
            ("https://evil.example", "same-origin"),
            ("https://lab.example.com", "same-site"),
            ("null", "cross-site"),
            (ORIGIN, "cross-site"),
        ] {
            let other = post(&web, origin, site).await;
            assert_eq!(other.status, 403, "{proxy} {origin} {site}: {}", other.text);
        }
        for host in ["rebound.example.com:8443", "ui.example.com"] {
            let other = Client::through(front.port, host).get("/").await;
            let expected = if shows_its_name { 421 } else { 200 };
            assert_eq!(other.status, expected, "{proxy} {host}: {}", other.text);
            let other =
                post(&Client::through(front.port, host), &format!("https://{host}"), "same-origin").await;
            assert!(matches!(other.status, 403 | 421), "{proxy} {host}: {}", other.text);
        }
    }
    assert_eq!(service.web.get("/").await.status, 200, "the page is still this machine's own, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_at_once_through_a_proxy_that_buffers() {
    if !has(&["nginx"]) {
        return;
    }
    let service = Service::start_at(nowhere(), None, PUBLIC).await;
    for proxy in [
        "proxy_set_header Host $http_host; proxy_buffering on; proxy_buffers 8 64k; proxy_buffer_size 64k;",
        "proxy_buffering on; proxy_http_version 1.1; proxy_set_header Connection \"\"; gzip on; gzip_types *; gzip_proxied any;",
    ] {
        let (_front, web) = forwarded(&service, proxy).await;
        let mut stream = Stream::of(&web, "").await;
        // Much less than a buffer; and the next one, which an idle service sends after seconds.
        stream.until("lab", |_| true).await;
        stream.next_of("beat").await;
    }
    let answer = service.web.request("GET", "/api/events").send().await.expect("an answer");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_no_forwarded_name_is_accepted() {
    if !has(&["nginx"]) {
        return;
    }
    let service = Service::start(nowhere(), None).await;
    for (proxy, shows_its_name) in PROXIES {
        let (_front, web) = forwarded(&service, proxy).await;
        let page = web.get("/").await;
        assert_eq!(page.status, if shows_its_name { 421 } else { 200 }, "{proxy}: {}", page.text);
        let request = web.request("POST", "/api/reset").header("Origin", ORIGIN).body("{}");
        let form = web.send(request.header("Sec-Fetch-Site", "same-origin")).await;
        assert!(matches!(form.status, 403 | 421), "{proxy}: {}", form.text);
    }
}
