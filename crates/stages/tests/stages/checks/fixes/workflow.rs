//! The Workflow fixed in other ways, right and wrong. Whatever no fix touches is as short as it can be.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use contract::{Amount, BalanceQuestion, Money, Movement, Transfer, TransferResult, TransferState, step};
use temporalio_common::{RetryPolicy, data_converters::RawValue, error::ApplicationFailure};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityExecutionError, ActivityOptions, WorkflowContext, WorkflowContextView,
    WorkflowResult,
};
use transfer_kit::{FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, give_up, refused, request};

use super::named;

/// With the fix `by-the-start-time`, transfers that started since run the new step.
pub(crate) static STEP_SINCE: OnceLock<SystemTime> = OnceLock::new();

/// A transfer, run with the fix that its Workflow Id names.
#[workflow]
pub(crate) struct OtherWorkflow {
    fix: String,
    state: TransferState,
    first_step_done_at: Option<SystemTime>,
    started_at: SystemTime,
}

#[workflow_methods]
impl OtherWorkflow {
    #[init]
    fn new(ctx: &WorkflowContextView, input: RawValue) -> Self {
        let fix = named(ctx.workflow_id()).to_owned();
        let started_at = SystemTime::UNIX_EPOCH;
        Self {
            fix,
            state: TransferState::new(request(&input), &step::ALL),
            first_step_done_at: None,
            started_at,
        }
    }

    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<TransferResult> {
        let fix = ctx.state(|this| this.fix.clone());
        let started_at = ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH);
        ctx.state_mut(|this| this.started_at = started_at);
        let transfer = ctx.state(|this| this.state.input.validate()).map_err(refused)?;
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account.clone()),
            TO_ACCOUNT.value_set(transfer.to_account.clone()),
        ]);
        let is_new = match fix.as_str() {
            "fails-at-once" => panic!("it fails with its first Workflow Task"),
            "patch-at-the-start" => ctx.patched("look-again"),
            "deprecates-at-the-start" => {
                ctx.deprecate_patch("confirm-balance");
                true
            }
            "by-the-start-time" => STEP_SINCE.get().is_some_and(|since| ctx.workflow_time() > Some(*since)),
            _ => false,
        };

        let mut result = TransferResult {
            success: true,
            from_account_starting_balance: Self::read(ctx, step::CHECK_BALANCE_FROM, &transfer.from_account)
                .await?,
            to_account_starting_balance: Money::from_dollars(1),
            from_account: transfer.from_account.clone(),
            to_account: transfer.to_account.clone(),
            amount: transfer.amount,
        };
        match fix.as_str() {
            "waits-a-moment" => drop(ctx.timer(Duration::from_millis(100)).await),
            "waits-forever" => drop(ctx.timer(Duration::from_secs(1_000_000)).await),
            _ => {}
        }
        if fix == "fails-instead" {
            return Err(ApplicationFailure::builder("no estimate").non_retryable(true).build().into());
        }
        if fix == "claims-a-success" {
            return Ok(result);
        }
        if fix != "skips-a-balance" {
            let balance = Self::read(ctx, step::CHECK_BALANCE_TO, &transfer.to_account).await?;
            if fix != "claims-a-balance" {
                result.to_account_starting_balance = balance;
            }
        }
        let is_new = is_new
            || match fix.as_str() {
                "another-patch" => ctx.patched("a-name-of-my-own"),
                // Asked once more, in another place: the marker is the same.
                "patch-asked-twice" => ctx.patched("confirm-balance") && ctx.patched("confirm-balance"),
                "deprecates-before-the-step" => ctx.deprecate_patch("confirm-balance"),
                _ => false,
            };
        if is_new {
            Self::read(ctx, "look_again", &transfer.from_account).await?;
        }

        let moved = Self::move_money(ctx, &fix, &transfer).await;
        match (fix.as_str(), moved) {
            ("swallows-the-deposit", _) | (_, Ok(())) => {}
            ("keeps-the-money", Err(_)) => {
                let failure =
                    ApplicationFailure::builder("the deposit has failed").non_retryable(true).build();
                return Err(failure.into());
            }
            (fix, Err(failure)) => {
                let movement = Movement { account_id: transfer.from_account, amount: transfer.amount };
                let refund =
                    ctx.execute_activity(Activities::refund, movement, options(fix, step::REFUND)).await?;
                if !refund.delivered {
                    return Err(give_up(failure, refund.refunded));
                }
            }
        }
        if fix == "claims-another-amount" {
            result.amount = a_cent();
        }
        Ok(result)
    }
}

impl OtherWorkflow {
    async fn read(
        ctx: &mut WorkflowContext<Self>,
        step: &str,
        account: &str,
    ) -> Result<Money, ActivityExecutionError> {
        let fix = ctx.state(|this| this.fix.clone());
        let question = BalanceQuestion { account_id: account.to_owned() };
        ctx.state_mut(|this| this.state.begin(step));
        let answer = ctx.execute_activity(Activities::check_balance, question, options(&fix, step)).await?;
        Self::finish_step(ctx);
        Ok(answer.balance)
    }

    async fn move_money(
        ctx: &mut WorkflowContext<Self>,
        fix: &str,
        transfer: &Transfer,
    ) -> Result<(), ActivityExecutionError> {
        let Transfer { from_account, to_account, amount } = transfer.clone();
        let withdrawal = match fix {
            "withdraws-less" => Movement { account_id: from_account, amount: a_cent() },
            "takes-from-another" => Movement { account_id: "account_H".to_owned(), amount },
            _ => Movement { account_id: from_account, amount },
        };
        let steps: &[&str] = match fix {
            "skips-the-withdrawal" => &[],
            "withdraws-twice" => &[step::WITHDRAW, "withdraw_again"],
            _ => &[step::WITHDRAW],
        };
        if fix == "deposits-first" {
            let deposit = Movement { account_id: to_account.clone(), amount };
            ctx.execute_activity(Activities::deposit, deposit, options(fix, step::DEPOSIT)).await?;
        }
        for step in steps {
            let withdraw = ctx.execute_activity(Activities::withdraw, withdrawal.clone(), options(fix, step));
            match withdraw.await {
                Err(_) if fix == "swallows-the-withdrawal" => {}
                answer => drop(answer?),
            }
        }

        if fix == "patch-after-the-withdrawal" && ctx.patched("confirm-balance") {
            Self::read(ctx, "look_again", &transfer.from_account).await?;
        }

        let deposit = Movement { account_id: to_account, amount };
        let steps: &[&str] = match fix {
            "skips-the-deposit" | "deposits-first" => &[],
            "deposits-twice" => &[step::DEPOSIT, "deposit_again"],
            _ => &[step::DEPOSIT],
        };
        for step in steps {
            ctx.execute_activity(Activities::deposit, deposit.clone(), options(fix, step)).await?;
        }
        Ok(())
    }

    /// Where Jerry's bug was.
    fn finish_step(ctx: &mut WorkflowContext<Self>) {
        let now = ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH);
        ctx.state_mut(|this| {
            let late = this.fix == "estimates-late";
            if !late {
                this.state.finish_step();
            }
            let done = this.state.completed_steps.len() as u64;
            let left = this.state.steps.len() as u64 - done;
            let since = *this.first_step_done_at.get_or_insert(now);
            let since = if this.fix == "since-the-start" { this.started_at } else { since };
            let elapsed = now.duration_since(since).unwrap_or_default().as_millis() as u64;
            this.state.milliseconds_left = match this.fix.as_str() {
                "divides-by-done" => Some(elapsed / done * left),
                "at-least-one" => Some(elapsed / (done - 1).max(1) * left),
                "since-the-start" => Some(elapsed / done * left),
                "guards-the-first" if done > 1 => Some(elapsed / (done - 1) * left),
                "estimates-late" => Some(elapsed / (done + 1) * left),
                _ => None,
            };
            if late {
                this.state.finish_step();
            }
        });
    }
}

/// The timeouts and the retry policy of a fix.
fn options(fix: &str, step: &str) -> ActivityOptions {
    let policy = RetryPolicy::builder();
    let policy = match fix {
        "longer-pauses" => policy.initial_interval(Duration::from_secs(5)).build(),
        "four-attempts" => policy.maximum_attempts(4).build(),
        "a-hundred-attempts" => policy.maximum_attempts(100).build(),
        "names-the-type-in-the-policy" => {
            policy.non_retryable_error_types(vec!["InsufficientFunds".to_owned()]).build()
        }
        "keeps-the-limit" => policy.maximum_attempts(3).build(),
        // So that a deposit fails for good.
        "swallows-the-deposit" | "keeps-the-money" | "makes-up-the-refund" | "claims-a-delivery" => {
            policy.maximum_attempts(1).build()
        }
        _ => policy.maximum_interval(Duration::from_secs(2)).build(),
    };
    let (start_to_close, schedule_to_close) = (Duration::from_secs(5), Duration::from_secs(300));
    let timeouts = match fix {
        "schedule-to-close-alone" => ActivityCloseTimeouts::ScheduleToClose(schedule_to_close),
        "schedule-and-start-to-close" => {
            ActivityCloseTimeouts::ScheduleAndStartToClose { schedule_to_close, start_to_close }
        }
        _ => ActivityCloseTimeouts::StartToClose(start_to_close),
    };
    if fix == "no-policy-at-all" {
        return ActivityOptions::with_close_timeouts(timeouts).activity_id(step.to_owned()).build();
    }
    ActivityOptions::with_close_timeouts(timeouts).activity_id(step.to_owned()).retry_policy(policy).build()
}

fn a_cent() -> Amount {
    Amount::from_cents(1).expect("an amount")
}
