//! Code that deposits before it withdraws, so that a transfer that the bank refuses makes money.

use super::{Code, Drill, NEW_ONES, OnFailure, modules};

/// Until a transfer has failed that had deposited.
async fn begin() -> Drill {
    let drill = Drill::begin("too-much-money").await;
    drill.until_hit().await;
    drill
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_corrections() {
    let mut drill = begin().await;
    drill.until_wrong("it called deposit before it called withdraw").await;
    drill.until_closed().await;
    drill.stays_open("ledger-is-exact", "what its transfers add up to: account_A").await;
    drill.stays_open(NEW_ONES, "its money is not where it should be").await;
    drill.deploy(modules("withdraw-first")).await;
    drill.until_closed().await;
    // The money that was made before the fix is still there.
    drill.stays_open("ledger-is-exact", "what its transfers add up to: account_A").await;
    drill.settle().await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn the_other_order_without_a_patch() {
        let mut drill = begin().await;
        drill.until_closed().await;
        drill.deploy(Code::default()).await;
        drill.settle().await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn refused_transfers_that_are_reset() {
        let mut drill = begin().await;
        drill.until_closed().await;
        drill.deploy(modules("reset-workflows")).await;
        drill.until_closed().await;
        let failed = r#"ExecutionStatus = "Failed" AND from_account = "account_I""#;
        drill
            .type_in(&format!(
                "workflow reset --query '{failed}' --type FirstWorkflowTask --reason again --yes"
            ))
            .await;
        drill
            .until("a refused transfer to complete", |facts| {
                let reset = facts.transfers.iter().filter(|transfer| transfer.runs.len() > 1);
                let completed =
                    reset.filter(|transfer| transfer.last().status == lab::Status::Completed).count();
                if completed > 0 { Ok(()) } else { Err("none has") }
            })
            .await;
        drill.settle().await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Corrections with the same code.
        drill.settle().await;
        drill.stays_open(NEW_ONES, "its money is not where it should be").await;
        // Code that completes without a withdrawal.
        let on_failure = OnFailure::Complete;
        drill.deploy(Code { deposits_first: true, on_failure, ..Code::default() }).await;
        drill.until_wrong("it called deposit before it called withdraw").await;
        drill.stays_open(NEW_ONES, "its money is not where it should be").await;
    }
}
