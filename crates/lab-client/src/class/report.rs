//! The report of a learner's lab.

use serde_json::{Value, json};

use super::{
    drill::Drill,
    text::{LONGEST_STAGE, clean, line},
};
use crate::supervisor::BuildState;

/// A report without a successor ends by itself, so that nobody has to clean up after a class.
pub(super) const REPORT_ENDS_AFTER: &str = "43200s";
/// The longest name of a learner.
pub(super) const LONGEST_NAME: usize = 32;
/// The longest line of a report, so that a memo stays small and a board readable.
const LONGEST_LINE: usize = 200;
/// The longest question.
const LONGEST_HELP: usize = 300;
/// More goals than any stage has.
const MOST_GOALS: usize = 12;
/// More stages and incidents than there are.
const MOST_STAGES: usize = 32;
/// How many drills a report has: the class's and some that the learner chose.
pub const MOST_DRILLS: usize = 4;

/// The state of a learner's lab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The learner's name.
    pub learner: String,
    /// A random number per lab folder, to tell two labs with one name apart.
    pub lab: String,
    /// The current stage.
    pub stage: String,
    /// Its goals, in order.
    pub goals: Vec<Goal>,
    /// The names of the stages whose goals were all reached once.
    pub done: Vec<String>,
    /// The last drills, each with another seed, in the order in which they were started.
    pub drills: Vec<Drill>,
    /// When the last new goal was reached, or the stage was entered, by the learner's clock.
    pub goal_since: String,
    /// How many questions the learner has asked.
    pub asked: u64,
    /// The number of broken invariants.
    pub wrong: u64,
    /// The transfer that has been stuck longest.
    pub stuck: Option<StuckOn>,
    /// How many transfers are stuck.
    pub stuck_transfers: u64,
    /// How many are in progress.
    pub transfers: u64,
    /// The state of its build, if its supervisor reports it.
    pub build: Option<BuildState>,
    /// The learner's question.
    pub help: Option<Help>,
    /// Whether another lab reports under the same name.
    pub shared: bool,
    /// Whether its worker polls the learner's Task Queue. Then the polls are the lab's sign of life, and it reports only news.
    pub worker_polls: bool,
    /// Whether this is the last report of a stopping lab.
    pub stopped: bool,
    /// When it was made, by the learner's clock.
    pub time: String,
}

/// A goal of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// Its text.
    pub says: String,
    /// Whether it is reached.
    pub reached: bool,
}

/// What a transfer is stuck on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StuckOn {
    /// The transfer.
    pub workflow_id: String,
    /// What it is stuck on, such as `the Activity withdraw`.
    pub what: String,
    /// The current or next attempt.
    pub attempt: u64,
    /// Since when, by the service's clock; empty if unknown.
    pub since: String,
    /// The last failure, shortened.
    pub failure: String,
}

/// A learner's question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// The text.
    pub text: String,
    /// Since when, by the learner's clock.
    pub since: String,
}

impl Report {
    /// The JSON for a memo.
    pub fn to_json(&self) -> Value {
        let goals = self.goals.iter().map(|goal| json!({ "says": goal.says, "reached": goal.reached }));
        json!({
            "learner": self.learner,
            "lab": self.lab,
            "stage": self.stage,
            "goals": goals.collect::<Vec<_>>(),
            "done": self.done,
            "drills": self.drills.iter().map(Drill::to_json).collect::<Vec<_>>(),
            "goal_since": self.goal_since,
            "asked": self.asked,
            "wrong": self.wrong,
            "stuck": self.stuck.as_ref().map(StuckOn::to_json),
            "stuck_transfers": self.stuck_transfers,
            "transfers": self.transfers,
            "build": self.build.map_or("", BuildState::name),
            "help": self.help.as_ref().map(Help::to_json),
            "shared": self.shared,
            "worker_polls": self.worker_polls,
            "state": if self.stopped { "stopped" } else { "running" },
            "time": self.time,
        })
    }

    /// Reads a memo from any source: missing fields are empty, long ones are cut, and terminal control characters are removed.
    pub fn from_json(value: &Value) -> Report {
        let text = |name: &str| line(&value[name], LONGEST_LINE);
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        let goal = |goal: &Value| Goal {
            says: line(&goal["says"], LONGEST_LINE),
            reached: goal["reached"].as_bool().unwrap_or_default(),
        };
        Report {
            learner: line(&value["learner"], LONGEST_NAME),
            lab: line(&value["lab"], LONGEST_NAME),
            stage: line(&value["stage"], LONGEST_STAGE),
            goals: value["goals"].as_array().into_iter().flatten().take(MOST_GOALS).map(goal).collect(),
            done: value["done"]
                .as_array()
                .into_iter()
                .flatten()
                .take(MOST_STAGES)
                .map(|name| line(name, LONGEST_STAGE))
                .collect(),
            drills: value["drills"]
                .as_array()
                .into_iter()
                .flatten()
                .take(MOST_DRILLS)
                .filter_map(Drill::from_json)
                .collect(),
            goal_since: text("goal_since"),
            asked: number("asked"),
            wrong: number("wrong"),
            stuck: StuckOn::from_json(&value["stuck"]),
            stuck_transfers: number("stuck_transfers"),
            transfers: number("transfers"),
            build: BuildState::of(value),
            help: Help::from_json(&value["help"]),
            shared: value["shared"].as_bool().unwrap_or_default(),
            worker_polls: value["worker_polls"].as_bool().unwrap_or_default(),
            stopped: value["state"] == "stopped",
            time: text("time"),
        }
    }

    /// Whether it differs from another report, apart from the number of attempts and the time of the report.
    pub fn is_news_after(&self, before: &Report) -> bool {
        let without = |report: &Report| {
            let mut report = report.clone();
            report.time.clear();
            if let Some(stuck) = &mut report.stuck {
                stuck.attempt = 0;
            }
            report
        };
        without(self) != without(before)
    }
}

impl StuckOn {
    fn to_json(&self) -> Value {
        json!({
            "workflow_id": self.workflow_id,
            "what": self.what,
            "attempt": self.attempt,
            "since": self.since,
            "failure": self.failure,
        })
    }

    fn from_json(value: &Value) -> Option<StuckOn> {
        let text = |name: &str| line(&value[name], LONGEST_LINE);
        value.is_object().then(|| StuckOn {
            workflow_id: text("workflow_id"),
            what: text("what"),
            attempt: value["attempt"].as_u64().unwrap_or_default(),
            since: text("since"),
            failure: text("failure"),
        })
    }
}

impl Help {
    /// A question asked at this time; none without text.
    pub fn new(text: &str, since: &str) -> Option<Help> {
        let text = clean(text, LONGEST_HELP);
        (!text.is_empty()).then(|| Help { text, since: since.to_owned() })
    }

    /// The JSON for a file or a memo.
    pub fn to_json(&self) -> Value {
        json!({ "text": self.text, "since": self.since })
    }

    /// Reads the JSON of [`to_json`](Help::to_json).
    pub fn from_json(value: &Value) -> Option<Help> {
        Help::new(value["text"].as_str()?, &line(&value["since"], LONGEST_LINE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            learner: "ada".to_owned(),
            lab: "0011".to_owned(),
            stage: "jerry".to_owned(),
            goals: vec![Goal { says: "a goal".to_owned(), reached: true }, Goal::default()],
            done: vec!["jerry".to_owned()],
            drills: vec![Drill { seed: 7, mitigated: Some(8), ..Drill::default() }],
            goal_since: "2026-11-22T11:59:00Z".to_owned(),
            asked: 2,
            wrong: 1,
            stuck: Some(StuckOn { workflow_id: "t".to_owned(), attempt: 3, ..StuckOn::default() }),
            stuck_transfers: 2,
            transfers: 4,
            build: Some(BuildState::Ok),
            help: Help::new("where is it?", "2026-11-22T12:00:00Z"),
            shared: true,
            worker_polls: true,
            stopped: true,
            time: "2026-11-22T12:00:01Z".to_owned(),
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        assert_eq!(Report::from_json(&report().to_json()), report());
    }

    #[test]
    fn any_json_is_accepted_and_cut_to_size() {
        let long = "x".repeat(100_000);
        let values = [
            json!(null),
            json!([1, 2]),
            json!({ "goals": { "a": 1 }, "stuck": "x", "help": 7, "transfers": -1, "wrong": 1e99 }),
            json!({ "goals": vec![json!(null); 1000], "stage": long, "done": vec![json!(long); 1000], "drills": vec![json!({ "seed": 1, "incident": long, "started": long }); 1000], "stuck": { "failure": long },
                    "help": { "text": long, "since": long } }),
        ];
        for value in values {
            let read = Report::from_json(&value).to_json().to_string();
            assert!(read.len() < 4096, "{} bytes", read.len());
        }
    }

    #[test]
    fn a_report_contains_no_terminal_control_characters() {
        let help = Help::new("a\x1b[2Jb\r\n\tc \u{202e}d\u{9b}", "").expect("it has words");
        assert_eq!(help.text, "a [2Jb c d");
        assert_eq!(Help::new(" \x07\n", ""), None);
    }

    #[test]
    fn another_attempt_is_no_change_and_another_goal_is() {
        let mut later = report();
        later.time = "2027-01-01T00:00:00Z".to_owned();
        if let Some(stuck) = &mut later.stuck {
            stuck.attempt += 1;
        }
        assert!(!later.is_news_after(&report()));
        later.goals[1].reached = true;
        assert!(later.is_news_after(&report()));
    }
}
