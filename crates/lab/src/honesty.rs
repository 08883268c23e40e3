//! What no fix may do: skip a step, claim a success, pay twice.

use crate::{Evidence, Facts};

/// Something that a transfer did and should not have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which transfer, and where it can be seen.
    pub evidence: Evidence,
    /// What that means and what to look at.
    pub meaning: String,
}

/// Everything that is wrong with these transfers, whatever the stage.
pub fn wrong(_facts: &Facts) -> Vec<Wrong> {
    Vec::new()
}
