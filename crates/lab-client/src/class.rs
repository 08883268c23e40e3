//! A class: the report of each learner's lab, and the board of all reports.
//!
//! A report is the memo of a Workflow Execution whose Task Queue has no worker. A learner's newer report replaces the previous one. So
//! one list of running Workflows is the whole board, on any Temporal Service, and its cost depends on the number of learners, not on
//! the number of transfers. While a lab has no news, the polls of its worker are its sign of life: the board asks for those of each
//! learner whose last report is old.

mod board;
mod drill;
mod drill_state;
mod held;
pub mod notices;
mod polls;
mod report;
mod row;
mod text;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

pub use board::{Board, DrillCounts, StageCount};
pub use drill::Drill;
pub use drill_state::DrillState;
pub use held::{Held, workflow_id};
pub use polls::{Polls, last_poll};
pub use report::{Goal, Help, MOST_DRILLS, Report, StuckOn};
pub use row::{NO_NEW_GOAL_AFTER, Need, Row, SILENT_AFTER};
pub use text::clean;

use report::REPORT_ENDS_AFTER;

use crate::{
    http::{encode, get_json, post_json},
    temporal::{Server, status_of},
    time,
};

/// The Workflow Type of a report.
pub const WORKFLOW_TYPE: &str = "LabLearner";
/// The prefix of the Task Queue of a learner's reports, which nothing polls.
pub const QUEUE: &str = "bug-lab-class";

/// A list shows a new report a moment after the previous one has disappeared. So reports that ended within these seconds are listed
/// too, and no learner disappears from the board in between.
const OVERLAP: u64 = 10;
/// The number of reports on a page of the list.
const PAGE: usize = 200;

/// The Task Queue of a learner's reports, by which a gateway recognizes their owner.
pub fn queue(learner: &str) -> String {
    format!("{QUEUE}-{learner}")
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

/// Reads the board once.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn board(server: &Server) -> Result<Board> {
    board_at(server, &Polls::default(), time::now())
}

/// Reads the board as of this time, with the polls that are known from earlier readings: one request per 200 learners, whatever else
/// is in the namespace, and one a minute for each learner whose lab has no news.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn board_at(server: &Server, polls: &Polls, now: Duration) -> Result<Board> {
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
            None => break,
        }
    }
    let now = now.as_secs_f64();
    let mut board = Board::of(reports, now);
    polls.complete(&mut board, server, now);
    Ok(board)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;

    use serde_json::Value;

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

    pub(crate) fn held(learner: &str, taken: &str, report: &Value) -> Held {
        Held::from_json(&execution(learner, taken, report)).expect("it is one")
    }

    #[test]
    fn any_memo_is_a_row_under_the_name_in_its_id() {
        for report in [json!(null), json!(7), json!([]), json!({ "learner": "eve", "goals": 3, "help": [] })]
        {
            let held = held("ada", "2026-11-22T12:00:00Z", &report);
            assert_eq!(held.report.learner, "ada");
            assert!(Board::of(vec![held], 0.0).to_json()["learners"][0]["help"].is_null());
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
    fn a_lab_without_news_is_here_while_its_worker_polls_and_the_board_asks_for_that_once_a_minute() {
        let report = |polls: bool, state: &str| json!({ "worker_polls": polls, "state": state });
        let (polls, reports) = (report(true, "running"), report(false, "running"));
        let fresh = "2026-11-22T12:09:00Z";
        let learners = [
            ("ada", "2026-11-22T12:00:00Z", &polls),
            ("bob", "2026-11-22T12:00:00Z", &polls),
            ("cyd", "2026-11-22T12:00:00Z", &polls),
            ("dan", "2026-11-22T12:00:00Z", &polls),
            // The board asks for none of these.
            ("old-lab", "2026-11-22T12:00:00Z", &reports),
            ("news", fresh, &polls),
            ("stopped", "2026-11-22T12:00:00Z", &report(true, "stopped")),
        ];
        let list = learners.map(|(learner, taken, report)| execution(learner, taken, report));
        let list = json!({ "executions": list }).to_string();
        let (asked, questions) = mpsc::channel();
        let address = webtest::web_service(move |request| {
            let line = request.head.lines().next().unwrap_or_default();
            let Some((_, queue)) = line.split_once("/task-queues/") else { return (200, list.clone()) };
            let learner = queue.split(['?', ' ']).next().and_then(|queue| queue.rsplit('-').next());
            let learner = learner.expect("a Task Queue has a name").to_owned();
            let answer = match &*learner {
                "ada" => {
                    json!({ "pollers": [{ "lastAccessTime": "2026-11-22T12:07:55Z" }, { "lastAccessTime": fresh }, {}] })
                }
                "bob" => json!({ "pollers": [{ "lastAccessTime": "2026-11-22T12:01:00Z" }] }),
                "cyd" => json!({}),
                _ => json!({ "message": "no" }),
            };
            let status = if learner == "dan" { 500 } else { 200 };
            asked.send(learner).expect("the test counts them");
            (status, answer.to_string())
        });
        let server = Server::new(&crate::Endpoints::own(&format!("http://{address}"), "", ""));
        let now = time::parse_rfc3339("2026-11-22T12:10:00Z").map(Duration::from_secs_f64).expect("a time");
        let known = Polls::default();
        for asks_for in [&["ada", "bob", "cyd", "dan"][..], &[]] {
            let mut rows = board_at(&server, &known, now).expect("it answers").rows;
            rows.sort_by(|a, b| a.report.learner.cmp(&b.report.learner));
            let rows: Vec<_> =
                rows.iter().map(|row| (&*row.report.learner, row.presence(), row.seen as u64)).collect();
            let expected = [
                ("ada", "here", 60),
                ("bob", "silent", 540),
                ("cyd", "silent", 600),
                ("dan", "silent", 600),
                ("news", "here", 60),
                ("old-lab", "silent", 600),
                ("stopped", "stopped", 600),
            ];
            assert_eq!(rows, expected);
            let mut asked: Vec<String> = questions.try_iter().collect();
            asked.sort();
            assert_eq!(asked, asks_for);
        }
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
