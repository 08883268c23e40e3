//! A lab's gateway to a remote Temporal Service.
//!
//! It listens on loopback in place of a lab's own dev server, for gRPC and the server's HTTP API, and forwards every request to the
//! service of a profile, with that profile's TLS and API key. The rest of the lab, and its clients, use it like a local Temporal
//! server, without credentials.
//!
//! If several learners share a namespace, it also keeps their Workflows apart: see [`Guard`].
//!
//! - [`Service`]: which service, from `temporal.toml` and `TEMPORAL_*`, as in every Temporal tool;
//! - [`Link`]: the connection to it, and whether the service answers;
//! - [`preflight`]: checks what a lab needs of the service, and creates what is missing if the service allows it;
//! - `proxy`: gRPC, message by message;
//! - `http_api`: the server's HTTP API, mapped to gRPC by descriptors;
//! - `moves`: counts what moves, so that the lab looks at the service only then;
//! - `board`: the class board, as a page.

mod api;
mod board;
mod gateway;
mod guard;
mod health;
mod http_api;
mod json;
mod link;
mod moves;
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
