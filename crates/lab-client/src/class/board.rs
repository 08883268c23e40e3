//! The board: all learners of a class, those who need help first.

use lab::STAGES;
use serde_json::{Value, json};

use super::{
    held::Held,
    notices::{Announcement, Notices},
    row::Row,
};
use crate::time;

/// All learners, those who need help first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// By what they need, the most urgent first; then by how long, and by name.
    pub rows: Vec<Row>,
    /// The instructor's notices to the class.
    pub notices: Notices,
}

/// How many learners are at a stage, and how many are done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageCount {
    /// The name of the stage.
    pub name: String,
    /// Its place in the course, from 1; none for a stage that this version does not have.
    pub number: Option<usize>,
    /// Its title.
    pub title: String,
    /// The number of learners who are at it.
    pub here: usize,
    /// The number of learners who have reached all of its goals.
    pub done: usize,
}

impl StageCount {
    /// The JSON of a stage on the board.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "number": self.number,
            "title": self.title,
            "here": self.here,
            "done": self.done,
        })
    }
}

impl Board {
    /// The board of these reports at this time, in seconds since 1970.
    pub fn of(reports: Vec<Held>, now: f64) -> Board {
        let mut reports = reports;
        // The newer one of two reports of a learner.
        reports.sort_by(|a, b| a.report.learner.cmp(&b.report.learner).then(b.taken.total_cmp(&a.taken)));
        reports.dedup_by(|a, b| a.report.learner == b.report.learner);
        let rows = reports.iter().map(|held| Row::of(held, now)).collect();
        let mut board = Board { rows, notices: Notices::default() };
        board.sort();
        board
    }

    /// Adds the instructor's notices. Acknowledged questions come after the others.
    pub fn note(&mut self, notices: Notices) {
        for row in &mut self.rows {
            let help = row.report.help.as_ref();
            row.coming = help.is_some_and(|help| notices.is_coming_to(&row.report.learner, help));
        }
        self.notices = notices;
        self.sort();
    }

    fn sort(&mut self) {
        self.rows.sort_by(|a, b| {
            let urgency = |row: &Row| (row.need(), row.coming);
            urgency(a)
                .cmp(&urgency(b))
                .then(b.needed_for().total_cmp(&a.needed_for()))
                .then(a.report.learner.cmp(&b.report.learner))
        });
    }

    /// The number of learners with a question.
    pub fn asking(&self) -> usize {
        self.rows.iter().filter(|row| row.help_for.is_some()).count()
    }

    /// The stages in order, and then those of learners with another version of the lab.
    pub fn stages(&self) -> Vec<StageCount> {
        let count = |name: &str, number: Option<usize>, title: &str| StageCount {
            name: name.to_owned(),
            number,
            title: title.to_owned(),
            here: self.rows.iter().filter(|row| row.report.stage == name).count(),
            done: self.rows.iter().filter(|row| row.is_done_with(name)).count(),
        };
        let known = STAGES.iter().map(|stage| count(stage.name, Some(stage.number()), stage.title()));
        let others = self.rows.iter().map(|row| row.report.stage.as_str());
        let mut others: Vec<&str> = others.filter(|name| lab::stage(name).is_none()).collect();
        others.sort_unstable();
        others.dedup();
        known.chain(others.into_iter().map(|name| count(name, None, name))).collect()
    }

    /// The goals that the room has reached, and those of all stages for all learners.
    pub fn goals(&self) -> (usize, usize) {
        let goals: usize = STAGES.iter().map(|stage| stage.goals.len()).sum();
        (self.rows.iter().map(Row::reached_in_all).sum(), goals * self.rows.len())
    }

    fn announcement(&self) -> Option<Value> {
        self.notices.announcement.as_ref().map(Announcement::to_json)
    }

    /// The JSON of `class board --json` and the page.
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let stages: Vec<Value> = self.stages().iter().map(StageCount::to_json).collect();
        json!({
            "time": time::rfc3339(time::unix_now()),
            "announcement": self.announcement(),
            "open": self.notices.open,
            "stages": stages,
            "learners": rows,
        })
    }

    /// The JSON of the wall view: counts, without names and failures.
    pub fn to_wall_json(&self) -> Value {
        let (reached, of) = self.goals();
        // The name of an unknown stage is a learner's input.
        let stages: Vec<Value> =
            self.stages().iter().filter(|stage| stage.number.is_some()).map(StageCount::to_json).collect();
        json!({
            "announcement": self.announcement(),
            "open": self.notices.open,
            "learners": self.rows.len(),
            "reached": reached,
            "of": of,
            "stages": stages,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::tests::held;

    const NOW: &str = "2026-11-22T12:10:00Z";

    fn now() -> f64 {
        time::parse_rfc3339(NOW).expect("it is one")
    }

    fn names(board: &Board) -> Vec<&str> {
        board.rows.iter().map(|row| row.report.learner.as_str()).collect()
    }

    #[test]
    fn who_needs_somebody_comes_first() {
        let report = |fields: &Value| {
            let mut report = json!({ "time": NOW, "stage": "jerry", "goals": [{ "says": "a goal" }] });
            for (name, value) in fields.as_object().into_iter().flatten() {
                report[name] = value.clone();
            }
            report
        };
        let learner = |name: &str, fields: Value| held(name, NOW, &report(&fields));
        let goal_at = |minute: u32| json!({ "goal_since": format!("2026-11-22T12:{minute:02}:00Z") });
        let asks = |minute: u32| json!({ "help": { "text": "help!", "since": format!("2026-11-22T12:{minute:02}:00Z") } });
        let board = Board::of(
            vec![
                learner(
                    "done",
                    json!({ "goals": [{ "reached": true }], "goal_since": "2026-11-22T11:00:00Z" }),
                ),
                learner("quick", goal_at(9)),
                learner("slow", goal_at(4)),
                learner("slower", goal_at(2)),
                held("silent", "2026-11-22T12:00:00Z", &report(&goal_at(0))),
                learner("wrong", json!({ "wrong": 1 })),
                learner("stopped", json!({ "wrong": 1, "state": "stopped" })),
                learner("asks", asks(7)),
                learner("asks-longer", asks(5)),
            ],
            now(),
        );
        let order = ["asks-longer", "asks", "wrong", "silent", "slower", "slow", "quick", "stopped", "done"];
        assert_eq!(names(&board), order);
        assert_eq!((board.asking(), board.rows[0].help_for), (2, Some(300.0)));
        let json = board.to_json();
        let needs: Vec<&str> = json["learners"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["need"].as_str())
            .collect();
        let [help, goal] = ["help", "no-new-goal"];
        assert_eq!(needs, [help, help, "rule-broken", "silent", goal, goal, "nothing", "nothing", "done"]);
        assert_eq!(json["learners"][4]["no_new_goal_s"], 480);

        let mut board = board;
        let since = |row: &Row| row.report.help.as_ref().map(|help| help.since.clone()).unwrap_or_default();
        // The second one is of an earlier question.
        let coming = [("asks-longer".to_owned(), since(&board.rows[0])), ("asks".to_owned(), NOW.to_owned())];
        board.note(Notices { coming: coming.into(), ..Notices::default() });
        assert_eq!(names(&board)[..2], ["asks", "asks-longer"]);
        let coming: Vec<bool> = board.rows.iter().map(|row| row.coming).collect();
        assert_eq!(coming[..3], [false, true, false]);
    }

    #[test]
    fn the_newest_report_of_a_learner_counts() {
        let reports = vec![
            held("ada", "2026-11-22T12:08:00Z", &json!({ "help": { "text": "help!" } })),
            held("ada", "2026-11-22T12:09:00Z", &json!({ "stage": "jerry" })),
            held("bob", "2026-11-22T12:09:00Z", &json!({})),
        ];
        let board = Board::of(reports.clone(), now());
        assert_eq!(names(&board), ["ada", "bob"]);
        assert_eq!((board.rows[0].report.stage.as_str(), board.rows[0].seen), ("jerry", 60.0));
        assert_eq!(board.rows[0].presence(), "here");
        assert_eq!(Board::of(reports, now() + 100.0).rows[0].presence(), "silent");
    }

    #[test]
    fn durations_are_right_even_if_a_learners_clock_is_wrong() {
        let report = json!({
            "time": "2031-01-01T00:01:00Z",
            "goal_since": "2031-01-01T00:00:30Z",
            "stuck": { "workflow_id": "t", "what": "x", "attempt": 3, "since": "2031-01-01T00:00:00Z" },
        });
        let held = held("ada", "2026-11-22T12:00:00Z", &report);
        let row = Row::of(&held, held.taken + 5.0);
        assert_eq!((row.stuck_for, row.goal_for, row.seen), (Some(65.0), Some(35.0), 5.0));
        assert_eq!(row.to_json()["stuck"]["for_s"], 65);
    }

    #[test]
    fn a_lab_that_has_stopped_is_not_silent() {
        let held = held("ada", "2026-11-22T12:00:00Z", &json!({ "state": "stopped" }));
        assert_eq!(Row::of(&held, held.taken + 1e6).presence(), "stopped");
    }

    #[test]
    fn stages_are_counted_and_the_wall_names_nobody() {
        let [first, second] = [&STAGES[0], &STAGES[1]];
        let goals = vec![json!({ "reached": true }); second.goals.len()];
        let reports = vec![
            held("ada", NOW, &json!({ "stage": second.name, "goals": goals, "done": [first.name, "eve"] })),
            held("bob", NOW, &json!({ "stage": first.name, "goals": [{ "reached": true }, {}] })),
            held("cyd", NOW, &json!({ "stage": "<b>another</b>", "stuck": { "failure": "no such" } })),
        ];
        let board = Board::of(reports, now());
        let counts: Vec<(usize, usize)> =
            board.stages().iter().map(|stage| (stage.here, stage.done)).collect();
        assert_eq!(counts.len(), STAGES.len() + 1);
        assert_eq!((counts[0], counts[1], counts[2], counts[STAGES.len()]), ((1, 1), (1, 1), (0, 0), (1, 0)));
        assert_eq!(board.goals().0, first.goals.len() + second.goals.len() + 1);
        let wall = board.to_wall_json().to_string();
        for secret in ["ada", "bob", "cyd", "another", "no such"] {
            assert!(!wall.contains(secret), "{secret} in {wall}");
        }
    }
}
