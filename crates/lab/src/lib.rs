//! The table of stages: which variant of the two live modules each has, and what its learner is told.
//!
//! **Architecture invariant:** a stage is a row here and nothing else. The variants are the files in
//! `crates/stages`, byte for byte, so what a stage copies in is what its tests have run.

/// The Workflow module that a learner edits, relative to the project's folder.
pub const LIVE_WORKFLOW: &str = "crates/worker/src/workflow.rs";
/// The activities module that a learner edits, relative to the project's folder.
pub const LIVE_ACTIVITIES: &str = "crates/worker/src/activities.rs";

/// One version of a live module.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its file in `crates/stages/src/workflow` or `…/activities`, without the ending.
    pub name: &'static str,
    /// The whole text of that file.
    pub source: &'static str,
}

macro_rules! variant {
    ($kind:literal, $name:literal) => {
        Variant { name: $name, source: include_str!(concat!("../../stages/src/", $kind, "/", $name, ".rs")) }
    };
}

const WORKFLOW_JERRY: Variant = variant!("workflow", "jerry");
const WORKFLOW_FIXED: Variant = variant!("workflow", "fixed");
const ACTIVITIES_JERRY: Variant = variant!("activities", "jerry");
const ACTIVITIES_FIXED: Variant = variant!("activities", "fixed");

/// A stage of the story.
#[derive(Debug, PartialEq, Eq)]
pub struct Stage {
    /// What a learner types after `cargo xtask stage`.
    pub name: &'static str,
    /// One line for the list of stages.
    pub summary: &'static str,
    /// The Workflow module of this stage.
    pub workflow: Variant,
    /// The activities module of this stage.
    pub activities: Variant,
    /// What to look at once the stage is entered; a paragraph each.
    pub look: &'static [&'static str],
}

/// The stages, in the order of the story. The first is how a fresh lab begins.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "jerry",
        summary: "Jerry's change as he pushed it: no transfer gets past its first balance check",
        workflow: WORKFLOW_JERRY,
        activities: ACTIVITIES_JERRY,
        look: &[
            "Start a transfer and see where it stops: cargo xtask transfer account_A account_B 25.50",
            "Its Workflow Task fails and is tried again, over and over. The transfer itself has not \
             failed: it waits for code that works.",
            "Find the line that the failure names, mend it and save: the lab rebuilds the worker by itself. \
             Or see the shipped fix: cargo xtask stage fix-workflow",
        ],
    },
    Stage {
        name: "fix-workflow",
        summary: "the Workflow is mended, its withdraw Activity still calls a wrong address",
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_JERRY,
        look: &[
            "The stuck transfers move on by themselves, as far as withdraw, which now fails attempt after \
             attempt: cargo xtask lab status",
            "Find the address that withdraw calls, mend it and save. Or see the shipped fix: \
             cargo xtask stage fix-activity",
        ],
    },
    Stage {
        name: "fix-activity",
        summary: "both modules are mended: every stuck transfer completes",
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        look: &[
            "Every transfer completes by itself at its next attempt. To not wait for it: cargo xtask retry",
            "Look at one in the Temporal UI: its Event History tells the whole story.",
        ],
    },
];

/// The stage of that name.
pub fn stage(name: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_can_be_found_by_its_name_and_no_name_twice() {
        for stage in STAGES {
            assert_eq!(super::stage(stage.name), Some(stage));
        }
        assert_eq!(stage("fix-everything"), None);
    }
}
