//! Errors as an HTTP status and JSON.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An error response: its status, and `{"error": "the sentence"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// The message: what is wrong, and what to do if that helps.
    pub error: String,
}

impl Failure {
    /// An error with this status and message.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Failure {
        Failure { status, error: error.into() }
    }

    /// A 400: the request is invalid.
    pub fn bad_request(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(BTreeMap::from([("error", self.error)]))).into_response()
    }
}
