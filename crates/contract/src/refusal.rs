//! Final errors of a transfer, which are not retried.

use std::fmt;

/// The kinds of refusal. Each is a failure type in the Event History.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request does not match the contract.
    BadRequest,
    /// The amount is invalid.
    BadAmount,
    /// Source and target are the same account.
    SameAccount,
    /// The bank has no such account.
    UnknownAccount,
    /// The account holds less than the amount.
    InsufficientFunds,
    /// The idempotency key was used for another request.
    KeyReused,
    /// The bank has closed this run of the transfer and refunded its withdrawal.
    TransferClosed,
}

impl RefusalKind {
    /// The failure type in the Event History.
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

/// A final refusal, with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// A refusal of this kind, with this message.
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
