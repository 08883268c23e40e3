//! Reading one event of an Event History, in the JSON of Temporal's HTTP API and of `temporal workflow show`.

use serde_json::Value;

use crate::moment::Moment;

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a>(&'a Value);

impl<'a> Event<'a> {
    /// The event that this JSON is.
    pub fn new(json: &'a Value) -> Event<'a> {
        Event(json)
    }

    /// Its number in the history; the first is 1.
    pub fn id(self) -> u64 {
        number(&self.0["eventId"])
    }

    /// When it happened, in the server's format; empty if it has no time.
    pub fn time(self) -> &'a str {
        self.0["eventTime"].as_str().unwrap_or_default()
    }

    /// The same, for comparing.
    pub(crate) fn moment(self) -> Moment<'a> {
        Moment::of(self.time())
    }

    /// What happened, such as `ActivityTaskScheduled`.
    pub fn kind(self) -> String {
        let words = self.name().split('_');
        words
            .map(|word| {
                let mut letters = word.chars();
                let first = letters.next().map(String::from).unwrap_or_default();
                first + &letters.as_str().to_ascii_lowercase()
            })
            .collect()
    }

    /// Whether it is of this kind, such as `ActivityTaskScheduled`. Called very often, so it allocates nothing and compares by hand.
    pub fn is(self, kind: &str) -> bool {
        let kind = kind.as_bytes();
        let mut at = 0;
        for letter in self.name().as_bytes() {
            if *letter == b'_' {
                continue;
            }
            if at == kind.len() || !letter.eq_ignore_ascii_case(&kind[at]) {
                return false;
            }
            at += 1;
        }
        at == kind.len()
    }

    /// The server's name for its kind, such as `ACTIVITY_TASK_SCHEDULED`.
    pub fn name(self) -> &'a str {
        let name = self.0["eventType"].as_str().unwrap_or_default();
        name.strip_prefix("EVENT_TYPE_").unwrap_or(name)
    }

    /// Whether a Workflow Reset recorded it: as a Workflow Task that failed.
    pub fn is_reset(self) -> bool {
        self.is("WorkflowTaskFailed") && self.text("cause") == "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
    }

    /// Whether code failed a Workflow Task with it. Not where the server failed the task because something else had happened in the
    /// meantime, or because it did not know a Search Attribute yet that has just been created; nor where a Workflow Reset recorded it.
    pub(crate) fn is_failed_task(self) -> bool {
        const BY_THE_SERVER: [&str; 2] = [
            "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND",
            "WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES",
        ];
        self.is("WorkflowTaskFailed") && !self.is_reset() && !BY_THE_SERVER.contains(&self.text("cause"))
    }

    /// Whether an Activity failed for good with it, because its failure is non-retryable.
    pub(crate) fn is_non_retryable(self) -> bool {
        self.is("ActivityTaskFailed") && self.text("retryState") == "RETRY_STATE_NON_RETRYABLE_FAILURE"
    }

    /// Its attributes: the one field whose name ends with `EventAttributes`.
    pub fn attributes(self) -> &'a Value {
        const NOTHING: &Value = &Value::Null;
        let mut fields = self.0.as_object().into_iter().flatten();
        fields.find(|(name, _)| name.ends_with("EventAttributes")).map_or(NOTHING, |(_, value)| value)
    }

    /// A text among its attributes; empty if there is none.
    pub fn text(self, name: &str) -> &'a str {
        self.attributes()[name].as_str().unwrap_or_default()
    }

    /// A number among its attributes, such as the event in `scheduledEventId`.
    pub fn refers_to(self, name: &str) -> u64 {
        number(&self.attributes()[name])
    }

    /// The first payload of an attribute, such as `input` or `result`. If the server cannot read it, because
    /// it is encrypted, it is an object of `metadata` and `data`.
    pub fn payload(self, name: &str) -> &'a Value {
        let payloads = &self.attributes()[name];
        let payloads = payloads.get("payloads").unwrap_or(payloads);
        payloads.get(0).unwrap_or(payloads)
    }

    /// Its failure's message and the messages of the causes behind it.
    pub fn failure(self) -> String {
        failure_chain(&self.attributes()["failure"])
    }
}

/// A failure and its causes in one line, outermost first, without repeats and without mere layers of the network.
pub fn failure_chain(failure: &Value) -> String {
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

/// Protobuf's JSON has 64-bit numbers as text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_a_number_a_kind_and_attributes() {
        let json = json!({
            "eventId": "11", "eventTime": "2026-11-22T12:00:00Z", "eventType": "EVENT_TYPE_ACTIVITY_TASK_COMPLETED",
            "activityTaskCompletedEventAttributes": {
                "scheduledEventId": "9", "identity": "worker-7", "result": [{ "balance": 1000 }] },
        });
        let event = Event::new(&json);
        assert_eq!((event.id(), event.refers_to("scheduledEventId")), (11, 9));
        assert!(event.is("ActivityTaskCompleted"), "{}", event.kind());
        assert_eq!(event.text("identity"), "worker-7");
        assert_eq!(event.payload("result")["balance"], 1000);
    }

    #[test]
    fn a_failure_is_shown_with_its_causes_and_without_repeats() {
        let json = json!({ "eventType": "EVENT_TYPE_X", "xEventAttributes": { "failure": {
            "message": "activity failed", "cause": { "message": "no bank", "cause": { "message": "no bank" } } } } });
        assert_eq!(Event::new(&json).failure(), "activity failed: no bank");
    }

    #[test]
    fn whatever_json_comes_is_no_reason_to_panic() {
        for json in
            [json!(null), json!([]), json!({ "eventType": "", "eventId": -1 }), json!({ "eventType": "__" })]
        {
            let event = Event::new(&json);
            assert_eq!((event.id(), event.time(), event.failure()), (0, "", String::new()));
            assert!(!event.is("WorkflowExecutionStarted"));
        }
    }
}
