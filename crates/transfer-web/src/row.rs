//! A transfer as the API and the page show it, from its Event History and its description.

use std::collections::BTreeMap;

use contract::step;
use lab::{Event, Next, Run as History};
use lab_client::{
    stuck::{self, Kind, Stuck},
    temporal::{Listed, Server, status_name},
    time::parse_rfc3339,
};
use serde_json::{Value, json};

use crate::{
    attempts::{Attempts, Backoff, seconds, time_of},
    explain::returned,
};

/// The largest input or result in a row, in bytes of JSON.
const LONGEST: usize = 16 * 1024;

/// The row of a run whose history was read. Adds newly observed attempts to `attempts`.
pub(crate) fn row(
    listed: &Listed,
    runs: usize,
    history: &History,
    attempts: &mut Attempts,
    server: &Server,
) -> Value {
    let run = &listed.run;
    let info = &history.description["workflowExecutionInfo"];
    let mut row = outline(listed, runs, server);
    if let Some(status) = Some(status_of(info, history)).filter(|status| !status.is_empty()) {
        row["status"] = json!(status);
    }
    row["close_time"] = json!(history.close().and_then(|event| parse_rfc3339(event.time())).or(listed.close));
    let started = history.events().find(|event| event.is("WorkflowExecutionStarted"));
    row["input"] = started.map_or(Value::Null, |event| limited(event.payload("input")));

    row["version"] = json!(history.version());

    let steps = steps(history);
    row["steps"] = json!(steps.all);
    row["completed_steps"] = json!(steps.completed);
    row["current_step"] = json!(steps.current);
    row["outcomes"] = json!(steps.outcomes);
    row["returned"] = json!(steps.returned);

    if let Some(close) = history.close() {
        if close.is("WorkflowExecutionCompleted") {
            row["result"] = limited(close.payload("result"));
        } else {
            row["failure"] = json!(ending(close));
        }
        return row;
    }
    let newest_first = || history.events.iter().rev().cloned().collect();
    let mut present = history.description.clone();
    let pending = present["pendingActivities"].as_array_mut();
    pending.into_iter().flatten().for_each(|pending| attempts.recall_failure(pending));
    if let Some(stuck) = stuck::of(run, &present, newest_first).into_iter().next() {
        row["stuck"] = stuck_json(&stuck, history, attempts);
    }
    row
}

/// The row of a run that is only known from a list.
pub(crate) fn outline(listed: &Listed, runs: usize, server: &Server) -> Value {
    json!({
        "workflow_id": listed.run.workflow_id,
        "run_id": listed.run.run_id,
        "status": listed.status,
        "start_time": listed.start,
        "close_time": listed.close,
        "input": null,
        "result": null,
        "steps": step::ALL,
        "current_step": null,
        "completed_steps": [],
        "outcomes": {},
        "returned": null,
        "runs": runs,
        "version": null,
        "failure": null,
        "ui_url": server.ui_link(&listed.run),
        "stuck": null,
    })
}

/// A payload, or its size if it is too large to show.
fn limited(value: &Value) -> Value {
    let size = value.to_string().len();
    if size > LONGEST {
        json!(format!("a value of {size} bytes; see the Temporal UI"))
    } else {
        value.clone()
    }
}

/// The status, from the history if that has the close event, since it may be newer than the description.
fn status_of<'a>(info: &'a Value, history: &'a History) -> &'a str {
    let Some(close) = history.close() else { return status_name(&info["status"]) };
    // `WORKFLOW_EXECUTION_TIMED_OUT` is `TIMED_OUT` in a list.
    close.name().trim_start_matches("WORKFLOW_EXECUTION_")
}

/// Why a run closed without a result.
fn ending(close: Event<'_>) -> String {
    let failure = close.failure();
    if !failure.is_empty() {
        return failure;
    }
    match &*close.kind() {
        "WorkflowExecutionTerminated" => match close.text("reason") {
            "" => "terminated".to_owned(),
            reason => format!("terminated: {reason}"),
        },
        "WorkflowExecutionCanceled" => "canceled".to_owned(),
        "WorkflowExecutionTimedOut" => "the Workflow Execution timed out".to_owned(),
        _ => "continued in another run".to_owned(),
    }
}

/// The steps of a run.
#[derive(Default)]
struct Steps {
    /// All of them, in order.
    all: Vec<String>,
    completed: Vec<String>,
    /// The one in progress.
    current: Option<String>,
    /// What became of those that were scheduled.
    outcomes: BTreeMap<String, &'static str>,
    /// What the refund returned, in words.
    returned: Option<String>,
}

fn steps(history: &History) -> Steps {
    let all = step::ALL.iter().map(|&step| step.to_owned()).collect();
    let mut steps = Steps { all, ..Steps::default() };
    let (mut after, mut checks) = (0, 0);
    for event in history.events().filter(|event| event.is("ActivityTaskScheduled")) {
        let name = step_name(event, &mut checks);
        match steps.all.iter().position(|step| *step == name) {
            Some(at) => after = at + 1,
            // What a transfer that gives up does last.
            None if name == step::REFUND => steps.all.push(name.clone()),
            // A step that is not in the list goes after the previous one.
            None => {
                steps.all.insert(after, name.clone());
                after += 1;
            }
        }
        let closing = history.events().find(|other| {
            other.kind().starts_with("ActivityTask")
                && other.refers_to("scheduledEventId") == event.id()
                && !other.is("ActivityTaskStarted")
                && !other.is("ActivityTaskCancelRequested")
        });
        let outcome = match closing.map(Event::kind).as_deref() {
            Some("ActivityTaskCompleted") => "completed",
            Some("ActivityTaskTimedOut") => "timed_out",
            Some("ActivityTaskCanceled") => "canceled",
            Some(_) => "failed",
            None => "pending",
        };
        if outcome == "completed" {
            steps.completed.push(name.clone());
            let result = closing.map_or(&Value::Null, |closing| closing.payload("result"));
            steps.returned = Some(result).filter(|_| name == step::REFUND).and_then(returned);
        } else if outcome == "pending" && history.close().is_none() {
            steps.current = Some(name.clone());
        }
        steps.outcomes.insert(name, outcome);
    }
    steps
}

/// The step's name: the Activity's id, or derived from its type if another SDK numbered the Activities.
fn step_name(scheduled: Event<'_>, checks: &mut usize) -> String {
    let kind = scheduled.attributes()["activityType"]["name"].as_str().unwrap_or_default();
    let id = scheduled.text("activityId");
    if kind == "check_balance" {
        *checks += 1;
    }
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match (kind, *checks) {
        _ if !is_number => id.to_owned(),
        ("check_balance", 1) => step::CHECK_BALANCE_FROM.to_owned(),
        ("check_balance", _) => step::CHECK_BALANCE_TO.to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

/// What the transfer is stuck on, with its attempts.
fn stuck_json(stuck: &Stuck, history: &History, attempts: &mut Attempts) -> Value {
    let failed = stuck.attempt.saturating_sub(1);
    let (begin, backoff, most) = match &stuck.activity {
        Some((id, _)) => {
            let pending = history.description["pendingActivities"].as_array();
            let pending = pending.into_iter().flatten().find(|pending| pending["activityId"] == **id);
            let pending = pending.unwrap_or(&Value::Null);
            let scheduled = history
                .events()
                .rfind(|event| event.is("ActivityTaskScheduled") && event.text("activityId") == id);
            attempts.of(&format!("activity {id} {}", scheduled.map_or(0, Event::id)));
            if let Some(time) = time_of(&pending["lastAttemptCompleteTime"]) {
                attempts.failed(failed, time);
            }
            let policy = scheduled.map(|event| &event.attributes()["retryPolicy"]);
            let begin = scheduled.and_then(|event| parse_rfc3339(event.time()));
            (begin, policy.and_then(Backoff::of), pending["maximumAttempts"].as_u64().unwrap_or_default())
        }
        None => {
            let is_failure = |event: &Event<'_>| {
                (event.is("WorkflowTaskFailed") && !event.is_reset()) || event.is("WorkflowTaskTimedOut")
            };
            let completed = history.events().rfind(|event| event.is("WorkflowTaskCompleted"));
            let completed = completed.map_or(0, Event::id);
            attempts.of(&format!("workflow task {completed}"));
            let failures = history.events().filter(|event| event.id() > completed && is_failure(event));
            for (number, failure) in (1..).zip(failures) {
                if let Some(time) = parse_rfc3339(failure.time()) {
                    attempts.failed(number, time);
                }
            }
            // The next attempt is scheduled when the previous one has failed.
            if let Some(time) = time_of(&history.description["pendingWorkflowTask"]["scheduledTime"]) {
                attempts.failed(failed, time);
            }
            let begin = history.events().find(|event| event.id() > completed);
            (begin.and_then(|event| parse_rfc3339(event.time())), None, 0)
        }
    };
    // The worker reports only the first failures of a Workflow Task: then the server waits for its answer until the timeout.
    let task = &history.description["pendingWorkflowTask"];
    let timeout = seconds(&history.description["executionConfig"]["defaultWorkflowTaskTimeout"]);
    let times_out = time_of(&task["startedTime"]).zip(timeout).map(|(started, timeout)| started + timeout);
    let times_out = times_out.filter(|_| stuck.kind == Kind::WorkflowTask && stuck.trying);
    let way_out = stuck.way_out();
    json!({
        "kind": match stuck.kind { Kind::WorkflowTask => "workflow_task", Kind::Activity => "activity" },
        "activity": stuck.activity.as_ref().map(|(_, name)| name),
        "activity_id": stuck.activity.as_ref().map(|(id, _)| id),
        "step": stuck.activity.as_ref().map(|(id, _)| id),
        "attempt": stuck.attempt,
        "trying": stuck.trying,
        "failure": stuck.failure,
        "plain": stuck.nondeterminism,
        "place": place(&stuck.failure),
        "next_attempt": stuck.next_attempt.as_deref().and_then(parse_rfc3339),
        "times_out": times_out,
        "max_attempts": most,
        "can_retry": stuck.can_retry(),
        "state": stuck.state(),
        "cancel_requested": stuck.cancel_requested,
        "says": stuck.says(),
        "advice": way_out.as_ref().map(Next::before),
        "command": way_out.as_ref().and_then(Next::to_type),
        "attempts": attempts.all(failed, begin.unwrap_or_default(), backoff),
    })
}

/// The file, line and column that a failure names, such as `crates/worker/src/workflow.rs:126:24`.
fn place(failure: &str) -> Option<&str> {
    let words = failure.split([' ', ',', '(', ')']).map(|word| word.trim_end_matches(':'));
    words.into_iter().find(|word| {
        let mut parts = word.split(':');
        let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
        parts.next().is_some_and(|file| file.ends_with(".rs")) && is_number(parts.next())
    })
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn place_is_the_file_and_line_that_a_failure_names() {
        for (failure, named) in [
            (
                "panicked: attempt to divide by zero, at crates/a/src/b.rs:126:24",
                Some("crates/a/src/b.rs:126:24"),
            ),
            ("no answer, called at crates/a/src/b.rs:49:48: refused", Some("crates/a/src/b.rs:49:48")),
            ("see (src/b.rs:7)", Some("src/b.rs:7")),
            ("nothing of http://127.0.0.1:5005/b.rs", None),
            ("", None),
        ] {
            assert_eq!(place(failure), named, "{failure}");
        }
    }
}
