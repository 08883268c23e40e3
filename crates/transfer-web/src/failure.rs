//! The answer to a request that Temporal or the bank keeps from being done.

use anyhow::Error;
use axum::http::StatusCode;
use lab_client::http::{Refused, is_silence};
use loopback::Failure;

/// The answer to a request where Temporal does not answer, or refuses.
pub(crate) fn temporal_down(error: &Error) -> Failure {
    let error = match error.downcast_ref::<Refused>() {
        Some(refused) if !is_silence(error) => {
            format!("the Temporal server cannot do that at this moment: {}", refused.why())
        }
        _ => format!("the Temporal server does not answer, try again when it does: {error:#}"),
    };
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// The answer to a request that the bank refuses, in its words; or where the bank does not answer.
pub(crate) fn bank_down(error: &Error) -> Failure {
    match error
        .downcast_ref::<Refused>()
        .and_then(|refused| Some((StatusCode::from_u16(refused.status).ok()?, refused)))
    {
        Some((status, refused)) if status.is_client_error() => Failure::new(status, refused.why()),
        _ => {
            let error = format!("the bank does not answer, try again when it does: {error:#}");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
        }
    }
}
