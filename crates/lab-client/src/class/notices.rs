//! The instructor's notices to the class: an announcement, the last open stage, the drill, and the acknowledged questions.
//!
//! The notices are the memo of one Workflow Execution without a worker, as the reports are. Every lab reads it by its id, with one
//! small request. Its Task Queue belongs to no learner, so the guard in a learner's gateway rejects a direct change.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    report::{Help, LONGEST_NAME, REPORT_ENDS_AFTER},
    text::{LONGEST_STAGE, clean},
};
use crate::{
    http::{encode, get_json, post_json},
    temporal::{Run, Server, status_of},
};

/// The Workflow Id of the notices. The board's list does not show it, because its Workflow Type is another.
pub const WORKFLOW_ID: &str = "class-notices";
/// Their Workflow Type.
pub const WORKFLOW_TYPE: &str = "LabNotices";
/// Their Task Queue, which nothing polls. A learner's has another prefix.
const QUEUE: &str = "bug-lab-notices";
/// The longest announcement, in characters.
pub const LONGEST_ANNOUNCEMENT: usize = 300;
/// How many acknowledged questions are kept.
const MOST_COMING: usize = 200;
/// How long a change is retried while the service refuses a second start within a second.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is retried.
const RETRY_INTERVAL: Duration = Duration::from_millis(300);

/// The instructor's notices to the class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// What every learner sees.
    pub announcement: Option<Announcement>,
    /// The name of the last stage that is open; none if all are.
    pub open: Option<String>,
    /// The drill that the instructor has started. It has no name here, because learners read this.
    pub drill: Option<ClassDrill>,
    /// The questions that the instructor has acknowledged: the learner, and the time of the question, which identifies it.
    pub coming: BTreeMap<String, String>,
}

/// A line for every learner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The text.
    pub text: String,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// A drill for every learner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassDrill {
    /// Its seed, which chooses the incident.
    pub seed: u64,
    /// Since when, in RFC 3339.
    pub since: String,
}

impl ClassDrill {
    /// What a learner who has not started it is told.
    pub fn offer(&self) -> String {
        format!("your instructor started a drill; to begin it: cargo xtask drill --seed {}", self.seed)
    }

    /// The JSON for a memo.
    pub fn to_json(&self) -> Value {
        json!({ "seed": self.seed, "since": self.since })
    }

    /// Reads the JSON of [`to_json`](ClassDrill::to_json).
    pub fn from_json(value: &Value) -> Option<ClassDrill> {
        let since = clean(value["since"].as_str().unwrap_or_default(), LONGEST_STAGE);
        Some(ClassDrill { seed: value["seed"].as_u64()?, since })
    }
}

impl Announcement {
    /// An announcement made at this time; none without text.
    pub fn new(text: &str, since: &str) -> Option<Announcement> {
        let text = clean(text, LONGEST_ANNOUNCEMENT);
        (!text.is_empty()).then(|| Announcement { text, since: clean(since, LONGEST_STAGE) })
    }

    /// The JSON for a memo or a lab's status.
    pub fn to_json(&self) -> Value {
        json!({ "text": self.text, "since": self.since })
    }

    /// Reads the JSON of [`to_json`](Announcement::to_json).
    pub fn from_json(value: &Value) -> Option<Announcement> {
        Announcement::new(value["text"].as_str()?, value["since"].as_str().unwrap_or_default())
    }
}

impl Notices {
    /// Acknowledges a learner's question.
    pub fn come_to(&mut self, learner: &str, help: &Help) {
        self.coming.insert(learner.to_owned(), help.since.clone());
        while self.coming.len() > MOST_COMING {
            let oldest = self.coming.iter().min_by_key(|(_, since)| since.as_str());
            let Some(oldest) = oldest.map(|(learner, _)| learner.clone()) else { return };
            self.coming.remove(&oldest);
        }
    }

    /// Whether the instructor has acknowledged this question, and not an earlier one of the same learner.
    pub fn is_coming_to(&self, learner: &str, help: &Help) -> bool {
        self.coming.get(learner) == Some(&help.since)
    }

    /// The JSON for a memo.
    pub fn to_json(&self) -> Value {
        json!({
            "announcement": self.announcement.as_ref().map(Announcement::to_json),
            "open": self.open,
            "drill": self.drill.as_ref().map(ClassDrill::to_json),
            "coming": self.coming,
        })
    }

    /// Reads a memo from any source, as [`Report::from_json`](super::Report::from_json) does.
    pub fn from_json(value: &Value) -> Notices {
        let open = clean(value["open"].as_str().unwrap_or_default(), LONGEST_STAGE);
        let coming = value["coming"].as_object().into_iter().flatten().take(MOST_COMING);
        Notices {
            announcement: Announcement::from_json(&value["announcement"]),
            open: (!open.is_empty()).then_some(open),
            drill: ClassDrill::from_json(&value["drill"]),
            coming: coming
                .filter_map(|(learner, since)| {
                    Some((clean(learner, LONGEST_NAME), clean(since.as_str()?, LONGEST_STAGE)))
                })
                .collect(),
        }
    }
}

/// The notices of the class; empty ones if there are none.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn read(server: &Server) -> Result<Notices> {
    Ok(read_with_run(server)?.0)
}

/// The notices of the class, and the run that has them, which closes when they change: [`Server::wait_closed`] follows it by long polls.
/// No run if there are no notices.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn read_with_run(server: &Server) -> Result<(Notices, Option<Run>)> {
    match get_json(&server.api(&format!("workflows/{WORKFLOW_ID}"))) {
        Ok(description) => {
            let execution = &description["workflowExecutionInfo"];
            let run = Run::from_json(&execution["execution"]).filter(|_| execution["status"] == RUNNING);
            Ok((in_force(&description), run))
        }
        Err(error) if status_of(&error) == 404 => Ok(Default::default()),
        Err(error) => Err(error),
    }
}

/// The status of a run that has not closed.
const RUNNING: &str = "WORKFLOW_EXECUTION_STATUS_RUNNING";

/// The notices in a description of their Workflow.
fn in_force(description: &Value) -> Notices {
    let execution = &description["workflowExecutionInfo"];
    // A learner's gateway lets them start a Workflow of this id on their own Task Queue; their Workflow's child may be on any.
    let is_ours = description["executionConfig"]["taskQueue"]["name"] == QUEUE
        && execution["type"]["name"] == WORKFLOW_TYPE
        && execution["parentExecution"].is_null();
    let is_running = execution["status"] == RUNNING;
    match is_ours && is_running {
        true => Notices::from_json(&execution["memo"]["fields"]["notices"]),
        false => Notices::default(),
    }
}

/// Changes the notices, and returns the new ones.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn change(server: &Server, change: impl Fn(&mut Notices)) -> Result<Notices> {
    let url = server.api(&format!("workflows/{}", encode(WORKFLOW_ID)));
    let begin = Instant::now();
    loop {
        // Read again for each try: the service rejects a second change within a second, so no change is lost.
        let mut notices = read(server)?;
        change(&mut notices);
        match post_json(&url, &order(&notices)) {
            Ok(_) => return Ok(notices),
            Err(error) if status_of(&error) == 429 && begin.elapsed() < RETRY_TIMEOUT => {
                thread::sleep(RETRY_INTERVAL);
            }
            Err(error) if status_of(&error) == 429 => {
                bail!("the Temporal Service is busy, and nothing was changed ({error:#}); try again")
            }
            Err(error) => return Err(error),
        }
    }
}

/// The request that replaces the notices.
pub fn order(notices: &Notices) -> Value {
    json!({
        "workflowType": { "name": WORKFLOW_TYPE },
        "taskQueue": { "name": QUEUE },
        "workflowExecutionTimeout": REPORT_ENDS_AFTER,
        "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE",
        "workflowIdConflictPolicy": "WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
        "memo": { "fields": { "notices": notices.to_json() } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    fn notices() -> Notices {
        let mut notices = Notices {
            announcement: Announcement::new("a break until 11:00", "2026-11-22T12:00:00Z"),
            open: Some("fix-activity".to_owned()),
            drill: Some(ClassDrill { seed: 7, since: "2026-11-22T12:00:00Z".to_owned() }),
            ..Notices::default()
        };
        notices.come_to("ada", &question("2026-11-22T12:00:01Z"));
        notices
    }

    fn question(since: &str) -> Help {
        Help::new("which file?", since).expect("it has words")
    }

    #[test]
    fn notices_are_read_as_they_were_written() {
        assert_eq!(Notices::from_json(&notices().to_json()), notices());
        assert_eq!(Notices::from_json(&Notices::default().to_json()), Notices::default());
    }

    #[test]
    fn any_json_is_accepted_and_cut_to_size() {
        let long = "x\u{1b}[2J".repeat(10_000);
        let many: BTreeMap<String, &str> = (0..10_000).map(|at| (format!("{at}{long}"), &*long)).collect();
        for value in [
            json!(null),
            json!([7]),
            json!({ "announcement": 7, "open": {}, "drill": 7, "coming": [] }),
            json!({ "drill": { "seed": -7, "since": long } }),
            json!({ "drill": { "seed": 7, "since": long } }),
            json!({ "announcement": { "text": long, "since": long }, "open": long, "coming": many }),
        ] {
            let read = Notices::from_json(&value).to_json().to_string();
            assert!(read.len() < 40_000 && !read.contains("u001b"), "{} bytes", read.len());
        }
    }

    #[test]
    fn only_the_acknowledged_question_is_answered_and_old_ones_are_dropped() {
        let mut notices = notices();
        assert!(notices.is_coming_to("ada", &question("2026-11-22T12:00:01Z")));
        assert!(!notices.is_coming_to("ada", &question("2026-11-22T12:30:00Z")), "a later question");
        assert!(!notices.is_coming_to("bob", &question("2026-11-22T12:00:01Z")));
        for at in 0..MOST_COMING {
            notices.come_to(&format!("learner-{at}"), &question("2026-11-22T13:00:00Z"));
        }
        assert_eq!((notices.coming.len(), notices.coming.contains_key("ada")), (MOST_COMING, false));
    }

    #[test]
    fn notices_that_have_ended_or_are_on_another_task_queue_do_not_count() {
        let description = |queue: &str, status: &str| {
            json!({
                "executionConfig": { "taskQueue": { "name": queue } },
                "workflowExecutionInfo": {
                    "status": format!("WORKFLOW_EXECUTION_STATUS_{status}"),
                    "type": { "name": WORKFLOW_TYPE },
                    "memo": { "fields": { "notices": notices().to_json() } },
                },
            })
        };
        assert_eq!(in_force(&description(QUEUE, "RUNNING")), notices());
        for other in
            [description("bug-lab-class-ada", "RUNNING"), description(QUEUE, "TIMED_OUT"), json!(null)]
        {
            assert_eq!(in_force(&other), Notices::default());
        }
    }

    #[test]
    fn a_rejected_change_is_an_error_and_no_notices_are_empty_ones() {
        let server = server(&[("workflows/class-notices", "404", r#"{"message":"not found"}"#)]);
        assert_eq!(read(&server).expect("it answers"), Notices::default());
        let error = change(&server, |notices| notices.open = None).expect_err("it is rejected");
        assert!(error.to_string().contains("not found"), "{error}");
    }
}
