//! The Activities fixed in other ways, right and wrong.

#![allow(dead_code, reason = "the macro's constants")]

use std::sync::Arc;

use contract::{
    Amount, BalanceAnswer, BalanceQuestion, Money, Movement, MovementAnswer, RefundAnswer,
    bank::{self, Account, Deposited, Refunded, Withdrawn},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use transfer_kit::{Bank, activities};

use super::named;

pub(crate) struct OtherActivities {
    bank: Bank,
    url: String,
    http: reqwest::Client,
}

impl OtherActivities {
    pub(crate) fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { bank: Bank::at(url), url: url.to_owned(), http }
    }

    /// A withdrawal with another HTTP client, this key, and these headers that name the transfer.
    async fn withdraw_by_hand(
        &self,
        movement: &Movement,
        key: String,
        headers: &[(&'static str, &str)],
    ) -> Result<Withdrawn, reqwest::Error> {
        let url = format!("{}/accounts/{}/withdraw", self.url, movement.account_id);
        let body = serde_json::json!({ "amount": movement.amount });
        let mut request = self.http.post(url).header(bank::IDEMPOTENCY_KEY, format!("\"{key}\"")).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await?.error_for_status()?.json().await
    }
}

/// The fix that this attempt's transfer runs with.
fn fix(ctx: &ActivityContext) -> String {
    named(ctx.info().workflow_id.as_deref().unwrap_or_default()).to_owned()
}

fn answer(account_id: String, previous_balance: Money, new_balance: Money, amount: Amount) -> MovementAnswer {
    MovementAnswer { account_id, previous_balance, new_balance, amount }
}

/// The error of a withdrawal as this fix classifies it. The fixes here begin with Jerry's retryable error.
fn classified(fix: &str, error: ActivityError) -> ActivityError {
    let ActivityError::Application(refusal) = error else { return error };
    let kind = refusal.type_name().unwrap_or_default().to_owned();
    let is_final = match fix {
        "names-the-type-in-the-policy" => false,
        "decides-by-the-message" => refusal.to_string().contains("Insufficient funds"),
        "decides-by-the-type" => kind == "InsufficientFunds",
        _ => return ActivityError::Application(refusal),
    };
    ApplicationFailure::builder(refusal.to_string()).type_name(kind).non_retryable(is_final).build().into()
}

fn made_up(Movement { account_id, amount }: Movement) -> MovementAnswer {
    answer(account_id, Money::from_dollars(1000), Money::from_dollars(1), amount)
}

#[temporalio_macros::activities]
impl OtherActivities {
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
        movement: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        let Movement { account_id, amount } = movement.clone();
        let run = ctx.info().workflow_run_id.clone().unwrap_or_default();
        let headers = [(bank::TRANSFER_ID, run.as_str()), (bank::TRANSFER_RUN, run.as_str())];
        let done: Withdrawn = match fix(&ctx).as_str() {
            "sends-its-own-request" => {
                self.withdraw_by_hand(&movement, format!("{run}/withdraw"), &headers).await?
            }
            "asks-first" => {
                let account: Account = self.bank.read(&account_id).await?;
                self.bank.post(&ctx, &account.account_number, "withdraw", amount).await?
            }
            "connects-each-time" => {
                Bank::at(self.url.clone()).post(&ctx, &account_id, "withdraw", amount).await?
            }
            // The second call sends the key of the first and gets the same answer.
            "retries-by-itself" => {
                let _: Withdrawn = self.bank.post(&ctx, &account_id, "withdraw", amount).await?;
                self.bank.post(&ctx, &account_id, "withdraw", amount).await?
            }
            "makes-every-error-final" => {
                let withdrawn =
                    Bank::at("http://127.0.0.1:1").post(&ctx, &account_id, "withdraw", amount).await;
                withdrawn.map_err(|error| match error {
                    ActivityError::Application(failure) => {
                        ApplicationFailure::non_retryable(failure.to_string()).into()
                    }
                    error => error,
                })?
            }
            "makes-up-a-refusal" => {
                return Err(ApplicationFailure::non_retryable("Insufficient funds").into());
            }
            "makes-up-the-withdrawal" => return Ok(made_up(movement)),
            "sends-no-headers" => self.withdraw_by_hand(&movement, format!("{run}/withdraw"), &[]).await?,
            "sends-another-key" => {
                self.withdraw_by_hand(&movement, format!("{run}/first"), &headers).await?;
                self.withdraw_by_hand(&movement, format!("{run}/second"), &headers).await?
            }
            "sends-less" => {
                let a_cent = Amount::from_cents(1).expect("an amount");
                self.bank.post(&ctx, &account_id, "withdraw", a_cent).await?
            }
            fix => {
                let withdrawn = self.bank.post(&ctx, &account_id, "withdraw", amount).await;
                withdrawn.map_err(|error| classified(fix, error))?
            }
        };
        Ok(answer(done.account_number, done.previous_balance, done.new_balance, done.amount_withdrawn))
    }

    #[activity(definition = activities::Deposit)]
    async fn deposit(
        self: Arc<Self>,
        ctx: ActivityContext,
        movement: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        let account_id = match fix(&ctx).as_str() {
            "makes-up-the-deposit" => return Ok(made_up(movement)),
            "deposits-to-another" => "account_F".to_owned(),
            _ => movement.account_id,
        };
        let done: Deposited = self.bank.post(&ctx, &account_id, "deposit", movement.amount).await?;
        Ok(answer(done.account_number, done.previous_balance, done.new_balance, done.amount_deposited))
    }

    #[activity(definition = activities::Refund)]
    async fn refund(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<RefundAnswer, ActivityError> {
        let fix = fix(&ctx);
        if fix == "makes-up-the-refund" || fix == "claims-a-delivery" {
            let delivered = fix == "claims-a-delivery";
            return Ok(RefundAnswer { account_id, refunded: amount.into(), delivered });
        }
        let done: Refunded = self.bank.post(&ctx, &account_id, "refund", amount).await?;
        Ok(RefundAnswer {
            account_id: done.account_number,
            refunded: done.amount_refunded,
            delivered: done.delivered,
        })
    }
}
