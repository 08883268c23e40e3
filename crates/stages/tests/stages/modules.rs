//! The program `stage_worker`, on a folder of live modules.

use std::fs;

use testbed::{Testbed, until};

use crate::{
    balances, balances_after, example,
    process::{self, Process},
    result,
};

/// A project's folder with the live modules of a stage.
fn project(stage: &str) -> tempfile::TempDir {
    let stage = lab::stage(stage).expect("a stage of the table");
    let project = tempfile::tempdir().expect("a temporary folder");
    for (file, module) in [(lab::LIVE_WORKFLOW, &stage.workflow), (lab::LIVE_ACTIVITIES, &stage.activities)] {
        let file = project.path().join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a writable folder");
        fs::write(file, module.source).expect("a writable folder");
    }
    project
}

#[tokio::test]
async fn stage_worker_runs_the_modules_in_place_and_tells_when_it_polls() {
    let testbed = Testbed::start().await;
    let project = project("reset-workflows");
    let _worker = Process::start_in(&testbed, project.path(), &["--ready-file", "ready"]);
    let ready_file = project.path().join("ready");
    until("the ready file", || async { fs::read_to_string(&ready_file).map_err(|error| error.kind()) }).await;

    result(&testbed.start_transfer("in-place", example()).await).await;
    assert_eq!(balances(&testbed).await, balances_after(1));
}

#[tokio::test]
async fn stage_worker_ends_where_nobody_can_be_told_that_it_polls() {
    let testbed = Testbed::start().await;
    let project = project("reset-workflows");
    let ready_file = project.path().join("no-such-folder/ready");
    let ready_file = ready_file.to_str().expect("it is text");
    let mut worker = Process::start_in(&testbed, project.path(), &["--ready-file", ready_file]);
    until("its end", || {
        let has_ended = worker.has_ended();
        async move { if has_ended { Ok(()) } else { Err("it runs") } }
    })
    .await;
}

#[test]
fn stage_worker_refuses_a_module_that_somebody_edited() {
    let project = project("reset-workflows");
    let live = project.path().join(lab::LIVE_WORKFLOW);
    fs::write(&live, "// Mine.\n").expect("a writable folder");
    let ended = process::run(project.path(), &["--modules", "crates/worker/src"]);
    let error = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("error: crates/worker/src/workflow.rs is a copy of no shipped module"),
        "{error}"
    );
}
