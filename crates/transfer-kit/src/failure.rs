//! Failures in Temporal's terms: which are final, which are tried again, and what they say.

use std::{error::Error, fmt, panic::Location};

use contract::{Refusal, RefusalKind};
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure};
use temporalio_sdk::WorkflowTermination;

/// A final no as an Application Failure that is not retried, with a type of its own.
pub fn refused(refusal: Refusal) -> ApplicationFailure {
    let type_name = refusal.kind.name().to_owned();
    ApplicationFailure::builder(refusal.message).type_name(type_name).non_retryable(true).build()
}

/// How a transfer ends whose money could not be moved and was given back: as cancelled where somebody
/// cancelled it, else as failed, with the first failure's reason and what became of the money.
pub fn give_up(failure: ActivityExecutionError, refunded: contract::Money) -> WorkflowTermination {
    if failure.as_cancelled().is_some() {
        return WorkflowTermination::cancelled();
    }
    let money = match refunded {
        contract::Money::ZERO => "no money was taken".to_owned(),
        refunded => format!("the {refunded} that had been taken were given back"),
    };
    let (reason, type_name) = innermost(&failure);
    ApplicationFailure::builder(format!("{reason}; {money}"))
        .type_name(type_name)
        .non_retryable(true)
        .build()
        .into()
}

/// What made an activity fail: the message and the type of the Application Failure inside.
fn innermost(failure: &ActivityExecutionError) -> (String, String) {
    let mut cause = failure.failure();
    let mut found = (failure.to_string(), "TransferFailed".to_owned());
    while let Some(failure) = cause {
        if let Some(info) = failure.maybe_application_failure() {
            found = (failure.message.clone(), info.r#type.clone());
            break;
        }
        found.0.clone_from(&failure.message);
        cause = failure.cause.as_deref();
    }
    found
}

/// An answer of the bank that another attempt may not meet, or no answer at all.
#[derive(Debug)]
pub(crate) struct BankFailure {
    pub(crate) what: String,
    /// The line of the learner's code that called the bank.
    pub(crate) called_at: &'static Location<'static>,
    pub(crate) source: Option<reqwest::Error>,
}

impl fmt::Display for BankFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, called at {}", self.what, self.called_at)
    }
}

impl Error for BankFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl BankFailure {
    /// To be tried again: the default, so nothing is lost to a passing fault.
    pub(crate) fn retryable(self, type_name: &str) -> ApplicationFailure {
        ApplicationFailure::builder(self).type_name(type_name.to_owned()).build()
    }
}

/// The kind of refusal that a name in the bank's answer stands for.
pub(crate) fn refusal_kind(name: &str) -> Option<RefusalKind> {
    use RefusalKind::*;
    [BadRequest, BadAmount, SameAccount, UnknownAccount, InsufficientFunds, KeyReused, TransferClosed]
        .into_iter()
        .find(|kind| kind.name() == name)
}
