//! What a learner wants of entering a stage, and what will be done for it, in words.

use anyhow::{Context, Result};
use lab::{Milestone, Precondition, Stage};

use crate::transfer_watch::milestone_words;

/// What becomes of the learner's code, and of transfers that are left over from earlier stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Prepare the stage's transfers with the shipped code, then put the learner's own code back.
    pub keep: bool,
    /// Terminate the transfers that are left over.
    pub clean: bool,
    /// The seed of an incident's traffic.
    pub seed: u64,
}

/// How many transfers a stage starts once its code runs. One whose failure is to be seen again needs one that fails.
pub(crate) fn starts(stage: &Stage, choice: Choice) -> u32 {
    let needs_one = choice.keep && stage.precondition.is_none() && stage.failure().is_some();
    stage.starts.max(u32::from(needs_one))
}

/// The steps by which a stage is entered, a line each. `there` counts the transfers that are already where a stage needs them.
pub(crate) fn plan(
    stage: &Stage,
    choice: Choice,
    puts_back: bool,
    there: &dyn Fn(&Precondition) -> Result<usize>,
) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    add_steps(stage, starts(stage, choice), there, &mut steps)?;
    if puts_back && stage.has_versions {
        steps.push("put your own code back, for you to deploy".to_owned());
    } else if puts_back {
        let until = match stage.failure() {
            Some(milestone) => {
                let [one, more] = milestone_words(milestone);
                match wanted(stage, choice) {
                    1 => format!("once the transfer {one}, "),
                    number => format!("once {number} transfers {more}, "),
                }
            }
            None => String::new(),
        };
        steps.push(format!("{until}put your own code back and build it"));
    }
    Ok(steps)
}

/// How many of its transfers a stage's failure is to be seen on.
pub(crate) fn wanted(stage: &Stage, choice: Choice) -> usize {
    let transfers = stage.precondition.map_or(starts(stage, choice), |precondition| precondition.transfers);
    transfers as usize
}

fn add_steps(
    stage: &Stage,
    starts: u32,
    there: &dyn Fn(&Precondition) -> Result<usize>,
    steps: &mut Vec<String>,
) -> Result<()> {
    if let Some(precondition) = &stage.precondition {
        let wanted = precondition.transfers as usize;
        let missing = wanted.saturating_sub(there(precondition)?);
        let base = lab::stage(precondition.stage)
            .with_context(|| format!("there is no stage {}", precondition.stage))?;
        match precondition.milestone {
            _ if missing == 0 => {}
            // That stage's own transfers come so far by themselves.
            Milestone::Broken | Milestone::RetriesExhausted => add_steps(base, base.starts, there, steps)?,
            milestone => steps.push(format!(
                "with the code of {}{}: start {}, and wait until {}",
                base.name,
                if stage.has_versions { ", as version 1" } else { "" },
                number_of(missing, ["transfer", "transfers"]),
                match missing {
                    1 => format!("it {}", milestone_words(milestone)[0]),
                    _ => format!("they {}", milestone_words(milestone)[1]),
                }
            )),
        }
    }
    let mut step = format!("put the code of {} in place and build it", stage.name);
    if stage.has_versions {
        step.push_str(", as version 2, which takes no new transfers yet");
    }
    if stage.deposits_down {
        step.push_str(", take the bank's deposits down");
    }
    if starts > 0 {
        step.push_str(&format!(", start {}", number_of(starts as usize, ["transfer", "transfers"])));
    }
    steps.push(step);
    Ok(())
}

/// A number with its word, which follows it in the singular or in the plural.
fn number_of(number: usize, [one, more]: [&str; 2]) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(stage: &str, keep: bool, there: usize) -> Vec<String> {
        let stage = lab::stage(stage).expect("a stage of the table");
        plan(stage, Choice { keep, ..Choice::default() }, keep, &|_| Ok(there)).expect("the stages are there")
    }

    #[test]
    fn a_stage_whose_transfers_are_there_only_needs_its_code() {
        assert_eq!(steps("fix-workflow", false, 1), ["put the code of fix-workflow in place and build it"]);
    }

    #[test]
    fn a_stage_whose_transfers_are_missing_starts_them_under_the_code_before() {
        assert_eq!(
            steps("fix-workflow", false, 0),
            [
                "with the code of jerry: start 1 transfer, and wait until it is stuck",
                "put the code of fix-workflow in place and build it"
            ]
        );
    }

    #[test]
    fn the_learners_own_code_comes_back_once_the_failure_is_there_to_see() {
        assert_eq!(
            steps("jerry", true, 0),
            [
                "put the code of jerry in place and build it, start 1 transfer",
                "once the transfer is stuck, put your own code back and build it"
            ]
        );
    }

    #[test]
    fn a_stage_with_versions_runs_its_code_beside_version_1_and_leaves_the_learners_to_be_deployed() {
        assert_eq!(
            steps("roll-out", true, 0),
            [
                "with the code of reset-workflows, as version 1: start 3 transfers, and wait until they have withdrawn, and their \
                 deposits are paused",
                "put the code of roll-out in place and build it, as version 2, which takes no new transfers yet",
                "put your own code back, for you to deploy"
            ]
        );
    }

    #[test]
    fn no_step_is_planned_twice() {
        for stage in lab::STAGES {
            let steps = steps(stage.name, true, 0);
            for (at, step) in steps.iter().enumerate() {
                assert!(!steps[..at].contains(step), "{}: {steps:?}", stage.name);
            }
        }
    }
}
