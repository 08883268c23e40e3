//! To be written.
use crate::Goal;
pub(crate) const GOALS: &[Goal] = &[];
