//! Why a transfer makes no progress although nothing of it fails, and what to do about it.

use serde_json::Value;

use crate::{Event, Next, moment::Moment};

/// Who pauses an Activity to retry it right away, as the server records it.
pub const RETRY_IDENTITY: &str = "cargo xtask retry";
/// Who changes something on the server when a stage is entered or left, such as pausing the Activities that a stage begins with.
pub const STAGE_IDENTITY: &str = "cargo xtask stage";

/// So many attempts of a Workflow Task without an answer are more than the one that a killed worker leaves behind.
const UNANSWERED: u64 = 3;

/// What holds up a transfer, and for how long until somebody does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Somebody paused the Workflow or the Activity.
    Paused {
        /// Who, as the server recorded it; may be empty.
        by: String,
        /// Why; may be empty.
        reason: String,
    },
    /// The task is due, and no worker has taken it.
    NoWorker {
        /// The Build ID of the version that the run is pinned to; empty if any worker may take the task.
        version: String,
    },
    /// A worker took the Workflow Task and did not answer.
    NotAnswered {
        /// As for `NoWorker`.
        version: String,
    },
    /// Nothing is pending that could wake the Workflow.
    NothingPending,
}

/// The Activity that is held up: its id and its type. None if it is the Workflow itself.
pub type Held = Option<(String, String)>;

/// This pending Activity, as the one that is held up.
pub fn held(activity: &Value) -> Held {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some((text(&activity["activityId"]), text(&activity["activityType"]["name"])))
}

impl Halt {
    /// Its name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Halt::Paused { .. } => "paused",
            Halt::NoWorker { .. } => "no_worker",
            Halt::NotAnswered { .. } => "not_answered",
            Halt::NothingPending => "nothing_pending",
        }
    }

    /// Whether it is what an interrupted retry left behind.
    pub fn is_of_retry(&self) -> bool {
        matches!(self, Halt::Paused { by, .. } if by == RETRY_IDENTITY)
    }

    /// What holds it up, in a sentence without its full stop.
    pub fn words(&self, held: &Held) -> String {
        let activity = held.as_ref().map(|(_, name)| format!("the Activity {name}"));
        match self {
            Halt::Paused { .. } if self.is_of_retry() => {
                format!("{} is still paused by a retry that was interrupted", activity.unwrap_or_default())
            }
            Halt::Paused { by, reason } => {
                let what = activity.unwrap_or_else(|| "the Workflow".to_owned());
                let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                format!("{what} is paused{by}{reason}")
            }
            Halt::NoWorker { version } => {
                let what = activity.unwrap_or_else(|| "its Workflow Task".to_owned());
                let of = if version.is_empty() { String::new() } else { format!(" of version {version}") };
                format!("{what} is due, and no worker{of} takes it")
            }
            Halt::NotAnswered { .. } => {
                "a worker takes its Workflow Task and does not answer: your Workflow code may be blocking".to_owned()
            }
            Halt::NothingPending => {
                "it waits for nothing that Temporal knows of, neither an Activity nor a timer, so only a Signal could wake it"
                    .to_owned()
            }
        }
    }

    /// What to do about it.
    pub fn way_out(&self, workflow_id: &str, held: &Held) -> Next {
        let id = shell_word(workflow_id);
        match (self, held) {
            (Halt::Paused { .. }, _) if self.is_of_retry() => {
                Next::command("to finish that retry: ", "cargo xtask retry")
            }
            (Halt::Paused { .. }, Some((activity, _))) => Next::command(
                "to continue it: ",
                format!(
                    "cargo xtask temporal activity unpause --workflow-id {id} --activity-id {}",
                    shell_word(activity)
                ),
            ),
            (Halt::Paused { .. }, None) => Next::command(
                "to continue it: ",
                format!("cargo xtask temporal workflow unpause --workflow-id {id}"),
            ),
            (Halt::NoWorker { version }, _) if version.is_empty() => {
                Next::command("see whether a worker runs, and what it does: ", log_of(version))
            }
            (Halt::NoWorker { version }, _) => Next::command(
                format!(
                    "see whether worker@{version} runs; if not, move the transfer to the current version: "
                ),
                format!(
                    "cargo xtask temporal workflow update-options --workflow-id {id} --versioning-override-behavior auto_upgrade"
                ),
            ),
            (Halt::NotAnswered { version }, _) => Next::command(
                "the worker's log names the line that blocks or fails; fix it and save: ",
                log_of(version),
            ),
            (Halt::NothingPending, _) => Next::command(
                "code such as tokio::time::sleep is not recorded: use ctx.timer, save, then reset the last Workflow Task: ",
                format!(
                    "cargo xtask temporal workflow reset --workflow-id {id} --type LastWorkflowTask --reason fixed"
                ),
            ),
        }
    }
}

/// What holds up a run with this description. `overdue` is the moment before which a task must have been due to count as one
/// that no worker takes. The run's last events, the newest first, are read if they matter.
pub fn halts(
    description: &Value,
    overdue: &str,
    newest_first: impl FnOnce() -> Vec<Value>,
) -> Vec<(Held, Halt)> {
    let pause = &description["workflowExtendedInfo"]["pauseInfo"];
    if pause.is_object()
        || description["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_PAUSED"
    {
        return vec![(None, paused(pause))];
    }
    let pending = |name: &str| description[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let version = || pinned_version(description);
    let no_worker = || Halt::NoWorker { version: version() };
    let mut halts: Vec<(Held, Halt)> = Vec::new();
    for activity in pending("pendingActivities") {
        let held = held(activity);
        match activity["state"].as_str() {
            Some("PENDING_ACTIVITY_STATE_PAUSED" | "PENDING_ACTIVITY_STATE_PAUSE_REQUESTED") => {
                let info = &activity["pauseInfo"];
                let by = if info["rule"].is_object() { &info["rule"] } else { &info["manual"] };
                halts.push((held, paused(by)));
            }
            Some("PENDING_ACTIVITY_STATE_SCHEDULED") if is_overdue(&activity["scheduledTime"], overdue) => {
                halts.push((held, no_worker()));
            }
            _ => {}
        }
    }
    let task = &description["pendingWorkflowTask"];
    if task.is_object() {
        let is_started = task["state"] == "PENDING_WORKFLOW_TASK_STATE_STARTED";
        let attempt = task["attempt"].as_u64().unwrap_or(1);
        if !is_started && is_overdue(&task["scheduledTime"], overdue) {
            halts.push((None, no_worker()));
        } else if (attempt >= UNANSWERED || is_started && is_overdue(&task["startedTime"], overdue))
            && is_unanswered(&newest_first())
        {
            halts.push((None, Halt::NotAnswered { version: version() }));
        }
    } else if description["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
        && ["pendingActivities", "pendingChildren", "pendingNexusOperations"]
            .iter()
            .all(|name| pending(name).is_empty())
        && is_idle(&newest_first())
    {
        halts.push((None, Halt::NothingPending));
    }
    halts
}

/// The Build ID of the version that a run with this description is pinned to; empty if there is none.
fn pinned_version(description: &Value) -> String {
    let info = &description["workflowExecutionInfo"]["versioningInfo"];
    let pinned = &info["versioningOverride"]["pinned"]["version"]["buildId"];
    let behavior = info["versioningOverride"]["behavior"].as_str().or(info["behavior"].as_str());
    let is_pinned = behavior == Some("VERSIONING_BEHAVIOR_PINNED");
    let of_code = info["deploymentVersion"]["buildId"].as_str().filter(|_| is_pinned);
    pinned.as_str().or(of_code).unwrap_or_default().to_owned()
}

/// Shows the log of the worker, or of that of this version.
fn log_of(version: &str) -> String {
    let at = if version.is_empty() { String::new() } else { format!("@{version}") };
    format!("cargo xtask lab logs worker{at}")
}

fn paused(by: &Value) -> Halt {
    let text = |name: &str| by[name].as_str().unwrap_or_default().to_owned();
    Halt::Paused { by: text("identity"), reason: text("reason") }
}

/// Whether the server's point in time was before that moment.
fn is_overdue(due: &Value, overdue: &str) -> bool {
    let due = due.as_str().unwrap_or_default();
    !due.is_empty() && !due.starts_with("0001-") && Moment::of(due) < Moment::of(overdue)
}

/// Whether no Workflow Task has failed since the last one that completed: each ran into its timeout.
fn is_unanswered(newest_first: &[Value]) -> bool {
    let mut events =
        newest_first.iter().map(Event::new).take_while(|event| !event.is("WorkflowTaskCompleted"));
    !events.any(|event| event.is("WorkflowTaskFailed") && !event.is_reset())
}

/// Whether the Workflow has run, and no timer is to wake it.
fn is_idle(newest_first: &[Value]) -> bool {
    let events = || newest_first.iter().map(Event::new);
    let is_over = |started: Event<'_>| {
        events().any(|event| {
            (event.is("TimerFired") || event.is("TimerCanceled"))
                && event.text("timerId") == started.text("timerId")
        })
    };
    events().any(|event| event.is("WorkflowTaskCompleted"))
        && !events().any(|event| event.is("TimerStarted") && !is_over(event))
}

/// A text as one word of a shell.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        contract::shell_quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-22T12:00:10Z";
    const RUNNING: &str = "WORKFLOW_EXECUTION_STATUS_RUNNING";

    /// The names of what holds up a run with this description and these events, the newest first.
    fn names(description: &Value, newest_first: &[Value]) -> Vec<&'static str> {
        halts(description, NOW, || newest_first.to_vec()).iter().map(|(_, halt)| halt.name()).collect()
    }

    fn event(kind: &str) -> Value {
        json!({ "eventType": format!("EVENT_TYPE_{kind}"), "xEventAttributes": { "timerId": "1" } })
    }

    #[test]
    fn a_pause_names_who_and_why_and_the_command_that_ends_it() {
        let activity = json!({ "pendingActivities": [{ "activityId": "withdraw", "state": "PENDING_ACTIVITY_STATE_PAUSED",
            "activityType": { "name": "withdraw" },
            "pauseInfo": { "manual": { "identity": "ada", "reason": "a look" } } }] });
        let halts = halts(&activity, NOW, Vec::new);
        let [(held, halt)] = &halts[..] else { panic!("{halts:?}") };
        assert_eq!(halt.words(held), "the Activity withdraw is paused by ada (a look)");
        assert_eq!(
            halt.way_out("it's mine", held).to_type(),
            Some(
                r"cargo xtask temporal activity unpause --workflow-id 'it'\''s mine' --activity-id withdraw"
            )
        );
        let retry = Halt::Paused { by: RETRY_IDENTITY.to_owned(), reason: String::new() };
        assert_eq!(retry.way_out("t", held).to_type(), Some("cargo xtask retry"));
        let workflow = json!({ "workflowExecutionInfo": { "status": "WORKFLOW_EXECUTION_STATUS_PAUSED" },
            "pendingActivities": activity["pendingActivities"] });
        assert_eq!(names(&workflow, &[]), ["paused"], "the pause of the Workflow comes first");
    }

    #[test]
    fn a_task_that_is_due_for_long_has_no_worker_and_one_that_is_due_later_waits() {
        let task = |state: &str, attempt: u64, time: &str| {
            json!({ "pendingWorkflowTask": { "state": format!("PENDING_WORKFLOW_TASK_STATE_{state}"), "attempt": attempt,
                "scheduledTime": time, "startedTime": time } })
        };
        let (long, just) = ("2026-11-22T12:00:01Z", "2026-11-22T12:00:11Z");
        let (timed_out, failed) = ([event("WORKFLOW_TASK_TIMED_OUT")], [event("WORKFLOW_TASK_FAILED")]);
        assert_eq!(names(&task("SCHEDULED", 1, long), &[]), ["no_worker"]);
        assert!(names(&task("SCHEDULED", 1, just), &[]).is_empty());
        assert_eq!(names(&task("STARTED", 3, just), &timed_out), ["not_answered"]);
        assert_eq!(names(&task("STARTED", 1, long), &[]), ["not_answered"]);
        assert!(names(&task("STARTED", 2, just), &timed_out).is_empty(), "its worker may have been killed");
        assert!(names(&task("STARTED", 3, just), &failed).is_empty(), "it fails");
        let activity = |time: &str| {
            json!({ "pendingActivities": [{ "activityId": "1", "state": "PENDING_ACTIVITY_STATE_SCHEDULED",
                "scheduledTime": time }] })
        };
        assert_eq!(names(&activity(long), &[]), ["no_worker"]);
        assert!(names(&activity(just), &[]).is_empty());
    }

    #[test]
    fn a_run_that_is_pinned_needs_a_worker_of_its_version() {
        let said = |info: Value| {
            let description = json!({ "workflowExecutionInfo": { "versioningInfo": info }, "pendingWorkflowTask":
                { "state": "PENDING_WORKFLOW_TASK_STATE_SCHEDULED", "scheduledTime": "2026-11-22T12:00:01Z" } });
            let halts = halts(&description, NOW, Vec::new);
            let [(held, halt)] = &halts[..] else { panic!("{halts:?}") };
            format!("{}; {}", halt.words(held), halt.way_out("t", held).to_type().unwrap_or_default())
        };
        let of_any = "its Workflow Task is due, and no worker takes it; cargo xtask lab logs worker";
        let of = |version| {
            format!(
                "its Workflow Task is due, and no worker of version {version} takes it; cargo xtask temporal workflow update-options \
                 --workflow-id t --versioning-override-behavior auto_upgrade"
            )
        };
        let pinned =
            json!({ "behavior": "VERSIONING_BEHAVIOR_PINNED", "deploymentVersion": { "buildId": "2" } });
        assert_eq!(said(json!(null)), of_any);
        assert_eq!(said(pinned.clone()), of(2));
        let mut moved = pinned.clone();
        moved["versioningOverride"] =
            json!({ "behavior": "VERSIONING_BEHAVIOR_PINNED", "pinned": { "version": { "buildId": "1" } } });
        assert_eq!(said(moved), of(1));
        let mut upgrades = pinned;
        upgrades["versioningOverride"] =
            json!({ "behavior": "VERSIONING_BEHAVIOR_AUTO_UPGRADE", "autoUpgrade": true });
        assert_eq!(said(upgrades), of_any);
    }

    #[test]
    fn a_run_with_nothing_pending_is_held_up_unless_a_timer_will_wake_it() {
        let idle = json!({ "workflowExecutionInfo": { "status": RUNNING } });
        let completed = event("WORKFLOW_TASK_COMPLETED");
        assert_eq!(names(&idle, std::slice::from_ref(&completed)), ["nothing_pending"]);
        let (started, fired) = (event("TIMER_STARTED"), event("TIMER_FIRED"));
        assert!(names(&idle, &[started.clone(), completed.clone()]).is_empty());
        assert_eq!(names(&idle, &[completed, fired, started]), ["nothing_pending"]);
        assert!(names(&json!({}), &[]).is_empty());
        let closed = json!({ "workflowExecutionInfo": { "status": "WORKFLOW_EXECUTION_STATUS_COMPLETED" } });
        assert!(names(&closed, &[event("WORKFLOW_TASK_COMPLETED")]).is_empty());
    }
}
