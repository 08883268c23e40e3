//! How a stage or an incident is called everywhere: its number, the title of its text, and the command that enters it.

use crate::{Milestone, STAGES, Stage};

impl Stage {
    /// Its place in the story. The first is 1; an incident has none.
    pub fn number(&self) -> Option<usize> {
        STAGES.iter().position(|stage| stage == self).map(|at| at + 1)
    }

    /// What it is called, such as before its heading: `stage`, or `drill` for an incident.
    pub fn kind(&self) -> &'static str {
        if self.number().is_some() { "stage" } else { "drill" }
    }

    /// The command that enters it.
    pub fn command(&self) -> String {
        format!("cargo xtask {} {}", self.kind(), self.name)
    }

    /// The command that enters it as an incident, with the traffic of this seed.
    pub fn command_with_seed(&self, seed: u64) -> String {
        format!("{} --seed {seed}", self.command())
    }

    /// The same, with the learner's own code in place at the end. A drill always begins with its own.
    pub fn command_that_keeps(&self) -> String {
        let keep = if self.number().is_some() { " --keep" } else { "" };
        format!("{}{keep}", self.command())
    }

    /// The heading of its text, without the number before it.
    pub fn title(&self) -> &'static str {
        let heading = self.text.source.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(self.name);
        match heading.split_once(". ") {
            Some((number, title)) if number.parse::<usize>().is_ok() => title,
            _ => heading,
        }
    }

    /// Number, title and name, to follow its [kind](Stage::kind): `2: A bug in an Activity (fix-workflow)`. An incident has no number.
    pub fn heading(&self) -> String {
        let number = self.number().map_or(String::new(), |number| format!("{number}: "));
        format!("{number}{} ({})", self.title(), self.name)
    }

    /// How far the shipped code lets the stage's transfers get, where that is the failure that its learner is to see.
    pub fn failure(&self) -> Option<Milestone> {
        let is_seen_by = |other: &Stage| {
            let precondition = other.precondition.filter(|precondition| precondition.stage == self.name)?;
            let is_held =
                matches!(precondition.milestone, Milestone::HeldAtDeposit | Milestone::PausedAtDeposit);
            (!is_held).then_some(precondition.milestone)
        };
        let failure = STAGES.iter().find_map(is_seen_by)?;
        Some(self.settles_at.unwrap_or(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_the_number_and_the_title_of_its_text() {
        for (at, stage) in STAGES.iter().enumerate() {
            assert_eq!(stage.number(), Some(at + 1), "{}", stage.name);
            let heading = format!("# {}. {}", at + 1, stage.title());
            assert_eq!(stage.text.source.lines().next(), Some(&*heading), "{}", stage.name);
            assert_eq!(stage.command(), format!("cargo xtask stage {}", stage.name));
        }
        assert!(STAGES[1].heading().starts_with("2: ") && STAGES[1].heading().ends_with(" (fix-workflow)"));
    }

    #[test]
    fn an_incident_has_a_title_and_no_number_and_is_entered_by_a_drill() {
        for crate::Incident { stage, .. } in crate::INCIDENTS {
            assert_eq!(stage.number(), None, "{}", stage.name);
            assert_eq!(stage.heading(), format!("{} ({})", stage.title(), stage.name));
            assert_eq!(stage.command(), format!("cargo xtask drill {}", stage.name));
        }
    }

    #[test]
    fn the_failure_of_a_stage_is_what_its_learner_fixes() {
        let failure = |name: &str| crate::stage(name).expect("a stage of the table").failure();
        assert_eq!(failure("jerry"), Some(Milestone::Stuck));
        assert_eq!(failure("fix-workflow"), Some(Milestone::FailsToWithdraw));
        assert_eq!(failure("jerry-limits-retries"), Some(Milestone::RetriesExhausted));
        assert_eq!(failure("fix-activity"), None);
        assert_eq!(failure("pull-the-plug"), None);
    }
}
