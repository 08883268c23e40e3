//! How the link does: whether the service answers, how fast, and since when not.

use std::time::{Duration, Instant};

use tonic::{Code, Status};

use crate::{
    api,
    link::{Link, Silence},
};

/// How often a service that answers is asked: thousands of labs may share it.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How often one is that does not.
const POLL_INTERVAL_WHILE_SILENT: Duration = Duration::from_secs(1);
/// An answer that takes longer is none.
const WITHIN: Duration = Duration::from_secs(8);

/// Asks the service again and again.
pub(crate) async fn watch(link: Link) {
    let Some(method) = api::method("GetSystemInfo") else { return };
    let path = api::path(&method);
    loop {
        let begin = Instant::now();
        let answer = link.ask(&path, Vec::new(), WITHIN).await;
        note(&link, begin, answer.err());
        let is_silent = link.heard().silent.is_some();
        tokio::time::sleep(if is_silent { POLL_INTERVAL_WHILE_SILENT } else { POLL_INTERVAL }).await;
    }
}

/// Notes what a question that was asked at that time was answered.
fn note(link: &Link, asked: Instant, refused: Option<Status>) {
    let mut heard = link.heard();
    match refused {
        Some(status) if is_silence(status.code()) || refuses(&status) => {
            let since = heard.silent.take().map_or(asked, |silence| silence.since);
            let (why, refuses) = (status.message().to_owned(), refuses(&status));
            heard.silent = Some(Silence { since, why, refuses });
        }
        // Any other error is an answer, too.
        _ => {
            heard.silent = None;
            heard.round_trip = Some(asked.elapsed());
        }
    }
}

/// Whether that is the link's failure, and not the service's word.
pub(crate) fn is_silence(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

/// Whether the service lets nobody in with these credentials.
pub(crate) fn is_refusal(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

/// Whether it lets nobody in, in its own words or already in the handshake of TLS; nginx answers a client certificate that holds no
/// more with HTTP status 400.
fn refuses(status: &Status) -> bool {
    let words = status.message().to_lowercase();
    let signs = ["fatal alert", "certificaterequired", "certificateexpired", "http status 400"];
    is_refusal(status.code()) || signs.iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in_no_more_is_told_from_a_link_that_is_down() {
        for status in [
            Status::unauthenticated("HTTP status 401 Unauthorized"),
            Status::permission_denied("Request unauthorized."),
            // Each as tonic and rustls say it.
            Status::unavailable("transport error: received fatal alert: CertificateExpired"),
            Status::unavailable("received fatal alert: CertificateRequired"),
            Status::internal("HTTP status 400 Bad Request"),
        ] {
            assert!(refuses(&status), "{status}");
        }
        for status in [
            Status::unavailable("tcp connect error: Connection refused (os error 111)"),
            Status::unavailable("HTTP status 502 Bad Gateway"),
            Status::deadline_exceeded("no answer within 8 s"),
            Status::resource_exhausted("namespace rate limit exceeded"),
        ] {
            assert!(!refuses(&status), "{status}");
        }
    }
}
