//! Which activities move money again: retries and resets do not, another transfer does.

use std::time::Duration;

use contract::{Movement, MovementAnswer, TASK_QUEUE};
use temporalio_client::{UntypedWorkflow, WorkflowStartOptions, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::ResetWorkflowExecutionRequest,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, ContinueAsNewOptions, WorkflowContext, WorkflowResult};
use testbed::{TestWorker, Testbed};
use transfer_kit::{Bank, activities::Activities, host};

use crate::{Handle, events, example, result, worker};

/// A Workflow that is not ours: two withdrawals of the same amount, activity ids by the SDK.
#[workflow]
#[derive(Default)]
struct Foreign;

#[workflow_methods]
impl Foreign {
    #[run(name = "ForeignWorkflow")]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<MovementAnswer>> {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let amount = contract::Amount::from_cents(1000).expect("a good amount");
            let movement = Movement { account_id: "account_J".to_owned(), amount };
            let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
            answers.push(ctx.execute_activity(Activities::withdraw, movement, options).await?);
        }
        Ok(answers)
    }
}

/// A Workflow that withdraws once in each of so many runs.
#[workflow]
#[derive(Default)]
struct Recurring;

#[workflow_methods]
impl Recurring {
    #[run(name = "Recurring")]
    async fn run(ctx: &mut WorkflowContext<Self>, runs: u32) -> WorkflowResult<u32> {
        let amount = contract::Amount::from_cents(1000).expect("a good amount");
        let movement = Movement { account_id: "account_J".to_owned(), amount };
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
        ctx.execute_activity(Activities::withdraw, movement, options).await?;
        if runs > 1 {
            ctx.continue_as_new(runs - 1, ContinueAsNewOptions::default())?;
        }
        Ok(runs)
    }
}

/// Resets the transfer to the end of its first Workflow Task of this many, and returns the new run.
async fn reset_to_workflow_task(testbed: &Testbed, transfer: &Handle, nth: usize) -> Handle {
    let completed = events::completed_workflow_tasks(transfer).await;
    let request = ResetWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: transfer.info().workflow_id.clone(),
            run_id: transfer.run_id().unwrap_or_default().to_owned(),
        }),
        reason: "a test".to_owned(),
        workflow_task_finish_event_id: completed[nth - 1],
        request_id: format!("reset-{}-{nth}", transfer.info().workflow_id),
        ..Default::default()
    };
    let mut service = testbed.client.connection().workflow_service();
    let answer = service.reset_workflow_execution(request.into_request()).await;
    let run_id = answer.expect("the server resets").into_inner().run_id;
    let info = temporalio_client::WorkflowExecutionInfo::builder()
        .namespace("default")
        .workflow_id(transfer.info().workflow_id.clone())
        .run_id(run_id)
        .build();
    Handle::new(testbed.client.clone(), info)
}

#[tokio::test]
async fn a_reset_runs_the_activities_again_and_moves_no_money() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("reset", example()).await;
    result(&transfer).await;

    let again = reset_to_workflow_task(&testbed, &transfer, 1).await;
    assert_ne!(again.run_id(), transfer.run_id());
    result(&again).await;
    // All four ran again: the history up to the reset has none of their answers.
    assert_eq!(events::scheduled_activities(&again).await.len(), 4);
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));

    // A reset of the reset is the same transfer still.
    let third = reset_to_workflow_task(&testbed, &again, 1).await;
    result(&third).await;
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    worker.stop().await;
}

#[tokio::test]
async fn a_second_transfer_under_the_same_workflow_id_moves_money_again() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "reset-workflows").await;
    for _ in 0..2 {
        let transfer = testbed.start_transfer("twice", example()).await;
        result(&transfer).await;
    }
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (94_900, 55_100));
    worker.stop().await;
}

#[tokio::test]
async fn each_run_of_a_workflow_that_continues_as_new_moves_money() {
    let testbed = Testbed::start().await;
    let activities = stages::activities::fixed::MoneyActivities::new(Bank::at(&testbed.bank_url));
    let options = host::options::<Recurring, _>(activities).expect("options");
    let worker = TestWorker::start(&testbed.client, options).await;
    let options = WorkflowStartOptions::new(TASK_QUEUE, "recurring").build();
    let runs = testbed::raw_json(&serde_json::json!(3));
    let transfer = testbed.client.start_workflow(UntypedWorkflow::new("Recurring"), runs, options).await;
    result(&transfer.expect("the server starts it")).await;
    assert_eq!(testbed.balance("account_J").await, 77_000);
    worker.stop().await;
}

#[tokio::test]
async fn two_like_activities_of_another_sdks_workflow_both_move_money() {
    let testbed = Testbed::start().await;
    let activities = stages::activities::fixed::MoneyActivities::new(Bank::at(&testbed.bank_url));
    let options = host::options::<Foreign, _>(activities).expect("options");
    let worker = TestWorker::start(&testbed.client, options).await;
    let options = WorkflowStartOptions::new(TASK_QUEUE, "foreign").build();
    let nothing = temporalio_common::data_converters::RawValue::new(Vec::new());
    let transfer =
        testbed.client.start_workflow(UntypedWorkflow::new("ForeignWorkflow"), nothing, options).await;
    let transfer = transfer.expect("the server starts it");
    let answers = result(&transfer).await;
    assert_eq!((&answers[0]["new_balance"], &answers[1]["new_balance"]), (&790.into(), &780.into()));
    assert_eq!(testbed.balance("account_J").await, 78_000);

    let again = reset_to_workflow_task(&testbed, &transfer, 1).await;
    result(&again).await;
    assert_eq!(testbed.balance("account_J").await, 78_000);
    worker.stop().await;
}

#[tokio::test]
async fn a_transfer_that_was_given_back_completes_after_a_reset_to_its_beginning() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("given-back", example()).await;
    testbed::until("the withdrawal", || async {
        let balance = testbed.balance("account_A").await;
        if balance == 97_450 { Ok(()) } else { Err(balance) }
    })
    .await;
    transfer.cancel(Default::default()).await.expect("the server takes the request");
    let ended = transfer.get_result(Default::default()).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(testbed.balance("account_A").await, 100_000);
    testbed.put("/outage", serde_json::json!({"deposits": false})).await;

    let again = reset_to_workflow_task(&testbed, &transfer, 1).await;
    result(&again).await;
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (97_450, 52_550));
    worker.stop().await;
}

#[tokio::test]
async fn a_reset_behind_the_withdrawal_of_a_transfer_that_was_given_back_makes_no_money() {
    let testbed = Testbed::start().await;
    testbed.put("/outage", serde_json::json!({"deposits": true})).await;
    let worker = worker(&testbed, "reset-workflows").await;
    let transfer = testbed.start_transfer("behind", example()).await;
    testbed::until("the deposit to be tried", || async {
        let scheduled = events::scheduled_activities(&transfer).await;
        if scheduled.contains(&"deposit".to_owned()) { Ok(()) } else { Err(scheduled) }
    })
    .await;
    transfer.cancel(Default::default()).await.expect("the server takes the request");
    let ended = transfer.get_result(Default::default()).await;
    assert!(ended.is_err(), "{ended:?}");
    testbed.put("/outage", serde_json::json!({"deposits": false})).await;

    // The fourth Workflow Task schedules the deposit; the withdrawal before it was given back since.
    let again = reset_to_workflow_task(&testbed, &transfer, 4).await;
    let (message, failure_type) = events::failure(&again).await;
    assert_eq!(failure_type, "TransferClosed", "{message}");
    assert_eq!((testbed.balance("account_A").await, testbed.balance("account_B").await), (100_000, 50_000));
    worker.stop().await;
}
