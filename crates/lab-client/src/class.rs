//! A class: the report of each learner's lab, and the board of all reports.
//!
//! A report is the memo of a Workflow Execution whose Task Queue has no worker. A learner's newer report replaces the previous one. So
//! one list of running Workflows is the whole board, on any Temporal Service, and its cost depends on the number of learners, not on
//! the number of transfers.

pub mod notices;
mod report;

use anyhow::Result;
use serde_json::{Value, json};

pub use report::{Goal, Help, Report, StuckOn, clean};

use crate::{
    http::{encode, get_json, post_json},
    temporal::{Server, status_of},
    time,
};

/// The Workflow Type of a report.
pub const WORKFLOW_TYPE: &str = "LabLearner";
/// The prefix of the Task Queue of a learner's reports, which nothing polls.
pub const QUEUE: &str = "bug-lab-class";
/// The prefix of the Workflow Id of a learner's report.
const PREFIX: &str = "learner-";

/// After this many seconds without a report, a learner is silent: a lab reports at least every minute.
pub const SILENT_AFTER: f64 = 150.0;
/// A report without a successor ends by itself, so that nobody has to clean up after a class.
const REPORT_ENDS_AFTER: &str = "43200s";
/// A list shows a new report a moment after the previous one has disappeared. So reports that ended within these seconds are listed
/// too, and no learner disappears from the board in between.
const OVERLAP: u64 = 10;
/// The number of reports on a page of the list.
const PAGE: usize = 200;

/// The Workflow Id of a learner's reports.
pub fn workflow_id(learner: &str) -> String {
    format!("{PREFIX}{learner}")
}

/// The Task Queue of a learner's reports, by which a gateway recognizes their owner.
pub fn queue(learner: &str) -> String {
    format!("{QUEUE}-{learner}")
}

/// A report as the service has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its run.
    pub run_id: String,
    /// Its content.
    pub report: Report,
    /// When the service received it, in seconds since 1970, by the service's clock.
    pub taken: f64,
}

impl Held {
    /// The report in this part of the server's JSON.
    fn from_json(execution: &Value) -> Option<Held> {
        let id = execution["execution"]["workflowId"].as_str()?;
        // From the id, not from the memo: each id exists once at a time.
        let learner = clean(id.strip_prefix(PREFIX)?, report::LONGEST_NAME);
        let report = Report::from_json(&execution["memo"]["fields"]["report"]);
        Some(Held {
            run_id: execution["execution"]["runId"].as_str()?.to_owned(),
            report: Report { learner, ..report },
            taken: execution["startTime"].as_str().and_then(time::parse_rfc3339)?,
        })
    }

    /// A time in the report, converted to the service's clock, because a learner's clock may be wrong.
    fn by_service(&self, time: f64) -> f64 {
        let reported = time::parse_rfc3339(&self.report.time).unwrap_or(self.taken);
        time + (self.taken - reported)
    }
}

/// Replaces the learner's last report. Returns its run; none if the service asks to retry later, as within a second of the last
/// report.
///
/// # Errors
/// The service does not answer, or rejects it.
pub fn send(server: &Server, report: &Report) -> Result<Option<String>> {
    let order = json!({
        "workflowType": { "name": WORKFLOW_TYPE },
        "taskQueue": { "name": queue(&report.learner) },
        "workflowExecutionTimeout": REPORT_ENDS_AFTER,
        "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE",
        "workflowIdConflictPolicy": "WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
        "memo": { "fields": { "report": report.to_json() } },
    });
    let path = format!("workflows/{}", encode(&workflow_id(&report.learner)));
    match post_json(&server.api(&path), &order) {
        Ok(answer) => Ok(Some(answer["runId"].as_str().unwrap_or_default().to_owned())),
        Err(error) if status_of(&error) == 429 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last report of a learner, also through a gateway that narrows lists to the learner's own Workflows.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn last(server: &Server, learner: &str) -> Result<Option<Held>> {
    let path = format!("workflows/{}", encode(&workflow_id(learner)));
    match get_json(&server.api(&path)) {
        Ok(description) => Ok(Held::from_json(&description["workflowExecutionInfo"])),
        Err(error) if status_of(&error) == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a learner from the board, which takes some seconds; does nothing if there is none.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn take_off(server: &Server, learner: &str) -> Result<()> {
    let path = format!("workflows/{}/terminate", encode(&workflow_id(learner)));
    match post_json(&server.api(&path), &json!({ "reason": "removed from the board" })) {
        Err(error) if status_of(&error) != 404 => Err(error),
        _ => Ok(()),
    }
}

/// All learners, questions first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Learners with questions, the oldest first; then the others by name.
    pub rows: Vec<Row>,
}

/// A learner on the board. All times are seconds ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The last report.
    pub report: Report,
    /// Since its last report.
    pub seen: f64,
    /// Since it got stuck, if it is.
    pub stuck_for: Option<f64>,
    /// Since help was asked for, if it is.
    pub help_for: Option<f64>,
}

impl Row {
    fn of(held: &Held, now: f64) -> Row {
        let ago = |text: &str| {
            let time = time::parse_rfc3339(text).map_or(held.taken, |time| held.by_service(time));
            (now - time).max(0.0)
        };
        Row {
            seen: (now - held.taken).max(0.0),
            stuck_for: held.report.stuck.as_ref().map(|stuck| ago(&stuck.since)),
            help_for: held.report.help.as_ref().map(|help| ago(&help.since)),
            report: held.report.clone(),
        }
    }

    /// `here`, `silent` without a recent report, or `stopped` if the lab reported that.
    pub fn presence(&self) -> &'static str {
        match self {
            Row { report: Report { stopped: true, .. }, .. } => "stopped",
            Row { seen, .. } if *seen > SILENT_AFTER => "silent",
            _ => "here",
        }
    }

    /// The number of reached goals of the stage.
    pub fn reached(&self) -> usize {
        self.report.goals.iter().filter(|goal| goal.reached).count()
    }

    /// Whether every goal of this stage is reached.
    pub fn has_finished(&self, stage: &str) -> bool {
        let goals = &self.report.goals;
        self.report.stage == stage && !goals.is_empty() && goals.iter().all(|goal| goal.reached)
    }

    fn to_json(&self) -> Value {
        let seconds = |time: f64| time.round() as u64;
        let mut row = self.report.to_json();
        row["presence"] = json!(self.presence());
        row["reached"] = json!(self.reached());
        row["of"] = json!(self.report.goals.len());
        row["seen_s"] = json!(seconds(self.seen));
        for (name, time) in [("stuck", self.stuck_for), ("help", self.help_for)] {
            if let Some(time) = time {
                row[name]["for_s"] = json!(seconds(time));
            }
        }
        row
    }
}

impl Board {
    /// The board of these reports at this time, in seconds since 1970.
    pub fn of(reports: Vec<Held>, now: f64) -> Board {
        let mut reports = reports;
        // The newer one of two reports of a learner.
        reports.sort_by(|a, b| a.report.learner.cmp(&b.report.learner).then(b.taken.total_cmp(&a.taken)));
        reports.dedup_by(|a, b| a.report.learner == b.report.learner);
        let mut rows: Vec<Row> = reports.iter().map(|held| Row::of(held, now)).collect();
        let order = |row: &Row| row.help_for.map_or(f64::INFINITY, |time| -time);
        rows.sort_by(|a, b| order(a).total_cmp(&order(b)));
        Board { rows }
    }

    /// The number of learners with a question.
    pub fn asking(&self) -> usize {
        self.rows.iter().filter(|row| row.help_for.is_some()).count()
    }

    /// The JSON of `class board --json` and the page.
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({ "time": time::rfc3339(time::unix_now()), "learners": rows })
    }
}

/// Reads the board: one request per 200 learners, whatever else is in the namespace.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn board(server: &Server) -> Result<Board> {
    let now = time::now();
    let lately = time::rfc3339(now.as_secs().saturating_sub(OVERLAP));
    let query = format!(
        "WorkflowType=\"{WORKFLOW_TYPE}\" AND (ExecutionStatus=\"Running\" OR CloseTime >= \"{lately}\")"
    );
    let first = server.api(&format!("workflows?pageSize={PAGE}&query={}", encode(&query)));
    let (mut reports, mut page) = (Vec::new(), first.clone());
    loop {
        let list = get_json(&page)?;
        reports.extend(list["executions"].as_array().into_iter().flatten().filter_map(Held::from_json));
        match list["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => page = format!("{first}&nextPageToken={}", encode(token)),
            None => return Ok(Board::of(reports, now.as_secs_f64())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    /// An entry of the server's list.
    fn execution(learner: &str, taken: &str, report: &Value) -> Value {
        json!({
            "execution": { "workflowId": workflow_id(learner), "runId": format!("{learner} {taken}") },
            "startTime": taken,
            "memo": { "fields": { "report": report } },
        })
    }

    fn held(learner: &str, taken: &str, report: &Value) -> Held {
        Held::from_json(&execution(learner, taken, report)).expect("it is one")
    }

    #[test]
    fn questions_come_first_and_the_newest_report_counts() {
        let help = |since: &str| json!({ "help": { "text": "help!", "since": since }, "time": since });
        let reports = vec![
            held("ada", "2026-11-22T12:00:00Z", &help("2026-11-22T12:00:00Z")),
            held("ada", "2026-11-22T12:01:00Z", &json!({ "stage": "jerry" })),
            held("bob", "2026-11-22T12:01:00Z", &json!({})),
            held("cyd", "2026-11-22T12:01:30Z", &help("2026-11-22T12:01:30Z")),
            held("dan", "2026-11-22T12:01:00Z", &help("2026-11-22T12:01:00Z")),
        ];
        let now = time::parse_rfc3339("2026-11-22T12:02:00Z").expect("it is one");
        let board = Board::of(reports.clone(), now);
        let names: Vec<_> = board.rows.iter().map(|row| row.report.learner.as_str()).collect();
        assert_eq!(names, ["dan", "cyd", "ada", "bob"]);
        assert_eq!((board.asking(), board.rows[0].help_for), (2, Some(60.0)));
        assert_eq!((board.rows[2].report.stage.as_str(), board.rows[2].seen), ("jerry", 60.0));
        assert_eq!(board.rows[2].presence(), "here");
        assert_eq!(Board::of(reports, now + 100.0).rows[2].presence(), "silent");
    }

    #[test]
    fn durations_are_right_even_if_a_learners_clock_is_wrong() {
        let report = json!({
            "time": "2031-01-01T00:01:00Z",
            "stuck": { "workflow_id": "t", "what": "x", "attempt": 3, "since": "2031-01-01T00:00:00Z" },
        });
        let held = held("ada", "2026-11-22T12:00:00Z", &report);
        let row = Row::of(&held, held.taken + 5.0);
        assert_eq!((row.stuck_for, row.seen), (Some(65.0), 5.0));
        assert_eq!(row.to_json()["stuck"]["for_s"], 65);
    }

    #[test]
    fn a_lab_that_has_stopped_is_not_silent() {
        let held = held("ada", "2026-11-22T12:00:00Z", &json!({ "state": "stopped" }));
        assert_eq!(Row::of(&held, held.taken + 1e6).presence(), "stopped");
    }

    #[test]
    fn any_memo_is_a_row_under_the_name_in_its_id() {
        for report in [json!(null), json!(7), json!([]), json!({ "learner": "eve", "goals": 3, "help": [] })]
        {
            let held = held("ada", "2026-11-22T12:00:00Z", &report);
            assert_eq!(held.report.learner, "ada");
            assert!(Row::of(&held, 0.0).to_json()["help"].is_null());
        }
        for no_report in [json!(null), json!({ "execution": { "workflowId": "transfer-1" } })] {
            assert_eq!(Held::from_json(&no_report), None);
        }
    }

    #[test]
    fn a_report_too_soon_after_the_last_is_retried_and_other_errors_are_returned() {
        let report = |learner: &str| Report { learner: learner.to_owned(), ..Report::default() };
        let server = server(&[
            ("learner-ada", "429", r#"{"message":"Too many restarts for workflow"}"#),
            ("learner-bob", "200", r#"{"runId":"r"}"#),
            ("learner-cyd", "403", r#"{"message":"not yours"}"#),
        ]);
        assert_eq!(send(&server, &report("ada")).expect("it is no failure"), None);
        assert_eq!(send(&server, &report("bob")).expect("it is taken").as_deref(), Some("r"));
        assert!(send(&server, &report("cyd")).expect_err("it is none").to_string().contains("not yours"));
    }

    #[test]
    fn the_board_is_read_to_its_last_page() {
        let server = server(&[
            (
                "nextPageToken=two",
                "200",
                r#"{"executions":[{"execution":{"workflowId":"learner-bob","runId":"2"},"startTime":"2026-11-22T12:00:00Z"}]}"#,
            ),
            (
                "pageSize=200",
                "200",
                r#"{"executions":[{"execution":{"workflowId":"learner-ada","runId":"1"},"startTime":"2026-11-22T12:00:00Z"}],"nextPageToken":"two"}"#,
            ),
        ]);
        let board = board(&server).expect("it answers");
        assert_eq!(board.rows.len(), 2);
        assert_eq!(board.to_json()["learners"][1]["learner"], "bob");
    }
}
