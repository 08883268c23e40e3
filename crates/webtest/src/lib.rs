//! For the tests of what is reached over a network: whether an answer is as `openapi.json` describes it, connections that send just
//! what a test says, a web service that answers what a test says, TLS before a server; and what becomes of a test where something that it needs is missing.
//!
//! What is not as it must be is a panic, since this is for tests.

mod connection;
mod crowd;
mod openapi;
mod skipping;
#[cfg(feature = "tls")]
mod tls;
mod web_service;

pub use connection::{Answer, Connection, ask};
pub use crowd::{SlowClients, ask_at_once};
pub use openapi::{METHODS, OpenApi, Operation};
pub use skipping::{has, skip};
#[cfg(feature = "tls")]
pub use tls::{Certificates, Front, Manner};
pub use web_service::{Request, web_service};
