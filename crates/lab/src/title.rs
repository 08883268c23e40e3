//! How a stage is called everywhere: its number, and the title of its text.

use crate::{Milestone, STAGES, Stage};

impl Stage {
    /// Its place in the story. The first is 1.
    pub fn number(&self) -> usize {
        1 + STAGES.iter().position(|stage| stage == self).unwrap_or_default()
    }

    /// The heading of its text, without the number before it.
    pub fn title(&self) -> &'static str {
        let heading = self.text.source.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(self.name);
        match heading.split_once(". ") {
            Some((number, title)) if number.parse::<usize>().is_ok() => title,
            _ => heading,
        }
    }

    /// Number, title and name, to follow the word "stage": `2: A bug in an Activity (fix-workflow)`.
    pub fn heading(&self) -> String {
        format!("{}: {} ({})", self.number(), self.title(), self.name)
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
            assert_eq!(stage.number(), at + 1, "{}", stage.name);
            let heading = format!("# {}. {}", stage.number(), stage.title());
            assert_eq!(stage.text.source.lines().next(), Some(&*heading), "{}", stage.name);
        }
        assert!(STAGES[1].heading().starts_with("2: ") && STAGES[1].heading().ends_with(" (fix-workflow)"));
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
