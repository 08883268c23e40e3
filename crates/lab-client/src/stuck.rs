//! Which transfers are stuck, and on what.

use std::{
    cell::LazyCell,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result};
use lab::{Halt, Held, Next, failure_chain};
use serde_json::{Value, json};

use crate::{
    side_by_side,
    temporal::{Run, Server},
    time,
};

/// A task that has been due for so long has no worker: more than the restart of one takes.
const OVERDUE: Duration = Duration::from_secs(5);
/// How often to look whether a worker has taken what is due.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// What a transfer is stuck on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Workflow code itself fails.
    WorkflowTask,
    /// An activity of it fails.
    Activity,
}

/// A transfer whose current task has failed at least once and is retried, or that something holds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which.
    pub run: Run,
    /// On what.
    pub kind: Kind,
    /// The failing activity: its id and its type.
    pub activity: Option<(String, String)>,
    /// What holds it up, if it is not only waiting for its next attempt.
    pub halt: Option<Halt>,
    /// Whether its cancellation was requested.
    pub cancel_requested: bool,
    /// Whether an attempt is in progress at this moment.
    pub trying: bool,
    /// The number of the attempt that is in progress or comes next.
    pub attempt: u64,
    /// What went wrong last; if nothing did, what holds it up.
    pub failure: String,
    /// The same in plain words, where it is a nondeterminism error.
    pub nondeterminism: Option<String>,
    /// When its next attempt is, as the server gives the time.
    pub next_attempt: Option<String>,
}

impl Stuck {
    /// As `lab status --json` has it.
    pub fn to_json(&self) -> Value {
        json!({
            "workflow_id": self.run.workflow_id,
            "run_id": self.run.run_id,
            "kind": match self.kind { Kind::WorkflowTask => "workflow_task", Kind::Activity => "activity" },
            "activity": self.activity.as_ref().map(|(_, name)| name),
            "attempt": self.attempt,
            "failure": self.failure,
            "nondeterminism": self.nondeterminism,
            "next_attempt": self.next_attempt,
            "state": self.state(),
            "cancel_requested": self.cancel_requested,
            "says": self.says(),
            "next": self.way_out().map(|next| next.to_string()),
        })
    }

    /// Whether it fails, or what holds it up, for programs.
    pub fn state(&self) -> &'static str {
        self.halt.as_ref().map_or("failing", Halt::name)
    }

    /// What holds it up, in a sentence without its full stop; none if it fails.
    pub fn says(&self) -> Option<String> {
        self.halt.as_ref().map(|halt| halt.words(&self.activity))
    }

    /// What to do about what holds it up.
    pub fn way_out(&self) -> Option<Next> {
        self.halt.as_ref().map(|halt| halt.way_out(&self.run.workflow_id, &self.activity))
    }

    /// Whether `retry` can have its next attempt made now.
    pub fn can_retry(&self) -> bool {
        self.activity.is_some() && self.halt.as_ref().is_none_or(Halt::is_of_retry)
    }

    /// What is wrong with it, for a sentence.
    pub fn words(&self) -> String {
        let cancel = if self.cancel_requested { ", and its cancellation is requested" } else { "" };
        match &self.halt {
            Some(halt) => format!("{}{cancel}", halt.words(&self.activity)),
            None => format!("{} fails{cancel}", self.what()),
        }
    }

    /// What it is stuck on, for a sentence.
    pub fn what(&self) -> String {
        match &self.activity {
            Some((_, name)) => format!("the Activity {name}"),
            None => "its Workflow Task".to_owned(),
        }
    }
}

/// What was found out about the transfers that run.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that are stuck.
    pub stuck: Vec<Stuck>,
    /// How many run.
    pub running: usize,
    /// How many of them were looked at, whether the server answered or not.
    pub looked_at: usize,
    /// How many events their histories have in all: another number means that one of them has made progress.
    pub events: u64,
    /// Those of which the server did not tell, and why.
    pub unknown: Vec<(Run, Error)>,
}

/// Looks for stuck transfers among those that run, at no more than so many of them.
pub fn find(server: &Server, most: usize) -> Result<Found> {
    let running = server.running()?;
    let looked_at = &running[..running.len().min(most)];
    let mut found = Found { running: running.len(), looked_at: looked_at.len(), ..Found::default() };
    let looks = side_by_side::map(looked_at, |run| stuck_and_events(server, run));
    for (run, result) in looked_at.iter().zip(looks) {
        match result {
            Ok((stuck, events)) => {
                found.stuck.extend(stuck);
                found.events += events;
            }
            Err(error) => found.unknown.push((run.clone(), error)),
        }
    }
    Ok(found)
}

/// The same for all of them, after a worker was replaced: what is due gets a moment until the new worker takes it.
pub fn find_once_taken(server: &Server) -> Result<Found> {
    let begin = Instant::now();
    loop {
        let found = find(server, usize::MAX)?;
        let is_due = |stuck: &Stuck| matches!(stuck.halt, Some(Halt::NoWorker { .. }));
        if !found.stuck.iter().any(is_due) || begin.elapsed() > OVERDUE {
            return Ok(found);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// What this transfer is stuck on. Nothing when it has ended in the meantime.
pub fn look(server: &Server, run: &Run) -> Result<Vec<Stuck>> {
    Ok(stuck_and_events(server, run)?.0)
}

/// The same, with the number of its events.
fn stuck_and_events(server: &Server, run: &Run) -> Result<(Vec<Stuck>, u64)> {
    let Some(description) = server.describe_if_there(run)? else { return Ok((Vec::new(), 0)) };
    let stuck = of(run, &description, || server.last_events(run).unwrap_or_default());
    // JSON has no whole numbers as large as these may become, so they are sent as text.
    let events = description["workflowExecutionInfo"]["historyLength"].as_str();
    Ok((stuck, events.and_then(|events| events.parse().ok()).unwrap_or_default()))
}

/// The moment before which a task must have been due for it to have no worker.
pub fn overdue() -> String {
    time::rfc3339_exact(time::now().saturating_sub(OVERDUE))
}

/// What a transfer of this description is stuck on. Its last events, the newest first, are asked for at most once, if they matter.
pub fn of(run: &Run, description: &Value, newest_first: impl FnOnce() -> Vec<Value>) -> Vec<Stuck> {
    let events = LazyCell::new(newest_first);
    let mut halts = lab::halts(description, &overdue(), || events.clone());
    // Then nothing else of it is known.
    if let [(None, halt @ Halt::Paused { .. })] = &halts[..] {
        return vec![held_up(run, description, None, Some(halt.clone()))];
    }
    let mut stuck = Vec::new();
    let mut halt_of = |held: &Held| {
        let at = halts.iter().position(|(other, _)| other == held)?;
        Some(halts.swap_remove(at).1)
    };
    for activity in description["pendingActivities"].as_array().into_iter().flatten() {
        let held = lab::held(activity);
        let halt = halt_of(&held);
        if halt.is_some() || activity["lastFailure"].is_object() {
            stuck.push(of_activity(held_up(run, description, held, halt), activity));
        }
    }
    let halt = halt_of(&None);
    let is_failing = failing_task(description).is_some();
    if halt.is_some() || is_failing {
        let task = &description["pendingWorkflowTask"];
        let trying = task["state"] == "PENDING_WORKFLOW_TASK_STATE_STARTED";
        let events = if is_failing { &events[..] } else { &[] };
        let base = held_up(run, description, None, halt);
        let has_failed = is_failing && !matches!(base.halt, Some(Halt::NotAnswered { .. }));
        stuck.push(Stuck {
            trying,
            attempt: task["attempt"].as_u64().unwrap_or(1),
            failure: if has_failed { task_failure(events) } else { base.failure.clone() },
            nondeterminism: lab::nondeterminism(events),
            next_attempt: (!trying).then(|| time_of(&task["scheduledTime"])).flatten(),
            ..base
        });
    }
    stuck
}

/// A run that is held up, without what is known of its attempts.
fn held_up(run: &Run, description: &Value, activity: Held, halt: Option<Halt>) -> Stuck {
    let failure = halt.as_ref().map(|halt| halt.words(&activity)).unwrap_or_default();
    Stuck {
        run: run.clone(),
        kind: if activity.is_some() { Kind::Activity } else { Kind::WorkflowTask },
        activity,
        halt,
        cancel_requested: description["workflowExtendedInfo"]["cancelRequested"] == true,
        trying: false,
        attempt: 1,
        failure,
        nondeterminism: None,
        next_attempt: None,
    }
}

/// The same, with what the server says about the pending Activity.
fn of_activity(stuck: Stuck, activity: &Value) -> Stuck {
    let state = activity["state"].as_str().unwrap_or_default();
    let state = state.trim_start_matches("PENDING_ACTIVITY_STATE_");
    let trying = matches!(state, "STARTED" | "CANCEL_REQUESTED" | "PAUSE_REQUESTED");
    let is_paused = matches!(stuck.halt, Some(Halt::Paused { .. }));
    let next_attempt =
        time_of(&activity["nextAttemptScheduleTime"]).or_else(|| time_of(&activity["scheduledTime"]));
    Stuck {
        trying,
        cancel_requested: stuck.cancel_requested || state == "CANCEL_REQUESTED",
        attempt: activity["attempt"].as_u64().unwrap_or(1),
        failure: Some(failure_chain(&activity["lastFailure"]))
            .filter(|failure| !failure.is_empty())
            .unwrap_or(stuck.failure),
        next_attempt: next_attempt.filter(|_| !trying && !is_paused),
        ..stuck
    }
}

/// The attempt of a Workflow Task that has failed before.
fn failing_task(description: &Value) -> Option<u64> {
    description["pendingWorkflowTask"]["attempt"].as_u64().filter(|&attempt| attempt > 1)
}

/// Why the last Workflow Task failed. History has the first two failures; later ones are the same.
fn task_failure(newest_first: &[Value]) -> String {
    let mut timed_out = false;
    for event in newest_first {
        match event["eventType"].as_str() {
            Some("EVENT_TYPE_WORKFLOW_TASK_FAILED") => {
                return failure_chain(&event["workflowTaskFailedEventAttributes"]["failure"]);
            }
            Some("EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT") => timed_out = true,
            Some("EVENT_TYPE_WORKFLOW_TASK_COMPLETED") => break,
            _ => {}
        }
    }
    if timed_out { "its worker did not answer in time".to_owned() } else { "not known yet".to_owned() }
}

/// A point in time; Go's zero time stands for none.
pub(crate) fn time_of(value: &Value) -> Option<String> {
    value.as_str().filter(|text| crate::time::parse_rfc3339(text).is_some()).map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Endpoints;

    fn run() -> Run {
        Run { workflow_id: "transfer-1".to_owned(), run_id: "r".to_owned() }
    }

    #[test]
    fn an_activity_that_cannot_connect_is_said_with_its_address_and_its_cause() {
        let description = json!({ "pendingActivities": [
            { "activityId": "1", "activityType": { "name": "check_balance" }, "attempt": 1,
              "state": "PENDING_ACTIVITY_STATE_STARTED" },
            { "activityId": "withdraw", "activityType": { "name": "withdraw" }, "attempt": 4,
              "state": "PENDING_ACTIVITY_STATE_SCHEDULED",
              "nextAttemptScheduleTime": "2126-11-22T12:00:08.5Z",
              "lastFailure": { "message": "error sending request for url (http://127.0.0.1:5005/x)",
                "cause": { "message": "client error (Connect)",
                  "cause": { "message": "tcp connect error",
                    "cause": { "message": "Connection refused (os error 111)" } } } } },
        ]});
        let stuck = of(&run(), &description, Vec::new);
        assert_eq!(stuck.len(), 1);
        let json = stuck[0].to_json();
        assert_eq!(json["kind"], "activity");
        assert_eq!(json["attempt"], 4);
        assert_eq!(json["next_attempt"], "2126-11-22T12:00:08.5Z");
        assert_eq!(
            json["failure"],
            "error sending request for url (http://127.0.0.1:5005/x): Connection refused (os error 111)"
        );
    }

    #[test]
    fn a_first_attempt_is_not_stuck() {
        assert_eq!(failing_task(&json!({ "pendingWorkflowTask": { "attempt": 1 } })), None);
        assert_eq!(failing_task(&json!({})), None);
        assert_eq!(failing_task(&json!({ "pendingWorkflowTask": { "attempt": 7 } })), Some(7));
    }

    #[test]
    fn a_task_failure_is_the_last_since_the_last_success() {
        let failed = |message: &str| {
            json!({ "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED",
                    "workflowTaskFailedEventAttributes": { "failure": { "message": message } } })
        };
        let timed_out = json!({ "eventType": "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT" });
        let completed = json!({ "eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED" });
        assert_eq!(
            task_failure(&[timed_out.clone(), failed("new"), completed.clone(), failed("old")]),
            "new"
        );
        assert_eq!(
            task_failure(&[timed_out, completed.clone(), failed("old")]),
            "its worker did not answer in time"
        );
        assert_eq!(task_failure(&[completed, failed("old")]), "not known yet");
    }

    /// A server that answers requests that have these words in their first line: with a status and a body.
    pub(crate) fn server(answers: &'static [(&str, &str, &str)]) -> Server {
        let address = webtest::web_service(|request| {
            let line = request.head.lines().next().unwrap_or_default();
            let known = answers.iter().find(|(part, _, _)| line.contains(part));
            let (_, status, body) = known.unwrap_or_else(|| panic!("no answer to {line}"));
            (status.parse().expect("a status"), (*body).to_owned())
        });
        Server::new(&Endpoints::own(&format!("http://{address}"), "", ""))
    }

    #[test]
    fn every_page_is_read_and_a_transfer_without_an_answer_is_not_dropped() {
        let server = server(&[
            (
                "nextPageToken=two%3D",
                "200",
                r#"{"executions":[{"execution":{"workflowId":"c","runId":"3"}},
                                              {"execution":{"workflowId":"d","runId":"4"}}]}"#,
            ),
            (
                "workflows?",
                "200",
                r#"{"executions":[{"execution":{"workflowId":"a","runId":"1"}},
                                    {"execution":{"workflowId":"b","runId":"2"}}],"nextPageToken":"two="}"#,
            ),
            ("workflows/a?", "200", r#"{"workflowExecutionInfo":{"historyLength":"5"}}"#),
            ("workflows/b?", "500", r#"{"message":"out of order"}"#),
            (
                "workflows/c?",
                "200",
                r#"{"workflowExecutionInfo":{"historyLength":"17"},"pendingActivities":[{"activityId":"1","attempt":3,
                                      "activityType":{"name":"deposit"},"lastFailure":{"message":"no"}}]}"#,
            ),
            ("workflows/d?", "404", "{}"),
        ]);
        let found = find(&server, usize::MAX).expect("there is a list");
        assert_eq!((found.running, found.looked_at, found.events), (4, 4, 22));
        assert_eq!(found.stuck.iter().map(|stuck| &*stuck.run.workflow_id).collect::<Vec<_>>(), ["c"]);
        let [(run, error)] = &found.unknown[..] else { panic!("{:?}", found.unknown) };
        assert_eq!(run.workflow_id, "b");
        assert!(error.to_string().contains("out of order"), "{error}");
        assert_eq!(find(&server, 1).expect("there is a list").looked_at, 1);
    }

    #[test]
    fn what_is_due_gets_a_moment_until_a_worker_takes_it() {
        let mut describes = 0;
        let address = webtest::web_service(move |request| {
            if request.head.contains("workflows?") {
                return (200, r#"{"executions":[{"execution":{"workflowId":"a","runId":"1"}}]}"#.to_owned());
            }
            describes += 1;
            let state = if describes < 3 { "SCHEDULED" } else { "STARTED" };
            let description = json!({ "pendingActivities": [
                { "activityId": "1", "activityType": { "name": "deposit" }, "attempt": 2, "lastFailure": { "message": "no" },
                  "state": format!("PENDING_ACTIVITY_STATE_{state}"), "scheduledTime": "2026-11-22T12:00:00Z" },
            ]});
            (200, description.to_string())
        });
        let server = Server::new(&Endpoints::own(&format!("http://{address}"), "", ""));
        assert_eq!(find(&server, usize::MAX).expect("it answers").stuck[0].state(), "no_worker");
        assert_eq!(find_once_taken(&server).expect("it answers").stuck[0].state(), "failing");
    }
}
