//! When a learner last reached a new goal, and how many questions they have asked, for the lab's report.
//!
//! A lab that restarts continues from its last report on the class's service, which is the only record.

use lab_client::class::{Help, Report};

/// When a learner last reached a new goal, and the number of their questions.
#[derive(Default)]
pub(crate) struct ClassProgress {
    /// The stage, and the largest number of its goals that were reached at the same time.
    best: Option<(String, usize)>,
    /// When that number was first reached, or the stage was entered.
    since: String,
    asked: u64,
    /// When the last question was asked.
    last_asked: Option<String>,
}

impl ClassProgress {
    /// Picks up from the last report of the same lab.
    pub(crate) fn resume(last: &Report) -> ClassProgress {
        let reached = last.goals.iter().filter(|goal| goal.reached).count();
        ClassProgress {
            // A report without a time is from an earlier version of the lab.
            best: (!last.goal_since.is_empty()).then(|| (last.stage.clone(), reached)),
            since: last.goal_since.clone(),
            asked: last.asked,
            last_asked: last.help.as_ref().map(|help| help.since.clone()),
        }
    }

    /// Fills in a report.
    pub(crate) fn complete(&mut self, report: &mut Report, now: &str) {
        let reached = report.goals.iter().filter(|goal| goal.reached).count();
        let is_new = match &self.best {
            Some((stage, most)) => *stage != report.stage || reached > *most,
            None => true,
        };
        if is_new {
            self.best = Some((report.stage.clone(), reached));
            now.clone_into(&mut self.since);
        }
        report.goal_since.clone_from(&self.since);
        self.count_question(report);
    }

    /// Counts the question of a report if it is a new one.
    pub(crate) fn count_question(&mut self, report: &mut Report) {
        if let Some(Help { since, .. }) = &report.help
            && self.last_asked.as_ref() != Some(since)
        {
            self.asked += 1;
            self.last_asked = Some(since.clone());
        }
        report.asked = self.asked;
    }
}

#[cfg(test)]
mod tests {
    use lab_client::class::Goal;

    use super::*;

    fn report(stage: &str, reached: usize, help: &str) -> Report {
        let goal = |at| Goal { says: String::new(), reached: at < reached };
        let goals = (0..3).map(goal).collect();
        Report { stage: stage.to_owned(), goals, help: Help::new(help, help), ..Report::default() }
    }

    #[test]
    fn a_goal_is_new_once_and_a_question_is_counted_once() {
        let mut progress = ClassProgress::default();
        let mut last = Report::default();
        for (stage, reached, help, now, since, asked) in [
            ("jerry", 0, "", "1", "1", 0),
            ("jerry", 1, "why?", "2", "2", 1),
            ("jerry", 0, "why?", "3", "2", 1),
            ("jerry", 1, "", "4", "2", 1),
            ("jerry", 2, "how?", "5", "5", 2),
            ("fix-workflow", 0, "", "6", "6", 2),
        ] {
            last = report(stage, reached, help);
            progress.complete(&mut last, now);
            assert_eq!((last.goal_since.as_str(), last.asked), (since, asked), "at {now}");
            // A restart after each report changes nothing.
            if help.is_empty() {
                progress = ClassProgress::resume(&last);
            }
        }
        let mut resumed = ClassProgress::resume(&last);
        resumed.complete(&mut last, "7");
        assert_eq!(last.goal_since, "6");
    }
}
