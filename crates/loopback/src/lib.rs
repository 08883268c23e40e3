//! What a web service of the lab needs to run on loopback.
//!
//! **Architecture invariant:** this crate knows nothing of what the services are for, and of no other
//! crate of the lab.

mod serve;

pub use serve::{CONNECTIONS, serve, serve_at_most};
