//! The Activities: the only part of a transfer that touches the world, here the bank.
//!
//! An Activity may fail at any line, and Temporal then retries it. The bank applies each movement once, however
//! often it is asked to: `Bank::post` sends the same idempotency key with every attempt.

use std::sync::Arc;

use contract::{
    BalanceAnswer, BalanceQuestion, Movement, MovementAnswer, RefundAnswer,
    bank::{Account, Deposited, Refunded, Withdrawn},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use transfer_kit::{Bank, activities};

/// What the Activities share: the bank, and the connections to it.
pub struct MoneyActivities {
    bank: Bank,
}

impl MoneyActivities {
    /// The Activities at this bank.
    pub fn new(bank: Bank) -> Self {
        Self { bank }
    }
}

#[temporalio_macros::activities]
impl MoneyActivities {
    #[activity(definition = activities::CheckBalance)]
    pub async fn check_balance(
        self: Arc<Self>,
        _ctx: ActivityContext,
        question: BalanceQuestion,
    ) -> Result<BalanceAnswer, ActivityError> {
        let account: Account = self.bank.read(&question.account_id).await.map_err(not_listed_yet)?;
        Ok(BalanceAnswer { account_id: account.account_number, balance: account.balance })
    }

    #[activity(definition = activities::Withdraw)]
    pub async fn withdraw(
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
    pub async fn deposit(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        let done: Deposited = self.bank.post(&ctx, &account_id, "deposit", amount).await?;
        Ok(MovementAnswer {
            account_id: done.account_number,
            previous_balance: done.previous_balance,
            new_balance: done.new_balance,
            amount: done.amount_deposited,
        })
    }

    #[activity(definition = activities::Refund)]
    pub async fn refund(
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

/// The bank lists a new account a few seconds after it was opened, and its first payment is often faster.
fn not_listed_yet(error: ActivityError) -> ActivityError {
    match error {
        ActivityError::Application(failure) if failure.type_name() == Some("UnknownAccount") => {
            let missing = ApplicationFailure::builder(failure.to_string());
            missing.type_name("UnknownAccount".to_owned()).build().into()
        }
        error => error,
    }
}
