//! Asking a running lab: its Temporal server, its bank and its supervisor, over loopback; and what the answers and the files
//! in its folder mean.
//!
//! **Architecture invariant:** this crate blocks, and depends on no runtime: the command line must build in seconds, and the
//! page's server gives it a thread of its own. What is asked for goes to the address that the caller names, and nowhere else.

pub mod bank;
pub mod facts;
pub mod http;
pub mod progress;
pub mod side_by_side;
pub mod state;
pub mod stuck;
pub mod supervisor;
pub mod temporal;
pub mod time;

/// Where the parts of a lab answer: URLs without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The Temporal server's HTTP API.
    pub temporal_http: String,
    /// The Temporal UI.
    pub temporal_ui: String,
    /// The bank.
    pub bank: String,
}
