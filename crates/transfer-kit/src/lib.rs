//! What the two live modules stand on, so that they hold nothing but a transfer.
//!
//! - [`activities`]: the activities of a transfer, declared; implemented in the live `activities.rs`;
//! - [`Bank`]: one HTTP call to the bank, with the idempotency key that makes it count once;
//! - [`refused`]: a final no, in Temporal's terms;
//! - [`histories`]: the Event Histories of a server's transfers;
//! - [`host`]: the worker around the two modules;
//! - [`output`]: what the worker prints;
//! - [`replay`]: whether code can continue the transfers that are in progress;
//! - [`stuck`]: why a transfer does not move on.
//!
//! **Architecture invariant:** this crate knows neither the live modules nor any variant of them. Both
//! the worker and the tests of the variants run on it, so what is tested is what runs.

pub mod activities;
mod bank;
mod blocking;
mod failure;
pub mod histories;
pub mod host;
mod idempotency;
mod input;
pub mod output;
mod panic_location;
pub mod replay;
pub mod stuck;

pub use bank::Bank;
pub use failure::{give_up, refused};
pub use input::{input, request};

use temporalio_common::search_attributes::SearchAttributeKey;

/// The Search Attribute that holds the account the money leaves.
pub const FROM_ACCOUNT: SearchAttributeKey<String> =
    SearchAttributeKey::keyword(contract::SEARCH_ATTRIBUTES[0]);
/// The Search Attribute that holds the account the money reaches.
pub const TO_ACCOUNT: SearchAttributeKey<String> =
    SearchAttributeKey::keyword(contract::SEARCH_ATTRIBUTES[1]);
