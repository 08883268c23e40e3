//! Since when a transfer is stuck.

use serde_json::Value;

use crate::stuck::{Stuck, time_of};

/// Since when it is stuck, by the last events of its history, the newest first: since the Activity was scheduled, or since the first
/// of the Workflow Task's failures that are there. Where that is further back than these events, since the oldest of them, at the latest.
pub fn since(stuck: &Stuck, newest_first: &[Value]) -> Option<String> {
    let time = |event: &Value| time_of(&event["eventTime"]);
    if let Some((id, _)) = &stuck.activity {
        let is_its_own =
            |event: &&Value| event["activityTaskScheduledEventAttributes"]["activityId"] == id.as_str();
        return newest_first.iter().find(is_its_own).or(newest_first.last()).and_then(time);
    }
    let is_failure = |event: &&Value| {
        let kind = event["eventType"].as_str().unwrap_or_default();
        kind == "EVENT_TYPE_WORKFLOW_TASK_FAILED" || kind == "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"
    };
    let is_of_this_task = |event: &&Value| event["eventType"] != "EVENT_TYPE_WORKFLOW_TASK_COMPLETED";
    let first = newest_first.iter().take_while(is_of_this_task).filter(is_failure).last();
    first.or(newest_first.last()).and_then(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{stuck::Kind, temporal::Run};

    #[test]
    fn a_transfer_is_stuck_since_its_first_failure_or_since_its_activity_was_scheduled() {
        let event = |kind: &str, time: &str| json!({ "eventType": format!("EVENT_TYPE_{kind}"), "eventTime": format!("2026-11-22T12:00:{time}Z") });
        let mut scheduled = event("ACTIVITY_TASK_SCHEDULED", "01");
        scheduled["activityTaskScheduledEventAttributes"] = json!({ "activityId": "withdraw" });
        let events = [
            event("WORKFLOW_TASK_FAILED", "09"),
            event("WORKFLOW_TASK_SCHEDULED", "08"),
            event("WORKFLOW_TASK_FAILED", "07"),
            event("WORKFLOW_TASK_COMPLETED", "05"),
            event("WORKFLOW_TASK_FAILED", "03"),
            scheduled,
        ];
        let task = Stuck {
            run: Run { workflow_id: "transfer-1".to_owned(), run_id: "r".to_owned() },
            kind: Kind::WorkflowTask,
            activity: None,
            halt: None,
            cancel_requested: false,
            trying: false,
            attempt: 3,
            failure: String::new(),
            nondeterminism: None,
            next_attempt: None,
        };
        assert_eq!(since(&task, &events).as_deref(), Some("2026-11-22T12:00:07Z"));
        assert_eq!(since(&task, &[]), None);
        let of = |id: &str| Stuck {
            kind: Kind::Activity,
            activity: Some((id.to_owned(), "withdraw".to_owned())),
            ..task.clone()
        };
        assert_eq!(since(&of("withdraw"), &events).as_deref(), Some("2026-11-22T12:00:01Z"));
        assert_eq!(
            since(&of("deposit"), &events).as_deref(),
            Some("2026-11-22T12:00:01Z"),
            "the oldest event"
        );
    }
}
