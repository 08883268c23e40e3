//! Other fixes than the shipped ones, right and wrong. One worker runs them all: a transfer's Workflow Id begins with the
//! name of the fix that it runs with, as in `asks-first` or `another-patch.old`.

pub(crate) mod activities;
pub(crate) mod workflow;

/// The fix that a Workflow Id names.
fn named(workflow_id: &str) -> &str {
    workflow_id.split('.').next().unwrap_or_default()
}
