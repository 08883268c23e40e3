//! Code that the texts in `lab/` quote and no variant has. It is compiled here and never run; `cargo xtask tidy` compares each
//! `rust` block of a text with it.

#![allow(dead_code, unreachable_pub, reason = "it is here to be quoted")]

use std::{sync::Arc, time::Duration};

use contract::{Amount, BalanceAnswer, BalanceQuestion, Transfer};
use temporalio_common::{RetryPolicy, error::ApplicationFailure};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityExecutionError, ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use transfer_kit::activities::Activities;

const CONFIRM_BALANCE: &str = "confirm_balance";

/// A limit in time for all attempts together, beside the one for each attempt.
fn options(step: &str) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: Duration::from_secs(24 * 60 * 60),
        start_to_close: Duration::from_secs(5),
    })
    .activity_id(step.to_owned())
    .retry_policy(RetryPolicy::builder().maximum_interval(Duration::from_secs(10)).build())
    .build()
}

/// Failures of these types are final: the same, decided by the Workflow.
fn final_failures() -> RetryPolicy {
    RetryPolicy::builder()
        .maximum_interval(Duration::from_secs(10))
        .non_retryable_error_types(["UnknownAccount", "InsufficientFunds"])
        .build()
}

/// A long Activity is retried soon after its worker died, not when its Start-To-Close Timeout ends.
fn long_activity() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60 * 60))
        .heartbeat_timeout(Duration::from_secs(10))
        .build()
}

pub struct Statements;

#[activities]
impl Statements {
    #[activity]
    pub async fn send_statements(
        self: Arc<Self>,
        ctx: ActivityContext,
        accounts: Vec<String>,
    ) -> Result<(), ActivityError> {
        // The next attempt continues after the last heartbeat.
        let sent = ctx.heartbeat_details().deserialize::<usize>()?.unwrap_or(0);
        for (number, account) in accounts.iter().enumerate().skip(sent) {
            Self::send(account).await?;
            ctx.record_heartbeat(number + 1).await?;
        }
        Ok(())
    }

    /// An error that no retry can fix.
    #[activity]
    pub async fn check_limit(
        self: Arc<Self>,
        _ctx: ActivityContext,
        amount: Amount,
    ) -> Result<(), ActivityError> {
        if amount.cents() > 1_000_000 {
            return Err(ApplicationFailure::non_retryable(format!("{amount} is above the limit")).into());
        }
        Ok(())
    }
}

impl Statements {
    async fn send(_account: &str) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// A step that was added behind a patch, and the patch after it was deprecated.
#[workflow]
#[derive(Default)]
pub struct Patches;

#[workflow_methods]
impl Patches {
    #[run(name = "Patches")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, transfer: Transfer) -> WorkflowResult<()> {
        // Transfers that are past this point without the step continue without it.
        if ctx.patched("confirm-balance") {
            Self::check_balance(ctx, CONFIRM_BALANCE, &transfer.from_account).await?;
        }

        // Every transfer in progress has recorded the patch.
        ctx.deprecate_patch("confirm-balance");
        Self::check_balance(ctx, CONFIRM_BALANCE, &transfer.from_account).await?;
        Ok(())
    }
}

impl Patches {
    async fn check_balance(
        ctx: &mut WorkflowContext<Self>,
        step: &str,
        account: &str,
    ) -> Result<BalanceAnswer, ActivityExecutionError> {
        let question = BalanceQuestion { account_id: account.to_owned() };
        ctx.execute_activity(Activities::check_balance, question, options(step)).await
    }
}
