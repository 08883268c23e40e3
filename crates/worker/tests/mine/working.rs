//! Activities that work, so that what fails is the Workflow's own fault.

use std::sync::Arc;

use contract::{
    BalanceAnswer, BalanceQuestion, Movement, MovementAnswer, RefundAnswer, Refusal, RefusalKind,
    bank::{Account, Deposited, Refunded, Withdrawn},
};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use transfer_kit::{Bank, activities, refused};

/// Activities that do what they are declared to do.
pub(crate) struct WorkingActivities {
    pub(crate) bank: Bank,
    /// Whether a deposit is refused for good.
    pub(crate) refuses_deposits: bool,
}

#[temporalio_macros::activities]
impl WorkingActivities {
    #[activity(definition = activities::CheckBalance)]
    async fn check_balance(
        self: Arc<Self>,
        _ctx: ActivityContext,
        question: BalanceQuestion,
    ) -> Result<BalanceAnswer, ActivityError> {
        let account: Account = self.bank.read(&question.account_id).await?;
        Ok(BalanceAnswer { account_id: account.account_number, balance: account.balance })
    }

    #[activity(definition = activities::Withdraw)]
    async fn withdraw(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        let done: Withdrawn = self.bank.post(&ctx, &account_id, "withdraw", amount).await?;
        Ok(MovementAnswer {
            account_id: done.account_number,
            previous_balance: done.previous_balance,
            new_balance: done.new_balance,
            amount: done.amount_withdrawn,
        })
    }

    #[activity(definition = activities::Deposit)]
    async fn deposit(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        if self.refuses_deposits {
            let message = format!("Account not found: {account_id} was closed a moment ago");
            return Err(refused(Refusal::new(RefusalKind::UnknownAccount, message)).into());
        }
        let done: Deposited = self.bank.post(&ctx, &account_id, "deposit", amount).await?;
        Ok(MovementAnswer {
            account_id: done.account_number,
            previous_balance: done.previous_balance,
            new_balance: done.new_balance,
            amount: done.amount_deposited,
        })
    }

    #[activity(definition = activities::Refund)]
    async fn refund(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<RefundAnswer, ActivityError> {
        let done: Refunded = self.bank.post(&ctx, &account_id, "refund", amount).await?;
        Ok(RefundAnswer {
            account_id: done.account_number,
            refunded: done.amount_refunded,
            delivered: done.delivered,
        })
    }
}
