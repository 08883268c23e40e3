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
