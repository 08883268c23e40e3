//! To be written.
use crate::Goal;
pub(crate) const STEP_GOALS: &[Goal] = &[];
pub(crate) const PATCH_GOALS: &[Goal] = &[];
