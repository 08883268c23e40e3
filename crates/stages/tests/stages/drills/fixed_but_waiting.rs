//! Code that waits for an hour before the second attempt, and a bank that answers some requests with an error.

use std::time::Duration;

use lab::Outcome;

use super::{Code, Drill, modules};

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn begin() -> Drill {
    let drill = Drill::begin("fixed-but-waiting").await;
    drill.until_hit().await;
    drill
}

/// The transfers from before the code in place that are in progress.
async fn waiting(drill: &Drill) -> Vec<String> {
    let facts = drill.facts().await;
    let outcome = Outcome::of(&facts);
    outcome.stuck.iter().map(|transfer| transfer.workflow_id.clone()).collect()
}

/// As its text has it.
#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_other_options_for_what_waits() {
    let mut drill = begin().await;
    drill.stays_open("new-ones-are-safe", "it takes far too long").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    // What waits has the Retry Policy that was recorded for it.
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill
        .type_in(
            "activity update-options --query 'WorkflowType=\"MoneyTransferWorkflow\" AND ExecutionStatus=\"Running\"' \
             --retry-initial-interval 1s --retry-maximum-interval 10s --reason 'waits of seconds' --yes",
        )
        .await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_retry_until_nothing_waits() {
        let mut drill = begin().await;
        drill.deploy(Code::default()).await;
        while !waiting(&drill).await.is_empty() {
            drill.retry().await;
        }
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // A single attempt.
        drill.deploy(Code { maximum_attempts: 1, ..Code::default() }).await;
        drill.stays_open("new-ones-are-safe", "it failed, and the bank had no reason to refuse it").await;
        // A bank without errors.
        drill.end_faults().await;
        drill.retry().await;
        drill.deploy(Code { initial_interval: HOUR, maximum_interval: HOUR, ..Code::default() }).await;
        drill.none_is_safe().await;
    }
}
