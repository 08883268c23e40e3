//! Code that schedules its deposits on a Task Queue that no worker polls.

use contract::step;

use super::{Code, Drill, modules};

/// The Task Queue that the incident's code schedules deposits on.
const DEPOSITS: &str = "money-transfer-deposits";
/// Moves each pending Activity to the Task Queue that the worker polls.
const MOVE_PENDING: &str = "activity update-options --query 'ExecutionStatus=\"Running\"' --task-queue money-transfer-task-queue \
                            --reason unpolled --yes";

async fn begin() -> Drill {
    let drill = Drill::begin("no-error-anywhere").await;
    drill.until_hit().await;
    drill
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_another_queue_for_what_is_pending() {
    let mut drill = begin().await;
    drill
        .stays_open("new-ones-are-safe", "has run only under the code in place, and it takes far too long")
        .await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    drill.type_in(MOVE_PENDING).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_worker_for_what_is_pending_until_that_is_done() {
        let mut drill = begin().await;
        drill.deploy(Code { polls: &[DEPOSITS], ..Code::default() }).await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // A transfer that is terminated.
        drill.terminate_one_that_is_stuck().await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
        // What is pending is moved, and nothing else.
        drill.type_in(MOVE_PENDING).await;
        drill.until_closed().await;
        drill.stays_open("new-ones-are-safe", "it takes far too long").await;
        // Code that does not wait for the deposit.
        drill.deploy(Code { skips: &[step::DEPOSIT], ..Code::default() }).await;
        drill.until_wrong("a fix must not skip a step").await;
        // Code that needs somebody to poll the other queue.
        let queues = &[(step::DEPOSIT, DEPOSITS)];
        drill.deploy(Code { queues, polls: &[DEPOSITS], ..Code::default() }).await;
        drill.expect_none_late();
        drill.stays_open("new-ones-are-safe", "0 of 5 transfers that the incident would have hit").await;
    }
}
