//! How far a transfer has come: what a stage needs before it begins.

use crate::{
    Milestone, Run, Stage, Status, Transfer,
    goals::{failed_tasks, fails_now, retries_exhausted, versioning},
};

impl Milestone {
    /// Whether the transfer has reached this point and is still there.
    pub fn is_reached(self, transfer: &Transfer) -> bool {
        let run = transfer.last();
        match self {
            Milestone::Stuck => {
                let broken = versioning::broken(run).is_some();
                (fails_now(run) && failed_tasks(run).next().is_some() && !broken)
                    || Milestone::FailsToWithdraw.is_reached(transfer)
            }
            Milestone::FailsToWithdraw => waits_for(run, "withdraw", Attempts::Unlimited),
            Milestone::HeldAtDeposit => waits_for(run, "deposit", Attempts::Any),
            Milestone::PausedAtDeposit => is_paused(run, "deposit"),
            Milestone::Broken => fails_now(run) && versioning::is_past_the_step(run),
            Milestone::RetriesExhausted => retries_exhausted(run).is_some(),
        }
    }
}

impl Stage {
    /// Whether a transfer stays as it is until a learner does something.
    pub fn is_settled(&self, transfer: &Transfer) -> bool {
        transfer.last().status != Status::Running
            || self.settles_at.or(self.failure()).is_some_and(|milestone| milestone.is_reached(transfer))
    }
}

/// Whether this Activity of a run is paused, and no attempt is in progress: that one might still succeed.
fn is_paused(run: &Run, activity: &str) -> bool {
    let pending = run.description["pendingActivities"].as_array();
    pending.into_iter().flatten().any(|one| {
        one["activityType"]["name"] == activity
            && one["paused"] == true
            && one["state"] != "PENDING_ACTIVITY_STATE_PAUSE_REQUESTED"
    })
}

/// How many attempts an Activity may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempts {
    Any,
    Unlimited,
}

/// Whether a run waits for another attempt of this Activity.
fn waits_for(run: &Run, activity: &str, attempts: Attempts) -> bool {
    let pending = run.description["pendingActivities"].as_array();
    pending.into_iter().flatten().any(|pending| {
        let limit = pending["maximumAttempts"].as_u64().unwrap_or_default();
        pending["activityType"]["name"] == activity
            && pending["lastFailure"].is_object()
            && (attempts == Attempts::Any || limit == 0)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn transfer(description: Value, events: Vec<Value>) -> Transfer {
        let run = Run::new("r".to_owned(), events, description);
        Transfer { workflow_id: "t".to_owned(), original_run: "r".to_owned(), runs: vec![run] }
    }

    fn pending(activity: &str, limit: u64) -> Value {
        json!({ "pendingActivities": [{ "activityType": { "name": activity }, "maximumAttempts": limit,
            "lastFailure": { "message": "no" } }] })
    }

    fn failed(message: &str) -> Vec<Value> {
        let started = json!({ "eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED" });
        let withdraw = json!({ "eventId": "3", "eventType": "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED",
            "activityTaskScheduledEventAttributes": { "activityType": { "name": "withdraw" } } });
        let failed = json!({ "eventId": "4", "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED",
            "workflowTaskFailedEventAttributes": { "failure": { "message": message } } });
        vec![started, withdraw, failed]
    }

    #[test]
    fn a_transfer_that_is_stuck_on_something_else_has_not_reached_the_milestone() {
        let again = json!({ "pendingWorkflowTask": { "attempt": 3 } });
        let panicked = transfer(again.clone(), failed("attempt to divide by zero"));
        let broken = transfer(again, failed("[TMPRL1100] Nondeterminism error"));
        let withdraws = transfer(pending("withdraw", 0), Vec::new());
        let will_fail = transfer(pending("withdraw", 3), Vec::new());
        let held = transfer(pending("deposit", 0), Vec::new());
        for (milestone, those) in [
            (Milestone::Stuck, [true, false, true, false, false]),
            (Milestone::FailsToWithdraw, [false, false, true, false, false]),
            (Milestone::HeldAtDeposit, [false, false, false, false, true]),
            (Milestone::Broken, [false, true, false, false, false]),
            (Milestone::RetriesExhausted, [false; 5]),
        ] {
            let found = [&panicked, &broken, &withdraws, &will_fail, &held]
                .map(|transfer| milestone.is_reached(transfer));
            assert_eq!(found, those, "{milestone:?}");
        }
    }
}
