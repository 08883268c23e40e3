//! A transfer's Event History: its runs, with each event in a line, and what is not recorded yet.

use std::{
    collections::BTreeMap,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use contract::WORKFLOW_TYPE;
use lab::{Event, Run as History};
use lab_client::{
    facts::{quoted, read_history},
    http::is_transient,
    side_by_side,
    temporal::{Run, Server, transfers},
    time::parse_rfc3339,
};
use serde_json::{Value, json};

use crate::explain::{is_failure, line, meaning};

/// The largest number of runs shown, the newest ones.
const MOST_RUNS: usize = 10;
/// The largest number of events of a run, the latest ones.
const MOST_EVENTS: usize = 300;
/// The longest line, in characters.
const LONGEST: usize = 600;
/// The largest number of earlier runs that are kept.
const MOST_KEPT: usize = 100;

/// The earlier runs that were read, by their Run Ids. A closed run never changes, so it is read once. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct EarlierRuns(Arc<Mutex<BTreeMap<String, Arc<History>>>>);

impl EarlierRuns {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Arc<History>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, server: &Server, run: &Run) -> Result<Arc<History>> {
        let kept = self.kept().get(&run.run_id).cloned();
        if let Some(history) = kept {
            return Ok(history);
        }
        let history = Arc::new(read_history(server, run, Value::Null)?);
        if history.close().is_some() {
            let mut kept = self.kept();
            if kept.len() >= MOST_KEPT {
                kept.clear();
            }
            kept.insert(run.run_id.clone(), Arc::clone(&history));
        }
        Ok(history)
    }
}

/// The history of the transfer with this Workflow Id; none if the server does not have it.
///
/// # Errors
/// The server does not answer.
pub(crate) fn history(server: &Server, workflow_id: &str, runs: &EarlierRuns) -> Result<Option<Value>> {
    let latest = Run { workflow_id: workflow_id.to_owned(), run_id: String::new() };
    let Some(description) = server.describe_if_there(&latest)? else { return Ok(None) };
    let info = &description["workflowExecutionInfo"];
    let Some(run) = Run::from_json(&info["execution"]).filter(|_| info["type"]["name"] == WORKFLOW_TYPE)
    else {
        return Ok(None);
    };
    let newest = read_history(server, &run, description)?;
    let earlier = earlier(server, &run, &newest, runs)?;
    let histories = iter::once(&newest).chain(earlier.iter().map(Arc::as_ref));
    let mut runs: Vec<Value> = histories.map(|history| run_json(history, workflow_id, server)).collect();
    // A reset records the run that it continues.
    for at in 1..runs.len() {
        let (later, this) = runs.split_at_mut(at);
        this[0]["continued_at"] = later[at - 1]["reset_event"].clone();
    }
    Ok(Some(json!({ "workflow_id": workflow_id, "runs": runs })))
}

/// The runs before this one that Workflow Resets continued, newest first.
fn earlier(server: &Server, run: &Run, newest: &History, runs: &EarlierRuns) -> Result<Vec<Arc<History>>> {
    if newest.original() == run.run_id {
        return Ok(Vec::new());
    }
    let query = format!("{} AND WorkflowId={}", transfers(), quoted(&run.workflow_id));
    let mut listed = server.listed(&query, MOST_RUNS)?;
    listed.retain(|listed| listed.run.run_id != run.run_id);
    listed.sort_by(|a, b| b.start.total_cmp(&a.start));
    let histories = side_by_side::try_map(&listed, |listed| match runs.read(server, &listed.run) {
        Err(error) if is_transient(&error) => Err(error),
        // The server may have deleted a run since it was listed.
        answer => Ok(answer.ok()),
    })?;
    // Another transfer may have had the same Workflow Id.
    Ok(histories.into_iter().flatten().filter(|history| history.original() == newest.original()).collect())
}

fn run_json(history: &History, workflow_id: &str, server: &Server) -> Value {
    let run = Run { workflow_id: workflow_id.to_owned(), run_id: history.run_id.clone() };
    let recorded = recorded(history);
    let left_out = recorded.len().saturating_sub(MOST_EVENTS);
    let events: Vec<Value> = recorded[left_out..].iter().map(|&event| event_json(event, history)).collect();
    json!({
        "run_id": history.run_id,
        "ui_url": server.ui_link(&run),
        "status": history.close().map_or("RUNNING", |close| close.name().trim_start_matches("WORKFLOW_EXECUTION_")),
        "reset_event": history.events().rfind(|event| event.is_reset()).map(Event::id),
        "continued_at": null,
        "left_out": left_out,
        "events": events,
        "pending": pending(history),
    })
}

/// The events without those that the server adds for a retried Workflow Task, and does not keep.
fn recorded(history: &History) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = history.events().collect();
    let is_task = |event: &Event<'_>| event.is("WorkflowTaskScheduled") || event.is("WorkflowTaskStarted");
    let kept = events.iter().rposition(|event| !is_task(event)).map_or(0, |last| last + 1);
    if events.get(kept).is_some_and(|scheduled| scheduled.refers_to("attempt") > 1) {
        events.truncate(kept);
    }
    events
}

fn event_json(event: Event<'_>, history: &History) -> Value {
    json!({
        "id": event.id(),
        "type": event.kind(),
        "time": parse_rfc3339(event.time()),
        "line": line(event, history).chars().take(LONGEST).collect::<String>(),
        "meaning": meaning(event),
        "is_failure": is_failure(event),
        "can_reset": event.is("WorkflowTaskCompleted"),
    })
}

/// What is in progress or waits for its next attempt, and so has no event yet.
fn pending(history: &History) -> Vec<Value> {
    let description = &history.description;
    let is_task = |task: &Value| *task == description["pendingWorkflowTask"];
    let state = |task: &Value| {
        let name = task["state"].as_str().unwrap_or_default();
        let is = |part: &str| name.ends_with(part);
        let waits = || task["attempt"].as_u64().unwrap_or(1) > 1;
        match () {
            // The worker reports only its first failures, so the server cannot tell whether the code runs or has failed.
            () if is("_STARTED") && is_task(task) && waits() => "retried until it completes",
            () if is("_PAUSED") || is("_PAUSE_REQUESTED") => "paused",
            () if is("_STARTED") || is("_CANCEL_REQUESTED") => "in progress",
            () if waits() => "waiting for its next attempt",
            () => "waiting for a worker",
        }
    };
    let one = |what: &str, task: &Value| {
        let attempt = task["attempt"].as_u64().unwrap_or(1);
        let failure = lab::failure_chain(&task["lastFailure"]);
        let failure: String = failure.chars().take(LONGEST).collect();
        json!({ "line": format!("attempt {attempt} of {what}, {}", state(task)), "failure": failure })
    };
    if history.close().is_some() {
        return Vec::new();
    }
    let activities = description["pendingActivities"].as_array().into_iter().flatten();
    let activities = activities
        .map(|activity| one(activity["activityType"]["name"].as_str().unwrap_or("an Activity"), activity));
    let task = &description["pendingWorkflowTask"];
    activities.chain(task.is_object().then(|| one("the Workflow Task", task))).collect()
}

#[cfg(test)]
mod tests {
    use lab_client::Endpoints;

    use super::*;

    fn event(id: u64, kind: &str, attributes: Value) -> Value {
        json!({ "eventId": id.to_string(), "eventType": format!("EVENT_TYPE_{kind}"),
                "eventTime": "2026-11-22T12:00:00Z", "xEventAttributes": attributes })
    }

    fn shown(events: Vec<Value>, description: Value) -> Value {
        let history = History::new("run".to_owned(), events, description);
        let nowhere = "http://127.0.0.1:1";
        run_json(&history, "transfer-1", &Server::new(&Endpoints::own(nowhere, nowhere, nowhere)))
    }

    fn lines(run: &Value) -> Vec<&str> {
        let events = run["events"].as_array().expect("a list");
        events.iter().map(|event| event["line"].as_str().expect("a text")).collect()
    }

    #[test]
    fn each_event_has_a_line_of_what_matters_and_its_meaning() {
        let input = json!([{ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 }]);
        let withdraw = json!({ "activityType": { "name": "withdraw" }, "workflowTaskCompletedEventId": "4",
            "input": [{ "account_id": "account_A", "amount": 25.5 }] });
        let run = shown(
            vec![
                event(1, "WORKFLOW_EXECUTION_STARTED", json!({ "input": input })),
                event(
                    2,
                    "WORKFLOW_TASK_FAILED",
                    json!({ "failure": { "message": "attempt to divide by zero" } }),
                ),
                event(4, "WORKFLOW_TASK_COMPLETED", json!({})),
                event(5, "ACTIVITY_TASK_SCHEDULED", withdraw),
                event(
                    6,
                    "ACTIVITY_TASK_STARTED",
                    json!({ "scheduledEventId": "5", "attempt": 3,
                    "lastFailure": { "message": "refused" } }),
                ),
                event(
                    7,
                    "ACTIVITY_TASK_COMPLETED",
                    json!({ "scheduledEventId": "5",
                    "result": [{ "new_balance": 974.5, "amount": 25.5 }] }),
                ),
                event(
                    8,
                    "ACTIVITY_TASK_FAILED",
                    json!({ "scheduledEventId": "5",
                    "failure": { "message": "Activity task failed", "cause": { "message": "no such account" } },
                    "retryState": "RETRY_STATE_NON_RETRYABLE_FAILURE" }),
                ),
                event(
                    9,
                    "ACTIVITY_TASK_COMPLETED",
                    json!({ "result": [{ "refunded": 0, "delivered": false }] }),
                ),
                event(10, "A_NEW_KIND", Value::Null),
            ],
            Value::Null,
        );
        assert_eq!(
            lines(&run),
            [
                "$25.50 from account_A to account_B",
                "attempt to divide by zero",
                "Command: schedule withdraw",
                "withdraw, account_A, $25.50",
                "withdraw, attempt 3, the previous attempt failed: refused",
                "withdraw, moved $25.50, balance now $974.50",
                "withdraw, Activity task failed: no such account, non-retryable",
                "nothing to return",
                "",
            ]
        );
        let failed = &run["events"][1];
        assert_eq!((&failed["type"], &failed["is_failure"]), (&json!("WorkflowTaskFailed"), &json!(true)));
        assert!(failed["meaning"].as_str().is_some_and(|meaning| meaning.contains("not failed")), "{failed}");
        let resettable =
            run["events"].as_array().into_iter().flatten().filter(|event| event["can_reset"] == true);
        assert_eq!(resettable.map(|event| &event["id"]).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn attempts_without_events_are_pending() {
        let failed = event(3, "WORKFLOW_TASK_FAILED", json!({ "failure": { "message": "divide by zero" } }));
        let scheduled = event(4, "WORKFLOW_TASK_SCHEDULED", json!({ "attempt": 7 }));
        let started = event(5, "WORKFLOW_TASK_STARTED", json!({ "scheduledEventId": "4" }));
        let description = json!({
            "pendingWorkflowTask": { "state": "PENDING_WORKFLOW_TASK_STATE_STARTED", "attempt": 7 },
            "pendingActivities": [
                { "activityType": { "name": "withdraw" }, "attempt": 4, "state": "PENDING_ACTIVITY_STATE_SCHEDULED",
                  "lastFailure": { "message": "refused" } },
                { "activityType": { "name": "deposit" }, "state": "PENDING_ACTIVITY_STATE_PAUSED" },
            ],
        });
        let run = shown(vec![failed.clone(), scheduled, started], description);
        assert_eq!(run["events"].as_array().map(Vec::len), Some(1), "the server does not keep the others");
        assert_eq!(
            run["pending"],
            json!([
                { "line": "attempt 4 of withdraw, waiting for its next attempt", "failure": "refused" },
                { "line": "attempt 1 of deposit, paused", "failure": "" },
                { "line": "attempt 7 of the Workflow Task, retried until it completes", "failure": "" },
            ])
        );
        let first = event(4, "WORKFLOW_TASK_SCHEDULED", json!({ "attempt": 1 }));
        assert_eq!(shown(vec![failed, first], json!({}))["events"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_reset_is_named_with_its_reason() {
        let reset = event(
            17,
            "WORKFLOW_TASK_FAILED",
            json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW", "failure": { "message": "the address is fixed" } }),
        );
        let run = shown(vec![reset], Value::Null);
        assert_eq!(lines(&run), ["Workflow Reset: the address is fixed"]);
        assert_eq!((&run["reset_event"], &run["events"][0]["is_failure"]), (&json!(17), &json!(false)));
    }

    #[test]
    fn of_a_long_history_the_latest_events_are_shown() {
        let events = (1..=1_000).map(|id| event(id, "TIMER_FIRED", json!({ "timerId": "x".repeat(9_000) })));
        let run = shown(events.collect(), Value::Null);
        let shown = run["events"].as_array().expect("a list");
        assert_eq!((shown.len(), &shown[0]["id"], &run["left_out"]), (300, &json!(701), &json!(700)));
        assert_eq!(lines(&run)[0].len(), LONGEST);
    }
}
