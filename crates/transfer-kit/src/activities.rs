//! The activities of a transfer, declared: what a Workflow names when it calls one.
//!
//! The implementations are the live module's; the compiler holds each to its declaration here.

// The macro expands to one undocumented item a method; the bodies are never run.
#![allow(missing_docs, reason = "the macro's items")]

use contract::{BalanceAnswer, BalanceQuestion, Movement, MovementAnswer, RefundAnswer};
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;

pub use activities::{CheckBalance, Deposit, Refund, Withdraw};

/// The activities of a transfer.
pub struct Activities;

#[activity_definitions]
impl Activities {
    /// Reads a balance.
    #[activity(name = "check_balance")]
    pub fn check_balance(_: BalanceQuestion) -> Result<BalanceAnswer, ActivityError> {
        unimplemented!()
    }

    /// Takes money out of an account, once.
    #[activity(name = "withdraw")]
    pub fn withdraw(_: Movement) -> Result<MovementAnswer, ActivityError> {
        unimplemented!()
    }

    /// Puts money into an account, once.
    #[activity(name = "deposit")]
    pub fn deposit(_: Movement) -> Result<MovementAnswer, ActivityError> {
        unimplemented!()
    }

    /// Gives back what the transfer took and did not deliver, if anything.
    #[activity(name = "refund")]
    pub fn refund(_: Movement) -> Result<RefundAnswer, ActivityError> {
        unimplemented!()
    }
}
