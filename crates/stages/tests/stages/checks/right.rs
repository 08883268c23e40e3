//! The shipped fix is one of many: these do it in other ways, and reach the same goals.

use std::time::SystemTime;

use lab::Verdict;

use super::{Lab, fixes::workflow::STEP_SINCE, verdicts};
use crate::versioning::withdrawn_under;

/// What is next at a goal that is open.
pub(super) fn next(facts: &lab::Facts, stage: &str, goal: &str) -> String {
    let goals = lab::stage(stage).expect("a stage").goals;
    match verdicts(goals, facts).into_iter().find(|(name, _)| *name == goal) {
        Some((_, Verdict::Open(next))) => next.to_string(),
        other => panic!("{goal} should be open: {other:?}"),
    }
}

#[tokio::test]
async fn other_estimates_than_the_shipped_one() {
    let fixes = ["divides-by-done", "guards-the-first", "drops-the-estimate", "estimates-late"];
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    lab.transfer(&fixes).await;
    for fix in fixes {
        lab.until_reached(fix, "jerry", &["workflow-task-fails"]).await;
    }
    jerry.stop().await;

    let worker = lab.other_worker().await;
    for fix in fixes {
        lab.until_all_reached(fix, "jerry").await;
        lab.until_reached(fix, "fix-activity", &["stuck-ones-complete"]).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn other_withdrawals_than_the_shipped_one() {
    let fixes = ["sends-its-own-request", "asks-first", "connects-each-time", "tries-by-itself"];
    let lab = Lab::start().await;
    let jerry = lab.worker("fix-workflow").await;
    lab.transfer(&fixes).await;
    for fix in fixes {
        lab.until_reached(fix, "fix-workflow", &["withdraw-fails"]).await;
    }
    jerry.stop().await;

    let worker = lab.other_worker().await;
    for fix in fixes {
        lab.until_all_reached(fix, "fix-workflow").await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn other_ways_to_tell_old_transfers_from_new_ones() {
    let lab = Lab::start().await;
    let old = ["another-patch.old", "patch-at-the-start.old", "by-the-start-time.old", "takes-it-back.old"];
    withdrawn_under(&lab.testbed, "fix-activity", old).await;
    let jerry = lab.worker("jerry-adds-step").await;
    let fixes = old.map(|id| id.trim_end_matches(".old"));
    let broken = ["history-does-not-fit", "new-ones-make-the-step"];
    for fix in fixes {
        lab.transfer(&[&format!("{fix}.under-jerry")]).await;
    }
    for fix in fixes {
        lab.until_reached(fix, "jerry-adds-step", &broken).await;
    }
    jerry.stop().await;

    STEP_SINCE.set(SystemTime::now()).expect("this test alone sets it");
    let worker = lab.other_worker().await;
    let mended = [broken[0], broken[1], "old-ones-complete"];
    for fix in fixes {
        lab.until_reached(fix, "jerry-adds-step", &mended).await;
        lab.transfer(&[&format!("{fix}.new")]).await;
    }
    for fix in &fixes[..3] {
        lab.until_all_reached(fix, "jerry-adds-step").await;
    }
    // Without the step, the old ones are mended; that is not all there was to do.
    let facts = lab.until_reached(fixes[3], "jerry-adds-step", &mended).await;
    let next = next(&facts, "jerry-adds-step", "both-at-once");
    assert!(next.contains("the new step"), "{next}");
    worker.stop().await;
}

/// A patch breaks what was started on the step without it. That it has made the step is right.
#[tokio::test]
async fn what_a_patch_comes_too_late_for_does_not_keep_the_goal_open() {
    let lab = Lab::start().await;
    withdrawn_under(&lab.testbed, "fix-activity", ["old"]).await;
    let jerry = lab.worker("jerry-adds-step").await;
    lab.until_reached("", "jerry-adds-step", &["history-does-not-fit"]).await;
    jerry.stop().await;
    withdrawn_under(&lab.testbed, "jerry-adds-step", ["between"]).await;
    let versioned = lab.worker("version-workflow").await;
    lab.until_reached("between", "jerry-adds-step", &["history-does-not-fit"]).await;
    lab.until_reached("", "version-workflow", &["old-ones-complete"]).await;
    versioned.stop().await;
}

#[tokio::test]
async fn other_timeouts_than_the_shipped_ones() {
    let fixes = ["five-minutes", "a-thousand-attempts", "longer-pauses", "keeps-the-limit"];
    let lab = Lab::start().await;
    let failed = ["out-of-attempts", "no-money-lost"];
    let jerry = lab.worker("jerry-limits-retries").await;
    for fix in fixes {
        lab.transfer(&[&format!("{fix}.failed")]).await;
    }
    for fix in fixes {
        lab.until_reached(fix, "jerry-limits-retries", &failed).await;
    }
    jerry.stop().await;

    let worker = lab.other_worker().await;
    for fix in fixes {
        lab.transfer(&[&format!("{fix}.new")]).await;
    }
    for fix in &fixes[..3] {
        lab.until_all_reached(fix, "jerry-limits-retries").await;
    }
    lab.until_reached("keeps-the-limit.new", "pull-the-plug", &["nothing-is-lost"]).await;
    let facts = lab.until_reached("keeps-the-limit", "jerry-limits-retries", &failed).await;
    let next = next(&facts, "jerry-limits-retries", "new-ones-complete");
    assert!(next.contains("mend the limit as well"), "{next}");
    worker.stop().await;
}

/// To end what is stuck and to start anew is no mend, and the check says what is left to do.
#[tokio::test]
async fn a_stuck_transfer_that_was_ended_by_force_is_not_mended() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    let stuck = lab.testbed.start_transfer("stuck", crate::example()).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    stuck.terminate(Default::default()).await.expect("the server ends it");
    jerry.stop().await;

    let worker = lab.worker("fix-activity").await;
    lab.transfer(&["anew"]).await;
    lab.until_reached("anew", "pull-the-plug", &["nothing-is-lost"]).await;
    let facts = lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    for (stage, goal) in [("jerry", "goes-on"), ("fix-activity", "stuck-ones-complete")] {
        let next = next(&facts, stage, goal);
        assert!(next.contains("stuck was ended, and not mended: enter the stage again"), "{next}");
    }
    worker.stop().await;
}
