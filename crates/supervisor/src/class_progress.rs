//! When a learner last reached a new goal, how many questions they have asked, and their last drills, for the lab's report.
//!
//! A lab that restarts continues from its last report on the class's service, which is the only record.

use lab_client::class::{Drill, Help, MOST_DRILLS, Report};

/// When a learner last reached a new goal, the number of their questions, and their last drills.
#[derive(Default)]
pub(crate) struct ClassProgress {
    /// The stage, and the largest number of its goals that were reached at the same time.
    best: Option<(String, usize)>,
    /// When that number was first reached, or the stage was entered.
    since: String,
    asked: u64,
    /// When the last question was asked.
    last_asked: Option<String>,
    /// Each with another seed. They stay when the learner goes on to something else.
    drills: Vec<Drill>,
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
            drills: last.drills.clone(),
        }
    }

    /// Fills in a report of a lab that is at this drill, if any.
    pub(crate) fn complete(&mut self, report: &mut Report, drill: Option<Drill>, now: &str) {
        // One that was recovered from stays so when it is begun once more.
        let is_better = |drill: &Drill| {
            drill.recovered.is_some()
                || !self.drills.iter().any(|other| other.seed == drill.seed && other.recovered.is_some())
        };
        if let Some(drill) = drill.filter(is_better) {
            self.drills.retain(|other| other.seed != drill.seed);
            self.drills.push(drill);
            let oldest = self.drills.len().saturating_sub(MOST_DRILLS);
            self.drills.drain(..oldest);
        }
        report.drills.clone_from(&self.drills);
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
            progress.complete(&mut last, None, now);
            assert_eq!((last.goal_since.as_str(), last.asked), (since, asked), "at {now}");
            // A restart after each report changes nothing.
            if help.is_empty() {
                progress = ClassProgress::resume(&last);
            }
        }
        let mut resumed = ClassProgress::resume(&last);
        resumed.complete(&mut last, None, "7");
        assert_eq!(last.goal_since, "6");
    }

    #[test]
    fn the_last_drills_stay_and_each_seed_is_there_once() {
        let mut progress = ClassProgress::default();
        let mut reported = |seed, hit| {
            let mut report = Report::default();
            progress.complete(&mut report, Some(Drill { seed, hit, ..Drill::default() }), "1");
            // A restart changes nothing, and neither does what the learner does next.
            progress = ClassProgress::resume(&report);
            progress.complete(&mut report, None, "2");
            report.drills.iter().map(|drill| (drill.seed, drill.hit)).collect::<Vec<_>>()
        };
        assert_eq!(reported(7, 0), [(7, 0)]);
        assert_eq!(reported(7, 5), [(7, 5)]);
        assert_eq!(reported(8, 0), [(7, 5), (8, 0)]);
        assert_eq!(reported(7, 6), [(8, 0), (7, 6)]);
        (10..10 + MOST_DRILLS as u64).for_each(|seed| drop(reported(seed, 0)));
        assert_eq!(reported(13, 1), [(10, 0), (11, 0), (12, 0), (13, 1)]);
    }

    #[test]
    fn a_drill_that_was_recovered_from_stays_so_when_it_is_begun_once_more() {
        let mut progress = ClassProgress::default();
        let mut reported = |recovered, hints| {
            let mut report = Report::default();
            let drill = Drill { seed: 7, recovered, hints, ..Drill::default() };
            progress.complete(&mut report, Some(drill), "1");
            report.drills.iter().map(|drill| (drill.recovered, drill.hints)).collect::<Vec<_>>()
        };
        assert_eq!(reported(None, 2), [(None, 2)]);
        assert_eq!(reported(Some(90), 2), [(Some(90), 2)]);
        assert_eq!(reported(None, 0), [(Some(90), 2)]);
        assert_eq!(reported(Some(60), 0), [(Some(60), 0)]);
    }
}
