//! Code that retries "Account not found" without end.

use contract::step;
use lab::Status;

use super::{Code, Drill, Finals, modules};

/// Code whose Activities do not make "Account not found" final.
const RETRIES_UNKNOWN: Finals = Finals::Only(&["InsufficientFunds"]);

async fn begin() -> Drill {
    let drill = Drill::begin("waiting-customers").await;
    drill.until_hit().await;
    drill
}

/// The transfers to an account that does not exist, while they are in progress.
async fn waiting(drill: &Drill) -> Vec<String> {
    let facts = drill.facts().await;
    let unknown = facts.transfers.iter().filter(|one| one.input()["to_account"] == "account_X");
    let waiting = unknown.filter(|one| one.last().status == Status::Running);
    waiting.map(|one| one.workflow_id.clone()).collect()
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix() {
    let mut drill = begin().await;
    drill.stays_open("new-ones-are-safe", "it takes far too long").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    drill.retry().await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_policy_that_names_the_failure_and_a_reset_of_those_that_wait() {
        let mut drill = begin().await;
        let names = Code { finals: RETRIES_UNKNOWN, non_retryable: &["UnknownAccount"], ..Code::default() };
        drill.deploy(names).await;
        // Those that wait have the policy that was recorded for them.
        drill.stays_open("none-is-stuck", "in progress that should have closed").await;
        for id in waiting(&drill).await {
            drill.reset(&id, "FirstWorkflowTask").await;
        }
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // A transfer that is terminated.
        drill.terminate_one_that_is_stuck().await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
        // A limit of three attempts.
        let limited = Code { finals: RETRIES_UNKNOWN, maximum_attempts: 3, ..Code::default() };
        drill.deploy(limited).await;
        drill.none_is_safe().await;
        // Code that ignores the refusal.
        drill.deploy(Code { swallows: &[step::CHECK_BALANCE_TO], ..Code::default() }).await;
        drill.until_wrong("it called withdraw without reading the balance of account_X").await;
    }
}
