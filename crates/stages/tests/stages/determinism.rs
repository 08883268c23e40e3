//! Nothing nondeterministic reaches Temporal from the shipped Workflows: no clock, no chance, no input or output of their own.
//!
//! What each version sends along the saved histories is, byte for byte, what they hold, which was sent on another day by
//! another process on another machine. The SDK's replay compares which Activities are scheduled, and not what they are told.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures::{FutureExt as _, future::BoxFuture};
use temporalio_client::WorkflowHistory;
use temporalio_common::{
    WorkflowDefinition,
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
        RawValue, SerializationContextData,
    },
    protos::temporal::api::{
        common::v1::Payload,
        history::v1::{History, HistoryEvent, history_event::Attributes},
    },
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};

use contract::{BalanceQuestion, step};
use stages::workflow::{
    added_step, deprecated, fixed, jerry, limited, retries_any_amount, retries_by_amount, versioned,
};
use transfer_kit::{FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, refused, replay::replay, request};

use crate::replay::{names, saved, versions_for};

/// A codec that changes nothing, and notes what the Workflow sends: what Activities are told, and the result.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<Payload>>>);

impl PayloadCodec for Noted {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        self.0.lock().expect("nobody panics with it").extend(payloads.iter().cloned());
        async move { Ok(payloads) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async move { Ok(payloads) }.boxed()
    }
}

/// What a Workflow sends along this history.
async fn sent_by<W>(events: Vec<HistoryEvent>) -> Vec<String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let noted = Noted::default();
    let converter =
        DataConverter::new(PayloadConverter::default(), DefaultFailureConverter::default(), noted.clone());
    let mut options = WorkflowReplayerOptions::new().data_converter(converter).build();
    options.register_workflow::<W>().expect("its only Workflow");
    let replayer = WorkflowReplayer::new(options).expect("a replayer");
    replayer.replay_workflow(WorkflowHistory::from(History { events })).await.expect("it replays");
    let noted = noted.0.lock().expect("nobody panics with it");
    noted.iter().map(|payload| String::from_utf8_lossy(&payload.data).into_owned()).collect()
}

/// What a Workflow sent when this history was recorded.
fn sent_in(events: &[HistoryEvent]) -> Vec<String> {
    let payloads = events.iter().flat_map(|event| match event.attributes.clone() {
        Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => scheduled.input,
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => completed.result,
        _ => None,
    });
    payloads
        .flat_map(|payloads| payloads.payloads)
        .map(|payload| String::from_utf8_lossy(&payload.data).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_workflow_sends_is_byte_for_byte_what_was_recorded() {
    for name in names() {
        let events = saved(name).await;
        let recorded = sent_in(&events);
        for version in versions_for(name) {
            let sent = match version {
                "added_step" => sent_by::<added_step::MoneyTransferWorkflow>(events.clone()).await,
                "deprecated" => sent_by::<deprecated::MoneyTransferWorkflow>(events.clone()).await,
                "fixed" => sent_by::<fixed::MoneyTransferWorkflow>(events.clone()).await,
                "jerry" => sent_by::<jerry::MoneyTransferWorkflow>(events.clone()).await,
                "limited" => sent_by::<limited::MoneyTransferWorkflow>(events.clone()).await,
                "retries_any_amount" => {
                    sent_by::<retries_any_amount::MoneyTransferWorkflow>(events.clone()).await
                }
                "retries_by_amount" => {
                    sent_by::<retries_by_amount::MoneyTransferWorkflow>(events.clone()).await
                }
                "versioned" => sent_by::<versioned::MoneyTransferWorkflow>(events.clone()).await,
                other => panic!("{other} is released, and not looked at"),
            };
            // A transfer that has not ended goes on from there, with what no history has yet.
            let has_ended = events.last().is_some_and(HistoryEvent::is_final_wf_execution_event);
            let most = if has_ended { sent.len() } else { sent.len().min(recorded.len()) };
            assert_eq!(sent[..most], recorded, "{version} with {name}");
        }
    }
}

/// A Workflow that tells its first Activity what time it is.
#[workflow]
#[derive(Default)]
pub(crate) struct TellsTheTime;

#[workflow_methods]
impl TellsTheTime {
    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, input: RawValue) -> WorkflowResult<()> {
        let transfer = request(&input).validate().map_err(refused)?;
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account),
            TO_ACCOUNT.value_set(transfer.to_account),
        ]);
        let question = BalanceQuestion { account_id: format!("{:?}", SystemTime::now()) };
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(5))
            .activity_id(step::CHECK_BALANCE_FROM.to_owned())
            .build();
        ctx.execute_activity(Activities::check_balance, question, options).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_sends_the_time_is_found_where_a_replay_finds_nothing() {
    let events = saved("jerry/stuck-on-the-workflow-bug").await;
    assert_eq!(replay::<TellsTheTime>(events.clone()).await, Ok(()));
    let sent = sent_by::<TellsTheTime>(events.clone()).await;
    assert_ne!(sent[..1], sent_in(&events)[..1]);
}
