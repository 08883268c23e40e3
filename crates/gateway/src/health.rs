//! Health checks: whether the service answers, how fast, and since when it does not.

use std::time::{Duration, Instant};

use tonic::{Code, Status};

use crate::{
    api,
    link::{Link, Silence},
};

/// The interval while the service answers: thousands of labs may share it.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The interval while it does not.
const POLL_INTERVAL_WHILE_SILENT: Duration = Duration::from_secs(1);
/// The timeout of a check.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// Checks the service for as long as the gateway runs.
pub(crate) async fn watch(link: Link) {
    let Some(method) = api::method("GetSystemInfo") else { return };
    let path = api::path(&method);
    loop {
        let begin = Instant::now();
        let answer = link.ask(&path, Vec::new(), HEALTH_CHECK_TIMEOUT).await;
        record(&link, begin, answer.err());
        let is_silent = link.heard().silent.is_some();
        tokio::time::sleep(if is_silent { POLL_INTERVAL_WHILE_SILENT } else { POLL_INTERVAL }).await;
    }
}

/// Records the outcome of a request that was sent at this time.
fn record(link: &Link, sent: Instant, error: Option<Status>) {
    let mut heard = link.heard();
    match error {
        Some(status) if is_silence(status.code()) || fails_authentication(&status) => {
            let since = heard.silent.take().map_or(sent, |silence| silence.since);
            let (why, refuses) = (status.message().to_owned(), fails_authentication(&status));
            heard.silent = Some(Silence { since, why, refuses });
        }
        // Any other error is a response of the service.
        _ => {
            heard.silent = None;
            heard.round_trip = Some(sent.elapsed());
        }
    }
}

/// Whether this is a failure of the link rather than a response of the service.
pub(crate) fn is_silence(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

/// Whether authentication failed, or permission was denied.
pub(crate) fn is_auth_error(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

/// Whether authentication failed, by the status or in the TLS handshake; nginx responds to an expired client certificate with HTTP
/// status 400.
fn fails_authentication(status: &Status) -> bool {
    let words = status.message().to_lowercase();
    let signs = ["fatal alert", "certificaterequired", "certificateexpired", "http status 400"];
    is_auth_error(status.code()) || signs.iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_authentication_is_distinguished_from_a_link_that_is_down() {
        for status in [
            Status::unauthenticated("HTTP status 401 Unauthorized"),
            Status::permission_denied("Request unauthorized."),
            // The messages of tonic and rustls.
            Status::unavailable("transport error: received fatal alert: CertificateExpired"),
            Status::unavailable("received fatal alert: CertificateRequired"),
            Status::internal("HTTP status 400 Bad Request"),
        ] {
            assert!(fails_authentication(&status), "{status}");
        }
        for status in [
            Status::unavailable("tcp connect error: Connection refused (os error 111)"),
            Status::unavailable("HTTP status 502 Bad Gateway"),
            Status::deadline_exceeded("no answer within 8 s"),
            Status::resource_exhausted("namespace rate limit exceeded"),
        ] {
            assert!(!fails_authentication(&status), "{status}");
        }
    }
}
