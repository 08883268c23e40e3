//! Errors as an HTTP status and JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::RefusalKind;
use contract::bank::Problem;

use crate::ledger::Refused;
use crate::ledger_thread::NoAnswer;

/// An error response.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    problem: Problem,
}

impl Failure {
    /// An error that a retry may avoid.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Failure {
        Failure { status, problem: Problem { error: error.into(), ..Problem::default() } }
    }

    /// A final refusal.
    pub(crate) fn refusal(status: StatusCode, kind: RefusalKind, error: impl Into<String>) -> Failure {
        let mut failure = Failure::new(status, error);
        failure.problem.code = Some(kind.name().to_owned());
        failure
    }

    /// A request that does not match the contract.
    pub(crate) fn bad_request(error: impl Into<String>) -> Failure {
        Failure::refusal(StatusCode::BAD_REQUEST, RefusalKind::BadRequest, error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}

impl From<loopback::Failure> for Failure {
    /// What is wrong with a body. The same body may be in time at another attempt; else the refusal is
    /// final.
    fn from(loopback::Failure { status, error }: loopback::Failure) -> Failure {
        match status {
            StatusCode::REQUEST_TIMEOUT => Failure::new(status, error),
            _ => Failure::refusal(status, RefusalKind::BadRequest, error),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::UnknownAccount => {
                Failure::refusal(StatusCode::NOT_FOUND, RefusalKind::UnknownAccount, "Account not found")
            }
            Refused::InsufficientFunds { balance, amount } => {
                let mut failure = Failure::refusal(
                    StatusCode::BAD_REQUEST,
                    RefusalKind::InsufficientFunds,
                    "Insufficient funds",
                );
                failure.problem.current_balance = Some(balance);
                failure.problem.requested_amount = Some(amount);
                failure
            }
            Refused::AccountFull => Failure::refusal(
                StatusCode::BAD_REQUEST,
                RefusalKind::BadAmount,
                "the account would hold more than 10000000000000.00: deposit less, or withdraw first",
            ),
            Refused::KeyReused => Failure::refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                RefusalKind::KeyReused,
                "this Idempotency-Key was used for another request: give every request a key of \
                 its own",
            ),
            Refused::RunClosed => Failure::refusal(
                StatusCode::CONFLICT,
                RefusalKind::TransferClosed,
                "this run of the transfer is closed, by a refund or a reset of the bank: to try again, \
                 reset the transfer to a point before its withdrawal",
            ),
            Refused::NotInTransit => Failure::refusal(
                StatusCode::CONFLICT,
                RefusalKind::TransferClosed,
                "the withdrawal was refunded; reset the transfer to a point before its withdrawal",
            ),
            Refused::OtherAccount => Failure::refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                RefusalKind::BadRequest,
                "the transfer's money was withdrawn from another account; refund that one",
            ),
        }
    }
}

impl From<NoAnswer> for Failure {
    fn from(no_answer: NoAnswer) -> Failure {
        match no_answer {
            NoAnswer::Refused(refused) => refused.into(),
            NoAnswer::Broken(sentence) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, &*sentence),
            NoAnswer::Closed => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the bank is shutting down; try again when it is back",
            ),
        }
    }
}
