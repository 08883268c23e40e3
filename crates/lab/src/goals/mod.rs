//! The goals of the stages, a file for each thing that is learned.

pub(crate) mod completion;
pub(crate) mod kills;
pub(crate) mod limits;
pub(crate) mod resets;
pub(crate) mod versioning;
pub(crate) mod withdrawal;
pub(crate) mod workflow_bug;
