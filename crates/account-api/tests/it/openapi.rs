//! openapi.json against the bank. That every answer is described is checked with each request of
//! every test; here, that everything described is there.

use std::collections::BTreeSet;

use serde_json::json;
use webtest::{METHODS, Operation};

use crate::support::{Client, OPENAPI, bank};

#[tokio::test]
async fn the_bank_serves_its_description() {
    let answer = bank().await.get("/openapi.json").await;
    assert_eq!((answer.status, &answer.json), (200, OPENAPI.json()));
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_path_takes_exactly_the_methods_that_are_described() {
    let bank = bank().await;
    for path in OPENAPI.paths() {
        let described = OPENAPI.methods(path);
        for method in METHODS {
            let concrete = path.replace("{account_number}", "account_A");
            let answer = bank.ask(method, &concrete).send().await;
            if described.contains(method) {
                assert!(!matches!(answer.status, 404 | 405), "{method} {path}");
            } else {
                assert_eq!(answer.refusal(), (405, None), "{method} {path}");
                let allow = answer.headers["allow"].to_str().expect("an Allow header");
                let allowed = allow.split(',').map(str::trim).filter(|method| *method != "HEAD");
                assert_eq!(allowed.collect::<BTreeSet<_>>(), described, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_status_that_is_described_can_be_provoked() {
    for Operation { method, path, statuses } in OPENAPI.operations() {
        for status in statuses {
            if status == 408 {
                // Ten seconds for the one in program.rs are enough.
                continue;
            }
            let answer = provoke(method, &path, status).await;
            assert_eq!(answer, Some(status), "{method} {path}");
        }
    }
}

/// Asks a new bank so that this status is the answer; `None` where nobody knows how.
async fn provoke(method: &str, path: &str, status: u16) -> Option<u16> {
    let account_api_bank = account_api::Bank::in_memory().expect("a bank");
    let bank: Client = crate::support::serve(account_api_bank.clone()).await;
    let movement = path.ends_with("/withdraw") || path.ends_with("/deposit");
    let account = if status == 404 { "account_Z" } else { "account_A" };
    let mut path = path.replace("{account_number}", account);
    if method == "GET" && status == 400 {
        path += "?limit=0";
    }
    let mut ask = bank.ask(method, &path);
    if method == "PUT" || path.contains("/account_") && method == "POST" {
        let body = match status {
            400 => "{".to_owned(),
            413 => " ".repeat(20_000),
            _ => json!({"amount": 1}).to_string(),
        };
        ask = ask.body(body).run_of("transfer", "run");
    }
    match status {
        200 | 400 | 404 | 413 => {}
        403 => ask = ask.header("Origin", "https://example.com"),
        421 => ask = ask.header("Host", "example.com"),
        409 => {
            let refund = bank.refund("account_A", 1.0).run_of("transfer", "run").send().await;
            assert_eq!(refund.status, 200);
        }
        422 => {
            let ask_before = bank.withdraw("account_B", 1.0).key("key").run_of("transfer", "run");
            assert_eq!(ask_before.send().await.status, 200);
            ask = ask.key("key");
        }
        500 | 504 => {
            let rates = (u8::from(status == 504), u8::from(status == 500));
            let mode = json!({
                "enabled": true,
                "timeout_rate": rates.0,
                "error_rate": rates.1,
                "timeout_seconds": 0,
            });
            assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
        }
        503 if movement => {
            let outage = json!({"withdrawals": true, "deposits": true});
            assert_eq!(bank.put("/outage", outage).await.status, 200);
        }
        503 => account_api_bank.close().await,
        _ => return None,
    }
    Some(ask.send().await.status)
}
