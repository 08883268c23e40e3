//! Asking a running lab: its Temporal server, its bank and its supervisor, over loopback; and what the answers and the files
//! in its folder mean.
//!
//! **Architecture invariant:** this crate blocks, and depends on no runtime: the command line must build in seconds, and the
//! page's server gives it a thread of its own. What is asked for goes to the address that the caller names, and nowhere else.

pub mod bank;
pub mod class;
pub mod facts;
pub mod http;
pub mod link;
pub mod progress;
pub mod side_by_side;
pub mod start_failure;
pub mod state;
pub mod stuck;
pub mod supervisor;
pub mod temporal;
pub mod time;

/// Where the parts of a lab answer: URLs without a path; and what is the lab's own there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The Temporal server's HTTP API.
    pub temporal_http: String,
    /// The Temporal UI; empty where nobody knows of one.
    pub temporal_ui: String,
    /// The bank.
    pub bank: String,
    /// The namespace of the lab's transfers.
    pub namespace: String,
    /// Whose lab this is, where several share that namespace.
    pub learner: Option<String>,
}

impl Endpoints {
    /// Those of a lab with a Temporal server of its own.
    pub fn own(temporal_http: &str, temporal_ui: &str, bank: &str) -> Endpoints {
        Endpoints {
            temporal_http: temporal_http.to_owned(),
            temporal_ui: temporal_ui.to_owned(),
            bank: bank.to_owned(),
            namespace: OWN_NAMESPACE.to_owned(),
            learner: None,
        }
    }
}

/// A Workflow Id for a new transfer, which no other one has. It need not be hard to guess.
pub fn new_workflow_id() -> String {
    contract::workflow_id(time::unix_now(), fastrand::u32(..))
}

/// The namespace of a dev server, and so of a lab with one of its own.
pub const OWN_NAMESPACE: &str = "default";
