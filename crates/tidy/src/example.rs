//! Example stages for tests.

use lab::{STAGES, Stage, Text, Variant};

/// A stage with the modules of the first stage.
pub(super) fn stage(name: &'static str, file: &'static str, source: &'static str) -> Stage {
    let copy = |variant: &Variant| Variant { name: variant.name, source: variant.source };
    Stage {
        name,
        text: Text { file, source },
        workflow: copy(&STAGES[0].workflow),
        activities: copy(&STAGES[0].activities),
        shows_diff: false,
        precondition: None,
        starts: 0,
        settles_at: None,
        deposits_down: false,
        has_versions: false,
        look: &[],
        goals: &[],
        fixed_by: None,
    }
}
