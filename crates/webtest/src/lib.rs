//! For the tests of the web services: whether an answer is as `openapi.json` describes it, and connections that send just
//! what a test says.
//!
//! What is not as it must be is a panic, since this is for tests.

mod connection;
mod crowd;
mod openapi;

pub use connection::{Answer, Connection, ask};
pub use crowd::{SlowClients, ask_at_once};
pub use openapi::{METHODS, OpenApi, Operation};
