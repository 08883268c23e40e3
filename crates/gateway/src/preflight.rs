//! Checks what a lab needs of a service before it starts: an answer, the namespace, two Search Attributes.
//!
//! The gateway creates what is missing where the service allows it. Where it does not, the error says who can, and by which command.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lab_client::link::Findings;
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

/// How long each answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new namespace or Search Attribute may take until it is known everywhere: the service caches them.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How often we check that it is.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long a namespace that the gateway creates keeps closed Workflows: three days.
const RETENTION: &str = "259200s";

/// Checks the service, and creates what is missing.
///
/// # Errors
/// The service does not answer, authentication failed, or something is missing that only somebody else can create.
pub async fn preflight(link: &Link) -> Result<Findings> {
    let service = &link.service;
    let mut findings = Findings::default();
    let info =
        ask(link, WORKFLOWS, "GetSystemInfo", &json!({})).await.map_err(|status| explain(link, &status))?;
    findings.server = info["serverVersion"].as_str().unwrap_or_default().to_owned();
    let namespace = json!({ "namespace": service.namespace });
    match ask(link, WORKFLOWS, "DescribeNamespace", &namespace).await {
        Ok(_) => {}
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

async fn make_namespace(link: &Link) -> Result<()> {
    let name = &link.service.namespace;
    let order = json!({ "namespace": name, "workflowExecutionRetentionPeriod": RETENTION });
    match ask(link, WORKFLOWS, "RegisterNamespace", &order).await {
        Ok(_) => {}
        // Another lab was quicker.
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => bail!(
            "there is no namespace {name} at {}, and the service does not let you make it ({}); ask whoever runs it for:\n  \
             temporal operator namespace create --namespace {name} --retention 3d",
            link.service.address,
            status.message()
        ),
    }
    Ok(())
}

/// Returns whether any had to be made.
async fn make_search_attributes(link: &Link) -> Result<bool> {
    let name = &link.service.namespace;
    // A namespace that was created a moment ago, by this lab or by another, is known seconds later to the parts that cache it.
    let looked = until_known(async || match missing(link).await {
        Err(status) if status.code() == Code::NotFound => None,
        looked => Some(looked),
    });
    let looked = looked.await.ok_or_else(|| {
        anyhow!("the namespace {name} was made, and is still not known; try again in a minute")
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
                "the namespace {name} lacks the Search Attributes {}, and the service does not let you make them ({}); no \
                 transfer would get past its first step. Ask whoever runs it for:\n  \
                 temporal operator search-attribute create --namespace {name}{flags}\n\
                 on Temporal Cloud, an admin of the namespace adds them on its page, as Keyword, or by: tcld namespace \
                 search-attributes add",
                missing.join(" and "),
                status.message()
            )
        }
    }
    until_known(async || missing_now(link).await.then_some(())).await.ok_or_else(|| {
        anyhow!("the Search Attributes were made, and are still not known; try again in a minute")
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

/// Those that a query cannot name.
async fn missing_by_queries(link: &Link) -> Result<Vec<&'static str>, Status> {
    let mut missing = Vec::new();
    for name in contract::SEARCH_ATTRIBUTES {
        let count = json!({ "namespace": link.service.namespace, "query": format!("{name} = 'nobody'") });
        // A whole class starts its labs at this moment.
        match ask_with_retries(link, WORKFLOWS, "CountWorkflowExecutions", &count, PROPAGATION_TIMEOUT).await
        {
            Ok(_) => {}
            Err(status) => match status.code() {
                Code::InvalidArgument => missing.push(name),
                // Where no query is allowed, we cannot know that something is missing.
                Code::ResourceExhausted | Code::PermissionDenied | Code::Unimplemented => {}
                _ => return Err(status),
            },
        }
    }
    Ok(missing)
}

/// What a look finds, once it does. Nothing where it never does.
async fn until_known<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = look().await {
                break found;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(PROPAGATION_TIMEOUT, found).await.ok()
}

/// The service's answer to that message, both as JSON.
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
    let method =
        api::method_of(service, method).ok_or_else(|| Status::internal("there is no such method"))?;
    let message = json::from_json(method.input(), message.clone()).map_err(Status::internal)?;
    let answer = link
        .ask_with_retries(&api::path(&method), message.encode_to_vec(), REQUEST_TIMEOUT, busy_timeout)
        .await?;
    let answer =
        api::answer(&method, &answer).ok_or_else(|| Status::internal("the answer cannot be read"))?;
    Ok(json::to_json(&answer))
}

/// What an error says where no connection could be made, in small letters, and what to do. The first match counts.
const CONNECTION_ERRORS: [(&[&str], &str); 12] = [
    (
        &["peer certificate: certificate expired", "peer certificate: expired"],
        "its certificate has expired: ask whoever runs the service for a new one, and look whether this machine's clock is right",
    ),
    (
        &["unknownissuer"],
        "its certificate is from an authority that is not known here: name that authority's file in the profile, as \
         server_ca_cert_path of its tls part",
    ),
    (
        &["not valid for name", "notvalidforname"],
        "its certificate is for another name: say which as server_name in the profile's tls part, or use it in the address",
    ),
    (
        &["corrupt message", "invalidcontenttype"],
        "it does not speak TLS, as the profile asks for: take the profile's tls part out; where there is an API key, which asks \
         for TLS as well, write disabled = true into that part",
    ),
    (&["certificaterequired", "certificate required"], WANTS_CERTIFICATE),
    (
        &["certificateexpired"],
        "the client certificate has expired: ask whoever runs the service for a new one",
    ),
    (
        &["unknownca", "unknown ca"],
        "the client certificate is from an authority that it does not know: look which service client_cert_path is for",
    ),
    (&["fatal alert"], REFUSES_CERTIFICATE),
    (&["http status 5"], "a proxy answers in its place, and does not reach it: ask whoever runs the service"),
    (&["refused"], "nothing listens there: is the service started, and is the address right?"),
    (
        &["dns", "lookup", "name or service"],
        "that name is not known here: is the address right, and is there a network?",
    ),
    (
        &["timed out", "no answer within", "unreachable", "no route"],
        "nothing comes back: is the address right, is there a network, and does a firewall let this through?",
    ),
];
const WANTS_CERTIFICATE: &str = "it seems to want a client certificate: name its files in the profile, as client_cert_path and \
                                 client_key_path of its tls part";
const REFUSES_CERTIFICATE: &str = "it seems not to take the client certificate: look who has signed it, and until when it holds, by: \
     openssl x509 -noout -issuer -dates -in FILE";

/// The error for a person: what happened, and what to do.
fn explain(link: &Link, status: &Status) -> anyhow::Error {
    let Service { address, namespace, tls, has_certificate, .. } = &link.service;
    let words = status.message();
    let lower = words.to_lowercase();
    let is_seen = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if is_auth_error(status.code()) {
        let hint = match (link.service.has_api_key(), has_certificate) {
            (true, _) => "look whether the profile's api_key is right, still holds",
            (false, true) => {
                "look whether it wants an api_key, too, or the client certificate is right, still holds"
            }
            (false, false) => {
                "give the profile an api_key or a client certificate that is right, still holds"
            }
        };
        return anyhow!(
            "the service at {address}: authentication failed ({words}): {hint}, and is for namespace {namespace}"
        );
    }
    // A client that fails late in the TLS handshake, or does not use TLS, only sees that the other side hangs up. nginx answers 400.
    let hangs_up = status.code() == Code::Cancelled
        || is_seen(&["frame", "h2 protocol", "broken pipe", "closed", "reset", "http status 400"]);
    let hint = if let Some((_, hint)) = CONNECTION_ERRORS.iter().find(|(signs, _)| is_seen(signs)) {
        hint
    } else if hangs_up {
        match (tls, has_certificate) {
            (false, _) => "it hangs up, and seems to want TLS: give the profile a tls part",
            (true, false) => WANTS_CERTIFICATE,
            (true, true) => REFUSES_CERTIFICATE,
        }
    } else if is_silence(status.code()) {
        "is the address right, and is there a network?"
    } else {
        return anyhow!("the Temporal Service at {address} answered: {words}");
    };
    anyhow!("no Temporal Service answers at {address} ({words}): {hint}")
}
