//! A lab's gateway to a remote Temporal Service.
//!
//! It listens on loopback where a lab's own dev server would, for gRPC and for the server's HTTP API, and forwards every request to
//! the service that a profile names, with that profile's TLS and API key. So the rest of a lab, and any client of it, finds a
//! Temporal server where it always does, needs no credentials, and cannot tell the difference.
//!
//! Where several learners share a namespace, it also keeps their Workflows apart: see [`Guard`].
//!
//! - [`Service`]: which service, by `temporal.toml` and `TEMPORAL_*`, as every Temporal tool reads them;
//! - [`Link`]: the connection to it, and whether the service answers;
//! - [`preflight`]: checks what a lab needs there, and creates it where the service allows that;
//! - `proxy`: gRPC, message by message;
//! - `http_api`: the server's HTTP API, from the descriptors of its gRPC one;
//! - `board`: the board of a class, as a page.

mod api;
mod board;
mod gateway;
mod guard;
mod health;
mod http_api;
mod json;
mod link;
mod preflight;
mod proxy;
mod query;
mod serve;
mod service;

pub use gateway::Gateway;
pub use guard::Guard;
pub use link::Link;
pub use preflight::preflight;
pub use serve::serve;
pub use service::Service;
