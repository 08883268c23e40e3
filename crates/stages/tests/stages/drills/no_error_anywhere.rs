//! Code that schedules its deposits on a Task Queue that no worker polls.

use contract::step;

use super::{Code, Drill, in_progress, modules};

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
async fn left_alone() {
    let drill = begin().await;
    drill
        .stays_open("new-ones-are-safe", "was started under the code in place, and it takes far too long")
        .await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
}

#[tokio::test]
async fn the_shipped_fix_and_another_queue_for_what_is_pending() {
    let mut drill = begin().await;
    drill.deploy(modules("reset-workflows")).await;
    drill.type_in(MOVE_PENDING).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn other_code_and_a_reset_of_all_in_progress() {
        let mut drill = begin().await;
        drill.deploy(Code::default()).await;
        drill.reset_running("FirstWorkflowTask").await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn a_worker_for_what_is_pending_until_that_is_done() {
        let mut drill = begin().await;
        drill.deploy(Code { polls: &[DEPOSITS], ..Code::default() }).await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn what_is_pending_is_moved_and_nothing_else() {
        let drill = begin().await;
        drill.type_in(MOVE_PENDING).await;
        drill.until_closed().await;
        drill.stays_open("new-ones-are-safe", "it takes far too long").await;
    }

    #[tokio::test]
    async fn code_that_needs_somebody_to_poll_the_other_queue() {
        let mut drill = begin().await;
        let queues = &[(step::DEPOSIT, DEPOSITS)];
        drill.deploy(Code { queues, polls: &[DEPOSITS], ..Code::default() }).await;
        drill.expect_none_late();
        drill.expect_none_late();
        drill.stays_open("new-ones-are-safe", "0 of 5 transfers that the incident would have hit").await;
    }

    #[tokio::test]
    async fn code_that_does_not_wait_for_the_deposit() {
        let mut drill = begin().await;
        drill.deploy(Code { skips: &[step::DEPOSIT], ..Code::default() }).await;
        drill.until_wrong("a fix must not skip a step").await;
    }

    #[tokio::test]
    async fn stuck_ones_that_are_terminated() {
        let mut drill = begin().await;
        let facts = drill.facts().await;
        let waits = |transfer: &&lab::Transfer| transfer.last().calls("deposit").next().is_some();
        for transfer in in_progress(&facts).into_iter().filter(waits) {
            drill.terminate(&transfer.workflow_id).await;
        }
        drill.deploy(modules("reset-workflows")).await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
    }
}
