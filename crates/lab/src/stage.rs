//! The table of stages: the modules of each, the situation it begins with, and what its learner is to reach.
//!
//! **Architecture invariant:** a stage is a row here, its variants in `crates/stages/src` and its text in `lab/`.
//! The variants are those files, byte for byte, so what a stage copies in is what its tests have run.

use crate::{
    Goal, Text, Variant,
    goals::{completion, kills, limits, resets, versioning, withdrawal, workflow_bug},
    variant::variant,
};

const WORKFLOW_JERRY: Variant = variant!("workflow", "jerry");
const WORKFLOW_FIXED: Variant = variant!("workflow", "fixed");
const WORKFLOW_ADDED_STEP: Variant = variant!("workflow", "added_step");
const WORKFLOW_VERSIONED: Variant = variant!("workflow", "versioned");
const WORKFLOW_LIMITED: Variant = variant!("workflow", "limited");
const ACTIVITIES_JERRY: Variant = variant!("activities", "jerry");
const ACTIVITIES_FIXED: Variant = variant!("activities", "fixed");

macro_rules! text {
    ($name:literal) => {
        Text { file: concat!("lab/", $name), source: include_str!(concat!("../../../lab/", $name)) }
    };
}

/// A stage of the story.
#[derive(Debug)]
pub struct Stage {
    /// What a learner types after `cargo xtask stage`.
    pub name: &'static str,
    /// What there is to read: goal, what to do, what is seen, why, hints.
    pub text: Text,
    /// The Workflow module of this stage.
    pub workflow: Variant,
    /// The activities module of this stage.
    pub activities: Variant,
    /// Whether entering it shows how its modules differ from those in place: a fix is to be read, a bug to be found.
    pub shows_diff: bool,
    /// The transfers that are to be there before its modules run.
    pub precondition: Option<Precondition>,
    /// How many transfers are started once its modules run.
    pub starts: u32,
    /// Where its transfers come to a rest, if not at their end, until a learner does something.
    pub rests: Option<Milestone>,
    /// Whether the bank's deposits are out of service while a learner is here.
    pub deposits_down: bool,
    /// What to look at once the stage is entered; a paragraph each.
    pub look: &'static [&'static str],
    /// What is to be reached, in order.
    pub goals: &'static [Goal],
    /// The stage that has the shipped fix for what is wrong in this one.
    pub fixed_by: Option<&'static str>,
}

/// Transfers that a stage begins with, under way under another stage's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// That other stage.
    pub stage: &'static str,
    /// At least so many transfers.
    pub transfers: u32,
    /// How far they have to have come.
    pub milestone: Milestone,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It is stuck on the Workflow's own code, or on its withdrawal: mended code brings it further.
    Stuck,
    /// Its withdrawal fails and is tried again, without limit.
    FailsToWithdraw,
    /// It has withdrawn, and waits for a bank that takes no deposits.
    HeldAtDeposit,
    /// Its Event History does not fit the Workflow code any more.
    Broken,
    /// It has failed for good, as its Activity was out of attempts.
    OutOfAttempts,
}

/// The stages, in the order of the story. The first is how a fresh lab begins.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "jerry",
        text: text!("01-jerry.md"),
        workflow: WORKFLOW_JERRY,
        activities: ACTIVITIES_JERRY,
        shows_diff: false,
        precondition: None,
        starts: 0,
        rests: None,
        deposits_down: false,
        look: &[
            "Start a transfer and see where it stops: cargo xtask transfer account_A account_B 25.50",
            "Its Workflow Task fails and is tried again, over and over. The transfer itself has not \
             failed: it waits for code that works.",
            "Find the line that the failure names, mend it and save: the lab rebuilds the worker by itself.",
        ],
        goals: workflow_bug::GOALS,
        fixed_by: Some("fix-workflow"),
    },
    Stage {
        name: "fix-workflow",
        text: text!("02-fix-workflow.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_JERRY,
        shows_diff: true,
        precondition: Some(Precondition { stage: "jerry", transfers: 1, milestone: Milestone::Stuck }),
        starts: 0,
        rests: Some(Milestone::FailsToWithdraw),
        deposits_down: false,
        look: &[
            "The stuck transfers move on by themselves, as far as withdraw, which now fails attempt after \
             attempt: cargo xtask lab status",
            "Find the address that withdraw calls, mend it and save.",
        ],
        goals: withdrawal::GOALS,
        fixed_by: Some("fix-activity"),
    },
    Stage {
        name: "fix-activity",
        text: text!("03-fix-activity.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: Some(Precondition { stage: "fix-workflow", transfers: 1, milestone: Milestone::Stuck }),
        starts: 0,
        rests: Some(Milestone::FailsToWithdraw),
        deposits_down: false,
        look: &[
            "Every transfer completes by itself at its next attempt. To not wait for it: cargo xtask retry",
            "Then try what can never work: cargo xtask transfer account_A account_B 5000 --wait",
        ],
        goals: completion::GOALS,
        fixed_by: None,
    },
    Stage {
        name: "jerry-adds-step",
        text: text!("04-jerry-adds-step.md"),
        workflow: WORKFLOW_ADDED_STEP,
        activities: ACTIVITIES_FIXED,
        shows_diff: false,
        precondition: Some(Precondition {
            stage: "fix-activity",
            transfers: 3,
            milestone: Milestone::HeldAtDeposit,
        }),
        starts: 1,
        rests: Some(Milestone::Broken),
        deposits_down: false,
        look: &[
            "The transfers that had withdrawn before the change are stuck, the one that was started since completes: \
             cargo xtask lab status",
            "Nothing is wrong with Jerry's step in itself. Why do the old transfers not get on?",
        ],
        goals: versioning::STEP_GOALS,
        fixed_by: Some("version-workflow"),
    },
    Stage {
        name: "version-workflow",
        text: text!("05-version-workflow.md"),
        workflow: WORKFLOW_VERSIONED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: Some(Precondition {
            stage: "jerry-adds-step",
            transfers: 1,
            milestone: Milestone::Broken,
        }),
        starts: 1,
        rests: None,
        deposits_down: false,
        look: &[
            "The broken transfers go on without the new step, and the one that was started since makes it: compare the \
             two Event Histories in the Temporal UI.",
            "What tells the code which of the two it runs? Look for the MarkerRecorded event.",
        ],
        goals: versioning::PATCH_GOALS,
        fixed_by: None,
    },
    Stage {
        name: "jerry-limits-retries",
        text: text!("06-jerry-limits-retries.md"),
        workflow: WORKFLOW_LIMITED,
        activities: ACTIVITIES_JERRY,
        shows_diff: false,
        precondition: None,
        starts: 4,
        rests: None,
        deposits_down: false,
        look: &[
            "Four transfers were started. Each makes three attempts and then fails for good: cargo xtask check",
            "Mend what is wrong, and see that new transfers complete. What becomes of those that have failed?",
        ],
        goals: limits::GOALS,
        fixed_by: Some("reset-workflows"),
    },
    Stage {
        name: "reset-workflows",
        text: text!("07-reset-workflows.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: Some(Precondition {
            stage: "jerry-limits-retries",
            transfers: 3,
            milestone: Milestone::OutOfAttempts,
        }),
        starts: 0,
        rests: None,
        deposits_down: false,
        look: &[
            "The failed transfers stay failed: mended code alone does not bring back what has ended.",
            "Reset one by hand, then the others in one batch: the commands are in lab/07-reset-workflows.md",
        ],
        goals: resets::GOALS,
        fixed_by: None,
    },
    Stage {
        name: "pull-the-plug",
        text: text!("08-pull-the-plug.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: None,
        starts: 5,
        rests: Some(Milestone::HeldAtDeposit),
        deposits_down: true,
        look: &[
            "Five transfers are under way: their money is withdrawn, and the bank takes no deposits.",
            "Kill what you like, by the pids in: cargo xtask lab status",
        ],
        goals: kills::GOALS,
        fixed_by: None,
    },
];

impl PartialEq for Stage {
    /// Names are unique.
    fn eq(&self, other: &Stage) -> bool {
        self.name == other.name
    }
}

/// The stage of that name.
pub fn stage(name: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_can_be_found_by_its_name_and_no_name_twice() {
        for (at, stage) in STAGES.iter().enumerate() {
            assert_eq!(STAGES.iter().position(|other| other.name == stage.name), Some(at), "{}", stage.name);
            assert_eq!(super::stage(stage.name), Some(stage));
        }
        assert_eq!(stage("fix-everything"), None);
    }

    #[test]
    fn a_stage_names_only_stages_that_there_are() {
        for row in STAGES {
            let named =
                row.fixed_by.into_iter().chain(row.precondition.map(|precondition| precondition.stage));
            for name in named {
                assert!(stage(name).is_some(), "{}: {name}", row.name);
            }
        }
    }
}
