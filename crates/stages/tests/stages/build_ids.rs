//! Which build of the code has done a transfer's Workflow Tasks, and which completed transfers a replay takes by it.

use lab::STAGES;
use stages::Modules;
use testbed::{TestWorker, Testbed, until};
use transfer_kit::{
    Bank,
    histories::{self, Recorded},
    host,
    replay::Report,
    stuck::Task,
};

use crate::{example, result, stuck, versioning::withdrawn_under, worker};

fn modules(stage: &str) -> Modules {
    Modules::of(lab::stage(stage).expect("a stage of the table"))
}

/// Replays the server's transfers with a stage's modules, once its list has so many in progress, pinned ones among them, and so many
/// completed: a list follows what happens, a moment later.
async fn replayed(testbed: &Testbed, stage: &str, in_progress: usize, completed: usize) -> Report {
    until(&format!("{in_progress} transfers in progress and {completed} completed"), || async {
        let report = modules(stage).replay(&testbed.client).await.expect("the server answers");
        let ended = &report.completed;
        let ended = ended.replayed + ended.other_build + ended.pinned + ended.over_limit;
        let found = (report.in_progress + report.pinned.replayed, ended);
        if found == (in_progress, completed) { Ok(report) } else { Err(report) }
    })
    .await
}

fn ids(broken: &[transfer_kit::replay::Broken]) -> Vec<&str> {
    broken.iter().map(|broken| &*broken.workflow_id).collect()
}

#[test]
fn different_modules_have_different_build_ids() {
    for stage in STAGES {
        for other in STAGES {
            let same = Modules::of(stage) == Modules::of(other);
            assert_eq!(Modules::of(stage).build_id() == Modules::of(other).build_id(), same);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_takes_the_completed_transfers_of_the_deployed_code_alone() {
    let testbed = Testbed::start().await;
    let report = replayed(&testbed, "fix-activity", 0, 0).await;
    assert_eq!(report, Report::default(), "nothing is replayed where nothing was started");

    let fixed = worker(&testbed, "fix-activity").await;
    result(&testbed.start_transfer("of-fixed", example()).await).await;
    let report = replayed(&testbed, "fix-activity", 0, 1).await;
    assert_eq!(report.completed.build_id, Some(modules("fix-activity").build_id()));
    assert_eq!((report.completed.replayed, report.reasons()), (1, &[][..]));
    // With none in progress, the completed one shows what the step without a patch would break.
    let report = replayed(&testbed, "jerry-adds-step", 0, 1).await;
    assert_eq!(ids(report.reasons()), ["of-fixed"]);
    assert!(report.completed.broken[0].why.contains("TMPRL1100"), "{report}");
    fixed.stop().await;

    // Begun by one build and completed by another.
    let [of_both] = withdrawn_under(&testbed, "fix-activity", ["of-both"]).await;
    let versioned = worker(&testbed, "version-workflow").await;
    result(&of_both).await;
    result(&testbed.start_transfer("of-versioned", example()).await).await;
    let report = replayed(&testbed, "version-workflow", 0, 3).await;
    assert_eq!(report.completed.build_id, Some(modules("version-workflow").build_id()));
    assert_eq!((report.completed.replayed, report.completed.other_build), (1, 2));
    assert_eq!(report.reasons(), []);
    // Without the patch, what has its marker does not replay.
    let report = replayed(&testbed, "fix-activity", 0, 3).await;
    assert_eq!(ids(report.reasons()), ["of-versioned"]);
    versioned.stop().await;

    // One in progress decides, and the completed ones are told of besides.
    withdrawn_under(&testbed, "fix-activity", ["held"]).await;
    let report = replayed(&testbed, "version-workflow", 1, 3).await;
    assert_eq!(report.completed.build_id, Some(modules("fix-activity").build_id()));
    assert_eq!((report.replayed, report.completed.replayed, report.completed.other_build), (1, 1, 2));
    assert_eq!(report.reasons(), []);
    let report = replayed(&testbed, "jerry-adds-step", 1, 3).await;
    assert_eq!((ids(report.reasons()), ids(&report.completed.broken)), (vec!["held"], vec!["of-fixed"]));

    let (newest, in_all) = histories::completed(&testbed.client, 1).await.expect("the server answers");
    assert_eq!((newest.len(), in_all), (1, 3));
    the_last_worker_or_else_the_last_task_tells_it(&testbed).await;
}

/// What is pinned to a version of its worker stays on it, so a change breaks it only once it is moved.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_breaks_no_transfer_that_is_pinned_to_another_version() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({ "deposits": true })).await;
    let mut options =
        modules("fix-activity").worker_options(Bank::at(&testbed.bank_url)).expect("they are compiled");
    host::deploy_as(&mut options, contract::DEPLOYMENT, "1");
    let version_1 = TestWorker::start(&testbed.client, options).await;
    let set = "worker deployment set-current-version --deployment-name money-transfer --build-id 1 --yes";
    testbed.temporal(&set.split(' ').collect::<Vec<_>>());
    for id in ["follows", "pinned"] {
        let transfer = testbed.start_transfer(id, example()).await;
        stuck(&testbed, &transfer, Task::Activity("deposit".to_owned()), 1).await;
    }
    let report = replayed(&testbed, "jerry-adds-step", 2, 0).await;
    assert_eq!((report.in_progress, report.replayed, report.reasons()), (0, 0, &[][..]));
    assert_eq!((report.pinned.replayed, report.pinned.broken.len()), (2, 2));
    let report = replayed(&testbed, "version-workflow", 2, 0).await;
    assert_eq!(
        (report.pinned.replayed, report.pinned.broken.len()),
        (2, 0),
        "it could be moved to this code"
    );

    // With an override it follows the current version, which may be the changed code next.
    let follow = "workflow update-options --workflow-id follows --versioning-override-behavior auto_upgrade";
    testbed.temporal(&follow.split(' ').collect::<Vec<_>>());
    let report = replayed(&testbed, "jerry-adds-step", 2, 0).await;
    assert_eq!(ids(report.reasons()), ["follows"]);
    assert_eq!((report.in_progress, ids(&report.pinned.broken)), (1, vec!["pinned"]));

    testbed.put("/outage", serde_json::json!({ "deposits": false })).await;
    let report = replayed(&testbed, "jerry-adds-step", 0, 2).await;
    assert_eq!((report.completed.pinned, report.pinned.replayed), (1, 0));
    version_1.stop().await;
}

/// The worker that polled last tells it, also before it has done anything. A server forgets a worker some minutes after its last
/// poll; then the last Workflow Task tells it.
async fn the_last_worker_or_else_the_last_task_tells_it(testbed: &Testbed) {
    let deployed = async |queue: &str, transfers: &[Recorded]| {
        let build = histories::deployed_build(&testbed.client, queue, transfers.iter()).await;
        build.expect("the server answers")
    };
    let (completed, _) = histories::completed(&testbed.client, 10).await.expect("the server answers");
    let nobodys = "a-queue-of-nobody";
    assert_eq!(deployed(nobodys, &completed).await, Some(modules("version-workflow").build_id()));
    assert_eq!(deployed(nobodys, &[]).await, None);
    let jerry = worker(testbed, "jerry").await;
    // All workers of this process have one identity, so the server may still have the Build ID of the one before.
    until("the server to have this worker's poll", || async {
        let build = deployed(contract::TASK_QUEUE, &completed).await;
        if build == Some(modules("jerry").build_id()) { Ok(()) } else { Err(build) }
    })
    .await;
    jerry.stop().await;
}
