//! Code that makes each error of the bank final, and a bank that answers some requests with one.

use lab::Status;
use testbed::until;

use super::{Code, Drill, Finals, OnFailure, modules};

const FAILED: &str = r#"ExecutionStatus="Failed""#;
const LOST: &str = "it failed, and the bank had no reason to refuse it";

async fn begin() -> Drill {
    let drill = Drill::begin("failed-for-good").await;
    drill.until_hit().await;
    drill.until_closed().await;
    drill
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_a_reset_of_what_failed() {
    let mut drill = begin().await;
    drill.stays_open("none-is-lost", LOST).await;
    drill.until_wrong("must stay retryable").await;
    drill.deploy(modules("reset-workflows")).await;
    // The fix alone brings back nothing that failed.
    drill.stays_open("none-is-lost", LOST).await;
    drill.reset_failed("FirstWorkflowTask").await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    /// As its text has it: a reset of what the bank refused, before the fix and after it, does no harm.
    #[tokio::test]
    async fn a_reset_of_all_that_failed() {
        let mut drill = begin().await;
        drill.deploy(Code::default()).await;
        drill.until_closed().await;
        let facts = drill.facts().await;
        let failed = facts.transfers.iter().filter(|one| one.last().status == Status::Failed).count();
        until("the failed transfers to be listed", || async {
            let listed = drill.testbed.client.count_workflows(FAILED, Default::default()).await;
            let listed = listed.expect("the server counts").count();
            if listed == failed { Ok(()) } else { Err((listed, failed)) }
        })
        .await;
        drill
            .type_in(&format!(
                "workflow reset --type FirstWorkflowTask --query '{FAILED}' --reason 'a transient error was made final' --yes"
            ))
            .await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Code that completes after an error.
        let completes = Code { finals: Finals::All, on_failure: OnFailure::Complete, ..Code::default() };
        drill.deploy(completes).await;
        drill.until_wrong("a fix must not swallow an error").await;
        // Code that retries refusals too.
        drill.deploy(Code { finals: Finals::None, ..Code::default() }).await;
        drill.stays_open("new-ones-are-safe", "it takes far too long").await;
        // A bank without errors.
        drill.end_faults().await;
        drill.deploy(Code { finals: Finals::All, ..Code::default() }).await;
        drill.none_is_safe().await;
    }
}
