//! Code whose attempts end before the bank's answer, which is right but late.

use std::time::Duration;

use super::{Code, Drill, modules};

/// Less than the bank takes.
const TOO_SHORT: Duration = Duration::from_secs(2);

async fn begin() -> Drill {
    let drill = Drill::begin("slow-afternoon").await;
    drill.until_hit().await;
    drill
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_a_longer_timeout_for_what_is_pending() {
    let mut drill = begin().await;
    drill
        .stays_open("new-ones-are-safe", "has run only under the code in place, and it takes far too long")
        .await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    let options = "--start-to-close-timeout 5s --reason slow --yes";
    drill.type_in(&format!("activity update-options --query 'ExecutionStatus=\"Running\"' {options}")).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn attempts_that_wait_longer_and_a_reset_of_all_in_progress() {
        let mut drill = begin().await;
        drill.deploy(Code { start_to_close: Duration::from_secs(8), ..Code::default() }).await;
        drill.reset_running("FirstWorkflowTask").await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Attempts that follow each other faster.
        let interval = Duration::from_millis(100);
        let code = Code { start_to_close: TOO_SHORT, maximum_interval: interval, ..Code::default() };
        drill.deploy(Code { initial_interval: interval, ..code }).await;
        drill.stays_open("new-ones-are-safe", "it takes far too long").await;
        // Attempts that are limited.
        drill.deploy(Code { start_to_close: TOO_SHORT, maximum_attempts: 2, ..Code::default() }).await;
        drill.stays_open("new-ones-are-safe", "it failed, and the bank had no reason to refuse it").await;
        // A bank that is fast again.
        drill.end_faults().await;
        drill.deploy(Code { start_to_close: TOO_SHORT, ..Code::default() }).await;
        drill.expect_none_late();
        drill.stays_open("new-ones-are-safe", "0 of 5 transfers that the incident would have hit").await;
    }
}
