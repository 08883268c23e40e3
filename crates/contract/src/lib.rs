//! What crosses a process boundary: names, JSON shapes, and money.
//!
//! Everything here is fixed by the clients and workers that others write against it. A field may be
//! added; none may be renamed or dropped.
//!
//! **Architecture invariant:** this crate knows nothing of HTTP, SQLite or Temporal's SDK. Every
//! other crate may depend on it, so it stays light.

#[cfg(feature = "wire")]
pub mod bank;
mod money;
mod refusal;
#[cfg(feature = "wire")]
mod transfer;

pub use money::{Amount, AmountError, Money};
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
/// The Query that a transfer answers with its [`TransferState`].
pub const STATE_QUERY: &str = "get_state";
/// The custom Search Attributes of a transfer, both of type `Keyword`: the account the money leaves
/// and the one it reaches.
pub const SEARCH_ATTRIBUTES: [&str; 2] = ["from_account", "to_account"];
/// The environment variable that tells a worker where the bank answers, as a URL without a path.
pub const BANK_URL_VARIABLE: &str = "ACCOUNT_API_URL";
/// The environment variable that tells a worker which Task Queue to poll in place of [`TASK_QUEUE`].
pub const TASK_QUEUE_VARIABLE: &str = "MONEY_TRANSFER_TASK_QUEUE";
/// The environment variable that tells a worker how many Workflows to cache, where it is to cache any.
pub const WORKFLOW_CACHE_VARIABLE: &str = "BUGLAB_CACHED_WORKFLOWS";
/// Where the bank answers when nobody says otherwise.
pub const DEFAULT_BANK_URL: &str = "http://127.0.0.1:5050";

/// The Workflow Id of a transfer that nobody named: `transfer-<unix seconds>-<8 hex digits>`.
///
/// `random` is the caller's: this crate has no source of randomness.
pub fn workflow_id(unix_seconds: u64, random: u32) -> String {
    format!("transfer-{unix_seconds}-{random:08x}")
}

/// The Task Queue of a learner's transfers, where several learners share a namespace; [`TASK_QUEUE`] where none is named.
pub fn task_queue(learner: Option<&str>) -> String {
    match learner {
        Some(learner) => format!("{TASK_QUEUE}-{learner}"),
        None => TASK_QUEUE.to_owned(),
    }
}

/// The Workflow Id of a learner's transfer: that of the transfer, after the learner's name, as no two Workflows of a namespace
/// that run at a time have the same. Where no learner is named, or the id begins with the name already, it stays as it is.
pub fn workflow_id_of(learner: Option<&str>, workflow_id: &str) -> String {
    match learner {
        Some(learner) if !workflow_id.starts_with(&format!("{learner}.")) => {
            format!("{learner}.{workflow_id}")
        }
        _ => workflow_id.to_owned(),
    }
}
