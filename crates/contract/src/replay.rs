//! What `cargo xtask test --mine` and the learner's tests agree on: environment variables, and how much is replayed.

/// Names the Temporal server whose transfers are replayed, as `host:port`. Without it, the tests replay none.
pub const SERVER_VARIABLE: &str = "BUGLAB_REPLAY_SERVER";
/// Names the namespace of those transfers, where it is not `default`.
pub const NAMESPACE_VARIABLE: &str = "BUGLAB_REPLAY_NAMESPACE";
/// Names the Task Queue of those transfers, where it is not [`TASK_QUEUE`](crate::TASK_QUEUE).
pub const TASK_QUEUE_VARIABLE: &str = "BUGLAB_REPLAY_TASK_QUEUE";
/// Names a file for a report that programs can read.
pub const REPORT_VARIABLE: &str = "BUGLAB_REPLAY_REPORT";

/// How many completed transfers are looked at, the newest: they show what the deployed code does.
pub const MOST_COMPLETED: usize = 100;
