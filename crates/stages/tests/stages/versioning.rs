//! A step that is added to the code of transfers in progress: it breaks them, and behind a patch it does not.

use serde_json::json;
use testbed::{TestWorker, Testbed, until};
use transfer_kit::stuck::Task;

use crate::{Handle, balances, balances_after, events, example, result, state, stuck, worker};

const STEPS: [&str; 4] = ["check_balance_from", "check_balance_to", "withdraw", "deposit"];
const STEPS_WITH_NEW: [&str; 5] =
    ["check_balance_from", "check_balance_to", "confirm_balance", "withdraw", "deposit"];

/// Transfers that have withdrawn under a stage's worker, which has left, while the bank took no deposits.
/// It takes them again.
pub(crate) async fn withdrawn_under<const N: usize>(
    testbed: &Testbed,
    stage: &str,
    ids: [&str; N],
) -> [Handle; N] {
    testbed.put("/outage", json!({"deposits": true})).await;
    let worker = worker(testbed, stage).await;
    let transfers = start(testbed, ids).await;
    for transfer in &transfers {
        stuck(testbed, transfer, Task::Activity("deposit".to_owned()), 1).await;
    }
    worker.stop().await;
    testbed.put("/outage", json!({"deposits": false})).await;
    transfers
}

async fn start<const N: usize>(testbed: &Testbed, ids: [&str; N]) -> [Handle; N] {
    let mut transfers = Vec::new();
    for id in ids {
        transfers.push(testbed.start_transfer(id, example()).await);
    }
    transfers.try_into().unwrap_or_else(|_| unreachable!("as many as ids"))
}

/// The same under Jerry's added step, whose worker is still there: their Workflow Tasks fail.
async fn broken_by_the_added_step<const N: usize>(
    testbed: &Testbed,
    ids: [&str; N],
) -> ([Handle; N], TestWorker) {
    let transfers = withdrawn_under(testbed, "reset-workflows", ids).await;
    let added_step = worker(testbed, "jerry-adds-step").await;
    for transfer in &transfers {
        let broken = stuck(testbed, transfer, Task::Workflow, 2).await;
        for part in ["[TMPRL1100] Nondeterminism error", "withdraw", "confirm_balance"] {
            assert!(broken.failure.contains(part), "{broken}");
        }
    }
    (transfers, added_step)
}

#[tokio::test]
async fn a_step_without_a_patch_breaks_the_transfers_that_are_past_it_and_no_new_one() {
    let testbed = Testbed::start().await;
    let (broken, worker) = broken_by_the_added_step(&testbed, ["old-1", "old-2", "old-3"]).await;
    let [new] = start(&testbed, ["new"]).await;
    result(&new).await;

    assert_eq!(events::steps(&new).await, STEPS_WITH_NEW);
    let told = state(&new).await;
    assert_eq!(told["steps"], json!(STEPS_WITH_NEW));
    assert_eq!(told["completed_steps"], json!(STEPS_WITH_NEW));
    for transfer in &broken {
        assert_eq!(events::steps(transfer).await, STEPS, "the step was not made");
    }
    // The deposits need no Workflow: the broken transfers' money arrives, and only they do not know.
    until("the money to move", || async {
        let moved = balances(&testbed).await;
        if moved == balances_after(4) { Ok(()) } else { Err(moved) }
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn with_a_patch_the_broken_transfers_complete_without_the_step_and_new_ones_with_it() {
    let testbed = Testbed::start().await;
    let (broken, added_step) = broken_by_the_added_step(&testbed, ["old-1", "old-2", "old-3"]).await;
    added_step.stop().await;

    let versioned = worker(&testbed, "version-workflow").await;
    let [new] = start(&testbed, ["new"]).await;
    for transfer in &broken {
        result(transfer).await;
        assert_eq!(events::steps(transfer).await, STEPS);
        assert!(!events::has_marker(transfer).await);
        assert_eq!(state(transfer).await["completed_steps"], json!(STEPS));
    }
    result(&new).await;
    assert_eq!(events::steps(&new).await, STEPS_WITH_NEW);
    assert!(events::has_marker(&new).await);
    assert_eq!(state(&new).await["completed_steps"], json!(STEPS_WITH_NEW));
    assert_eq!(balances(&testbed).await, balances_after(4));
    versioned.stop().await;
}

/// A patch comes with its step or too late: what was started on the step without a patch has no marker, so
/// the patched code takes it for older than the step.
#[tokio::test]
async fn a_patch_breaks_what_was_started_on_the_step_without_it() {
    let testbed = Testbed::start().await;
    let [between] = withdrawn_under(&testbed, "jerry-adds-step", ["between"]).await;
    let versioned = worker(&testbed, "version-workflow").await;
    let broken = stuck(&testbed, &between, Task::Workflow, 2).await;
    for part in ["[TMPRL1100]", "Nondeterminism"] {
        assert!(broken.failure.contains(part), "{broken}");
    }
    versioned.stop().await;

    // Nothing is lost: under the code that it was started on, it completes.
    let added_step = worker(&testbed, "jerry-adds-step").await;
    result(&between).await;
    assert_eq!(events::steps(&between).await, STEPS_WITH_NEW);
    assert_eq!(balances(&testbed).await, balances_after(1));
    added_step.stop().await;
}
