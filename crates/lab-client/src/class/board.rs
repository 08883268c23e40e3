//! The board: all learners of a class, those who need help first.

use std::collections::BTreeMap;

use lab::{INCIDENTS, STAGES, Stage};
use serde_json::{Value, json};

use super::{
    drill_state::DrillState,
    held::Held,
    notices::{Announcement, ClassDrill, Notices},
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
    /// Its place in the course, from 1; none for an incident and for a stage that this version does not have.
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

/// The states of a class's drill, each with how many learners are in it.
pub type DrillCounts = [(&'static str, usize); 5];

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

    pub(super) fn sort(&mut self) {
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

    /// How far this learner is with the class's drill, or with the last one that the learner chose.
    pub fn drill_of<'a>(&self, row: &'a Row) -> Option<DrillState<'a>> {
        DrillState::of(row, self.notices.drill.as_ref().map(|drill| drill.seed))
    }

    /// The drill of the class with its incident, and how many learners have not started it, work on it, have mitigated it, have
    /// recovered from it and gave up, each with the name of the state.
    pub fn drill(&self) -> Option<(&ClassDrill, &'static Stage, DrillCounts)> {
        let drill = self.notices.drill.as_ref()?;
        let states: Vec<&str> =
            self.rows.iter().filter_map(|row| self.drill_of(row)).map(|state| state.name).collect();
        let count = |name| (name, states.iter().filter(|state| **state == name).count());
        Some((drill, &lab::incident_of(drill.seed).stage, DrillState::NAMES.map(count)))
    }

    /// The stages in order, then incidents that learners are at, and then the stages of learners with another version of the lab.
    pub fn stages(&self) -> Vec<StageCount> {
        let count = |name: &str, number: Option<usize>, title: &str| StageCount {
            name: name.to_owned(),
            number,
            title: title.to_owned(),
            here: self.rows.iter().filter(|row| row.report.stage == name).count(),
            done: self.rows.iter().filter(|row| row.is_done_with(name)).count(),
        };
        let known = STAGES.iter().map(|stage| count(stage.name, stage.number(), stage.title()));
        let here = |name: &str| self.rows.iter().any(|row| row.report.stage == name);
        let incidents = INCIDENTS.iter().map(|incident| &incident.stage).filter(|stage| here(stage.name));
        let incidents = incidents.map(|stage| count(stage.name, None, stage.title()));
        let others = self.rows.iter().map(|row| row.report.stage.as_str());
        let mut others: Vec<&str> = others.filter(|name| lab::stage(name).is_none()).collect();
        others.sort_unstable();
        others.dedup();
        known.chain(incidents).chain(others.into_iter().map(|name| count(name, None, name))).collect()
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
        let row = |row: &Row| {
            let mut json = row.to_json();
            json["drill"] = self.drill_of(row).map_or(Value::Null, |state| state.to_json());
            json
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let stages: Vec<Value> = self.stages().iter().map(StageCount::to_json).collect();
        json!({
            "time": time::rfc3339(time::unix_now()),
            "announcement": self.announcement(),
            "open": self.notices.open,
            "drill": self.drill().map(|(drill, stage, states)| {
                let mut json = drill_json(drill, states);
                (json["incident"], json["title"]) = (json!(stage.name), json!(stage.title()));
                json
            }),
            "stages": stages,
            "learners": rows,
        })
    }

    /// The JSON of the wall view: counts, without names, failures and the name of an incident.
    pub fn to_wall_json(&self) -> Value {
        let (reached, of) = self.goals();
        // The name of an unknown stage is a learner's input.
        let stages: Vec<Value> =
            self.stages().iter().filter(|stage| stage.number.is_some()).map(StageCount::to_json).collect();
        json!({
            "announcement": self.announcement(),
            "open": self.notices.open,
            "drill": self.drill().map(|(drill, _, states)| drill_json(drill, states)),
            "learners": self.rows.len(),
            "reached": reached,
            "of": of,
            "stages": stages,
        })
    }
}

/// The JSON of a class's drill: how many learners are in each state.
fn drill_json(drill: &ClassDrill, states: [(&str, usize); 5]) -> Value {
    let mut json = drill.to_json();
    json["states"] = json!(BTreeMap::from(states));
    json
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
            "stuck": { "workflow_id": "t", "what": "x", "attempt": 3, "since": "2026-11-22T11:59:00Z" },
        });
        let held = held("ada", "2026-11-22T12:00:00Z", &report);
        let row = Row::of(&held, held.taken + 5.0);
        assert_eq!((row.stuck_for, row.goal_for, row.seen), (Some(65.0), Some(35.0), 5.0));
        assert!(row.clock_ahead.expect("the clock is wrong") > 1e8);
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

    #[test]
    fn the_board_names_the_incident_of_the_classs_drill_and_the_wall_does_not() {
        let incident = &lab::incident_of(7).stage;
        let drill = |seed, mitigated: Option<u64>| json!({ "seed": seed, "incident": incident.name, "mitigated_seconds": mitigated });
        let at = |drills: Value| json!({ "stage": incident.name, "drills": drills });
        let mut board = Board::of(
            vec![
                held("ada", NOW, &at(json!([drill(7, None), drill(8, Some(60))]))),
                held("bob", NOW, &at(json!([drill(7, Some(60))]))),
                held("cyd", NOW, &at(json!([drill(8, Some(60))]))),
            ],
            now(),
        );
        let states = |board: &Board| -> Vec<&str> {
            let states = board.rows.iter().map(|row| board.drill_of(row));
            states.map(|state| state.map_or("none", |state| state.name)).collect()
        };
        assert_eq!((states(&board), board.to_json()["drill"].is_null()), (vec!["mitigated"; 3], true));
        let drill = Some(ClassDrill { seed: 7, since: NOW.to_owned() });
        board.note(Notices { drill, ..Notices::default() });
        assert_eq!(states(&board), ["working", "mitigated", "not started"]);

        let json = board.to_json();
        assert_eq!(
            (&json["drill"]["incident"], &json["drill"]["title"]),
            (&json!(incident.name), &json!(incident.title()))
        );
        assert_eq!(json["learners"][1]["drill"]["seconds"], 60);
        let last = &json["stages"][STAGES.len()];
        assert_eq!((&last["title"], &last["here"]), (&json!(incident.title()), &json!(3)));
        let wall = board.to_wall_json();
        assert_eq!((&wall["drill"]["seed"], &wall["drill"]["states"]["mitigated"]), (&json!(7), &json!(1)));
        let wall = wall.to_string();
        assert!(!wall.contains(incident.name) && !wall.contains(incident.title()), "{wall}");
    }
}
