//! Clients of a running lab's Temporal server, bank and supervisor, over loopback; and the types of their responses and of the files
//! in the lab's folder.
//!
//! **Architecture invariant:** this crate is blocking and uses no async runtime: the command line must build in seconds, and the
//! page's server calls it on separate threads. Requests go only to the address that the caller names.

pub mod bank;
pub mod class;
pub mod drill_report;
pub mod drill_status;
pub mod drill_traffic;
pub mod facts;
pub mod html;
pub mod http;
pub mod journal;
pub mod kept_versions;
pub mod link;
pub mod moves;
pub mod progress;
pub mod retry;
pub mod side_by_side;
pub mod start_failure;
pub mod state;
pub mod stuck;
pub mod stuck_since;
pub mod supervisor;
pub mod temporal;
pub mod time;
pub mod traffic;
pub mod versions;

/// The URLs of a lab's parts, without paths; and the lab's namespace and learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The Temporal server's HTTP API.
    pub temporal_http: String,
    /// The Temporal UI; empty if unknown.
    pub temporal_ui: String,
    /// The bank.
    pub bank: String,
    /// The namespace of the lab's transfers.
    pub namespace: String,
    /// The learner whose lab this is, if several share the namespace.
    pub learner: Option<String>,
}

impl Endpoints {
    /// The endpoints of a lab with its own Temporal server.
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

/// A unique Workflow Id for a new transfer. It need not be hard to guess.
pub fn new_workflow_id() -> String {
    contract::workflow_id(time::unix_now(), fastrand::u32(..))
}

/// The namespace of a dev server, and so of a lab with its own server.
pub const OWN_NAMESPACE: &str = "default";
