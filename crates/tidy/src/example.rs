//! Example stages and incidents for tests.

use lab::{INCIDENTS, Incident, STAGES, Stage, Text, Variant};

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

/// An incident with the modules of the first stage.
pub(super) fn incident(name: &'static str, source: &'static str) -> Incident {
    let file = format!("lab/drills/{name}.md").leak();
    let first = &INCIDENTS[0];
    let (goals, fixed_by) = (first.stage.goals, first.stage.fixed_by);
    Incident { stage: Stage { goals, fixed_by, ..stage(name, file, source) }, bank: None, met: first.met }
}
