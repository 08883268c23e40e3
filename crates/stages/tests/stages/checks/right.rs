//! The shipped fix is one of many: these fix the bugs in other ways and reach the same goals.

use std::{collections::BTreeSet, time::SystemTime};

use lab::Verdict;
use temporalio_client::WorkflowGetResultOptions;

use super::{Lab, fixes::workflow::STEP_SINCE, verdicts};
use crate::versioning::withdrawn_under;

/// Fixes of Jerry's estimate. `(done - 1).max(1)` shows 0 ms after the first step; no history has that, so it passes.
const ESTIMATES: [&str; 7] = [
    "divides-by-done",
    "guards-the-first",
    "at-least-one",
    "since-the-start",
    "drops-the-estimate",
    "estimates-late",
    "waits-a-moment",
];
/// Fixes of the wrong address.
const WITHDRAWALS: [&str; 4] =
    ["sends-its-own-request", "asks-first", "connects-each-time", "retries-by-itself"];
/// Ways to make the bank's refusal final.
const CLASSIFICATIONS: [&str; 3] =
    ["names-the-type-in-the-policy", "decides-by-the-message", "decides-by-the-type"];
/// Ways to let old and new transfers run side by side.
const VERSIONS: [&str; 4] = ["another-patch", "patch-at-the-start", "by-the-start-time", "patch-asked-twice"];
/// Ways to deprecate the patch.
const DEPRECATIONS: [&str; 2] = ["deprecates-at-the-start", "deprecates-before-the-step"];
/// Fixes of Jerry's limit.
const TIMEOUTS: [&str; 4] =
    ["schedule-to-close-alone", "schedule-and-start-to-close", "longer-pauses", "no-policy-at-all"];

#[test]
fn twenty_right_fixes_are_judged() {
    let fixes = [&ESTIMATES[..], &WITHDRAWALS, &CLASSIFICATIONS, &VERSIONS, &DEPRECATIONS, &TIMEOUTS];
    let fixes: BTreeSet<&str> = fixes.into_iter().flatten().copied().collect();
    assert!(fixes.len() >= 20, "{fixes:?}");
}

/// What is next at an open goal.
pub(super) fn next(facts: &lab::Facts, stage: &str, goal: &str) -> String {
    let goals = lab::stage(stage).expect("a stage").goals;
    match verdicts(goals, facts).into_iter().find(|(name, _)| *name == goal) {
        Some((_, Verdict::Open(next))) => next.to_string(),
        other => panic!("{goal} should be open: {other:?}"),
    }
}

#[tokio::test]
async fn other_estimates_than_the_shipped_one() {
    let fixes = ESTIMATES;
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
    let fixes = WITHDRAWALS;
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

/// A transfer of more than the balance is retried, and fails once the fix is deployed.
#[tokio::test]
async fn other_ways_to_classify_an_error() {
    let lab = Lab::start().await;
    let worker = lab.worker("fix-activity").await;
    let input = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 5000});
    for fix in CLASSIFICATIONS {
        lab.testbed.start_transfer(&format!("{fix}.retried"), input.clone()).await;
    }
    for fix in CLASSIFICATIONS {
        testbed::until("the error to be retried", || async {
            let next = next(&lab.facts(fix).await, "fix-activity", "error-classified");
            if next.contains("retryable error") { Ok(()) } else { Err(next) }
        })
        .await;
    }
    worker.stop().await;
    let worker = lab.other_worker().await;
    // The retry policy of the one that waits is recorded, so that only a new one has the types in its policy.
    lab.testbed.start_transfer(&format!("{}.new", CLASSIFICATIONS[0]), input).await;
    let [by_the_policy, others @ ..] = CLASSIFICATIONS;
    lab.until_reached(by_the_policy, "fix-activity", &["error-classified", "refusal-is-final"]).await;
    for fix in others {
        lab.until_reached(fix, "fix-activity", &["error-classified"]).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn other_ways_to_tell_old_transfers_from_new_ones() {
    let lab = Lab::start().await;
    let old = VERSIONS.map(|fix| format!("{fix}.old"));
    withdrawn_under(&lab.testbed, "reset-workflows", [&old[0], &old[1], &old[2], &old[3]]).await;
    let jerry = lab.worker("jerry-adds-step").await;
    let broken = ["history-does-not-fit", "new-ones-make-the-step"];
    for fix in VERSIONS {
        lab.transfer(&[&format!("{fix}.under-jerry")]).await;
    }
    for fix in VERSIONS {
        lab.until_reached(fix, "jerry-adds-step", &broken).await;
    }
    jerry.stop().await;

    STEP_SINCE.set(SystemTime::now()).expect("this test alone sets it");
    let worker = lab.other_worker().await;
    let fixed = [broken[0], broken[1], "old-ones-complete"];
    for fix in VERSIONS {
        lab.until_reached(fix, "jerry-adds-step", &fixed).await;
        lab.transfer(&[&format!("{fix}.new")]).await;
        lab.until_all_reached(fix, "jerry-adds-step").await;
    }
    worker.stop().await;
}

/// A drain: the old transfers complete on the code that they were started with, then Jerry's step is deployed.
#[tokio::test]
async fn a_drain_in_place_of_a_patch() {
    let lab = Lab::start().await;
    withdrawn_under(&lab.testbed, "reset-workflows", ["old"]).await;
    let jerry = lab.worker("jerry-adds-step").await;
    lab.transfer(&["under-jerry"]).await;
    lab.until_reached("", "jerry-adds-step", &["history-does-not-fit", "new-ones-make-the-step"]).await;
    jerry.stop().await;
    let reverted = lab.worker("reset-workflows").await;
    let completed = ["history-does-not-fit", "new-ones-make-the-step", "old-ones-complete"];
    lab.until_reached("", "jerry-adds-step", &completed).await;
    reverted.stop().await;
    let jerry = lab.worker("jerry-adds-step").await;
    lab.transfer(&["new"]).await;
    lab.until_all_reached("", "jerry-adds-step").await;
    jerry.stop().await;
}

#[tokio::test]
async fn other_ways_to_deprecate_a_patch() {
    let lab = Lab::start().await;
    withdrawn_under(&lab.testbed, "version-workflow", ["patched"]).await;
    let worker = lab.other_worker().await;
    for fix in DEPRECATIONS {
        lab.transfer(&[fix]).await;
        lab.until_reached(fix, "version-workflow", &["patch-deprecated"]).await;
    }
    worker.stop().await;
    let versioned = lab.worker("version-workflow").await;
    // One that the bank refuses needs not complete.
    let mut too_much = crate::example();
    too_much["amount"] = serde_json::json!(1e6);
    let refused = lab.testbed.start_transfer("refused", too_much).await;
    refused.get_result(WorkflowGetResultOptions::default()).await.expect_err("it is refused");
    lab.until_reached("", "version-workflow", &["patch-deprecated", "patched-ones-complete"]).await;
    versioned.stop().await;
}

/// A patch breaks what was started on the step without it. That it has run the step is right.
#[tokio::test]
async fn what_a_patch_comes_too_late_for_does_not_keep_the_goal_open() {
    let lab = Lab::start().await;
    withdrawn_under(&lab.testbed, "reset-workflows", ["old"]).await;
    let jerry = lab.worker("jerry-adds-step").await;
    lab.until_reached("", "jerry-adds-step", &["history-does-not-fit"]).await;
    jerry.stop().await;
    withdrawn_under(&lab.testbed, "jerry-adds-step", ["between"]).await;
    let versioned = lab.worker("version-workflow").await;
    lab.until_reached("between", "jerry-adds-step", &["history-does-not-fit"]).await;
    lab.until_reached("", "jerry-adds-step", &["history-does-not-fit", "old-ones-complete"]).await;
    versioned.stop().await;
}

#[tokio::test]
async fn other_timeouts_than_the_shipped_ones() {
    let fixes = TIMEOUTS;
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
    for fix in fixes {
        lab.until_all_reached(fix, "jerry-limits-retries").await;
    }
    worker.stop().await;
}

/// To terminate what is stuck and start another is no fix, and the check says what to do.
#[tokio::test]
async fn a_stuck_transfer_that_was_terminated_is_not_fixed() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    let stuck = lab.testbed.start_transfer("stuck", crate::example()).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    stuck.terminate(Default::default()).await.expect("the server terminates it");
    jerry.stop().await;

    let worker = lab.worker("reset-workflows").await;
    lab.transfer(&["another"]).await;
    lab.until_reached("another", "pull-the-plug", &["nothing-is-lost"]).await;
    let facts = lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    for (stage, goal) in [("jerry", "goes-on"), ("fix-activity", "stuck-ones-complete")] {
        let next = next(&facts, stage, goal);
        let expected = format!(
            "stuck was terminated before it completed; start again, with your code: cargo xtask stage {stage} --keep"
        );
        assert_eq!(next, expected);
    }
    worker.stop().await;
}
