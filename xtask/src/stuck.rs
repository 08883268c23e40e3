//! Which transfers do not get on, and on what.

use std::thread;

use anyhow::Result;
use serde_json::{Value, json};

use crate::temporal::{Run, Server};

/// No more transfers than this are looked at closely.
const MOST: usize = 100;
/// So many are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// What a transfer is stuck on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The Workflow code itself fails.
    WorkflowTask,
    /// An activity of it fails.
    Activity,
}

/// A transfer that has failed to get on at least once, and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// Which.
    pub(crate) run: Run,
    /// On what.
    pub(crate) kind: Kind,
    /// The failing activity: its id and its type.
    pub(crate) activity: Option<(String, String)>,
    /// Whether an attempt is under way at this moment.
    pub(crate) trying: bool,
    /// The number of the attempt that is under way or comes next.
    pub(crate) attempt: u64,
    /// What went wrong last.
    pub(crate) failure: String,
    /// When it is tried again, in the server's words.
    pub(crate) next_attempt: Option<String>,
}

impl Stuck {
    /// As `lab status --json` has it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "workflow_id": self.run.workflow_id,
            "run_id": self.run.run_id,
            "kind": match self.kind { Kind::WorkflowTask => "workflow_task", Kind::Activity => "activity" },
            "activity": self.activity.as_ref().map(|(_, name)| name),
            "attempt": self.attempt,
            "failure": self.failure,
            "next_attempt": self.next_attempt,
        })
    }

    /// What it is stuck on, for a sentence.
    pub(crate) fn what(&self) -> String {
        match &self.activity {
            Some((_, name)) => format!("the Activity {name}"),
            None => "its Workflow Task".to_owned(),
        }
    }
}

/// The stuck transfers among those that run, and how many run.
pub(crate) fn find(server: &Server) -> Result<(Vec<Stuck>, usize)> {
    let running = server.running()?;
    let looked_at = &running[..running.len().min(MOST)];
    let mut stuck = Vec::new();
    thread::scope(|scope| {
        let share = looked_at.len().div_ceil(SIDE_BY_SIDE).max(1);
        let threads: Vec<_> = looked_at
            .chunks(share)
            .map(|runs| scope.spawn(|| runs.iter().flat_map(|run| look(server, run)).collect::<Vec<_>>()))
            .collect();
        for thread in threads {
            // One that panicked has already said so.
            stuck.extend(thread.join().unwrap_or_default());
        }
    });
    Ok((stuck, running.len()))
}

/// What this transfer is stuck on. Nothing when it has ended in the meantime.
pub(crate) fn look(server: &Server, run: &Run) -> Vec<Stuck> {
    let Ok(description) = server.describe(run) else { return Vec::new() };
    let mut stuck = from_activities(run, &description);
    if let Some(attempt) = failing_task(&description) {
        let task = &description["pendingWorkflowTask"];
        let trying = task["state"] == "PENDING_WORKFLOW_TASK_STATE_STARTED";
        let events = server.last_events(run).unwrap_or_default();
        stuck.push(Stuck {
            run: run.clone(),
            kind: Kind::WorkflowTask,
            activity: None,
            trying,
            attempt,
            failure: task_failure(&events),
            next_attempt: (!trying).then(|| time_of(&task["scheduledTime"])).flatten(),
        });
    }
    stuck
}

/// The attempt of a Workflow Task that has failed before.
fn failing_task(description: &Value) -> Option<u64> {
    description["pendingWorkflowTask"]["attempt"].as_u64().filter(|&attempt| attempt > 1)
}

/// The activities that have failed before and are tried again.
fn from_activities(run: &Run, description: &Value) -> Vec<Stuck> {
    let pending = description["pendingActivities"].as_array();
    pending
        .into_iter()
        .flatten()
        .filter(|activity| activity["lastFailure"].is_object())
        .map(|activity| {
            let trying = activity["state"] == "PENDING_ACTIVITY_STATE_STARTED";
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Stuck {
                run: run.clone(),
                kind: Kind::Activity,
                activity: Some((text(&activity["activityId"]), text(&activity["activityType"]["name"]))),
                trying,
                attempt: activity["attempt"].as_u64().unwrap_or(1),
                failure: chain(&activity["lastFailure"]),
                next_attempt: (!trying)
                    .then(|| {
                        time_of(&activity["nextAttemptScheduleTime"])
                            .or_else(|| time_of(&activity["scheduledTime"]))
                    })
                    .flatten(),
            }
        })
        .collect()
}

/// Why the last Workflow Task failed. History has the first two failures; later ones are the same.
fn task_failure(newest_first: &[Value]) -> String {
    let mut timed_out = false;
    for event in newest_first {
        match event["eventType"].as_str() {
            Some("EVENT_TYPE_WORKFLOW_TASK_FAILED") => {
                return chain(&event["workflowTaskFailedEventAttributes"]["failure"]);
            }
            Some("EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT") => timed_out = true,
            Some("EVENT_TYPE_WORKFLOW_TASK_COMPLETED") => break,
            _ => {}
        }
    }
    if timed_out { "no worker answered in time".to_owned() } else { "not known yet".to_owned() }
}

/// A failure and its causes in one line: from the first words to the last, without what only repeats
/// or only names a layer in between.
pub(crate) fn chain(failure: &Value) -> String {
    const LAYERS: [&str; 2] = ["client error (Connect)", "tcp connect error"];
    let mut said: Vec<&str> = Vec::new();
    let mut next = failure;
    while let Some(message) = next["message"].as_str() {
        let repeats = said.iter().any(|before| before.contains(message));
        if !message.is_empty() && !repeats && !LAYERS.contains(&message) {
            said.push(message);
        }
        next = &next["cause"];
    }
    said.join(": ")
}

/// A point in time; Go's zero time stands for none.
fn time_of(value: &Value) -> Option<String> {
    value.as_str().filter(|text| crate::time::parse_rfc3339(text).is_some()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

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
              "nextAttemptScheduleTime": "2026-11-22T12:00:08.5Z",
              "lastFailure": { "message": "error sending request for url (http://127.0.0.1:5005/x)",
                "cause": { "message": "client error (Connect)",
                  "cause": { "message": "tcp connect error",
                    "cause": { "message": "Connection refused (os error 111)" } } } } },
        ]});
        let stuck = from_activities(&run(), &description);
        assert_eq!(stuck.len(), 1);
        let json = stuck[0].to_json();
        assert_eq!(json["kind"], "activity");
        assert_eq!(json["attempt"], 4);
        assert_eq!(json["next_attempt"], "2026-11-22T12:00:08.5Z");
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
            "no worker answered in time"
        );
        assert_eq!(task_failure(&[completed, failed("old")]), "not known yet");
    }
}
