//! A one-line summary of an event of an Event History, and what an event of its type means.

use contract::Money;
use lab::{Event, Run as History};
use serde_json::Value;

/// The summary of this event, such as the Activity, its attempt and its failure; may be empty.
pub(crate) fn line(event: Event<'_>, history: &History) -> String {
    let activity = || activity_of(event, history);
    match &*event.kind() {
        "WorkflowExecutionStarted" => movement(event.payload("input")),
        "WorkflowTaskScheduled" | "WorkflowTaskStarted" => later_attempt(event),
        "WorkflowTaskCompleted" => {
            let parts = task_version(event).into_iter().chain([commands(event, history)]);
            parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(". ")
        }
        "WorkflowTaskFailed" if event.is_reset() => {
            format!("Workflow Reset: {}", event.failure())
        }
        "WorkflowTaskFailed" => task_failure(event, history),
        "WorkflowTaskTimedOut" => "the worker did not respond in time".to_owned(),
        "ActivityTaskScheduled" => joined(&[activity(), movement(event.payload("input"))]),
        "ActivityTaskStarted" => {
            let last = lab::failure_chain(&event.attributes()["lastFailure"]);
            let attempt = format!("attempt {}", event.refers_to("attempt").max(1));
            let before = if last.is_empty() { last } else { format!("the previous attempt failed: {last}") };
            joined(&[activity(), attempt, before])
        }
        "ActivityTaskCompleted" => joined(&[activity(), answer(event.payload("result"))]),
        "ActivityTaskFailed" | "ActivityTaskTimedOut" => {
            joined(&[activity(), event.failure(), why_final(event.text("retryState")).to_owned()])
        }
        "ActivityTaskCancelRequested" | "ActivityTaskCanceled" => activity(),
        "TimerStarted" => {
            joined(&[event.text("timerId").to_owned(), event.text("startToFireTimeout").to_owned()])
        }
        "TimerFired" | "TimerCanceled" => event.text("timerId").to_owned(),
        "MarkerRecorded" => marker(event),
        "UpsertWorkflowSearchAttributes" => {
            let fields = event.attributes()["searchAttributes"]["indexedFields"].as_object();
            let names: Vec<&str> = fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        }
        "WorkflowExecutionSignaled" => event.text("signalName").to_owned(),
        "WorkflowExecutionOptionsUpdated" => options(event.attributes()),
        "WorkflowExecutionCompleted" => answer(event.payload("result")),
        "WorkflowExecutionTerminated" => event.text("reason").to_owned(),
        _ => event.failure(),
    }
}

/// What an event like this means, for somebody who sees it for the first time.
pub(crate) fn meaning(event: Event<'_>) -> Option<&'static str> {
    Some(match &*event.kind() {
        "WorkflowExecutionStarted" => {
            "A client asked the server to run the Workflow. The server recorded the input."
        }
        "WorkflowTaskScheduled" => {
            "The server put a Workflow Task on the Task Queue. The worker that takes it runs the Workflow code."
        }
        "WorkflowTaskStarted" => "A worker took the Workflow Task and runs the Workflow code.",
        "WorkflowTaskCompleted" if task_version(event).is_some() => {
            "The Workflow code ran until it had to wait. The worker sent its Commands to the server, such as to schedule an Activity. \
             The server recorded the Deployment Version of the worker: it sends the next Workflow Tasks of a pinned Workflow only to \
             workers of this version, and those of an auto-upgrade Workflow to the current version."
        }
        "WorkflowTaskCompleted" => {
            "The Workflow code ran until it had to wait. The worker sent its Commands to the server, such as to schedule an Activity."
        }
        "WorkflowTaskFailed" if event.is_reset() => {
            "A Workflow Reset copied the events before this one from the earlier run. From here, the Workflow code runs again."
        }
        "WorkflowTaskFailed" => {
            "The Workflow code failed. The transfer has not failed: the server retries the Workflow Task until the code works. \
             Later attempts are counted but not recorded in the history."
        }
        "WorkflowTaskTimedOut" => {
            "A worker took the Workflow Task and did not respond, for example because it was killed. The server retries it."
        }
        "ActivityTaskScheduled" => {
            "The Workflow asked for this Activity. The server recorded its input and put an Activity Task on the Task Queue."
        }
        "ActivityTaskStarted" => {
            "A worker took the Activity Task. The server records this only when the last attempt has ended; earlier attempts are \
             counted but not recorded."
        }
        "ActivityTaskCompleted" => {
            "The Activity returned its result. On replay, the Workflow gets this result from the history, and the Activity does \
             not run again."
        }
        "ActivityTaskFailed" => {
            "The Activity failed and is not retried: the failure is non-retryable, or its retries are exhausted. The Workflow \
             code gets the error."
        }
        "ActivityTaskTimedOut" => {
            "The Activity timed out and is not retried. The Workflow code gets the error."
        }
        "ActivityTaskCancelRequested" => "The Workflow asked to cancel this Activity.",
        "ActivityTaskCanceled" => "The Activity was canceled.",
        "TimerStarted" => {
            "The Workflow started a timer. The server keeps it, so it survives a restart of the worker."
        }
        "TimerFired" => "The timer ended, and the server scheduled a Workflow Task.",
        "TimerCanceled" => "The Workflow canceled the timer.",
        "MarkerRecorded" => {
            "The Workflow code recorded a value for its replays, such as that this run takes the new branch of a patch."
        }
        "UpsertWorkflowSearchAttributes" => {
            "The Workflow set Search Attributes, by which lists find this transfer."
        }
        "WorkflowExecutionSignaled" => "A client sent the Workflow a Signal.",
        "WorkflowExecutionOptionsUpdated" => {
            "A client changed the options of this run, such as which version of the workers runs it: from here, its Workflow Tasks and \
             Activity Tasks go to workers of that version, which replay the history."
        }
        "WorkflowExecutionCancelRequested" => {
            "A client asked the Workflow to cancel. The code decides what to do about it."
        }
        "WorkflowExecutionCompleted" => "The Workflow code returned its result, and the run closed.",
        "WorkflowExecutionFailed" => {
            "The Workflow code returned an error, and the run closed. Only a Workflow Reset continues it, in a new run."
        }
        "WorkflowExecutionTimedOut" => "The run took longer than its timeout, and the server closed it.",
        "WorkflowExecutionTerminated" => "A client terminated the run. The Workflow code could not clean up.",
        "WorkflowExecutionCanceled" => "The Workflow code accepted the cancellation, and the run closed.",
        "WorkflowExecutionContinuedAsNew" => "The Workflow continued in a new run, with a new history.",
        _ => return None,
    })
}

/// Whether something failed here.
pub(crate) fn is_failure(event: Event<'_>) -> bool {
    let kind = event.kind();
    (kind.ends_with("Failed") || kind.ends_with("TimedOut")) && !event.is_reset()
}

/// The name of the Activity that this event is about.
fn activity_of(event: Event<'_>, history: &History) -> String {
    let own = event.attributes()["activityType"]["name"].as_str();
    let scheduled = history.event(event.refers_to("scheduledEventId"));
    let name = own.or_else(|| scheduled?.attributes()["activityType"]["name"].as_str());
    name.unwrap_or_default().to_owned()
}

/// The Commands that this completed Workflow Task sent, by the events that the server recorded for them.
fn commands(task: Event<'_>, history: &History) -> String {
    let sent = history.events().filter(|event| event.refers_to("workflowTaskCompletedEventId") == task.id());
    let commands = sent.map(|event| match &*event.kind() {
        "ActivityTaskScheduled" => format!("schedule {}", activity_of(event, history)),
        "MarkerRecorded" => "record a marker".to_owned(),
        "TimerStarted" => "start a timer".to_owned(),
        "UpsertWorkflowSearchAttributes" => "set Search Attributes".to_owned(),
        "WorkflowExecutionCompleted" => "complete the Workflow".to_owned(),
        "WorkflowExecutionFailed" => "fail the Workflow".to_owned(),
        kind => kind.to_owned(),
    });
    let commands: Vec<String> = commands.collect();
    match &commands[..] {
        [] => String::new(),
        [one] => format!("Command: {one}"),
        several => format!("Commands: {}", several.join(", ")),
    }
}

/// The Deployment Version that completed this Workflow Task, and what holds for the next ones; none if its worker is not versioned.
fn task_version(task: Event<'_>) -> Option<String> {
    let behavior = behavior(&task.attributes()["versioningBehavior"])?;
    let build_id = task.attributes()["deploymentVersion"]["buildId"].as_str()?;
    Some(format!("Version {build_id}, {behavior}"))
}

/// A versioning behavior in Temporal's words; none if it is not specified.
fn behavior(name: &Value) -> Option<&'static str> {
    match name.as_str()? {
        "VERSIONING_BEHAVIOR_PINNED" => Some("pinned"),
        "VERSIONING_BEHAVIOR_AUTO_UPGRADE" => Some("auto-upgrade"),
        _ => None,
    }
}

/// What a client changed in the options of a run, in words.
fn options(attributes: &Value) -> String {
    let versioning = &attributes["versioningOverride"];
    if let Some(build_id) = versioning["pinned"]["version"]["buildId"].as_str() {
        return format!("pinned to version {build_id}");
    }
    if versioning["autoUpgrade"] == true {
        return "auto-upgrade: it follows the current version".to_owned();
    }
    if attributes["unsetVersioningOverride"] == true {
        return "the versioning override was removed".to_owned();
    }
    String::new()
}

fn later_attempt(event: Event<'_>) -> String {
    match event.refers_to("attempt") {
        0 | 1 => String::new(),
        number => format!("attempt {number}"),
    }
}

/// The money and the accounts of an input, in words.
fn movement(input: &Value) -> String {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let amount = money(&input["amount"]);
    match (text("from_account"), text("to_account"), text("account_id")) {
        ("", "", account) => joined(&[account.to_owned(), amount]),
        (from, to, _) => format!("{amount} from {from} to {to}"),
    }
}

/// What a step or the Workflow returned, in words.
fn answer(result: &Value) -> String {
    let field = |name: &str, words: &str| match money(&result[name]) {
        amount if amount.is_empty() => String::new(),
        amount => format!("{words} {amount}"),
    };
    let success = match result["success"].as_bool() {
        Some(true) => "success".to_owned(),
        Some(false) => "no success".to_owned(),
        None => String::new(),
    };
    joined(&[
        success,
        field("amount", "moved"),
        field("balance", "balance"),
        field("new_balance", "balance now"),
        returned(result).unwrap_or_default(),
    ])
}

/// What a refund returned, in words; none if this is not the result of one.
pub(crate) fn returned(result: &Value) -> Option<String> {
    let refunded = result["refunded"].as_f64()?;
    Some(match result["delivered"] == true {
        true => "the money had arrived".to_owned(),
        false if refunded > 0.0 => format!("{} returned", money(&result["refunded"])),
        false => "nothing to return".to_owned(),
    })
}

/// An amount of dollars, such as `$1,175.09`, if this is one.
fn money(value: &Value) -> String {
    let Ok(amount) = serde_json::from_value::<Money>(value.clone()) else { return String::new() };
    let plain = amount.to_string();
    let (sign, digits) = plain.strip_prefix('-').map_or(("", &*plain), |digits| ("-", digits));
    let (dollars, cents) = digits.split_once('.').unwrap_or((digits, "00"));
    let mut grouped = String::new();
    for (index, digit) in dollars.chars().enumerate() {
        if index > 0 && (dollars.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}${grouped}.{cents}")
}

/// What a patch or another marker recorded.
fn marker(event: Event<'_>) -> String {
    let details = event.attributes()["details"].as_object().into_iter().flatten();
    let mut ids = details.filter_map(|(_, data)| {
        let data = data.get("payloads").unwrap_or(data);
        data[0]["id"].as_str()
    });
    match ids.next() {
        Some(id) => format!("patch {id}"),
        None => event.text("markerName").to_owned(),
    }
}

/// Why an Activity is not retried.
fn why_final(retry_state: &str) -> &'static str {
    match retry_state {
        "RETRY_STATE_NON_RETRYABLE_FAILURE" => "non-retryable",
        "RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED" => "retries exhausted: Maximum Attempts reached",
        "RETRY_STATE_TIMEOUT" => "retries exhausted: Schedule-To-Close Timeout reached",
        _ => "",
    }
}

/// Why a Workflow Task failed: a nondeterminism error in plain words first.
fn task_failure(event: Event<'_>, history: &History) -> String {
    let failure = match event.failure() {
        failure if failure.is_empty() => event.text("cause").to_owned(),
        failure => failure,
    };
    let until = history.events().take_while(|other| other.id() <= event.id()).count();
    match lab::nondeterminism(&history.events[..until]) {
        Some(plain) => format!("{plain} ({failure})"),
        None => failure,
    }
}

fn joined(parts: &[String]) -> String {
    parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use lab::Status;
    use serde_json::json;

    use super::*;

    /// The line of the only event of a history.
    fn line_of(kind: &str, attributes: Value) -> String {
        let event = json!({ "eventId": "1", "eventType": kind, "oneEventAttributes": attributes });
        let history = History {
            run_id: String::new(),
            status: Status::Running,
            events: vec![event.clone()],
            description: Value::Null,
        };
        assert!(meaning(Event::new(&event)).is_some(), "{kind}");
        line(Event::new(&event), &history)
    }

    #[test]
    fn a_completed_workflow_task_names_the_version_of_a_versioned_worker() {
        let completed = |behavior: &str| {
            let version = json!({ "deploymentName": "money-transfer", "buildId": "2" });
            let attributes = json!({ "versioningBehavior": behavior, "deploymentVersion": version });
            line_of("EVENT_TYPE_WORKFLOW_TASK_COMPLETED", attributes)
        };
        assert_eq!(completed("VERSIONING_BEHAVIOR_PINNED"), "Version 2, pinned");
        assert_eq!(completed("VERSIONING_BEHAVIOR_AUTO_UPGRADE"), "Version 2, auto-upgrade");
        assert_eq!(completed("VERSIONING_BEHAVIOR_UNSPECIFIED"), "");
    }

    #[test]
    fn changed_options_say_which_version_the_run_is_on_from_there() {
        let changed = |attributes| line_of("EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED", attributes);
        let pinned = json!({ "versioningOverride": { "pinned": { "version": { "buildId": "1" } } } });
        assert_eq!(changed(pinned), "pinned to version 1");
        let follows = json!({ "versioningOverride": { "autoUpgrade": true } });
        assert_eq!(changed(follows), "auto-upgrade: it follows the current version");
        assert_eq!(
            changed(json!({ "unsetVersioningOverride": true })),
            "the versioning override was removed"
        );
        assert_eq!(changed(json!({ "attachedRequestId": "1" })), "");
    }
}
