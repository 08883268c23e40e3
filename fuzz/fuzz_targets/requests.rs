//! Requests to the bank and to the Money Transfer API: any bytes in a path, a query, headers and a body are answered as
//! openapi.json says, and no cent is made or lost.
//!
//! The input is HTTP/1.1 as a client sends it: requests, each with a `Content-Length` unless it is the last.

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use account_api::Bank;
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use contract::bank::{Accounts, Entries, EntryKind};
use http_body_util::BodyExt;
use lab_client::Endpoints;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use transfer_web::Web;
use webtest::OpenApi;

/// So many requests of one input are sent.
const MOST: usize = 4;

/// Both services, of which each input finds the bank as it is at its start.
static SERVICES: LazyLock<Services> = LazyLock::new(|| {
    // Port 1 is the system's, so nobody answers there: what passes all checks is told that Temporal or the bank is away.
    let nobody = "http://127.0.0.1:1".to_owned();
    let endpoints = Endpoints::own(&nobody, &nobody, &nobody);
    Services {
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
        bank: account_api::app(Bank::in_memory().expect("memory for a bank")),
        bank_openapi: OpenApi::parse(include_str!("../../crates/account-api/openapi.json")),
        web: transfer_web::app(&Web::new(endpoints, None), ([127, 0, 0, 1], 5051).into()),
        web_openapi: OpenApi::parse(include_str!("../../crates/transfer-web/openapi.json")),
    }
});

struct Services {
    runtime: Runtime,
    bank: Router,
    bank_openapi: OpenApi,
    web: Router,
    web_openapi: OpenApi,
}

fuzz_target!(|input: &[u8]| {
    let services = &*SERVICES;
    services.runtime.block_on(async {
        let mut changed = false;
        let mut rest = input;
        for _ in 0..MOST {
            let Some((sent, next)) = parse(rest) else { break };
            rest = next;
            let status = answer(&services.bank, &services.bank_openapi, &sent).await;
            if status == StatusCode::OK && sent.method != "GET" {
                changed = true;
                assert_books_add_up(&services.bank).await;
            }
            answer(&services.web, &services.web_openapi, &sent).await;
        }
        if changed {
            // The next input finds the bank as this one did.
            ask(&services.bank, "POST", "/reset").await;
        }
    });
});

/// A request as it was sent.
struct Sent<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

impl Sent<'_> {
    /// None where it is no request that a server's HTTP part would hand on.
    fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::builder().method(self.method).uri(self.target);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(self.body.to_vec())).ok()
    }
}

/// The first request of the input, and what comes after it.
fn parse(input: &[u8]) -> Option<(Sent<'_>, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(input).ok()? else { return None };
    let (method, target) = (head.method?, head.path?);
    let headers: Vec<_> = headers
        .iter()
        .take_while(|header| !header.name.is_empty())
        .map(|header| (header.name, header.value))
        .collect();
    let said = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str()));
    let said = said.and_then(|(_, value)| str::from_utf8(value).ok()?.parse::<usize>().ok());
    let rest = &input[length..];
    let (body, rest) = rest.split_at(said.unwrap_or(rest.len()).min(rest.len()));
    Some((Sent { method, target, headers, body }, rest))
}

/// Sends a request; the answer has to be what the service's description says.
async fn answer(service: &Router, openapi: &OpenApi, sent: &Sent<'_>) -> StatusCode {
    let Some(request) = sent.request() else { return StatusCode::BAD_REQUEST };
    let (method, path) = (sent.method, request.uri().path().to_owned());
    let response = service.clone().oneshot(request).await.expect("a router always answers");
    let status = response.status();
    // HEAD is answered as GET, without a body.
    if method == "HEAD" {
        return status;
    }
    if response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        // The page, its files, and the stream of events, which has no end.
        assert_eq!(status, StatusCode::OK, "{method} {path}: no sentence");
        return status;
    }
    let json = json(response).await;
    if status != StatusCode::OK {
        let error = json["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty(), "{method} {path}: {status} {json}");
    }
    // Health is the page's own, and no part of its API.
    if path != "/health" {
        openapi.check(method, &path, status.as_u16(), &json);
    }
    status
}

async fn json(response: Response<Body>) -> Value {
    let body = response.into_body().collect().await.expect("a body from memory").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// A question of the target's own.
async fn ask(bank: &Router, method: &str, path: &str) -> Value {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    json(bank.clone().oneshot(request).await.expect("a router always answers")).await
}

/// Every balance is what the entries of its account come to, one after the other, and none is below zero.
async fn assert_books_add_up(bank: &Router) {
    let entries: Entries = serde_json::from_value(ask(bank, "GET", "/entries").await).expect("entries");
    let mut balances = BTreeMap::<String, i64>::new();
    for entry in entries.entries {
        let balance = balances.entry(entry.account_number).or_default();
        *balance += match entry.kind {
            EntryKind::Withdraw => -entry.amount.cents(),
            EntryKind::Open | EntryKind::Deposit | EntryKind::Refund => entry.amount.cents(),
        };
        assert!(*balance >= 0 && *balance == entry.balance.cents(), "entry {}", entry.id);
    }
    let accounts: Accounts = serde_json::from_value(ask(bank, "GET", "/accounts").await).expect("accounts");
    let accounts =
        accounts.accounts.into_iter().map(|account| (account.account_number, account.balance.cents()));
    assert_eq!(balances, accounts.collect());
}
