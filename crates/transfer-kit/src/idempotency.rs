//! The key under which the bank applies a movement once.
//!
//! `<first run id>/<activity type>/<activity id>`, from what Temporal itself gives every attempt:
//!
//! - every **attempt** of an activity has the same three, so a retry moves no money again;
//! - a **Workflow Reset** starts a new run with a new run id, but keeps the first run id of the chain. The
//!   re-run activity is the same step of the same transfer, so it moves no money again either;
//! - a **new execution** under a Workflow Id that was used before has a first run id of its own: somebody
//!   asked for another transfer, and it moves money;
//! - the transfer's activities carry their step's name as activity id, not a sequence number: a step that a
//!   new version of the code inserts does not shift the keys of those behind it.
//!
//! Nothing of this comes from the activity's input, so it holds for Workflows of any SDK.

use std::fmt::Write as _;

use temporalio_client::{UntypedWorkflow, WorkflowDescribeOptions};
use temporalio_common::error::ApplicationFailure;
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
    /// Asks Temporal which chain of runs the activity belongs to.
    pub(crate) async fn of(ctx: &ActivityContext) -> Result<Origin, ApplicationFailure> {
        let info = ctx.info();
        let (Some(workflow_id), Some(run)) = (&info.workflow_id, &info.workflow_run_id) else {
            // A standalone activity: it is its own transfer.
            let run = info.activity_run_id.clone().unwrap_or_default();
            return Ok(Origin::new(&run, &run, &info.activity_type, &info.activity_id));
        };
        let handle = ctx
            .workflow_handle::<UntypedWorkflow>()
            .ok_or_else(|| ApplicationFailure::new("the activity has no Workflow"))?;
        let description = handle.describe(WorkflowDescribeOptions::default()).await.map_err(|error| {
            ApplicationFailure::new(format!(
                "cannot ask Temporal for the first run of {workflow_id}: {error}"
            ))
        })?;
        let first_run = description
            .raw_description
            .workflow_execution_info
            .map(|info| info.first_run_id)
            .filter(|first_run| !first_run.is_empty())
            // A server from before 1.25 does not tell: then a reset is a transfer of its own.
            .unwrap_or_else(|| run.clone());
        Ok(Origin::new(&first_run, run, &info.activity_type, &info.activity_id))
    }

    fn new(first_run: &str, run: &str, activity_type: &str, activity_id: &str) -> Origin {
        Origin {
            transfer: first_run.to_owned(),
            run: run.to_owned(),
            key: header_safe(&format!("{first_run}/{activity_type}/{activity_id}")),
        }
    }
}

/// Percent-encodes what a header's string cannot hold: an activity id of another SDK is any text.
fn header_safe(text: &str) -> String {
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
