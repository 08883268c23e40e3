//! Asking the instructor for help from the page, as `cargo xtask help-me` does.

use axum::http::StatusCode;
use lab_client::class::Help;
use loopback::Failure;
use serde_json::{Map, Value, json};

use crate::watch::Watched;

/// The question in a request.
pub(crate) fn question(order: &Map<String, Value>) -> Result<String, Failure> {
    let text = order.get("text").and_then(Value::as_str).unwrap_or_default();
    // A question of spaces only is empty.
    match Help::new(text, "") {
        Some(help) => Ok(help.text),
        None => Err(Failure::bad_request("text must be your question, in a sentence")),
    }
}

/// Has the supervisor put a question on the class board, or remove it.
pub(crate) fn ask(watched: &Watched, text: Option<&str>) -> Result<Value, Failure> {
    let failure = |why: String| Failure::new(StatusCode::SERVICE_UNAVAILABLE, why);
    let Some(supervisor) = watched.supervisor() else {
        return Err(failure("this page does not belong to a running lab, so nobody was asked".to_owned()));
    };
    let status = supervisor.status().map_err(|error| failure(format!("{error:#}")))?;
    if status["class"].is_null() {
        let error = "this lab has not joined a class, so there is no instructor to ask; for a hint, press the hint button";
        return Err(Failure::new(StatusCode::CONFLICT, error));
    }
    let answer = supervisor.exchange(json!({ "request": "help", "text": text }));
    answer.map_err(|error| failure(format!("the board was not changed: {error:#}")))
}
