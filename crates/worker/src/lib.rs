//! The worker of the lab. What a learner reads and edits are its two live modules: [`workflow`] and
//! [`activities`]. `cargo xtask stage` copies other versions of them in.

#[allow(missing_docs, reason = "the macros' items; the module is the learner's")]
pub mod activities;
#[allow(missing_docs, reason = "the macros' items; the module is the learner's")]
pub mod workflow;
