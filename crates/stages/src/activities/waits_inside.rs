//! The Activities: the only part of a transfer that touches the world, here the bank.
//!
//! An Activity may fail at any line, and Temporal then retries it. The bank applies each movement once, however
//! often it is asked to: `Bank::post` sends the same idempotency key with every attempt.

use std::{sync::Arc, time::Duration};

use contract::{
    BalanceAnswer, BalanceQuestion, Movement, MovementAnswer, RefundAnswer,
    bank::{Account, Deposited, Refunded, Withdrawn},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};
use transfer_kit::{Bank, activities};

/// The bank accepts so many connections of one client.
const CONNECTIONS: usize = 10;
/// How often a withdrawal looks whether the money has arrived.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the Activities share: the bank, and the connections to it.
pub struct MoneyActivities {
    bank: Bank,
    connections: Semaphore,
}

impl MoneyActivities {
    /// The Activities at this bank.
    pub fn new(bank: Bank) -> Self {
        Self { bank, connections: Semaphore::new(CONNECTIONS) }
    }

    /// A connection to the bank, as soon as one is free.
    async fn connection(&self) -> Result<SemaphorePermit<'_>, ActivityError> {
        Ok(self.connections.acquire().await.map_err(ApplicationFailure::new)?)
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
        let _connection = self.connection().await?;
        let account: Account = self.bank.read(&question.account_id).await?;
        Ok(BalanceAnswer { account_id: account.account_number, balance: account.balance })
    }

    #[activity(definition = activities::Withdraw)]
    pub async fn withdraw(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        let _connection = self.connection().await?;
        // The money may be on its way, such as a salary: wait for it.
        while self.bank.read::<Account>(&account_id).await?.balance < amount.into() {
            sleep(LOOK_AGAIN).await;
        }
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
        let _connection = self.connection().await?;
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
        let _connection = self.connection().await?;
        let done: Refunded = self.bank.post(&ctx, &account_id, "refund", amount).await?;
        Ok(RefundAnswer {
            account_id: done.account_number,
            refunded: done.amount_refunded,
            delivered: done.delivered,
        })
    }
}
