//! Plain HTTP requests to the lab's services on loopback.

use std::io::ErrorKind;

use anyhow::{Error, Result};
use serde_json::Value;

/// Whether a URL responds with 200.
pub fn answers(url: &str) -> bool {
    minreq::get(url).with_timeout(1).send().is_ok_and(|response| response.status_code == 200)
}

/// The timeout of a GET, in seconds.
const REQUEST_TIMEOUT_SECONDS: u64 = 5;
/// The timeout of a request that changes something, which takes longer on a busy machine.
const IN_A_WHILE: u64 = 10;
/// The timeout of a long poll, which the server holds for up to 20 s.
const SLOW_REQUEST_TIMEOUT_SECONDS: u64 = 30;

/// An error response.
#[derive(Debug)]
pub struct Refused {
    /// Its HTTP status.
    pub status: u16,
    /// The URL, without its query.
    url: String,
    why: String,
    answer: Value,
}

/// No response.
#[derive(Debug)]
pub struct NoAnswer {
    /// Whether nothing listens there, so that nothing was sent.
    pub nobody_listens: bool,
    /// The URL, without its query.
    url: String,
    why: String,
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer from {}: {}", self.url, self.why)
    }
}

impl std::error::Error for NoAnswer {}

/// Whether an error means that the service is down or hangs, rather than that it rejects the request.
pub fn is_silence(error: &Error) -> bool {
    let is_gateway = |refused: &Refused| (502..=504).contains(&refused.status);
    error.downcast_ref::<NoAnswer>().is_some() || error.downcast_ref::<Refused>().is_some_and(is_gateway)
}

/// Whether the same request may succeed a moment later: the service is silent, or over its rate limit.
pub fn is_transient(error: &Error) -> bool {
    const TOO_MANY_REQUESTS: u16 = 429;
    let is_busy = |refused: &Refused| refused.status == TOO_MANY_REQUESTS;
    is_silence(error) || error.downcast_ref::<Refused>().is_some_and(is_busy)
}

impl Refused {
    /// The response's JSON.
    pub fn answer(&self) -> &Value {
        &self.answer
    }

    /// The error message of the response.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {}: {}", self.url, self.status, self.why)
    }
}

impl std::error::Error for Refused {}

/// The text at a URL, if it responds with 200.
pub fn get_text(url: &str) -> Result<String> {
    let response = minreq::get(url).with_timeout(REQUEST_TIMEOUT_SECONDS).send()?;
    if response.status_code != 200 {
        return Err(Error::msg(format!("{url} answered {}", response.status_code)));
    }
    Ok(response.as_str()?.to_owned())
}

/// GETs JSON.
pub fn get_json(url: &str) -> Result<Value> {
    json_of(minreq::get(url).with_timeout(REQUEST_TIMEOUT_SECONDS), url)
}

/// GETs JSON by a long poll.
pub fn get_news(url: &str) -> Result<Value> {
    json_of(minreq::get(url).with_timeout(SLOW_REQUEST_TIMEOUT_SECONDS), url)
}

/// POSTs JSON, and returns the response.
pub fn post_json(url: &str, body: &Value) -> Result<Value> {
    json_of(minreq::post(url).with_timeout(IN_A_WHILE).with_body(body.to_string()), url)
}

/// POSTs JSON with an idempotency key, by which the request is applied once however often it is sent.
pub fn post_json_once(url: &str, body: &Value, key: &str) -> Result<Value> {
    let request = minreq::post(url).with_timeout(IN_A_WHILE).with_body(body.to_string());
    json_of(request.with_header("Idempotency-Key", key), url)
}

/// PUTs JSON, and returns the response.
pub fn put_json(url: &str, body: &Value) -> Result<Value> {
    json_of(minreq::put(url).with_timeout(REQUEST_TIMEOUT_SECONDS).with_body(body.to_string()), url)
}

fn json_of(request: minreq::Request, url: &str) -> Result<Value> {
    let url = url.split_once('?').map_or(url, |(url, _)| url).to_owned();
    let response = request.send().map_err(|error| NoAnswer {
        nobody_listens: matches!(&error, minreq::Error::IoError(error) if error.kind() == ErrorKind::ConnectionRefused),
        url: url.clone(),
        why: error.to_string(),
    })?;
    let answer = serde_json::from_slice::<Value>(response.as_bytes()).unwrap_or_default();
    let status = response.status_code;
    if status != 200 {
        let said = answer["message"].as_str().or(answer["error"].as_str());
        let why = said.unwrap_or("no reason given").to_owned();
        return Err(Refused { status, url, why, answer }.into());
    }
    Ok(answer)
}

/// Percent-encodes a text for a URL.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_encoded_in_a_url() {
        assert_eq!(encode("a-1 /?\"ä"), "a-1%20%2F%3F%22%C3%A4");
    }

    #[test]
    fn a_service_that_is_silent_or_over_its_rate_limit_may_answer_a_moment_later() {
        for (status, silent, transient) in
            [(404, false, false), (429, false, true), (500, false, false), (503, true, true)]
        {
            let address = webtest::web_service(move |_| (status, "{}".to_owned()));
            let error = get_json(&format!("http://{address}")).expect_err("it refuses");
            assert_eq!((is_silence(&error), is_transient(&error)), (silent, transient), "{status}");
        }
        let nobody = get_json("http://127.0.0.1:1").expect_err("nothing listens there");
        assert!(is_silence(&nobody) && is_transient(&nobody));
    }
}
