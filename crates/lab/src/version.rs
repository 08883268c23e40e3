//! Which Deployment Version runs a transfer, by its Event History.

use serde_json::Value;

use crate::{Event, Run};

impl Run {
    /// The Build ID of the version that the run began on: the one that completed its first Workflow Task. None before that, and with
    /// unversioned workers.
    pub fn began_on(&self) -> Option<&str> {
        version_of(self.events().find(|event| event.is("WorkflowTaskCompleted"))?.attributes())
    }

    /// The Build ID of the version that the run is on: the one that it is pinned to or moves to, else the one that completed its last
    /// Workflow Task. None before that, with unversioned workers, and while it is to follow the current version but no task of it has been
    /// sent there.
    pub fn version(&self) -> Option<&str> {
        let transition = &self.description["workflowExecutionInfo"]["versioningInfo"]["versionTransition"];
        let routed = self.versions().last().and_then(|(_, version)| version);
        routed.or(version_of(transition))
    }

    /// Each of its events with the version that its next Workflow Task is for, as far as the events say: if it follows the current version,
    /// that is known once the task has completed.
    fn versions(&self) -> impl Iterator<Item = (Event<'_>, Option<&str>)> {
        let (mut last, mut pinned, mut follows) = (None, None, false);
        self.events().map(move |event| {
            let attributes = event.attributes();
            if event.is("WorkflowTaskCompleted") {
                (last, follows) = (version_of(attributes), false);
            } else if attributes["versioningOverride"].is_object() {
                pinned = pinned_to(attributes);
                follows = attributes["versioningOverride"]["autoUpgrade"] == true;
            } else if attributes["unsetVersioningOverride"] == true {
                (pinned, follows) = (None, false);
            }
            (event, pinned.or(last.filter(|_| !follows)))
        })
    }

    /// The Workflow Tasks that code failed on this version.
    pub(crate) fn failed_on<'a>(&'a self, build_id: &'a str) -> impl Iterator<Item = Event<'a>> {
        let failed = self.versions().filter(move |(_, version)| *version == Some(build_id));
        failed.map(|(event, _)| event).filter(|event| event.is_failed_task())
    }

    /// The Workflow Tasks that this version completed.
    pub(crate) fn completed_on<'a>(&'a self, build_id: &'a str) -> impl Iterator<Item = Event<'a>> {
        self.events().filter(move |event| {
            event.is("WorkflowTaskCompleted") && version_of(event.attributes()) == Some(build_id)
        })
    }

    /// The Build ID of the version that completed its last Workflow Task.
    pub(crate) fn ran_last_on(&self) -> Option<&str> {
        version_of(self.events().rfind(|event| event.is("WorkflowTaskCompleted"))?.attributes())
    }
}

/// The Build ID in a `deploymentVersion`.
fn version_of(of: &Value) -> Option<&str> {
    of["deploymentVersion"]["buildId"].as_str().filter(|build_id| !build_id.is_empty())
}

/// The Build ID in a `versioningOverride` that pins.
fn pinned_to(of: &Value) -> Option<&str> {
    of["versioningOverride"]["pinned"]["version"]["buildId"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(id: u64, kind: &str, attributes: Value) -> Value {
        json!({ "eventId": id.to_string(), "eventType": format!("EVENT_TYPE_{kind}"), "xEventAttributes": attributes })
    }

    fn completed(id: u64, build_id: &str) -> Value {
        let version = json!({ "buildId": build_id, "deploymentName": "money-transfer" });
        event(
            id,
            "WORKFLOW_TASK_COMPLETED",
            json!({ "deploymentVersion": version, "versioningBehavior": "VERSIONING_BEHAVIOR_PINNED" }),
        )
    }

    fn failed(id: u64) -> Value {
        event(
            id,
            "WORKFLOW_TASK_FAILED",
            json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE" }),
        )
    }

    fn moved(id: u64, to: Value) -> Value {
        event(id, "WORKFLOW_EXECUTION_OPTIONS_UPDATED", json!({ "versioningOverride": to }))
    }

    fn pinned(build_id: &str) -> Value {
        json!({ "pinned": { "behavior": "PINNED_OVERRIDE_BEHAVIOR_PINNED", "version": { "buildId": build_id } } })
    }

    fn run(events: Vec<Value>) -> Run {
        Run::new("r".to_owned(), events, Value::Null)
    }

    fn failures(run: &Run, build_id: &str) -> Vec<u64> {
        run.failed_on(build_id).map(Event::id).collect()
    }

    #[test]
    fn a_run_is_on_the_version_that_it_was_moved_to() {
        let mut events = vec![event(1, "WORKFLOW_EXECUTION_STARTED", json!({}))];
        assert_eq!((run(events.clone()).began_on(), run(events.clone()).version()), (None, None));
        events.extend([completed(4, "2"), completed(11, "2"), failed(17)]);
        assert_eq!(run(events.clone()).version(), Some("2"));
        events.extend([moved(18, pinned("3")), failed(21)]);
        let moved_to_3 = run(events.clone());
        assert_eq!(
            (moved_to_3.began_on(), moved_to_3.version(), moved_to_3.ran_last_on()),
            (Some("2"), Some("3"), Some("2"))
        );
        assert_eq!((failures(&moved_to_3, "2"), failures(&moved_to_3, "3")), (vec![17], vec![21]));
        events.extend([moved(22, pinned("1")), completed(25, "1")]);
        let done = run(events);
        assert_eq!((done.began_on(), done.version(), done.ran_last_on()), (Some("2"), Some("1"), Some("1")));
        assert_eq!(done.completed_on("2").map(Event::id).collect::<Vec<_>>(), [4, 11]);
    }

    /// Its next Workflow Task may fail on any version; the server says on which one it is tried.
    #[test]
    fn a_run_that_follows_the_current_version_is_on_none_until_a_task_completes() {
        let mut events =
            vec![completed(4, "2"), failed(7), moved(8, json!({ "autoUpgrade": true })), failed(11)];
        let description = json!({ "workflowExecutionInfo": { "versioningInfo": {
            "versionTransition": { "deploymentVersion": { "buildId": "3" } } } } });
        let follows = Run::new("r".to_owned(), events.clone(), description);
        assert_eq!((follows.version(), failures(&follows, "2")), (Some("3"), vec![7]));
        assert_eq!(run(events.clone()).version(), None);
        let unset =
            event(12, "WORKFLOW_EXECUTION_OPTIONS_UPDATED", json!({ "unsetVersioningOverride": true }));
        let pinned_again = [&events[..], &[unset, failed(13)]].concat();
        assert_eq!(run(pinned_again.clone()).version(), Some("2"));
        assert_eq!(failures(&run(pinned_again), "2"), [7, 13]);
        events.push(completed(14, "3"));
        assert_eq!(run(events).version(), Some("3"));
    }

    #[test]
    fn a_task_that_the_server_failed_is_no_failure_of_the_version() {
        let mut collided = failed(8);
        collided["xEventAttributes"]["cause"] = json!("WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND");
        let mut reset = failed(11);
        reset["xEventAttributes"]["cause"] = json!("WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW");
        let run = run(vec![completed(4, "1"), collided, reset, failed(14)]);
        assert_eq!(failures(&run, "1"), [14]);
    }
}
