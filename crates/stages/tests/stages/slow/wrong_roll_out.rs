//! Wrong ways through roll-out: the check says what is wrong, and what to do.

use crate::checks::roll_out::{BEFORE, FIX, GOALS, JERRYS, LARGE, Learner, SMALL};

const START_AGAIN: &str = "start again, with your code: cargo xtask stage roll-out --keep";

#[tokio::test]
async fn version_2_made_current_at_once() {
    let mut learner = Learner::enters().await;
    learner.until_reached(&[]).await;
    let next = learner.until_told("ramped", "send one new transfer in five to version 2").await;
    assert_eq!(
        next.to_type(),
        Some(
            "cargo xtask temporal worker deployment set-ramping-version --deployment-name money-transfer --build-id 2 --percentage \
             20 --yes"
        )
    );
    learner.transfer(SMALL).await;
    learner.makes_current(2);
    learner.traffic().await;
    learner.until_reached(&GOALS[1..2]).await;
    let next = learner.until_told("ramped", "it takes every new transfer instead of one in five").await;
    assert_eq!(
        next.to_type(),
        Some(
            "cargo xtask temporal worker deployment set-current-version --deployment-name money-transfer --build-id 1 --yes"
        )
    );
    learner.until_told("rolled-back", "version 2 is still current").await;
    // That it is taken back does not make a ramp of it.
    learner.makes_current(1);
    learner.traffic().await;
    learner.until_told("ramped", "send one new transfer in five").await;
    learner.ramps(2, 50);
    learner.traffic().await;
    learner.until_reached(&GOALS[..2]).await;
    learner.leaves().await;
}

#[tokio::test]
async fn a_ramp_that_is_never_taken_back() {
    let mut learner = Learner::enters().await;
    learner.ramps(2, 50);
    learner.transfer(SMALL).await;
    learner.until_told("ramped", "start transfers, until each version has taken some").await;
    learner.traffic().await;
    learner.until_stuck().await;
    learner.until_reached(&GOALS[..2]).await;
    for goal in ["rolled-back", "moved"] {
        let next = learner.until_told(goal, "version 2 still takes 50% of the new transfers").await;
        assert!(
            next.to_type().is_some_and(|command| command.ends_with("--build-id 2 --percentage 0 --yes")),
            "{next}"
        );
    }
    // Moved meanwhile, they complete; and the next ones get stuck.
    learner.types(
        "workflow update-options --query 'TemporalWorkerDeploymentVersion=\"money-transfer:2\" AND ExecutionStatus=\"Running\"' \
         --versioning-override-behavior pinned --versioning-override-deployment-name money-transfer \
         --versioning-override-build-id 1 --yes",
    );
    learner.until_reached(&["ramped", "only-version-2-fails", "moved"]).await;
    learner.traffic().await;
    learner.until_reached(&GOALS[..2]).await;
    // A rollback shows only by what is started after it.
    learner.until_stuck().await;
    learner.ramps(2, 0);
    learner.until_told("rolled-back", "start transfers, to see where they run: cargo xtask traffic").await;
    learner.transfer(SMALL).await;
    learner.until_reached(&GOALS[..3]).await;
    learner.leaves().await;
}

#[tokio::test]
async fn stuck_ones_that_are_terminated_or_canceled() {
    let mut learner = Learner::enters().await;
    for (command, how) in [("terminate", "was terminated"), ("cancel", "was canceled")] {
        let stuck = learner.gets_some_stuck().await;
        learner.transfer(SMALL).await;
        learner.until_reached(&GOALS[..3]).await;
        let next = learner.until_told("moved", "stuck on version 2. Move").await;
        learner.types(&format!("workflow {command} --workflow-id {}", stuck[0]));
        if command == "cancel" {
            // No version 2 answers a cancellation: it takes effect where the transfer is moved to.
            learner.moves(&stuck[0], 1).await;
        }
        let told = learner.until_told("moved", how).await;
        assert!(told.to_string().ends_with(START_AGAIN) && told.to_string().contains(&stuck[0]), "{told}");
        // What was not ended is saved all the same.
        let command = next.to_type().and_then(|command| command.strip_prefix("cargo xtask temporal "));
        learner.types(command.expect("a command of the Temporal CLI"));
        learner.until_reached(&GOALS[..3]).await;
        learner.enter().await;
        learner.until_reached(&[]).await;
    }
    learner.leaves().await;
}

#[tokio::test]
async fn a_fix_under_the_same_build_id() {
    let mut learner = Learner::enters().await;
    learner.gets_some_stuck().await;
    learner.transfer(SMALL).await;
    learner.until_reached(&GOALS[..3]).await;
    learner.deploy(2, FIX).await;
    let next = learner.until_told("moved", "other code was deployed under the same Build ID").await;
    assert!(next.to_string().ends_with(START_AGAIN), "{next}");

    // The same before anything was stuck.
    learner.enter().await;
    learner.deploy(2, FIX).await;
    learner.ramps(2, 50);
    learner.traffic().await;
    let told =
        "of 150.00, has completed on version 2, so other code than Jerry's was deployed under its Build ID";
    let next = learner.until_told("only-version-2-fails", told).await;
    assert!(next.to_string().ends_with(START_AGAIN), "{next}");
    learner.leaves().await;
}

#[tokio::test]
async fn code_of_version_1_that_is_replaced() {
    let mut learner = Learner::enters().await;
    learner.ramps(2, 50);
    learner.traffic().await;
    learner.until_reached(&GOALS[..2]).await;
    learner.deploy(1, JERRYS).await;
    learner.ramps(2, 0);
    learner.transfer(LARGE).await;
    let next = learner.until_told("only-version-2-fails", "has failed on version 1").await;
    assert!(next.to_string().ends_with(START_AGAIN), "{next}");
    learner.leaves().await;
}

#[tokio::test]
async fn moves_to_where_it_does_not_help() {
    let mut learner = Learner::enters().await;
    let stuck = learner.gets_some_stuck().await;
    learner.transfer(SMALL).await;
    learner.moves(&stuck[0], 2).await;
    let next = learner.until_told("moved", "was pinned to version 2 again. Move it to version 1").await;
    assert!(next.to_type().is_some_and(|command| command.contains(&stuck[0])), "{next}");

    learner.deploy(3, JERRYS).await;
    for id in &stuck {
        learner.moves(id, 3).await;
    }
    learner.until_told("moved", "was moved to version 3, and fails there too. Move it to version 1").await;
    learner.take_down(3).await;
    learner.until_told("moved", "and no worker of version 3 runs. Move it to version 1").await;
    for id in &stuck {
        learner.moves(id, 1).await;
    }
    learner.until_reached(&GOALS[..4]).await;
    learner.leaves().await;
}

#[tokio::test]
async fn a_fix_that_still_fails_or_that_has_never_run() {
    let mut learner = Learner::enters().await;
    learner.gets_some_stuck().await;
    learner.traffic().await;
    learner
        .until_told("fixed-version-is-current", "deploy it as a version of its own: cargo xtask lab deploy")
        .await;
    learner.deploy(3, JERRYS).await;
    learner.until_told("fixed-version-is-current", "version 3 runs and takes no new transfers yet").await;
    learner.makes_current(3);
    learner
        .until_told("fixed-version-is-current", "has not completed a transfer as large as the stuck ones")
        .await;
    learner.transfer(SMALL).await;
    learner.transfer(LARGE).await;
    let next = learner.until_told("fixed-version-is-current", "fails on version 3: it is not fixed").await;
    assert!(next.to_type().is_some_and(|command| command.contains("set-current-version")), "{next}");
    learner.makes_current(1);

    // One that fails with its first Workflow Task is on no version so far.
    learner.deploy_others(4).await;
    learner.makes_current(4);
    learner.transfer_as("fails-at-once", LARGE).await;
    learner.until_told("fixed-version-is-current", "fails-at-once fails on version 4: it is not fixed").await;
    learner.leaves().await;
}

#[tokio::test]
async fn version_1_that_is_taken_down_too_soon() {
    let mut learner = Learner::enters().await;
    let stuck = learner.gets_some_stuck().await;
    learner.traffic().await;
    for id in &stuck {
        learner.moves(id, 1).await;
    }
    learner.until_reached(&GOALS[..4]).await;
    learner.deploy(3, FIX).await;
    learner.ramps(3, 100);
    learner.traffic().await;
    learner.until_told("version-1-is-retired", "Make it current").await;
    learner.makes_current(3);
    learner.until_reached(&GOALS[..5]).await;
    let next = learner.until_told("version-1-is-retired", "is paused").await;
    assert!(
        next.to_type().is_some_and(|command| command.contains("activity unpause --workflow-id")),
        "{next}"
    );
    learner.take_down(1).await;
    learner.until_told("version-1-is-retired", "whose worker was shut down too early").await;
    learner.types_next("version-1-is-retired").await;
    learner.unpauses().await;
    learner.until_reached(&GOALS).await;
    learner.leaves().await;
}

/// The ramp of the fix ends that of version 2, after which no transfer shows a rollback.
#[tokio::test]
async fn a_ramp_that_the_fix_replaces() {
    let mut learner = Learner::enters().await;
    learner.ramps(2, 50);
    learner.traffic().await;
    let stuck = learner.until_stuck().await;
    // The last one is on version 1.
    loop {
        let id = learner.transfer(SMALL).await;
        if learner.began_on(&id).await == "1" {
            break;
        }
    }
    learner.deploy(3, FIX).await;
    learner.ramps(3, 100);
    learner.traffic().await;
    for id in &stuck {
        learner.moves(id, 3).await;
    }
    learner.until_reached(&["ramped", "only-version-2-fails", "moved"]).await;
    let next = learner.until_told("rolled-back", "a later version has replaced version 2").await;
    assert!(next.to_type().is_some_and(|command| command.contains("--build-id 3 --percentage 0")), "{next}");
    learner.ramps(3, 0);
    learner.traffic().await;
    learner.until_reached(&GOALS[..4]).await;
    // It stays reached.
    learner.ramps(3, 100);
    learner.traffic().await;
    learner.until_reached(&GOALS[..4]).await;
    learner.leaves().await;
}

/// All stuck ones were moved before, so only later ones show it.
#[tokio::test]
async fn a_fix_over_version_2_after_the_move() {
    let mut learner = Learner::enters().await;
    for id in learner.gets_some_stuck().await {
        learner.moves(&id, 1).await;
    }
    learner.traffic().await;
    learner.until_reached(&GOALS[..4]).await;
    learner.deploy(2, FIX).await;
    learner.ramps(2, 50);
    learner.traffic().await;
    let next = learner.until_told("moved", "other code than Jerry's was deployed under its Build ID").await;
    assert!(next.to_string().ends_with(START_AGAIN), "{next}");
    learner.leaves().await;
}

/// Forward instead of back, and no version at all.
#[tokio::test]
async fn no_rollback() {
    let mut learner = Learner::enters().await;
    learner.transfer(SMALL).await;
    learner.ramps(2, 100);
    learner.traffic().await;
    learner.until_told("ramped", "send one new transfer in five to version 2").await;
    learner.ramps(2, 50);
    learner.traffic().await;
    learner.until_stuck().await;
    learner.deploy(3, FIX).await;
    learner.makes_current(3);
    learner.until_told("rolled-back", "version 2 still takes 50%").await;
    learner.ramps(2, 0);
    learner.traffic().await;
    let next = learner.until_told("rolled-back", "no transfer has begun on version 1 since").await;
    assert!(next.to_type().is_some_and(|command| command.contains("set-current-version")), "{next}");

    learner.enter().await;
    learner
        .types("worker deployment set-current-version --deployment-name money-transfer --unversioned --yes");
    learner.until_told("ramped", "no version is current, so new transfers wait").await;
    learner.makes_current(1);
    learner.gets_some_stuck().await;
    learner.transfer(SMALL).await;
    learner.until_reached(&GOALS[..3]).await;
    // The code from before is no fix of Jerry's change, and no version either.
    learner.deploy(1, BEFORE).await;
    learner.until_told("fixed-version-is-current", "deploy it as a version of its own").await;
    learner.leaves().await;
}
