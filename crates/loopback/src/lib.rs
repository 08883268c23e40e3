//! What a web service of the lab needs to run on loopback.
//!
//! **Architecture invariant:** this crate knows nothing of what the services are for, and of no other
//! crate of the lab.

mod failure;
mod local_only;
mod serve;

pub use failure::Failure;
pub use local_only::{local_host, local_origin, same_origin};
pub use serve::{CONNECTIONS, serve, serve_at_most};
