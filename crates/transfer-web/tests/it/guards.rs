//! Which requests every route accepts; and that every error is JSON with the common headers.

use std::net::SocketAddr;

use webtest::{METHODS, ask};

use crate::{
    openapi::concrete,
    support::{Answer, Client, OPENAPI, Service, nowhere},
};

/// Every route, and a path that does not exist: method and path.
fn routes() -> Vec<(&'static str, String)> {
    let operations = OPENAPI.operations().into_iter();
    let described = operations.map(|operation| (operation.method, concrete(&operation.path)));
    let others =
        ["/", "/assets/main.js", "/assets/nothing.js", "/health", "/nothing", "/api", "/api/../etc/passwd"];
    described.chain(others.map(|path| ("GET", path.to_owned()))).collect()
}

async fn with(web: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = web.request(method, path).body(if method == "POST" { "{}" } else { "" });
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    web.send(request).await
}

#[tokio::test]
async fn requests_from_other_origins_are_rejected() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    let port = web.host().rsplit(':').next().expect("a port");
    let localhost = format!("http://localhost:{port}");
    let secure = format!("https://{}", web.host());
    let own = web.url.clone();
    let foreign: [&[(&str, &str)]; 10] = [
        &[("Origin", "https://example.com")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Origin", "http://127.0.0.1")],
        // A different origin to a browser, although it is the same service.
        &[("Origin", &localhost)],
        &[("Origin", &secure)],
        &[("Origin", "")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", &own), ("Sec-Fetch-Site", "cross-site")],
    ];
    for (method, path) in routes() {
        for headers in foreign {
            let answer = with(web, method, &path, headers).await;
            let (status, error) = answer.error();
            assert_eq!(status, 403, "{method} {path} {headers:?}: {}", answer.text);
            assert!(
                error.starts_with("rejected: the request comes from another web page"),
                "{method} {path} {headers:?}: {error}"
            );
        }
        for host in ["example.com", "127.0.0.1.example.com", "10.0.0.1", &format!("example.com:{port}")] {
            let answer = with(web, method, &path, &[("Host", host)]).await;
            assert_eq!(answer.status, 421, "{method} {path} {host}: {}", answer.text);
            // As with DNS rebinding: a name that was made to point at this machine.
            let origin = format!("http://{host}");
            let answer = with(web, method, &path, &[("Host", host), ("Origin", &origin)]).await;
            assert_eq!(answer.status, 421, "{method} {path} {host}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn requests_from_the_page_and_from_programs_are_accepted() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    let port = web.host().rsplit(':').next().expect("a port").to_owned();
    let (localhost, of_localhost) = (format!("localhost:{port}"), format!("http://localhost:{port}"));
    let page: [&[(&str, &str)]; 5] = [
        &[],
        &[("Origin", &web.url), ("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        &[("Host", &localhost), ("Origin", &of_localhost)],
    ];
    for (method, path) in routes().into_iter().filter(|(_, path)| path != "/api/events") {
        for headers in page {
            let answer = with(web, method, &path, headers).await;
            assert!(!matches!(answer.status, 403 | 421), "{method} {path} {headers:?}: {}", answer.text);
        }
    }
    // A link on another page may open this one.
    let link =
        |site| [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    for site in ["cross-site", "same-site"] {
        assert_eq!(with(web, "GET", "/", &link(site)).await.status, 200);
        assert_eq!(with(web, "POST", "/api/reset", &link(site)).await.status, 403, "a form is no link");
        let frame = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
        assert_eq!(with(web, "GET", "/", &frame).await.status, 403, "in a frame it is of that page");
    }
}

#[tokio::test]
async fn the_pages_files_have_their_content_types() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    for (path, kind, part) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/assets/main.js", "text/javascript; charset=utf-8", "import"),
        ("/assets/base.css", "text/css; charset=utf-8", "{"),
        ("/assets/icon.svg", "image/svg+xml", "<svg"),
    ] {
        let answer = web.get(path).await;
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_bytes()),
            (200, kind.as_bytes()),
            "{path}"
        );
        assert!(answer.text.to_lowercase().contains(part), "{path}");
    }
    assert_eq!(web.get("/health").await.json["status"], "healthy");
    for path in [
        "/assets/index.html",
        "/assets/",
        "/assets/..%2Fopenapi.json",
        "/assets/nothing.js",
        "/index.html",
        "//",
    ] {
        assert_eq!(web.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_two_parsers_could_read_differently_is_rejected() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    for (path, body) in [
        ("/api/transfer", r#""from_account": "account_A", "to_account": "account_B", "amount": 1"#),
        ("/api/real-world-mode", r#""enabled": true"#),
        ("/api/outage", r#""deposits": true"#),
        ("/api/stage", r#""name": "jerry""#),
        ("/api/help", r#""text": "which file?""#),
    ] {
        let name = body.split('"').nth(1).expect("a name");
        for (more, error) in [
            (&b"\"note\": \"\xff\""[..], "the body must be UTF-8"),
            (b"\"\xff\": 1", "the body must be UTF-8"),
            (b"\"note\": [{\"a\": \"\xe2\x82\"}]", "the body must be UTF-8"),
            (format!("\"{name}\": \"jerry\"").as_bytes(), "the body is invalid: duplicate field"),
        ] {
            let body = [b"{", body.as_bytes(), b", ", more, b"}"].concat();
            let answer = web.send(web.request("POST", path).body(body)).await;
            let (status, said) = answer.error();
            assert!(status == 400 && said.starts_with(error), "{path} {more:?}: {}", answer.text);
        }
        for content_type in ["text/plain", "multipart/form-data; boundary=x", ""] {
            let request = web.request("POST", path).header("Content-Type", content_type);
            let answer = web.send(request.body(format!("{{{body}}}"))).await;
            assert_eq!(answer.status, 503, "{path} {content_type:?}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_sentence_in_json() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    for method in METHODS {
        let answer = with(web, method, "/api/nothing", &[]).await;
        assert_eq!(answer.error(), (404, "not found; see /openapi.json"), "{method}");
    }
    for (method, path) in
        [("GET", "/api/transfer"), ("DELETE", "/api/workflows"), ("PUT", "/"), ("POST", "/assets/main.js")]
    {
        let answer = with(web, method, path, &[]).await;
        let error = "this path does not allow this method; see the Allow header";
        assert_eq!(answer.error(), (405, error), "{method} {path}");
    }
    // Invalid UTF-8.
    for path in
        ["/api/workflows/%FF", "/api/accounts/%C3%28/workflows", "/assets/%FF", "/api/events?offset=%FF"]
    {
        let answer = web.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.text);
        assert!(answer.error().1.len() > 10, "{path}: {}", answer.text);
    }
    let answer = web.post("/api/workflows/%FF/retry", serde_json::json!({})).await;
    assert!(matches!(answer.status, 400 | 404), "{}", answer.text);

    // Invalid HTTP is rejected, and the service keeps running.
    let address: SocketAddr = web.host().parse().expect("an address");
    let host = ("Host", web.host());
    assert_eq!(ask(address, "GET http://example.com/", &[host], "").status, 421);
    assert_eq!(ask(address, "GET /", &[host, ("Host", "example.com")], "").status, 400);
    assert_eq!(ask(address, "GET /api/accounts", &[], "").status, 400);
    assert_eq!(ask(address, "BREW /api/transfer", &[host], "").status, 405);
    assert_eq!(web.get("/").await.status, 200);
}
