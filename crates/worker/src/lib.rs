//! The worker of the lab. What a learner reads and edits are its two live modules: [`workflow`] and
//! [`activities`]. `cargo xtask stage` copies other versions of them in.

#[allow(missing_docs, reason = "the macros' items; the module is the learner's")]
pub mod activities;
#[allow(missing_docs, reason = "the macros' items; the module is the learner's")]
pub mod workflow;

/// The Build ID of the two live modules as they were compiled.
pub fn build_id() -> String {
    transfer_kit::host::build_id(include_str!("workflow.rs"), include_str!("activities.rs"))
}
