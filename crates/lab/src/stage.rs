//! The table of stages: the modules of each, the situation it begins with, and its goals.
//!
//! **Architecture invariant:** a stage is a row here, its variants in `crates/stages/src` and its text in `lab/`.
//! The variants are those files, byte for byte, so what a stage puts in place is what its tests have run.

use crate::{
    Goal, Text, Variant,
    goals::{completion, deprecation, kills, limits, resets, roll_out, versioning, withdrawal, workflow_bug},
    variant::variant,
};

const WORKFLOW_JERRY: Variant = variant!("workflow", "jerry");
const WORKFLOW_FIXED: Variant = variant!("workflow", "fixed");
const WORKFLOW_ADDED_STEP: Variant = variant!("workflow", "added_step");
const WORKFLOW_VERSIONED: Variant = variant!("workflow", "versioned");
const WORKFLOW_LIMITED: Variant = variant!("workflow", "limited");
const WORKFLOW_RETRIES_BY_AMOUNT: Variant = variant!("workflow", "retries_by_amount");
const ACTIVITIES_JERRY: Variant = variant!("activities", "jerry");
const ACTIVITIES_FIXED: Variant = variant!("activities", "fixed");
const ACTIVITIES_RETRIES_REFUSALS: Variant = variant!("activities", "retries_refusals");

/// The Workflow modules that no stage begins with: a learner writes them.
pub(crate) static WRITTEN_WORKFLOWS: [Variant; 2] =
    [variant!("workflow", "deprecated"), variant!("workflow", "retries_any_amount")];

macro_rules! text {
    ($name:expr) => {
        crate::Text { file: concat!("lab/", $name), source: include_str!(concat!("../../../lab/", $name)) }
    };
}

pub(crate) use text;

/// A stage of the story.
#[derive(Debug)]
pub struct Stage {
    /// What a learner types after `cargo xtask stage`.
    pub name: &'static str,
    /// Its text: goal, what to do, what to see, why, hints.
    pub text: Text,
    /// The Workflow module of this stage.
    pub workflow: Variant,
    /// The activities module of this stage.
    pub activities: Variant,
    /// Whether entering it shows how its modules differ from those in place: a fix is for reading, a bug for finding.
    pub shows_diff: bool,
    /// The transfers that must exist before its modules run.
    pub precondition: Option<Precondition>,
    /// How many transfers to start once its modules run.
    pub starts: u32,
    /// Where its transfers stay until a learner does something, if they do not close.
    pub settles_at: Option<Milestone>,
    /// Whether entering it takes the bank's deposits out of service.
    pub deposits_down: bool,
    /// Whether its workers are versions of a Worker Deployment, which run side by side: the code of its precondition is version 1 and
    /// its own is version 2. Saving a file then builds and does not deploy.
    pub has_versions: bool,
    /// What to look at once the stage is entered, a paragraph each.
    pub look: &'static [&'static str],
    /// Its goals, in order.
    pub goals: &'static [Goal],
    /// The stage that has the shipped fix for this one.
    pub fixed_by: Option<&'static str>,
}

/// Transfers that a stage begins with, started with another stage's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// That other stage.
    pub stage: &'static str,
    /// At least so many transfers.
    pub transfers: u32,
    /// How far they must have come.
    pub milestone: Milestone,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It is stuck on the Workflow's own code or on its withdrawal: fixed code lets it continue.
    Stuck,
    /// Its withdrawal fails and is retried without limit.
    FailsToWithdraw,
    /// It has withdrawn and waits for its deposit, which the bank does not accept.
    HeldAtDeposit,
    /// It has withdrawn, and its deposit is paused.
    PausedAtDeposit,
    /// The Workflow code does not replay its Event History.
    Broken,
    /// It has failed because its Activity reached Maximum Attempts.
    RetriesExhausted,
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
        settles_at: None,
        deposits_down: false,
        has_versions: false,
        look: &[
            "Start a transfer and see where it stops: cargo xtask transfer account_A account_B 25.50",
            "Its Workflow Task fails, and Temporal keeps retrying it. The transfer itself has not failed: it waits \
             for code that works.",
            "Find the line that the failure names, fix it and save: the lab rebuilds and restarts the worker.",
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
        settles_at: Some(Milestone::FailsToWithdraw),
        deposits_down: false,
        has_versions: false,
        look: &[
            "The stuck transfers continue without your help, up to withdraw, which now fails attempt after \
             attempt: cargo xtask lab status",
            "Find the address that withdraw calls, fix it and save.",
        ],
        goals: withdrawal::GOALS,
        fixed_by: Some("fix-activity"),
    },
    Stage {
        name: "fix-activity",
        text: text!("03-fix-activity.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_RETRIES_REFUSALS,
        shows_diff: false,
        precondition: Some(Precondition { stage: "fix-workflow", transfers: 1, milestone: Milestone::Stuck }),
        starts: 0,
        settles_at: Some(Milestone::FailsToWithdraw),
        deposits_down: false,
        has_versions: false,
        look: &[
            "Every stuck transfer completes on its next attempt. To retry right away: cargo xtask retry",
            "Then transfer more than the account holds, and see Temporal retry it: cargo xtask transfer account_A account_B 5000",
        ],
        goals: completion::GOALS,
        fixed_by: Some("reset-workflows"),
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
        settles_at: Some(Milestone::Broken),
        deposits_down: false,
        has_versions: false,
        look: &[
            "The transfers that had withdrawn before the change are stuck; the one started since completes: \
             cargo xtask lab status",
            "Jerry's step itself is correct. Why do the old transfers make no progress?",
        ],
        goals: versioning::GOALS,
        fixed_by: Some("version-workflow"),
    },
    Stage {
        name: "version-workflow",
        text: text!("05-version-workflow.md"),
        workflow: WORKFLOW_VERSIONED,
        activities: ACTIVITIES_FIXED,
        shows_diff: false,
        precondition: Some(Precondition {
            stage: "jerry-adds-step",
            transfers: 1,
            milestone: Milestone::Broken,
        }),
        starts: 2,
        settles_at: Some(Milestone::HeldAtDeposit),
        deposits_down: true,
        has_versions: false,
        look: &[
            "The stuck transfers complete without the step. Two new ones have recorded the patch; the bank accepts \
             no deposits, so they stay in progress: cargo xtask lab status",
            "Remove the patch, and before you deploy that: cargo xtask test --mine --replay",
        ],
        goals: deprecation::GOALS,
        fixed_by: None,
    },
    Stage {
        name: "roll-out",
        text: text!("06-roll-out.md"),
        workflow: WORKFLOW_RETRIES_BY_AMOUNT,
        activities: ACTIVITIES_FIXED,
        shows_diff: false,
        precondition: Some(Precondition {
            stage: "reset-workflows",
            transfers: 3,
            milestone: Milestone::PausedAtDeposit,
        }),
        starts: 0,
        settles_at: Some(Milestone::PausedAtDeposit),
        deposits_down: false,
        has_versions: true,
        look: &[
            "Version 1 takes all transfers; three are in progress on it. Jerry's version 2 runs beside it and takes none yet: \
             cargo xtask lab status",
            "Send one new transfer in five to version 2, and see what happens: lab/06-roll-out.md has the commands.",
        ],
        goals: roll_out::GOALS,
        fixed_by: None,
    },
    Stage {
        name: "jerry-limits-retries",
        text: text!("07-jerry-limits-retries.md"),
        workflow: WORKFLOW_LIMITED,
        activities: ACTIVITIES_JERRY,
        shows_diff: false,
        precondition: None,
        starts: 4,
        settles_at: None,
        deposits_down: false,
        has_versions: false,
        look: &[
            "Four transfers were started. Each fails for good after three attempts: cargo xtask check",
            "Fix what is wrong, and see new transfers complete. What happens to those that have failed?",
        ],
        goals: limits::GOALS,
        fixed_by: Some("reset-workflows"),
    },
    Stage {
        name: "reset-workflows",
        text: text!("08-reset-workflows.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: Some(Precondition {
            stage: "jerry-limits-retries",
            transfers: 3,
            milestone: Milestone::RetriesExhausted,
        }),
        starts: 0,
        settles_at: None,
        deposits_down: false,
        has_versions: false,
        look: &[
            "The failed transfers stay failed: fixed code alone does not reopen a closed Workflow.",
            "Reset one by hand, then the others in one batch. cargo xtask check prints the commands, and \
             lab/08-reset-workflows.md explains them.",
        ],
        goals: resets::GOALS,
        fixed_by: None,
    },
    Stage {
        name: "pull-the-plug",
        text: text!("09-pull-the-plug.md"),
        workflow: WORKFLOW_FIXED,
        activities: ACTIVITIES_FIXED,
        shows_diff: true,
        precondition: None,
        starts: 5,
        settles_at: Some(Milestone::HeldAtDeposit),
        deposits_down: true,
        has_versions: false,
        look: &[
            "Five transfers are in progress: their money is withdrawn, and the bank accepts no deposits.",
            "Kill any service by its pid: cargo xtask lab status",
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
