//! openapi.json against the service. Every test checks that each response is described; here, that everything described
//! exists.

use serde_json::json;
use webtest::{METHODS, Operation};

use crate::support::{Lab, OPENAPI, Service, nowhere};

/// A path with values for its parameters.
pub(crate) fn concrete(path: &str) -> String {
    let path = path.replace("{workflow_id}", "transfer-1").replace("{account_id}", "account_A");
    let path = path.replace("{stage}", "jerry").replace("{incident}", "some-never-arrive");
    path.replace("{edit_id}", "20261122T120501Z-jerry")
}

#[tokio::test]
async fn the_service_serves_its_description() {
    let service = Service::start(nowhere(), None).await;
    let answer = service.web.get("/openapi.json").await;
    assert_eq!((answer.status, &answer.json), (200, OPENAPI.json()));
}

#[tokio::test]
async fn a_path_accepts_exactly_the_described_methods() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    for path in OPENAPI.paths() {
        let described = OPENAPI.methods(path);
        for method in METHODS {
            if described.contains(method) {
                if path == "/api/events" {
                    assert!(crate::stream::Stream::open(web, "").await.is_ok());
                    continue;
                }
                let answer = web.send(web.request(method, &concrete(path)).body("{}")).await;
                assert!(!matches!(answer.status, 404 | 405), "{method} {path}: {}", answer.text);
            } else {
                let answer = web.send(web.request(method, &concrete(path))).await;
                assert_eq!(answer.status, 405, "{method} {path}");
                let allow = answer.headers["allow"].to_str().expect("an Allow header");
                let mut allowed: Vec<&str> =
                    allow.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
                allowed.sort_unstable();
                assert_eq!(allowed, described.iter().copied().collect::<Vec<_>>(), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_described_status_can_be_provoked() {
    let lab = Lab::start().await;
    let without = Service::start(nowhere(), None).await;
    for Operation { method, path, statuses } in OPENAPI.operations() {
        // Other tests cover streams, late bodies, which take ten seconds, and what a supervisor does.
        let is_elsewhere = |status| {
            let stays_in_a_drill = ["/api/outage", "/api/real-world-mode", "/api/reset"].contains(&&*path);
            let needs_supervisor = match &*path {
                _ if stays_in_a_drill => status == 409,
                "/api/drill/report.html" => status != 409,
                "/api/stage" => method == "POST",
                "/api/help"
                | "/api/help/done"
                | "/api/without-temporal"
                | "/api/stage/{stage}"
                | "/api/drill"
                | "/api/drill/{incident}"
                | "/api/saved-edits/{edit_id}" => true,
                _ => false,
            };
            let needs_its_answer = match status {
                200 => true,
                404 => path.starts_with("/api/saved-edits"),
                // In a drill, the bank and the money stay as they are.
                409 => path.starts_with("/api/help") || stays_in_a_drill,
                503 => path == "/api/drill" || path.ends_with(".html"),
                _ => false,
            };
            status == 408 || path == "/api/events" || (needs_its_answer && needs_supervisor)
        };
        for status in statuses.into_iter().filter(|&status| !is_elsewhere(status)) {
            let answer = provoke(&lab, &without, method, &path, status).await;
            assert_eq!(answer, Some(status), "{method} {path}");
        }
    }
}

/// Provokes this status; `None` if there is no way to.
async fn provoke(lab: &Lab, without: &Service, method: &str, path: &str, status: u16) -> Option<u16> {
    let web = if status == 503 { &without.web } else { lab.web() };
    let mut concrete = concrete(path);
    if status == 404 {
        concrete = concrete
            .replace("account_A", "account_Z")
            .replace("transfer-1", "transfer-2")
            .replace("jerry", "tom")
            .replace("some-never", "all");
    }
    let order = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
    if path.contains("{workflow_id}") && matches!(status, 200 | 409) {
        let id = lab.web().start("account_A", "account_B", 1.0).await;
        concrete = concrete.replace("transfer-1", &id);
    }
    if path.ends_with("/retry") && status == 200 {
        let worker = lab.worker("fix-workflow").await;
        let id = lab.web().start("account_A", "account_B", 1.0).await;
        lab.web().stuck(&id, "activity", 2).await;
        worker.stop().await;
        concrete = format!("/api/workflows/{id}/retry");
    }
    if (path, status) == ("/api/workflows", 400) {
        concrete.push_str("?limit=all");
    }
    let mut request = web.request(method, &concrete);
    if method == "POST" {
        request = request.body(match (status, path) {
            (400, _) => "{".to_owned(),
            (413, _) => " ".repeat(20_000),
            (_, "/api/transfer") => order.to_string(),
            (_, "/api/help") => json!({ "text": "where?" }).to_string(),
            (_, "/api/drill") => json!({ "hint": true }).to_string(),
            (_, "/api/stage") => json!({ "name": "jerry" }).to_string(),
            _ => "{}".to_owned(),
        });
    }
    request = match status {
        200 | 400 | 404 | 409 | 413 | 503 => request,
        403 => request.header("Origin", "https://example.com"),
        421 => request.header("Host", "example.com"),
        _ => return None,
    };
    Some(web.send(request).await.status)
}
