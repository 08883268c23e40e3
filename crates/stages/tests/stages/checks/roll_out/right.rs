//! Right ways through roll-out. The shipped one is in `shipped.rs`, with the ramp of a fifth.

use super::{FIX, GOALS, JERRYS, LARGE, Learner};
use crate::checks::assert_beginnings_are_good;

/// No account holds so much.
const MORE_THAN_THERE_IS: u32 = 50_000;
/// Each account holds so much, but not twice.
const MOST_OF_WHAT_THERE_IS: u32 = 7_000;

/// Whatever the way, it ends with the fix as the current version, and version 1 drained and retired.
async fn ends_with(mut learner: Learner, fix: u32) {
    learner.makes_current(fix);
    learner.until_reached(&GOALS[..5]).await;
    learner.unpauses().await;
    learner.retires(1).await;
    let facts = learner.until_reached(&GOALS).await;
    assert_beginnings_are_good(&facts);
    learner.leaves().await;
}

/// Each by hand, to the fixed version instead of the old one; and that becomes current without a ramp.
#[tokio::test]
async fn one_by_one_to_the_fixed_version_which_becomes_current_without_a_ramp() {
    let mut learner = Learner::enters().await;
    let stuck = learner.gets_some_stuck().await;
    learner.transfer(LARGE).await;
    learner.until_reached(&GOALS[..3]).await;
    learner.deploy(3, FIX).await;
    for id in &stuck {
        learner.moves(id, 3).await;
    }
    learner.until_reached(&GOALS[..4]).await;
    learner.makes_current(3);
    let next =
        learner.until_told("fixed-version-is-current", "has not completed a transfer as large as").await;
    assert_eq!(next.to_type(), Some("cargo xtask traffic"));
    learner.traffic().await;
    ends_with(learner, 3).await;
}

/// With an override that has them follow the current version. And two more that the bank refuses, which is nobody's fault: one at once,
/// the other because one that was stuck as well has emptied the account.
#[tokio::test]
async fn moved_by_following_the_current_version() {
    let mut learner = Learner::enters().await;
    learner.transfer(MORE_THAN_THERE_IS).await;
    learner.ramps(2, 100);
    for id in ["empties-1", "empties-2"] {
        learner.transfer_as(id, MOST_OF_WHAT_THERE_IS).await;
        assert_eq!(learner.began_on(id).await, "2");
    }
    let stuck = learner.gets_some_stuck().await;
    assert!(["empties-1", "empties-2"].iter().all(|id| stuck.iter().any(|one| one == id)), "{stuck:?}");
    learner.types(
        "workflow update-options --query 'TemporalWorkerDeploymentVersion=\"money-transfer:2\" AND ExecutionStatus=\"Running\"' \
         --versioning-override-behavior auto_upgrade --yes",
    );
    learner.traffic().await;
    learner.until_reached(&GOALS[..4]).await;
    learner.deploy(3, FIX).await;
    learner.ramps(3, 100);
    learner.traffic().await;
    learner.until_told("fixed-version-is-current", "Make it current").await;
    ends_with(learner, 3).await;
}

/// After the rollback, a reset to the first Workflow Task begins a transfer anew, on the version that takes new ones.
#[tokio::test]
async fn reset_to_their_first_workflow_task() {
    let mut learner = Learner::enters().await;
    let stuck = learner.gets_some_stuck().await;
    learner.traffic().await;
    for id in &stuck {
        learner.types(&format!(
            "workflow reset --workflow-id {id} --type FirstWorkflowTask --reason 'rolled back'"
        ));
    }
    learner.until_reached(&GOALS[..4]).await;
    learner.deploy(3, FIX).await;
    learner.ramps(3, 50);
    learner.traffic().await;
    ends_with(learner, 3).await;
}

/// A reset to the last Workflow Task, with the move as part of it. And what is in progress on version 1 is moved to the fixed version,
/// which drains version 1 too.
#[tokio::test]
async fn reset_with_a_move_and_a_drain_by_a_move() {
    let mut learner = Learner::enters().await;
    let stuck = learner.gets_some_stuck().await;
    learner.traffic().await;
    for id in &stuck {
        learner.types(&format!(
            "workflow reset with-workflow-update-options --workflow-id {id} --type LastWorkflowTask --reason moved \
             --versioning-override-behavior pinned --versioning-override-deployment-name money-transfer \
             --versioning-override-build-id 1"
        ));
    }
    learner.until_reached(&GOALS[..4]).await;
    learner.deploy(3, FIX).await;
    learner.makes_current(3);
    learner.traffic().await;
    for id in learner.began_with.clone() {
        learner.moves(&id, 3).await;
    }
    ends_with(learner, 3).await;
}

/// A first fix that is none is rolled back as well, and a second one follows.
#[tokio::test]
async fn a_second_fix_after_one_that_was_none() {
    let mut learner = Learner::enters().await;
    learner.gets_some_stuck().await;
    learner.traffic().await;
    learner.deploy(3, JERRYS).await;
    learner.ramps(3, 50);
    learner.traffic().await;
    let next = learner.until_told("fixed-version-is-current", "it is not fixed. Roll it back").await;
    assert!(next.to_type().is_some_and(|command| command.contains("--build-id 3 --percentage 0")), "{next}");
    learner.ramps(3, 0);
    let next = learner.until_told("fixed-version-is-current", "deploy it as the next version").await;
    assert_eq!(next.to_type(), Some("cargo xtask lab deploy"));
    learner.deploy(4, FIX).await;
    learner.types(
        "workflow update-options --query 'TemporalWorkerDeploymentVersion IN (\"money-transfer:2\", \"money-transfer:3\") AND \
         ExecutionStatus=\"Running\"' --versioning-override-behavior pinned --versioning-override-deployment-name money-transfer \
         --versioning-override-build-id 4 --yes",
    );
    learner.until_reached(&GOALS[..4]).await;
    learner.ramps(4, 100);
    learner.traffic().await;
    ends_with(learner, 4).await;
}
