//! JSON bodies.

use std::net::SocketAddr;

use axum::{Router, routing::post};
use loopback::{Failure, JsonText};
use serde::Deserialize;
use webtest::{Answer, Connection, ask};

use crate::support::serve;

/// A service that responds with the word of `{"word": …}`.
async fn echo() -> SocketAddr {
    let say = async |body: JsonText| -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            word: &'a str,
        }
        Ok(body.parse::<Fields<'_>>()?.word.to_owned())
    };
    serve(Router::new().route("/", post(say))).await
}

fn say(service: SocketAddr, body: &str) -> Answer {
    ask(service, "POST /", &[("Host", "localhost")], body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_parsed_with_any_content_type_and_unknown_fields() {
    let service = echo().await;
    for content_type in ["application/json", "application/x-www-form-urlencoded", "nonsense"] {
        let headers = [("Host", "localhost"), ("Content-Type", content_type)];
        let answer = ask(service, "POST /", &headers, " {\"word\": \"hello\", \"more\": [1]}\n");
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"), "{content_type}");
    }
    assert_eq!(
        say(service, "\u{feff}{\"word\": \"hello\"}").status,
        200,
        "a byte order mark is no part of it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_body_is_rejected_with_an_error() {
    let service = echo().await;
    for body in ["", "word=hello", "[\"hello\"]", "\"hello\"", "null"] {
        let answer = say(service, body);
        let error = "{\"error\":\"the body must be a JSON object\"}";
        assert_eq!((answer.status, answer.body.as_str()), (400, error), "{body}");
    }
    for body in ["{", "{}", "{\"word\": 1}", "{\"word\": \"a\", \"word\": \"b\"}", "{\"word\": \"a\"} x"] {
        let answer = say(service, body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.starts_with("{\"error\":\"the body is invalid: "), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_invalid_utf_8_anywhere_is_rejected() {
    let service = echo().await;
    // In a field that is ignored, in a name, nested, and around the object.
    for (before, after) in [
        ("{\"word\": \"hello\", \"more\": \"", "\"}"),
        ("{\"word\": \"hello\", \"", "\": 1}"),
        ("{\"word\": \"hello\", \"more\": [{\"deep\": \"", "\"}]}"),
        ("{\"word\": \"", "\"}"),
        ("", "{\"word\": \"hello\"}"),
        ("{\"word\": \"hello\"}", ""),
    ] {
        // A lone byte, an overlong slash, half of a surrogate pair, and a cut character.
        for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82"] {
            let length = before.len() + bytes.len() + after.len();
            let mut connection = Connection::to(service);
            connection
                .send(&format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"));
            connection.send_bytes(&[before.as_bytes(), bytes, after.as_bytes()].concat());
            let answer = connection.answer().expect("an answer");
            let error =
                format!("{{\"error\":\"the body must be UTF-8, and is not from byte {} on\"}}", before.len());
            assert_eq!((answer.status, answer.body), (400, error), "{before}{bytes:?}{after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_may_be_there_only_once() {
    let service = echo().await;
    for (body, name) in [
        ("{\"word\": \"a\", \"word\": \"a\"}", "word"),
        ("{\"word\": \"a\", \"\\u0077ord\": \"b\"}", "word"),
        ("{\"more\": 1, \"word\": \"a\", \"more\": 2}", "more"),
    ] {
        let answer = say(service, body);
        let error = format!("{{\"error\":\"the body is invalid: duplicate field `{name}` at ");
        assert!(answer.status == 400 && answer.body.starts_with(&error), "{body}: {answer:?}");
    }
    assert_eq!(say(service, "{\"word\": \"a\", \"more\": {\"word\": [{\"word\": 1}]}}").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_nesting_of_any_size_in_ignored_fields_do_no_harm() {
    let service = echo().await;
    for ignored in ["1e999", "-0.0", &"9".repeat(5000), &format!("{}{}", "[".repeat(7000), "]".repeat(7000))]
    {
        let answer = say(service, &format!("{{\"word\": \"hello\", \"more\": {ignored}}}"));
        assert!(matches!(answer.status, 200 | 400), "{ignored}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_have_sixteen_kibibytes_and_no_more() {
    let service = echo().await;
    let padded = |length: usize| "{\"word\": \"hello\"}".to_owned() + &" ".repeat(length - 17);
    assert_eq!(say(service, &padded(16 * 1024)).status, 200);
    for length in [16 * 1024 + 1, 1024 * 1024] {
        let answer = say(service, &padded(length));
        let error = "{\"error\":\"the body is larger than 16384 bytes\"}";
        assert_eq!((answer.status, answer.body.as_str()), (413, error), "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_none() {
    let mut connection = Connection::to(echo().await);
    connection.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{\"word\": \"hello\"}");
    connection.break_off();
    // The service responds with an error or disconnects, but does not accept it.
    assert!(connection.answer().is_none_or(|answer| answer.status == 400));
}
