//! The names, JSON shapes and money that cross a process boundary.
//!
//! Clients and workers written by others depend on all of it. Fields may be added, but not renamed or removed.
//!
//! **Architecture invariant:** this crate does not use HTTP, SQLite or Temporal's SDK. Every other crate may depend on it, so it
//! stays small.

#[cfg(feature = "wire")]
pub mod bank;
mod blocking;
mod money;
mod public_hosts;
mod refusal;
pub mod replay;
#[cfg(feature = "wire")]
mod transfer;
pub mod transient;

pub use blocking::Blocking;
pub use money::{Amount, AmountError, Money};
pub use public_hosts::{PUBLIC_HOSTS_VARIABLE, PublicHost, PublicHosts, PublicHostsError};
pub use refusal::{Refusal, RefusalKind};
#[cfg(feature = "wire")]
pub use transfer::{
    BalanceAnswer, BalanceQuestion, Movement, MovementAnswer, RefundAnswer, Status, Transfer,
    TransferRequest, TransferResult, TransferState, step,
};

/// The Task Queue that workers poll and clients start transfers on.
pub const TASK_QUEUE: &str = "money-transfer-task-queue";
/// The Workflow Type of a transfer.
pub const WORKFLOW_TYPE: &str = "MoneyTransferWorkflow";
/// The Query for a transfer's [`TransferState`].
pub const STATE_QUERY: &str = "get_state";
/// The custom Search Attributes of a transfer, both of type `Keyword`: the source and the target account.
pub const SEARCH_ATTRIBUTES: [&str; 2] = ["from_account", "to_account"];
/// The environment variable with the bank's URL, without a path, for a worker.
pub const BANK_URL_VARIABLE: &str = "ACCOUNT_API_URL";
/// The environment variable with the Task Queue that a worker polls instead of [`TASK_QUEUE`].
pub const TASK_QUEUE_VARIABLE: &str = "MONEY_TRANSFER_TASK_QUEUE";
/// The Worker Deployment of a lab that runs several versions of its worker at a time.
pub const DEPLOYMENT: &str = "money-transfer";
/// The environment variable with the name of a worker's Worker Deployment. With [`BUILD_ID_VARIABLE`] it switches Worker Versioning on.
/// Temporal's Worker Controller sets both in Kubernetes.
pub const DEPLOYMENT_VARIABLE: &str = "TEMPORAL_DEPLOYMENT_NAME";
/// The environment variable with the Build ID of a worker's Deployment Version.
pub const BUILD_ID_VARIABLE: &str = "TEMPORAL_WORKER_BUILD_ID";
/// The environment variable that tells a worker how many Workflows to cache. Without it, a worker caches none.
pub const WORKFLOW_CACHE_VARIABLE: &str = "BUGLAB_CACHED_WORKFLOWS";
/// The bank's default URL.
pub const DEFAULT_BANK_URL: &str = "http://127.0.0.1:5050";

/// The default Workflow Id of a transfer: `transfer-<unix seconds>-<8 hex digits>`.
///
/// The caller supplies `random`, because this crate has no random number generator.
pub fn workflow_id(unix_seconds: u64, random: u32) -> String {
    format!("transfer-{unix_seconds}-{random:08x}")
}

/// A text as one word of a POSIX shell, always in quotes.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The Task Queue of a learner's transfers, if several learners share a namespace; [`TASK_QUEUE`] without a learner.
pub fn task_queue(learner: Option<&str>) -> String {
    match learner {
        Some(learner) => format!("{TASK_QUEUE}-{learner}"),
        None => TASK_QUEUE.to_owned(),
    }
}

/// The Worker Deployment of a learner's workers, if several learners share a namespace; [`DEPLOYMENT`] without a learner.
pub fn deployment(learner: Option<&str>) -> String {
    match learner {
        Some(learner) => format!("{DEPLOYMENT}-{learner}"),
        None => DEPLOYMENT.to_owned(),
    }
}

/// The Workflow Id of a learner's transfer: the id, prefixed with the learner's name, because a namespace runs each id only once at
/// a time. Without a learner, or if the id has the prefix already, it is unchanged.
pub fn workflow_id_of(learner: Option<&str>, workflow_id: &str) -> String {
    match learner {
        Some(learner) if !workflow_id.starts_with(&format!("{learner}.")) => {
            format!("{learner}.{workflow_id}")
        }
        _ => workflow_id.to_owned(),
    }
}
