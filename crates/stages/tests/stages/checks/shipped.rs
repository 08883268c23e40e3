//! The shipped story reaches every goal of every stage: the failures first, the others once they are fixed.

use lab::Service;
use stages::Modules;
use testbed::{TestWorker, until};

use super::{Lab, assert_beginnings_are_good, right::next, roll_out};
use crate::{example, process::Process, stuck, versioning::withdrawn_under};
use transfer_kit::{Bank, stuck::Task};

#[tokio::test]
async fn both_of_jerrys_bugs_and_their_fixes() {
    let lab = Lab::start().await;
    for stage in lab::STAGES {
        lab.until_reached("", stage.name, &[]).await;
    }

    let jerry = lab.worker("jerry").await;
    lab.transfer(&["transfer-1"]).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    jerry.stop().await;

    let worker = lab.worker("fix-workflow").await;
    lab.until_all_reached("", "jerry").await;
    lab.until_reached("", "fix-workflow", &["withdraw-fails"]).await;
    worker.stop().await;

    let worker = lab.worker("fix-activity").await;
    lab.until_all_reached("", "fix-workflow").await;
    lab.until_reached("", "fix-activity", &["stuck-ones-complete"]).await;
    let too_much =
        serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 5000});
    lab.testbed.start_transfer("too-much", too_much.clone()).await;
    lab.until_reached("", "fix-activity", &["stuck-ones-complete"]).await;
    until("the refusal to be retried", || async {
        let next = next(&lab.facts("").await, "fix-activity", "error-classified");
        if next.contains("retryable error") { Ok(()) } else { Err(next) }
    })
    .await;
    worker.stop().await;

    let worker = lab.worker("reset-workflows").await;
    lab.until_reached("", "fix-activity", &["stuck-ones-complete", "error-classified"]).await;
    lab.testbed.start_transfer("too-much-again", too_much).await;
    let facts = lab.until_all_reached("", "fix-activity").await;
    worker.stop().await;
    assert_beginnings_are_good(&facts);
}

#[tokio::test]
async fn jerrys_step_and_its_patch() {
    let lab = Lab::start().await;
    withdrawn_under(&lab.testbed, "reset-workflows", ["old-1", "old-2"]).await;
    let added_step = lab.worker("jerry-adds-step").await;
    lab.until_reached("", "jerry-adds-step", &["history-does-not-fit"]).await;
    lab.transfer(&["new-1"]).await;
    let broken = ["history-does-not-fit", "new-ones-make-the-step"];
    lab.until_reached("", "jerry-adds-step", &broken).await;
    added_step.stop().await;

    let versioned = lab.worker("version-workflow").await;
    lab.until_reached("", "jerry-adds-step", &[&broken[..], &["old-ones-complete"]].concat()).await;
    lab.transfer(&["new-2"]).await;
    let facts = lab.until_all_reached("", "jerry-adds-step").await;
    versioned.stop().await;
    assert_beginnings_are_good(&facts);
}

/// The replay that reports the early removal is tested where it runs; here its report is given.
#[tokio::test]
async fn the_end_of_the_patch() {
    let mut lab = Lab::start().await;
    lab.until_reached("", "version-workflow", &[]).await;
    withdrawn_under(&lab.testbed, "version-workflow", ["patched-1", "patched-2"]).await;
    lab.deposits_down(true).await;
    lab.broken_replay.insert("patched-1".to_owned(), "attempt to divide by zero".to_owned());
    lab.until_reached("", "version-workflow", &[]).await;
    lab.broken_replay.insert("patched-2".to_owned(), "[TMPRL1100] Nondeterminism error".to_owned());
    lab.until_reached("", "version-workflow", &["removal-caught"]).await;

    let modules = Modules { workflow: "deprecated", activities: "fixed" };
    let options = modules.worker_options(Bank::at(&lab.testbed.bank_url)).expect("both are compiled");
    let deprecated = TestWorker::start(&lab.testbed.client, options).await;
    lab.transfer(&["new"]).await;
    until("the outage to be named", || async {
        let next = next(&lab.facts("").await, "version-workflow", "patch-deprecated");
        if next.contains("cargo xtask outage deposits up") { Ok(()) } else { Err(next) }
    })
    .await;
    lab.deposits_down(false).await;
    let facts = lab.until_all_reached("", "version-workflow").await;
    deprecated.stop().await;
    assert_beginnings_are_good(&facts);
}

/// The transfers that the stage begins with reach no goal, and what was reached stays reached until the end.
#[tokio::test]
async fn a_bad_version_that_is_rolled_back_and_its_fix() {
    let mut learner = roll_out::Learner::enters().await;
    learner.until_reached(&[]).await;
    learner.ramps(2, 20);
    learner.traffic().await;
    learner.until_stuck().await;
    learner.until_reached(&roll_out::GOALS[..2]).await;
    learner.ramps(2, 0);
    learner.traffic().await;
    learner.until_reached(&roll_out::GOALS[..3]).await;
    learner.types_next("moved").await;
    learner.until_reached(&roll_out::GOALS[..4]).await;
    learner.deploy(3, roll_out::FIX).await;
    learner.ramps(3, 100);
    learner.until_reached(&roll_out::GOALS[..4]).await;
    learner.traffic().await;
    learner.until_told("fixed-version-is-current", "version 3 completes what version 2 could not").await;
    learner.types_next("fixed-version-is-current").await;
    learner.until_reached(&roll_out::GOALS[..5]).await;
    learner.unpauses().await;
    learner.until_told("version-1-is-retired", "cargo xtask lab retire 1").await;
    learner.retires(1).await;
    let facts = learner.until_reached(&roll_out::GOALS).await;
    assert_beginnings_are_good(&facts);
    learner.leaves().await;
}

#[tokio::test]
async fn jerrys_limit_and_the_resets() {
    let lab = Lab::start().await;
    let limited = lab.worker("jerry-limits-retries").await;
    lab.transfer(&["failed-1", "failed-2"]).await;
    for id in ["failed-1", "failed-2"] {
        lab.until_reached(id, "jerry-limits-retries", &["out-of-attempts", "no-money-lost"]).await;
    }
    limited.stop().await;

    let worker = lab.worker("reset-workflows").await;
    lab.transfer(&["new"]).await;
    lab.until_all_reached("", "jerry-limits-retries").await;
    lab.until_reached("", "reset-workflows", &[]).await;

    let reset = |id, place: [&str; 2]| {
        let reset = ["workflow", "reset", "--workflow-id", id, "--reason", "the address is fixed"];
        lab.testbed.temporal(&[&reset[..], &place].concat());
    };
    let facts = lab.facts("failed-1").await;
    let event_id = lab::reset_point(facts.transfers[0].last()).expect("it has failed").to_string();
    reset("failed-1", ["--event-id", event_id.as_str()]);
    lab.until_reached("", "reset-workflows", &["one-is-reset"]).await;
    reset("failed-2", ["--type", "FirstWorkflowTask"]);
    lab.until_reached("", "reset-workflows", &["one-is-reset", "all-are-reset"]).await;
    reset("failed-1", ["--type", "FirstWorkflowTask"]);
    let facts = lab.until_all_reached("", "reset-workflows").await;
    worker.stop().await;
    assert_beginnings_are_good(&facts);
}

#[tokio::test]
async fn kills() {
    let mut lab = Lab::start().await;
    lab.deposits_down(true).await;
    let mut first = Process::start(&lab.testbed, "pull-the-plug");
    let transfer = lab.testbed.start_transfer("transfer-1", example()).await;
    stuck(&lab.testbed, &transfer, Task::Activity("deposit".to_owned()), 1).await;
    lab.services = ["temporal", "account-api", "worker"]
        .map(|name| Service { name: name.to_owned(), since: "2026-01-01T00:00:00Z".to_owned() })
        .to_vec();
    lab.until_reached("", "pull-the-plug", &[]).await;

    // A testbed's server and bank run on: here the supervisor's report of their restart is made.
    let facts = lab.facts("").await;
    let withdrawn = facts.transfers[0].last().events().find(|event| event.is("ActivityTaskCompleted"));
    for service in &mut lab.services {
        service.since = withdrawn.expect("an answer").time().to_owned();
    }
    lab.until_reached("", "pull-the-plug", &["server-killed", "bank-killed"]).await;

    first.signal("KILL");
    until("the worker to end", || {
        let ended = first.has_ended();
        async move { if ended { Ok(()) } else { Err("it runs") } }
    })
    .await;
    let _second = Process::start(&lab.testbed, "pull-the-plug");
    let since = |lab: &mut Lab, since: &str| lab.services[2].since = since.to_owned();
    // As where the lab itself had replaced the worker before the stage was entered.
    since(&mut lab, "");
    lab.until_reached("", "pull-the-plug", &["server-killed", "bank-killed"]).await;
    since(&mut lab, "2026-01-01T00:00:00Z");
    // It shows before the transfer completes.
    let killed = ["another-worker", "server-killed", "bank-killed"];
    lab.until_reached("", "pull-the-plug", &killed).await;
    lab.deposits_down(false).await;
    let facts = lab.until_all_reached("", "pull-the-plug").await;
    assert_beginnings_are_good(&facts);
}
