//! A nondeterminism error of the SDK in plain words.

use serde_json::Value;

use crate::Event;

/// How the SDK begins such an error.
const CODE: &str = "[TMPRL1100]";

/// Whether this failed Workflow Task says that the code, on replay, issues other Commands than its Event History has.
pub(crate) fn is_nondeterminism(event: Event<'_>) -> bool {
    event.is("WorkflowTaskFailed")
        && (event.text("cause") == "WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR"
            || is_named_in(&event.failure()))
}

/// Whether this failure is a nondeterminism error.
pub(crate) fn is_named_in(failure: &str) -> bool {
    failure.contains(CODE)
}

/// What Workflow code must do.
pub(crate) const MUST: &str = "Workflow code must decide the same way on each replay: not by is_replaying, a clock, random numbers \
                               or the order of a HashMap";

/// Why a run's Workflow Task fails, in plain words, where that is a nondeterminism error. Given are the run's last events, in any order.
pub fn nondeterminism(events: &[Value]) -> Option<String> {
    let Failing { event, by_itself } = failing(events)?;
    Some(match by_itself {
        true => format!("{}; {MUST}", not_deterministic(event)),
        false => {
            let on_replay = on_replay(&event.failure());
            format!("the code no longer matches this transfer's Event History: on replay it {on_replay}")
        }
    })
}

/// The failed Workflow Task at which code that is not deterministic by itself has the run stuck, and what that code does.
pub(crate) fn by_itself(events: &[Value]) -> Option<(Event<'_>, String)> {
    let Failing { event, by_itself } = failing(events)?;
    by_itself.then(|| (event, not_deterministic(event)))
}

fn not_deterministic(event: Event<'_>) -> String {
    format!("not deterministic: on replay the code {}", on_replay(&event.failure()))
}

/// A Workflow Task that failed with a nondeterminism error, and none has completed since.
struct Failing<'a> {
    event: Event<'a>,
    /// Whether the same code completed the Workflow Task before, and so replayed all that came before that one. Else the code was
    /// changed in between, and may be deterministic.
    by_itself: bool,
}

fn failing<'a>(events: &'a [Value]) -> Option<Failing<'a>> {
    let events = || events.iter().map(Event::new);
    let completed = events().filter(|event| event.is("WorkflowTaskCompleted")).max_by_key(|event| event.id());
    let failed = events().filter(|event| event.is("WorkflowTaskFailed")).max_by_key(|event| event.id())?;
    let is_over = completed.is_some_and(|completed| completed.id() > failed.id());
    if is_over || !is_nondeterminism(failed) {
        return None;
    }
    // Nothing keeps other code from being deployed under the Build ID of a Deployment Version. But one process runs one code.
    let process = |event: Event<'a>| event.text("identity");
    if let Some(completed) = completed.filter(|event| event.attributes()["deploymentVersion"].is_object()) {
        let is_known = !process(failed).is_empty();
        return Some(Failing { event: failed, by_itself: is_known && process(failed) == process(completed) });
    }
    // The server records the Build ID of a failed Workflow Task only where the task was started.
    let started = events().find(|started| started.id() == failed.refers_to("startedEventId"));
    let build = started.map(build_id).filter(|build| !build.is_empty());
    Some(Failing { event: failed, by_itself: build.is_some() && build == completed.map(build_id) })
}

fn build_id(event: Event<'_>) -> &str {
    event.attributes()["workerVersion"]["buildId"].as_str().unwrap_or_default()
}

/// What the code does on replay and what the Event History has instead, as far as this failure names both.
fn on_replay(failure: &str) -> String {
    let named: Vec<_> = failure.split('\'').skip(1).step_by(2).collect();
    match named[..] {
        [recorded, issued] if failure.contains("of activity command") => {
            format!("schedules {issued} where its history has {recorded}")
        }
        _ => "does not issue the Commands that its history has".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn done(id: u64, build: &str) -> Value {
        json!({ "eventId": id.to_string(), "eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED",
                "workflowTaskCompletedEventAttributes": { "workerVersion": { "buildId": build } } })
    }

    fn started(id: u64, build: &str) -> Value {
        json!({ "eventId": id.to_string(), "eventType": "EVENT_TYPE_WORKFLOW_TASK_STARTED",
                "workflowTaskStartedEventAttributes": { "workerVersion": { "buildId": build } } })
    }

    fn failed(id: u64, message: &str) -> Value {
        json!({ "eventId": id.to_string(), "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED",
                "workflowTaskFailedEventAttributes": {
                    "startedEventId": (id - 1).to_string(), "failure": { "message": message } } })
    }

    const MISMATCH: &str = "[TMPRL1100] Nondeterminism error: Activity id of scheduled event 'confirm_balance' does not match \
                            activity id of activity command 'withdraw'";

    #[test]
    fn code_that_differs_from_run_to_run_is_told_from_code_that_was_changed() {
        let same = [failed(12, MISMATCH), started(11, "a"), done(8, "a"), done(4, "older")];
        let said = nondeterminism(&same).expect("it is named");
        assert!(
            said.starts_with(
                "not deterministic: on replay the code schedules withdraw where its history has confirm_balance; "
            ),
            "{said}"
        );
        assert!(by_itself(&same).is_some());
        for build in ["b", ""] {
            let other = [done(4, "a"), done(8, "a"), started(11, build), failed(12, MISMATCH)];
            let said = nondeterminism(&other).expect("it is named");
            assert!(said.starts_with("the code no longer matches"), "{said}");
            assert!(by_itself(&other).is_none());
        }
        let vague = nondeterminism(&[failed(12, "[TMPRL1100] Nondeterminism error: No command scheduled")]);
        assert!(vague.is_some_and(|said| said.contains("does not issue the Commands")));
    }

    #[test]
    fn code_under_one_build_id_of_a_deployment_version_may_have_been_changed() {
        let said = |process: &str| {
            let mut completed = done(8, "2");
            let attributes = &mut completed["workflowTaskCompletedEventAttributes"];
            attributes["deploymentVersion"] = json!({ "buildId": "2" });
            attributes["identity"] = json!("worker-7");
            let mut failed = failed(12, MISMATCH);
            failed["workflowTaskFailedEventAttributes"]["identity"] = json!(process);
            nondeterminism(&[completed, started(11, "2"), failed]).expect("it is named")
        };
        assert!(said("worker-7").starts_with("not deterministic"), "{}", said("worker-7"));
        for process in ["worker-8", ""] {
            assert!(said(process).starts_with("the code no longer matches"), "{}", said(process));
        }
    }

    #[test]
    fn another_failure_or_one_that_is_over_is_not_named() {
        assert_eq!(nondeterminism(&[failed(12, "attempt to divide by zero"), done(8, "a")]), None);
        assert_eq!(nondeterminism(&[failed(12, MISMATCH), done(16, "a")]), None);
        assert_eq!(nondeterminism(&[failed(12, MISMATCH), failed(15, "divide by zero")]), None);
        assert_eq!(nondeterminism(&[]), None);
    }
}
