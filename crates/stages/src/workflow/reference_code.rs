//! The Workflow: one transfer of money, step by step.
//!
//! Temporal records each step in the Event History and can run this code again from it, on any worker, at
//! any time. So the code here must be deterministic: the clock is `ctx.workflow_time()`, and everything that
//! touches the world is an Activity.

use std::time::{Duration, SystemTime};

use contract::{BalanceQuestion, Money, Movement, Transfer, TransferResult, TransferState, step};
use temporalio_common::{RetryPolicy, data_converters::RawValue};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, WorkflowCancellationToken, WorkflowContext, WorkflowContextView,
    WorkflowResult,
};
use transfer_kit::{FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, give_up, refused, request};

/// A transfer from one account to another.
#[workflow]
pub struct MoneyTransferWorkflow {
    state: TransferState,
    first_step_done_at: Option<SystemTime>,
}

#[workflow_methods]
impl MoneyTransferWorkflow {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: RawValue) -> Self {
        Self { state: TransferState::new(request(&input), &step::ALL), first_step_done_at: None }
    }

    #[run(name = "MoneyTransferWorkflow")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<TransferResult> {
        let transfer = ctx.state(|this| this.state.input.validate()).map_err(refused)?;
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account.clone()),
            TO_ACCOUNT.value_set(transfer.to_account.clone()),
        ]);

        let from_balance = Self::check_balance(ctx, step::CHECK_BALANCE_FROM, &transfer.from_account).await?;
        ctx.state_mut(|this| this.state.from_account_starting_balance = Some(from_balance));
        let to_balance = Self::check_balance(ctx, step::CHECK_BALANCE_TO, &transfer.to_account).await?;
        ctx.state_mut(|this| this.state.to_account_starting_balance = Some(to_balance));

        if let Err(failure) = Self::move_money(ctx, &transfer).await {
            let refund = Self::refund(ctx, &transfer).await?;
            if !refund.delivered {
                return Err(give_up(failure, refund.refunded));
            }
            // The money had arrived: only the answer that said so was lost.
        }

        let result = TransferResult {
            success: true,
            from_account: transfer.from_account,
            to_account: transfer.to_account,
            amount: transfer.amount,
            from_account_starting_balance: from_balance,
            to_account_starting_balance: to_balance,
        };
        ctx.state_mut(|this| this.state.complete(result.clone()));
        Ok(result)
    }

    /// How far the transfer is.
    #[query]
    pub fn get_state(&self, _ctx: &WorkflowContextView) -> TransferState {
        self.state.clone()
    }
}

impl MoneyTransferWorkflow {
    async fn check_balance(
        ctx: &mut WorkflowContext<Self>,
        step: &str,
        account: &str,
    ) -> Result<Money, ActivityExecutionError> {
        let question = BalanceQuestion { account_id: account.to_owned() };
        ctx.state_mut(|this| this.state.begin(step));
        let answer = ctx.execute_activity(Activities::check_balance, question, options(step)).await?;
        Self::finish_step(ctx);
        Ok(answer.balance)
    }

    async fn move_money(
        ctx: &mut WorkflowContext<Self>,
        transfer: &Transfer,
    ) -> Result<(), ActivityExecutionError> {
        let Transfer { from_account, to_account, amount } = transfer.clone();

        ctx.state_mut(|this| this.state.begin(step::WITHDRAW));
        let movement = Movement { account_id: from_account, amount };
        let withdrawal = with_reference(options(step::WITHDRAW), transfer);
        ctx.execute_activity(Activities::withdraw, movement, withdrawal).await?;
        Self::finish_step(ctx);

        ctx.state_mut(|this| this.state.begin(step::DEPOSIT));
        let movement = Movement { account_id: to_account, amount };
        let deposit = with_reference(options(step::DEPOSIT), transfer);
        ctx.execute_activity(Activities::deposit, movement, deposit).await?;
        Self::finish_step(ctx);
        Ok(())
    }

    /// Undoes what the bank did for this transfer, even if the transfer itself was canceled.
    async fn refund(
        ctx: &mut WorkflowContext<Self>,
        transfer: &Transfer,
    ) -> Result<contract::RefundAnswer, ActivityExecutionError> {
        ctx.state_mut(|this| this.state.begin(step::REFUND));
        let movement = Movement { account_id: transfer.from_account.clone(), amount: transfer.amount };
        let mut options = options(step::REFUND);
        options.cancellation_token = Some(WorkflowCancellationToken::new());
        ctx.execute_activity(Activities::refund, movement, options).await
    }

    /// Marks the current step as done, and estimates how long the others will take.
    fn finish_step(ctx: &mut WorkflowContext<Self>) {
        let now = ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH);
        ctx.state_mut(|this| {
            this.state.finish_step();
            let done = this.state.completed_steps.len() as u64;
            let left = this.state.steps.len() as u64 - done;

            let since = *this.first_step_done_at.get_or_insert(now);
            let elapsed = now.duration_since(since).unwrap_or_default().as_millis() as u64;
            // Between n steps there are n - 1 gaps; after the first step there is none to judge by.
            this.state.milliseconds_left = elapsed.checked_div(done - 1).map(|pace| pace * left);
        });
    }
}

/// How Temporal runs an activity: each attempt may take five seconds, and a failed one is retried
/// without limit, after a second at first and after ten at most. Only a refusal by the bank is final.
fn options(step: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(5))
        .activity_id(step.to_owned())
        .retry_policy(RetryPolicy::builder().maximum_interval(Duration::from_secs(10)).build())
        .build()
}

/// The same, with the reference that support finds a payment by. The Temporal UI shows it beside the Activity.
fn with_reference(mut options: ActivityOptions, transfer: &Transfer) -> ActivityOptions {
    options.summary = Some(format!("payment {}", reference_code(transfer)));
    options
}

/// The letters of both accounts, and the first digits of the amount: `AB2550` for 25.50 from account_A to account_B.
fn reference_code(transfer: &Transfer) -> String {
    let letter = |account: &str| account.rsplit('_').next().unwrap_or_default().to_owned();
    let digits = transfer.amount.to_string().replace('.', "");
    format!("{}{}{}", letter(&transfer.from_account), letter(&transfer.to_account), &digits[..4])
}
