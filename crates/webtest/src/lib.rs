//! Helpers for network tests: checks against an `openapi.json`, raw connections, a scripted web service, TLS in front of a server,
//! and skipping a test whose requirements are missing.
//!
//! Errors panic, because this is for tests.

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
