//! What goes wrong, as an HTTP status and JSON.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An error as it is answered: with its status, and as `{"error": "the sentence"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong, and where it helps what to do about it.
    pub error: String,
}

impl Failure {
    /// An error with this status and this sentence.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Failure {
        Failure { status, error: error.into() }
    }

    /// A 400: the request is not of the form it must have.
    pub fn bad_request(error: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(BTreeMap::from([("error", self.error)]))).into_response()
    }
}
