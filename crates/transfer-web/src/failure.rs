//! The response to a request that fails because of Temporal or the bank.

use anyhow::Error;
use axum::http::StatusCode;
use lab_client::http::{Refused, is_silence};
use loopback::Failure;

/// The response if Temporal is unavailable or rejects the request.
pub(crate) fn temporal_down(error: &Error) -> Failure {
    let error = match error.downcast_ref::<Refused>() {
        Some(refused) if !is_silence(error) => {
            format!("the Temporal server rejected the request: {}", refused.why())
        }
        _ => format!("the Temporal server does not answer; try again once it does: {error:#}"),
    };
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// The response if the bank rejects the request, with the bank's own error, or if it does not answer.
pub(crate) fn bank_down(error: &Error) -> Failure {
    match error
        .downcast_ref::<Refused>()
        .and_then(|refused| Some((StatusCode::from_u16(refused.status).ok()?, refused)))
    {
        Some((status, refused)) if status.is_client_error() => Failure::new(status, refused.why()),
        _ => {
            let error = format!("the bank does not answer; try again once it does: {error:#}");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
        }
    }
}
