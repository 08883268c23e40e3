//! Checks before a lab starts what it needs of a service: a response, the namespace, two Search Attributes.
//!
//! The gateway creates what is missing if the service allows it. If not, the error says who can, and with which command.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lab_client::link::{Findings, SHORT_RETRIES};
use prost_reflect::prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    api::{self, OPERATOR, WORKFLOWS},
    health::{is_auth_error, is_silence},
    json,
    link::Link,
    service::Service,
};

/// The timeout of each request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What a frontend answers until it has found the other services, as `Frontend is not healthy yet`.
const STARTING: &str = "not healthy yet";
/// How long it may take for that.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a new namespace or Search Attribute may take to become visible everywhere: the service caches them.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How often to check whether it is visible.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The retention period of a namespace that the gateway creates: three days.
const RETENTION: &str = "259200s";

/// Checks the service, and creates what is missing.
///
/// # Errors
/// The service does not answer, authentication failed, or something is missing that only somebody else can create.
pub async fn preflight(link: &Link) -> Result<Findings> {
    let service = &link.service;
    let mut findings = Findings::default();
    let info = once_started(async || ask(link, WORKFLOWS, "GetSystemInfo", &json!({})).await).await;
    let info = info.map_err(|status| explain(link, &status))?;
    findings.server = info["serverVersion"].as_str().unwrap_or_default().to_owned();
    let namespace = json!({ "namespace": service.namespace });
    match ask(link, WORKFLOWS, "DescribeNamespace", &namespace).await {
        Ok(description) => {
            findings.short_retries = description["namespaceInfo"]["data"][SHORT_RETRIES] == "true";
        }
        Err(status) if status.code() == Code::NotFound => {
            make_namespace(link).await?;
            findings.made.push(format!("the namespace {}", service.namespace));
        }
        Err(status) => return Err(explain(link, &status)),
    }
    if make_search_attributes(link).await? {
        findings.made.push(format!("the Search Attributes {}", contract::SEARCH_ATTRIBUTES.join(" and ")));
    }
    Ok(findings)
}

/// A service's answer. One that is still starting is asked again.
async fn once_started(ask: impl AsyncFn() -> Result<Value, Status>) -> Result<Value, Status> {
    let answer = until_known(START_TIMEOUT, async || match ask().await {
        Err(status) if status.message().contains(STARTING) => None,
        answer => Some(answer),
    });
    answer.await.unwrap_or_else(|| Err(Status::unavailable(format!("Frontend is {STARTING}"))))
}

async fn make_namespace(link: &Link) -> Result<()> {
    let name = &link.service.namespace;
    let order = json!({ "namespace": name, "workflowExecutionRetentionPeriod": RETENTION });
    match ask(link, WORKFLOWS, "RegisterNamespace", &order).await {
        Ok(_) => {}
        // Another lab was faster.
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => bail!(
            "the Temporal Service at {} has no namespace {name} and does not let you create it ({}); ask its administrator to run:\n  \
             temporal operator namespace create --namespace {name} --retention 3d",
            link.service.address,
            status.message()
        ),
    }
    Ok(())
}

/// Creates the missing Search Attributes. Returns whether any were missing.
async fn make_search_attributes(link: &Link) -> Result<bool> {
    let name = &link.service.namespace;
    // A namespace that this lab or another has just created takes seconds to become visible in the service's caches.
    let looked = until_known(PROPAGATION_TIMEOUT, async || match missing(link).await {
        Err(status) if status.code() == Code::NotFound => None,
        looked => Some(looked),
    });
    let looked = looked.await.ok_or_else(|| {
        anyhow!(
            "the namespace {name} was created, but the service does not show it yet; try again in a minute"
        )
    })?;
    let missing = looked.map_err(|status| explain(link, &status))?;
    if missing.is_empty() {
        return Ok(false);
    }
    let types: serde_json::Map<String, Value> = missing
        .iter()
        .map(|attribute| ((*attribute).to_owned(), json!("INDEXED_VALUE_TYPE_KEYWORD")))
        .collect();
    let order = json!({ "namespace": name, "searchAttributes": types });
    match ask(link, OPERATOR, "AddSearchAttributes", &order).await {
        Ok(_) => {}
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => {
            let flags: String =
                missing.iter().map(|attribute| format!(" --name {attribute} --type Keyword")).collect();
            bail!(
                "the namespace {name} has no Search Attributes {}, and the service does not let you create them ({}). Without them, \
                 every transfer would get stuck at its first step. Ask the service's administrator to run:\n  \
                 temporal operator search-attribute create --namespace {name}{flags}\n\
                 on Temporal Cloud, an admin of the namespace adds them on its page, as Keyword, or with: tcld namespace \
                 search-attributes add",
                missing.join(" and "),
                status.message()
            )
        }
    }
    until_known(PROPAGATION_TIMEOUT, async || missing_now(link).await.then_some(())).await.ok_or_else(|| {
        anyhow!("the Search Attributes were created, but the service does not show them yet; try again in a minute")
    })?;
    Ok(true)
}

async fn missing_now(link: &Link) -> bool {
    missing(link).await.is_ok_and(|missing| missing.is_empty())
}

async fn missing(link: &Link) -> Result<Vec<&'static str>, Status> {
    let listed =
        ask(link, OPERATOR, "ListSearchAttributes", &json!({ "namespace": link.service.namespace })).await;
    match listed {
        Ok(answer) => {
            let has = |name: &&str| !answer["customAttributes"][*name].is_null();
            Ok(contract::SEARCH_ATTRIBUTES.into_iter().filter(|name| !has(name)).collect())
        }
        // Temporal Cloud does not allow listing them.
        Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) => {
            missing_by_queries(link).await
        }
        Err(status) => Err(status),
    }
}

/// The Search Attributes that a query cannot use.
async fn missing_by_queries(link: &Link) -> Result<Vec<&'static str>, Status> {
    let mut missing = Vec::new();
    for name in contract::SEARCH_ATTRIBUTES {
        let count = json!({ "namespace": link.service.namespace, "query": format!("{name} = 'nobody'") });
        // A whole class may be starting labs at this moment.
        match ask_with_retries(link, WORKFLOWS, "CountWorkflowExecutions", &count, PROPAGATION_TIMEOUT).await
        {
            Ok(_) => {}
            Err(status) => match status.code() {
                Code::InvalidArgument => missing.push(name),
                // If no query is allowed, we cannot find out whether it is missing.
                Code::ResourceExhausted | Code::PermissionDenied | Code::Unimplemented => {}
                _ => return Err(status),
            },
        }
    }
    Ok(missing)
}

/// Polls until `look` finds something; none after the timeout.
async fn until_known<T>(timeout: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = look().await {
                break found;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(timeout, found).await.ok()
}

/// The service's response to a message, both as JSON.
pub(crate) async fn ask(link: &Link, service: &str, method: &str, message: &Value) -> Result<Value, Status> {
    ask_with_retries(link, service, method, message, Duration::ZERO).await
}

/// The same, retried for up to `busy_timeout` while the service is over its rate limit.
async fn ask_with_retries(
    link: &Link,
    service: &str,
    method: &str,
    message: &Value,
    busy_timeout: Duration,
) -> Result<Value, Status> {
    let method = api::method_of(service, method).ok_or_else(|| Status::internal("unknown method"))?;
    let message = json::from_json(method.input(), message.clone()).map_err(Status::internal)?;
    let answer = link
        .ask_with_retries(&api::path(&method), message.encode_to_vec(), REQUEST_TIMEOUT, busy_timeout)
        .await?;
    let answer =
        api::answer(&method, &answer).ok_or_else(|| Status::internal("could not decode the response"))?;
    Ok(json::to_json(&answer))
}

/// Parts of connection errors, in lower case, and what they mean and what to do. The first match counts.
const CONNECTION_ERRORS: [(&[&str], &str); 13] = [
    (&[STARTING], "the service is starting; try again in a minute"),
    (
        &["peer certificate: certificate expired", "peer certificate: expired"],
        "the server's certificate has expired; ask the service's administrator to renew it, and check this machine's clock",
    ),
    (
        &["unknownissuer"],
        "the server's certificate is from an unknown authority; set server_ca_cert_path in the profile's tls section to the \
         authority's file",
    ),
    (
        &["not valid for name", "notvalidforname"],
        "the server's certificate is for another name; set server_name in the profile's tls section, or use that name in the address",
    ),
    (
        &["corrupt message", "invalidcontenttype"],
        "the server does not use TLS, but the profile does; remove the profile's tls section, or, if it has an API key, which \
         implies TLS, set disabled = true in that section",
    ),
    (&["certificaterequired", "certificate required"], WANTS_CERTIFICATE),
    (
        &["certificateexpired"],
        "the client certificate has expired; ask the service's administrator for a new one",
    ),
    (
        &["unknownca", "unknown ca"],
        "the server does not know the client certificate's authority; check that client_cert_path is for this service",
    ),
    (&["fatal alert"], REFUSES_CERTIFICATE),
    (&["http status 5"], "a proxy in front of the service cannot reach it; ask the service's administrator"),
    (&["refused"], "nothing listens there; check that the service is running and the address is right"),
    (
        &["dns", "lookup", "name or service"],
        "the host name could not be resolved; check the address and the network",
    ),
    (
        &["timed out", "no answer within", "unreachable", "no route"],
        "no response; check the address, the network and the firewall",
    ),
];
const WANTS_CERTIFICATE: &str = "the server seems to require a client certificate; set client_cert_path and client_key_path in the \
                                 profile's tls section";
const REFUSES_CERTIFICATE: &str = "the server seems to reject the client certificate; check its issuer and expiry: \
     openssl x509 -noout -issuer -dates -in FILE";

/// The error message: what happened, and what to do.
fn explain(link: &Link, status: &Status) -> anyhow::Error {
    let Service { address, namespace, tls, has_certificate, .. } = &link.service;
    let words = status.message();
    let lower = words.to_lowercase();
    let is_seen = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if is_auth_error(status.code()) {
        let hint = match (link.service.has_api_key(), has_certificate) {
            (true, _) => "check that the profile's api_key is right, has not expired",
            (false, true) => {
                "check whether the service needs an api_key too, or that the client certificate is right, has not expired"
            }
            (false, false) => {
                "add an api_key or a client certificate to the profile, and check that it is right, has not expired"
            }
        };
        return anyhow!(
            "the Temporal Service at {address}: authentication failed ({words}); {hint}, and is for namespace {namespace}"
        );
    }
    // A client that fails late in the TLS handshake, or does not use TLS, only sees a closed connection. nginx responds with 400.
    let hangs_up = status.code() == Code::Cancelled
        || is_seen(&["frame", "h2 protocol", "broken pipe", "closed", "reset", "http status 400"]);
    let hint = if let Some((_, hint)) = CONNECTION_ERRORS.iter().find(|(signs, _)| is_seen(signs)) {
        hint
    } else if hangs_up {
        match (tls, has_certificate) {
            (false, _) => {
                "the server closes the connection and seems to require TLS; add a tls section to the profile"
            }
            (true, false) => WANTS_CERTIFICATE,
            (true, true) => REFUSES_CERTIFICATE,
        }
    } else if is_silence(status.code()) {
        "check the address and the network"
    } else {
        return anyhow!("the Temporal Service at {address} rejected the request: {words}");
    };
    anyhow!("could not reach a Temporal Service at {address} ({words}): {hint}")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn only_a_service_that_is_starting_is_asked_again() {
        let starting = || Err(Status::unavailable("Frontend is not healthy yet"));
        let refused = || Err(Status::unavailable("tcp connect error: Connection refused"));
        for (answers, last) in
            [(vec![Ok(json!(1)), starting()], Ok(json!(1))), (vec![refused(), starting()], refused())]
        {
            let answers = RefCell::new(answers);
            let answer = once_started(async || answers.borrow_mut().pop().expect("no more requests")).await;
            let message =
                |answer: Result<Value, Status>| answer.map_err(|status| status.message().to_owned());
            assert_eq!(message(answer), message(last));
            assert!(answers.borrow().is_empty());
        }
    }
}
