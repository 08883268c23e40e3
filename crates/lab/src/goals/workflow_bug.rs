//! A bug in Workflow code: the Workflow Task fails and is retried until the code is fixed.

use super::{breaks_a_rule, failed_tasks, fails_now, is_earlier, start_again, start_one, why_not_complete};
use crate::{Event, Evidence, Facts, Goal, Next, Run, Status, Verdict};

/// The stage of these goals.
const STAGE: &str = "jerry";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "workflow-task-fails",
        says: "a transfer is stuck: its Workflow Task has failed on Jerry's bug",
        is_failure: true,
        check: workflow_task_fails,
    },
    Goal {
        name: "goes-on",
        says: "that same transfer has continued from where it was stuck",
        is_failure: false,
        check: goes_on,
    },
    Goal {
        name: "none-is-stuck",
        says: "no Workflow Task is failing anymore",
        is_failure: false,
        check: none_is_stuck,
    },
];

/// A Workflow Task of the run that failed at this stage, or was failing when it was entered. One that was fixed
/// before that does not count. Only the first failures are in a history: it fails until a task completes.
fn failed_here<'a>(facts: &Facts, run: &'a Run) -> Option<Event<'a>> {
    failed_tasks(run).find(|failed| {
        let fixed = run.events().find(|event| event.id() > failed.id() && event.is("WorkflowTaskCompleted"));
        fixed.is_none_or(|fixed| !is_earlier(facts, fixed))
    })
}

/// What to do while no transfer has been stuck at this stage.
fn none_was_stuck(facts: &Facts) -> Next {
    // Jerry's code gets no further than the first balance.
    let is_past = |run: &Run| run.calls("check_balance").nth(1).is_some();
    if facts.runs().any(|(_, run)| is_past(run)) {
        return start_again("no transfer was stuck, so your code has no bug to show", STAGE);
    }
    match facts.transfers.last() {
        Some(transfer) if transfer.last().status == Status::Running => {
            why_not_complete(facts, transfer, STAGE)
        }
        _ => start_one(),
    }
}

fn workflow_task_fails(facts: &Facts) -> Verdict {
    let seen = facts.runs().filter_map(|(transfer, run)| {
        let failed = failed_here(facts, run)?;
        Some(Evidence::event(transfer, run, failed, failed.failure()))
    });
    Verdict::by(seen.collect(), none_was_stuck(facts))
}

fn goes_on(facts: &Facts) -> Verdict {
    let mut stuck = None;
    let mut evidence = Vec::new();
    for (transfer, run) in facts.runs() {
        let Some(failed) = failed_here(facts, run) else { continue };
        let next = run.events().find(|event| event.id() > failed.id() && event.is("ActivityTaskScheduled"));
        // A transfer that skipped a step has not continued from where it was stuck.
        match next.filter(|_| !breaks_a_rule(facts, transfer)) {
            Some(next) => {
                let activity = next.attributes()["activityType"]["name"].as_str().unwrap_or_default();
                evidence.push(Evidence::event(
                    transfer,
                    run,
                    next,
                    format!("the Workflow continued: it scheduled {activity}"),
                ));
            }
            None => stuck = Some(transfer),
        }
    }
    let next =
        stuck.map_or_else(|| none_was_stuck(facts), |transfer| why_not_complete(facts, transfer, STAGE));
    Verdict::by(evidence, next)
}

fn none_is_stuck(facts: &Facts) -> Verdict {
    if let Some((transfer, _)) = facts.runs().find(|(_, run)| fails_now(run)) {
        return Verdict::Open(why_not_complete(facts, transfer, STAGE));
    }
    goes_on(facts)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Transfer;

    /// A transfer whose Workflow Task failed at 12:01, for this cause, and completed at 12:05.
    fn facts(entered: &str, cause: &str) -> Facts {
        let event = |id: u64, minute: u64, kind: &str| {
            json!({ "eventId": id, "eventTime": format!("2026-11-22T12:{minute:02}:00Z"), "eventType": kind,
                    "xEventAttributes": { "activityType": { "name": "check_balance" }, "cause": cause } })
        };
        let events = vec![
            event(1, 0, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"),
            event(4, 1, "EVENT_TYPE_WORKFLOW_TASK_FAILED"),
            event(7, 5, "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"),
            event(8, 5, "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"),
        ];
        let run = Run::new("r".to_owned(), events, Value::Null);
        let transfer =
            Transfer { workflow_id: "t".to_owned(), original_run: "r".to_owned(), runs: vec![run] };
        Facts { transfers: vec![transfer], entered: entered.to_owned(), ..Facts::default() }
    }

    #[test]
    fn what_was_fixed_before_the_stage_was_entered_does_not_count() {
        for (entered, counts) in [
            ("", true),
            ("2026-11-22T12:00:30Z", true),
            // It was failing then.
            ("2026-11-22T12:03:00Z", true),
            ("2026-11-22T12:06:00Z", false),
        ] {
            let facts = facts(entered, "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE");
            for goal in GOALS {
                assert_eq!((goal.check)(&facts).is_reached(), counts, "{} {entered}", goal.name);
            }
        }
    }

    #[test]
    fn a_search_attribute_that_the_service_does_not_know_yet_is_no_bug_of_the_code() {
        let facts = facts("", "WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES");
        for goal in GOALS {
            assert!(!(goal.check)(&facts).is_reached(), "{}", goal.name);
        }
    }
}
