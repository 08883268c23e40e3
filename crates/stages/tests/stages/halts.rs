//! Workflow code that neither fails nor makes progress, and how to fix it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use contract::TransferResult;
use lab::{Halt, Held};
use temporalio_client::UntypedWorkflow;
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{enums::v1::EventType, history::v1::HistoryEvent},
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};
use testbed::{TestWorker, Testbed, until};
use transfer_kit::host;

use crate::{checks::fixes::activities::OtherActivities, events, example, result, worker};

/// Whether the code that hangs still does.
static HANGS: AtomicBool = AtomicBool::new(true);

/// A transfer that waits before its first step in the way that its Workflow Id names.
#[workflow]
#[derive(Default)]
struct Waiting;

#[workflow_methods]
impl Waiting {
    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        _input: RawValue,
    ) -> WorkflowResult<TransferResult> {
        match ctx.workflow_id() {
            "sleeps" => tokio::time::sleep(Duration::from_secs(600)).await,
            "waits-for-a-timer" => drop(ctx.timer(Duration::from_secs(600)).await),
            _ => {
                while HANGS.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        // No test waits for so long.
        std::future::pending().await
    }
}

async fn waiting_worker(testbed: &Testbed) -> TestWorker {
    let activities = OtherActivities::new(&testbed.bank_url);
    let options = host::options::<Waiting, _>(activities).expect("one Workflow");
    TestWorker::start(&testbed.client, options).await
}

/// What holds up this transfer.
async fn halts(testbed: &Testbed, id: &str) -> Vec<(Held, Halt)> {
    let description = testbed.ask_server(&format!("workflows/{id}")).await;
    let events = testbed.ask_server(&format!("workflows/{id}/history-reverse")).await;
    let events = events["history"]["events"].as_array().cloned().unwrap_or_default();
    lab::halts(&description, "", || events)
}

async fn until_halted(testbed: &Testbed, id: &str, by: &Halt) {
    until(&format!("{id} to be held up"), || async {
        let halts = halts(testbed, id).await;
        if halts == [(None, by.clone())] { Ok(()) } else { Err(halts) }
    })
    .await;
}

#[tokio::test]
async fn a_workflow_that_waits_outside_of_temporal_completes_only_after_a_reset() {
    let testbed = Testbed::start().await;
    let sleeping = waiting_worker(&testbed).await;
    testbed.start_transfer("sleeps", example()).await;
    until_halted(&testbed, "sleeps", &Halt::NothingPending).await;
    let waiting = testbed.start_transfer("waits-for-a-timer", example()).await;
    until("its timer", || async {
        let history = events::of(&waiting).await;
        let is_one = |event: &&HistoryEvent| event.event_type() == EventType::WorkflowTaskCompleted;
        let tasks = history.iter().filter(is_one).count();
        if tasks == 1 { Ok(()) } else { Err(tasks) }
    })
    .await;
    assert_eq!(halts(&testbed, "waits-for-a-timer").await, [], "a timer will wake it");
    sleeping.stop().await;

    let fixed = worker(&testbed, "fix-activity").await;
    let way_out = Halt::NothingPending.way_out("sleeps", &None);
    let command = way_out.to_type().expect("a command");
    let arguments = command.strip_prefix("cargo xtask temporal ").expect("a command of the CLI").split(' ');
    testbed.temporal(&arguments.collect::<Vec<_>>());
    // Of the run that the reset has started.
    let transfer = testbed.client.get_workflow_handle::<UntypedWorkflow>("sleeps");
    assert_eq!(result(&transfer).await["success"], true);
    fixed.stop().await;
}

#[tokio::test]
async fn a_workflow_that_hangs_is_one_that_a_worker_took_and_did_not_answer() {
    let testbed = Testbed::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ready = folder.path().join("worker.ready");
    host::report_blocking(&ready);
    // The transfer is there first: its code blocks at once, and yet the worker tells that it polls.
    testbed.start_transfer("hangs", example()).await;
    let hanging = waiting_worker(&testbed).await;
    until_halted(&testbed, "hangs", &Halt::NotAnswered { version: String::new() }).await;
    // The worker itself says where.
    let hangs = until("the worker to report the line", || async {
        let file = contract::Blocking::file_beside(&ready);
        let blocking = contract::Blocking::read(&file, std::process::id().into());
        // The workers of other tests in this process report their own.
        blocking.iter().find(|one| one.workflow_id == "hangs").cloned().ok_or(blocking)
    })
    .await;
    assert_eq!(hangs.activity, None);
    let place = hangs.place.as_deref().unwrap_or_default();
    let place = place.strip_prefix("crates/stages/tests/stages/halts.rs:").expect(place);
    let line: usize = place.split(':').next().and_then(|line| line.parse().ok()).expect("a line");
    let code = include_str!("halts.rs").lines().nth(line - 1).unwrap_or_default();
    assert!(code.contains("thread::sleep"), "line {line}: {code}");
    HANGS.store(false, Ordering::Relaxed);
    drop(hanging);
}
