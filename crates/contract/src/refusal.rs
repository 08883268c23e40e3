//! Why a transfer can never work: final, so it is not retried.

use std::fmt;

/// The sorts of refusal. Each is a failure type of its own in the Event History.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request is not of the contract's form.
    BadRequest,
    /// The amount is none that can be moved.
    BadAmount,
    /// The money would not leave its account.
    SameAccount,
    /// The bank has no such account.
    UnknownAccount,
    /// The account holds less than the amount.
    InsufficientFunds,
    /// The same idempotency key came with another request.
    KeyReused,
    /// The bank has closed this run of the transfer: what it had taken was given back.
    TransferClosed,
}

impl RefusalKind {
    /// The name by which the Event History knows this kind of failure.
    pub const fn name(self) -> &'static str {
        match self {
            RefusalKind::BadRequest => "BadRequest",
            RefusalKind::BadAmount => "BadAmount",
            RefusalKind::SameAccount => "SameAccount",
            RefusalKind::UnknownAccount => "UnknownAccount",
            RefusalKind::InsufficientFunds => "InsufficientFunds",
            RefusalKind::KeyReused => "KeyReused",
            RefusalKind::TransferClosed => "TransferClosed",
        }
    }
}

/// A final no, with a sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The sort of refusal.
    pub kind: RefusalKind,
    /// Why, for a person.
    pub message: String,
}

impl Refusal {
    /// A refusal of this kind, for this reason.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
