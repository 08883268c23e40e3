//! The key under which the bank applies a movement once.
//!
//! `<original run id>/<activity type>/<activity id>`, from what Temporal itself keeps for every attempt:
//!
//! - every **attempt** of an activity has the same three, so a retry moves no money again;
//! - a **Workflow Reset** starts a run with a new run id, but copies the events before it, and the first of them
//!   keeps the original run id. The re-run activity is the same step of the same transfer, so it moves no money
//!   again either;
//! - a **new execution** has an original run id of its own, also under a Workflow Id that was used before, by a
//!   schedule, by Continue-As-New or by a Workflow's own retry policy: it is another transfer, and it moves money;
//! - the transfer's activities carry their step's name as activity id, not a sequence number: a step that a
//!   new version of the code inserts does not shift the keys of those behind it.
//!
//! Nothing of this comes from the activity's input, so it holds for Workflows of any SDK.

use std::fmt::Write as _;

use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::{
    error::ApplicationFailure,
    protos::temporal::api::{
        common::v1::WorkflowExecution, history::v1::history_event::Attributes,
        workflowservice::v1::GetWorkflowExecutionHistoryRequest,
    },
};
use temporalio_sdk::activities::ActivityContext;

/// Whose movement a request to the bank is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The transfer: the same over all runs that a Workflow Reset starts.
    pub(crate) transfer: String,
    /// The run of the transfer.
    pub(crate) run: String,
    /// The idempotency key of the activity.
    pub(crate) key: String,
}

impl Origin {
    /// Asks Temporal which run the activity's Workflow was at first.
    pub(crate) async fn of(ctx: &ActivityContext) -> Result<Origin, ApplicationFailure> {
        let info = ctx.info();
        let (Some(workflow_id), Some(run)) = (&info.workflow_id, &info.workflow_run_id) else {
            // A standalone activity: it is its own transfer.
            let run = info.activity_run_id.clone().unwrap_or_default();
            return Ok(Origin::new(&run, &run, &info.activity_type, &info.activity_id));
        };
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: info.namespace.clone(),
            execution: Some(WorkflowExecution { workflow_id: workflow_id.clone(), run_id: run.clone() }),
            maximum_page_size: 1,
            ..Default::default()
        };
        let mut service = ctx.client().connection().workflow_service();
        let page = service.get_workflow_execution_history(request.into_request()).await.map_err(|error| {
            ApplicationFailure::new(format!(
                "cannot ask Temporal for the first event of {workflow_id}: {error}"
            ))
        })?;
        let first = page.into_inner().history.and_then(|history| history.events.into_iter().next());
        match first.and_then(|event| event.attributes) {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                let original_run = started.original_execution_run_id;
                Ok(Origin::new(&original_run, run, &info.activity_type, &info.activity_id))
            }
            other => {
                let message = format!("the first event of {workflow_id} is no start but {other:?}");
                Err(ApplicationFailure::new(message))
            }
        }
    }

    fn new(original_run: &str, run: &str, activity_type: &str, activity_id: &str) -> Origin {
        Origin {
            transfer: original_run.to_owned(),
            run: run.to_owned(),
            key: header_safe(&format!("{original_run}/{activity_type}/{activity_id}")),
        }
    }
}

/// Percent-encodes what a header's string cannot hold: an activity id of another SDK, or a key of the caller's, is any text.
pub(crate) fn header_safe(text: &str) -> String {
    text.bytes().fold(String::new(), |mut safe, byte| {
        match byte {
            b'"' | b'\\' | b'%' => write!(safe, "%{byte:02X}").unwrap_or_default(),
            b'!'..=b'~' => safe.push(char::from(byte)),
            _ => write!(safe, "%{byte:02X}").unwrap_or_default(),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_of_one_workflow_never_share_a_key() {
        let key = |activity_type, activity_id| Origin::new("first", "run", activity_type, activity_id).key;
        assert_eq!(key("withdraw", "3"), "first/withdraw/3");
        assert_ne!(key("withdraw", "3"), key("withdraw", "4"));
        assert_ne!(key("withdraw", "money"), key("deposit", "money"));
    }

    #[test]
    fn a_reset_keeps_the_key_and_a_new_execution_does_not() {
        let key = |first_run, run| Origin::new(first_run, run, "withdraw", "withdraw").key;
        assert_eq!(key("first", "first"), key("first", "after-the-reset"));
        assert_ne!(key("first", "first"), key("another", "another"));
    }

    #[test]
    fn any_activity_id_makes_a_key_that_fits_a_header() {
        let key = Origin::new("r", "r", "withdraw", "Überweisung \"1\"\n%").key;
        assert_eq!(key, "r/withdraw/%C3%9Cberweisung%20%221%22%0A%25");
    }
}
