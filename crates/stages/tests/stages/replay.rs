//! Saved Event Histories against today's code: a change that would break transfers in progress fails here.
//!
//! The histories are in `tests/histories`, in a folder for each released version of the Workflow: the one that made
//! their last Workflow Task. What was recorded once stays, as the transfers of that version do; what is missing is
//! recorded by [`record_the_missing_histories`].

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use lab::{INCIDENTS, Incident};
use stages::{
    Modules, WORKFLOWS,
    workflow::{
        added_step, deprecated, fixed, jerry, limited, retries_any_amount, retries_by_amount, versioned,
    },
};
use temporalio_client::{WorkflowFetchHistoryOptions, WorkflowHistory};
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent};
use testbed::{TestWorker, Testbed};
use transfer_kit::{
    Bank,
    histories::{Recorded, in_progress},
    host,
    replay::replay,
    stuck::Task,
};

use crate::{example, resets, result, stuck, versioning::withdrawn_under, worker};

/// What comes of replaying a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The code goes on with the transfer.
    Fits,
    /// The code makes other steps than the history has.
    Differs,
    /// The code panics where the history goes on, or where it is stuck.
    Panics,
}
use Outcome::{Differs, Fits, Panics};

/// The released versions, in the order of the columns below.
const VERSIONS: [&str; 8] = [
    "jerry",
    "fixed",
    "limited",
    "added_step",
    "versioned",
    "deprecated",
    "retries_by_amount",
    "retries_any_amount",
];

/// Which version replays which history, and which must not.
///
/// Jerry's goes as far as the end of the first balance check. `fixed` and `limited` make the same steps: how often
/// an Activity is tried is no part of a history. Where a withdrawal was scheduled without the new step before it,
/// `added_step` differs; and what it recorded itself, with the step and without the marker of a patch, no other
/// version goes on with, `versioned` neither. What `versioned` recorded has that marker, which only it and
/// `deprecated` know. The marker of a deprecated patch may be missing in the code. `retries_by_amount` makes the steps of `fixed`,
/// but none after the balance checks for 100.00 dollars and more; `retries_any_amount` makes them all.
#[rustfmt::skip]
const REPLAYS: &[(&str, [Outcome; 8])] = &[
    //                                            jerry    fixed    limited  added_   version- deprec-  retries_ retries_
    //                                                                       step     ed       ated     by_…     any_…
    ("jerry/refused",                          [Fits,    Fits,    Fits,    Fits,    Fits,    Fits,    Fits,    Fits]),
    ("jerry/stuck-on-the-workflow-bug",        [Panics,  Fits,    Fits,    Fits,    Fits,    Fits,    Fits,    Fits]),
    ("fixed/cancelled",                        [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("fixed/completed",                        [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("fixed/held-at-its-deposit",              [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("fixed/insufficient-funds",               [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Panics,  Fits]),
    ("fixed/reset-and-completed",              [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("fixed/through-the-workflow-bug",         [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("limited/out-of-attempts",                [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("limited/refunded",                       [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("added_step/broken",                      [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("added_step/completed",                   [Panics,  Differs, Differs, Fits,    Differs, Fits,    Differs, Differs]),
    ("deprecated/completed",                   [Panics,  Differs, Differs, Fits,    Fits,    Fits,    Differs, Differs]),
    ("versioned/completed",                    [Panics,  Differs, Differs, Differs, Fits,    Fits,    Differs, Differs]),
    ("versioned/completed-without-the-step",   [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("retries_by_amount/completed",            [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Fits,    Fits]),
    ("retries_by_amount/stuck-on-its-amount",  [Panics,  Fits,    Fits,    Fits,    Fits,    Fits,    Panics,  Fits]),
    ("retries_any_amount/completed",           [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Panics,  Fits]),
    ("retries_any_amount/moved-and-completed", [Panics,  Fits,    Fits,    Differs, Fits,    Differs, Panics,  Fits]),
];

/// How Jerry's bugs show.
const PANICS: [&str; 2] = [
    "attempt to divide by zero, at crates/stages/src/workflow/jerry.rs:",
    "index out of bounds: the len is 3 but the index is",
];

/// The names of the saved histories.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    REPLAYS.iter().map(|(name, _)| *name)
}

/// The versions that replay this history.
pub(crate) fn versions_for(name: &str) -> Vec<&'static str> {
    let (_, outcomes) = REPLAYS.iter().find(|(other, _)| *other == name).expect("a row of the table");
    VERSIONS
        .into_iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome == Fits)
        .map(|(name, _)| name)
        .collect()
}

/// The events of a saved history.
pub(crate) async fn saved(name: &str) -> Vec<HistoryEvent> {
    let json = fs::read(file_of(name)).expect("a history");
    let history = WorkflowHistory::from_json(&json).expect("a history's JSON");
    history.into_events().await.expect("it is all here")
}

fn file_of(name: &str) -> PathBuf {
    histories().join(format!("{name}.json"))
}

fn histories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

/// Replays these events with a version of the Workflow.
async fn replay_with(version: &str, events: Vec<HistoryEvent>) -> Result<(), String> {
    match version {
        "added_step" => replay::<added_step::MoneyTransferWorkflow>(events).await,
        "deprecated" => replay::<deprecated::MoneyTransferWorkflow>(events).await,
        "fixed" => replay::<fixed::MoneyTransferWorkflow>(events).await,
        "jerry" => replay::<jerry::MoneyTransferWorkflow>(events).await,
        "limited" => replay::<limited::MoneyTransferWorkflow>(events).await,
        "retries_any_amount" => replay::<retries_any_amount::MoneyTransferWorkflow>(events).await,
        "retries_by_amount" => replay::<retries_by_amount::MoneyTransferWorkflow>(events).await,
        "versioned" => replay::<versioned::MoneyTransferWorkflow>(events).await,
        other => panic!("{other} is released, and none of its histories is replayed"),
    }
}

#[test]
fn every_released_version_has_histories_and_every_history_is_replayed() {
    let mut found = BTreeSet::new();
    for version in VERSIONS {
        let recorded =
            fs::read_dir(histories().join(version)).unwrap_or_else(|_| panic!("none of {version}"));
        let files = recorded.map(|entry| entry.expect("an entry").path());
        let names: Vec<_> =
            files.filter_map(|file| Some(format!("{version}/{}", file.file_stem()?.display()))).collect();
        assert!(!names.is_empty(), "none of {version}");
        found.extend(names);
    }
    assert_eq!(found, names().map(str::to_owned).collect());
    // A drill's own code runs for as long as the drill.
    let drill =
        |incident: &'static Incident| [Some(&incident.stage), incident.stage.fixed_by.and_then(lab::stage)];
    let in_drills: BTreeSet<&str> =
        INCIDENTS.iter().flat_map(drill).flatten().map(|stage| stage.workflow.name).collect();
    let released =
        WORKFLOWS.iter().copied().filter(|name| VERSIONS.contains(name) || !in_drills.contains(name));
    assert_eq!(BTreeSet::from(VERSIONS), released.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_replays_the_histories_that_it_goes_on_with_and_no_others() {
    for (name, outcomes) in REPLAYS {
        for (version, expected) in VERSIONS.into_iter().zip(outcomes) {
            let outcome = match replay_with(version, saved(name).await).await {
                Ok(()) => Fits,
                Err(why) if why.starts_with("[TMPRL1100] Nondeterminism error") => Differs,
                Err(why) if PANICS.iter().any(|panic| why.contains(panic)) => Panics,
                Err(why) => panic!("{version} with {name}: {why}"),
            };
            assert_eq!(outcome, *expected, "{version} with {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_patch_is_named_where_it_does_not_replay() {
    let failure =
        replay_with("added_step", saved("fixed/completed").await).await.expect_err("it has no such step");
    for part in ["Nondeterminism", "withdraw", "confirm_balance"] {
        assert!(failure.contains(part), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_breaks_the_transfers_that_are_past_it_and_no_others() {
    let history = saved("fixed/through-the-workflow-bug").await;
    let has = |events: &[HistoryEvent], kind| events.iter().any(|event| event.event_type() == kind);
    let scheduled = |events: &[HistoryEvent]| {
        events.iter().filter(|event| event.event_type() == EventType::ActivityTaskScheduled).count()
    };
    for length in 2..=history.len() {
        let begun = &history[..length];
        let kind = begun[length - 1].event_type();
        // The server tells of these two together with what follows from them.
        if matches!(kind, EventType::ActivityTaskStarted | EventType::ActivityTaskCompleted) {
            continue;
        }
        let moment = format!("{length} events, the last {kind:?}");
        assert_eq!(replay::<fixed::MoneyTransferWorkflow>(begun.to_vec()).await, Ok(()), "{moment}");

        let jerry = replay::<jerry::MoneyTransferWorkflow>(begun.to_vec()).await;
        match has(begun, EventType::ActivityTaskCompleted) {
            false => assert_eq!(jerry, Ok(()), "{moment}"),
            true => {
                let failure = jerry.expect_err(&moment);
                let place = "attempt to divide by zero, at crates/stages/src/workflow/jerry.rs:";
                assert!(failure.contains(place), "{moment}: {failure}");
            }
        }
        let added_step = replay::<added_step::MoneyTransferWorkflow>(begun.to_vec()).await;
        match scheduled(begun) < 3 {
            true => assert_eq!(added_step, Ok(()), "{moment}"),
            false => {
                let failure = added_step.expect_err(&moment);
                assert!(failure.starts_with("[TMPRL1100] Nondeterminism error"), "{moment}: {failure}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_in_progress_are_found_with_their_histories_and_replay() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let jerry = worker(&testbed, "jerry").await;
    let stuck = testbed.start_transfer("stuck", example()).await;
    testbed::until("a failed Workflow Task", || async {
        let failures = crate::events::workflow_task_failures(&stuck).await;
        if failures.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    jerry.stop().await;
    let (found, count) = until_in_progress(&testbed, 1).await;
    assert_eq!((&*found[0].workflow_id, Some(&*found[0].run_id), count), ("stuck", stuck.run_id(), 1));
    let outcome = replay::<jerry::MoneyTransferWorkflow>(found[0].events.clone()).await;
    assert!(outcome.is_err_and(|failure| failure.contains("divide by zero")));
    assert_eq!(replay::<fixed::MoneyTransferWorkflow>(found[0].events.clone()).await, Ok(()));

    let fixed = worker(&testbed, "reset-workflows").await;
    let held = testbed.start_transfer("held", example()).await;
    for transfer in [&stuck, &held] {
        testbed::until("the deposit to be tried", || async {
            let scheduled = crate::events::scheduled_activities(transfer).await;
            if scheduled.contains(&"deposit".to_owned()) { Ok(()) } else { Err(scheduled) }
        })
        .await;
    }
    for transfer in until_in_progress(&testbed, 2).await.0 {
        assert_eq!(replay::<fixed::MoneyTransferWorkflow>(transfer.events.clone()).await, Ok(()));
        let outcome = replay::<added_step::MoneyTransferWorkflow>(transfer.events).await;
        assert!(outcome.is_err_and(|failure| failure.contains("Nondeterminism")), "{}", transfer.workflow_id);
    }
    let (found, count) = in_progress(&testbed.client, 1).await.expect("the server answers");
    assert_eq!((found.len(), count), (1, 2));

    testbed.put("/outage", serde_json::json!({"deposits": false})).await;
    for transfer in [&stuck, &held] {
        result(transfer).await;
    }
    fixed.stop().await;
}

/// Waits until the server lists so many transfers in progress: a list follows what happens, a moment later.
async fn until_in_progress(testbed: &Testbed, count: usize) -> (Vec<Recorded>, usize) {
    testbed::until("the transfers to be listed", || async {
        let found = in_progress(&testbed.client, 500).await.expect("the server answers");
        if found.0.len() == count { Ok(found) } else { Err(found.0.len()) }
    })
    .await
}

/// Records the histories that have a row above and no file. By hand:
/// `cargo test -p stages --test stages record_the_missing -- --ignored`.
#[tokio::test]
#[ignore = "writes to the source tree"]
async fn record_the_missing_histories() {
    let testbed = Testbed::start().await;
    let bank = || Bank::at(&testbed.bank_url);

    let jerry = worker(&testbed, "jerry").await;
    let input = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": -1});
    let transfer = testbed.start_transfer("refused", input).await;
    crate::events::failure(&transfer).await;
    save("jerry/refused", &transfer).await;
    let transfer = testbed.start_transfer("through-both-bugs", example()).await;
    testbed::until("a failed Workflow Task", || async {
        let failures = crate::events::workflow_task_failures(&transfer).await;
        if failures.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    jerry.stop().await;
    save("jerry/stuck-on-the-workflow-bug", &transfer).await;

    let fixed = worker(&testbed, "reset-workflows").await;
    result(&transfer).await;
    save("fixed/through-the-workflow-bug", &transfer).await;
    let transfer = testbed.start_transfer("plain", example()).await;
    result(&transfer).await;
    save("fixed/completed", &transfer).await;
    let input = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 100000});
    let transfer = testbed.start_transfer("insufficient", input).await;
    crate::events::failure(&transfer).await;
    save("fixed/insufficient-funds", &transfer).await;
    testbed.put("/outage", serde_json::json!({"withdrawals": true})).await;
    let transfer = testbed.start_transfer("cancelled", example()).await;
    stuck(&testbed, &transfer, Task::Activity("withdraw".to_owned()), 1).await;
    transfer.cancel(Default::default()).await.expect("it runs");
    testbed::until("the transfer to end", || async {
        let last = crate::events::of(&transfer).await.pop().expect("an event");
        if last.is_final_wf_execution_event() { Ok(()) } else { Err(last.event_type()) }
    })
    .await;
    save("fixed/cancelled", &transfer).await;
    testbed.put("/outage", serde_json::json!({"withdrawals": false})).await;
    fixed.stop().await;

    let [transfer] = withdrawn_under(&testbed, "reset-workflows", ["held"]).await;
    save("fixed/held-at-its-deposit", &transfer).await;
    let added_step = worker(&testbed, "jerry-adds-step").await;
    stuck(&testbed, &transfer, Task::Workflow, 1).await;
    save("added_step/broken", &transfer).await;
    let new = testbed.start_transfer("with-the-step", example()).await;
    result(&new).await;
    save("added_step/completed", &new).await;
    added_step.stop().await;

    let versioned = worker(&testbed, "version-workflow").await;
    result(&transfer).await;
    save("versioned/completed-without-the-step", &transfer).await;
    let transfer = testbed.start_transfer("patched", example()).await;
    result(&transfer).await;
    save("versioned/completed", &transfer).await;
    versioned.stop().await;
    let modules = Modules { workflow: "deprecated", activities: "fixed" };
    let deprecated =
        TestWorker::start(&testbed.client, modules.worker_options(bank()).expect("both are compiled")).await;
    let transfer = testbed.start_transfer("deprecated", example()).await;
    result(&transfer).await;
    save("deprecated/completed", &transfer).await;
    deprecated.stop().await;

    let limited = worker(&testbed, "jerry-limits-retries").await;
    let transfer = testbed.start_transfer("limited", example()).await;
    crate::events::failure(&transfer).await;
    save("limited/out-of-attempts", &transfer).await;
    limited.stop().await;
    let fixed = worker(&testbed, "reset-workflows").await;
    let event_id = resets::before_the_withdrawal(&transfer).await;
    let reset = ["workflow", "reset", "--workflow-id", "limited", "--event-id", event_id.as_str()];
    testbed.temporal(&[&reset[..], &["--reason", "withdraw has its address back"]].concat());
    let again = resets::next_run(&testbed, &transfer).await;
    result(&again).await;
    save("fixed/reset-and-completed", &again).await;
    fixed.stop().await;

    let modules = Modules { workflow: "limited", activities: "fixed" };
    let limited =
        TestWorker::start(&testbed.client, modules.worker_options(bank()).expect("both are compiled")).await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let transfer = testbed.start_transfer("refunded", example()).await;
    crate::events::failure(&transfer).await;
    save("limited/refunded", &transfer).await;
    limited.stop().await;
    testbed.put("/outage", serde_json::json!({"deposits": false})).await;
    record_those_of_versions(&testbed).await;
}

/// Those of workers that are versions of a Worker Deployment.
async fn record_those_of_versions(testbed: &Testbed) {
    let large = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": 150});
    let as_version = async |modules: Modules, build_id: &str| {
        let options = modules.worker_options(Bank::at(&testbed.bank_url));
        let mut options = options.expect("both are compiled");
        host::deploy_as(&mut options, contract::DEPLOYMENT, build_id);
        let worker = TestWorker::start(&testbed.client, options).await;
        let of = ["--deployment-name", contract::DEPLOYMENT, "--build-id", build_id, "--yes"];
        testbed.temporal(&[&["worker", "deployment", "set-current-version"][..], &of].concat());
        worker
    };
    let by_amount = as_version(Modules { workflow: "retries_by_amount", activities: "fixed" }, "2").await;
    let transfer = testbed.start_transfer("small", example()).await;
    result(&transfer).await;
    save("retries_by_amount/completed", &transfer).await;
    let transfer = testbed.start_transfer("large", large.clone()).await;
    stuck(testbed, &transfer, Task::Workflow, 1).await;
    save("retries_by_amount/stuck-on-its-amount", &transfer).await;
    let any_amount = as_version(Modules { workflow: "retries_any_amount", activities: "fixed" }, "3").await;
    let to = "--versioning-override-behavior pinned --versioning-override-deployment-name money-transfer \
              --versioning-override-build-id 3";
    let to: Vec<&str> = to.split(' ').collect();
    testbed.temporal(&[&["workflow", "update-options", "--workflow-id", "large"][..], &to].concat());
    result(&transfer).await;
    save("retries_any_amount/moved-and-completed", &transfer).await;
    let transfer = testbed.start_transfer("as-large", large).await;
    result(&transfer).await;
    save("retries_any_amount/completed", &transfer).await;
    by_amount.stop().await;
    any_amount.stop().await;
}

/// Saves a history, unless that was done before.
async fn save(name: &str, transfer: &crate::Handle) {
    let file = file_of(name);
    if file.exists() {
        return;
    }
    let history = transfer.fetch_history(WorkflowFetchHistoryOptions::default());
    let json = history.to_json().await.expect("a history");
    let mut value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    forget_machine(&mut value);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a writable folder");
    fs::write(&file, format!("{value:#}\n")).expect("a writable folder");
}

/// Takes the names of machines and their users out of it: whoever asks the server says `pid@machine` of itself.
fn forget_machine(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if text.contains('@') => text.clear(),
        serde_json::Value::Array(values) => values.iter_mut().for_each(forget_machine),
        serde_json::Value::Object(values) => values.values_mut().for_each(forget_machine),
        _ => {}
    }
}
