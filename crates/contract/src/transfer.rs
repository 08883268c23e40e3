//! A transfer: its input, state and result; and the inputs and outputs of its Activities.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Amount, Money, Refusal, RefusalKind};

/// The steps of a transfer, which are also its Activities' ids.
pub mod step {
    /// Reads the source account's balance.
    pub const CHECK_BALANCE_FROM: &str = "check_balance_from";
    /// Reads the target account's balance.
    pub const CHECK_BALANCE_TO: &str = "check_balance_to";
    /// Withdraws the money.
    pub const WITHDRAW: &str = "withdraw";
    /// Deposits the money.
    pub const DEPOSIT: &str = "deposit";
    /// Refunds the withdrawal, only if the deposit fails for good.
    pub const REFUND: &str = "refund";
    /// The four steps of a successful transfer, in order.
    pub const ALL: [&str; 4] = [CHECK_BALANCE_FROM, CHECK_BALANCE_TO, WITHDRAW, DEPOSIT];
}

/// The input of a transfer from any client: any JSON.
///
/// A Workflow cannot respond to an invalid input with a 400. It accepts any input and fails with the [`Refusal`] from
/// [`TransferRequest::validate`], instead of failing its first Workflow Task again and again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TransferRequest(Box<RawValue>);

impl TransferRequest {
    /// The requested transfer.
    ///
    /// # Errors
    /// The [`Refusal`] to fail with: a missing field or one of a wrong type, an invalid amount, the same account twice.
    pub fn validate(&self) -> Result<Transfer, Refusal> {
        #[derive(Deserialize)]
        struct Fields {
            from_account: String,
            to_account: String,
            amount: Box<RawValue>,
        }
        let fields: Fields = serde_json::from_str(self.0.get()).map_err(|error| {
            let message = format!("a transfer needs from_account, to_account and amount: {error}");
            Refusal::new(RefusalKind::BadRequest, message)
        })?;
        let amount = Amount::from_json(fields.amount.get())
            .map_err(|error| Refusal::new(RefusalKind::BadAmount, error.to_string()))?;
        if fields.from_account == fields.to_account {
            let message = format!("from_account and to_account are both {}", fields.from_account);
            return Err(Refusal::new(RefusalKind::SameAccount, message));
        }
        Ok(Transfer { from_account: fields.from_account, to_account: fields.to_account, amount })
    }
}

impl Default for TransferRequest {
    fn default() -> TransferRequest {
        TransferRequest(RawValue::NULL.to_owned())
    }
}

impl From<&Transfer> for TransferRequest {
    fn from(transfer: &Transfer) -> TransferRequest {
        let json = serde_json::value::to_raw_value(transfer);
        TransferRequest(json.expect("two texts and a number are always writable"))
    }
}

/// A valid transfer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Transfer {
    /// The source account.
    pub from_account: String,
    /// The target account.
    pub to_account: String,
    /// The amount.
    pub amount: Amount,
}

/// The result of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TransferResult {
    /// Always true: a transfer that does not succeed fails.
    pub success: bool,
    /// The source account.
    pub from_account: String,
    /// The target account.
    pub to_account: String,
    /// The amount.
    pub amount: Amount,
    /// The balance of `from_account` before.
    pub from_account_starting_balance: Money,
    /// The balance of `to_account` before.
    pub to_account_starting_balance: Money,
}

/// Whether the transfer has completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not yet.
    #[default]
    Running,
    /// Completed.
    Completed,
}

/// The response to the Query [`STATE_QUERY`](crate::STATE_QUERY).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TransferState {
    /// The transfer's input.
    pub input: TransferRequest,
    /// Whether the transfer has completed.
    pub status: Status,
    /// The result, once there is one.
    pub result: Option<TransferResult>,
    /// The balance of `from_account` before, once it is known.
    pub from_account_starting_balance: Option<Money>,
    /// The balance of `to_account` before, once it is known.
    pub to_account_starting_balance: Option<Money>,
    /// All steps, in order.
    pub steps: Vec<String>,
    /// The current step.
    pub current_step: Option<String>,
    /// The completed steps, in order.
    pub completed_steps: Vec<String>,
    /// The estimated remaining milliseconds, once they can be estimated.
    #[serde(default)]
    pub milliseconds_left: Option<u64>,
}

impl TransferState {
    /// A transfer before its first step.
    pub fn new(input: TransferRequest, steps: &[&str]) -> TransferState {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        TransferState { input, steps, ..TransferState::default() }
    }

    /// Starts a step.
    pub fn begin(&mut self, step: &str) {
        self.current_step = Some(step.to_owned());
    }

    /// Completes the current step.
    pub fn finish_step(&mut self) {
        self.completed_steps.extend(self.current_step.take());
    }

    /// Completes the transfer and all its steps, including one whose response was lost.
    pub fn complete(&mut self, result: TransferResult) {
        self.completed_steps.clone_from(&self.steps);
        self.current_step = None;
        self.status = Status::Completed;
        self.result = Some(result);
    }
}

/// Input of `check_balance`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BalanceQuestion {
    /// The account.
    pub account_id: String,
}

/// Output of `check_balance`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BalanceAnswer {
    /// The account.
    pub account_id: String,
    /// Its balance.
    pub balance: Money,
}

/// Input of `withdraw`, `deposit` and `refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Movement {
    /// The account.
    pub account_id: String,
    /// The amount.
    pub amount: Amount,
}

/// Output of `withdraw` and `deposit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct MovementAnswer {
    /// The account.
    pub account_id: String,
    /// Its balance before.
    pub previous_balance: Money,
    /// Its balance after.
    pub new_balance: Money,
    /// The amount.
    pub amount: Amount,
}

/// Output of `refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RefundAnswer {
    /// The refunded account.
    pub account_id: String,
    /// The refunded amount; zero if nothing was withdrawn, or if it was already deposited.
    pub refunded: Money,
    /// Whether the money was already deposited, so that nothing was undone.
    pub delivered: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> TransferRequest {
        serde_json::from_str(json).expect("valid JSON")
    }

    #[test]
    fn unknown_fields_of_other_clients_are_ignored() {
        let transfer = request(
            r#"{"from_account": "account_A", "to_account": "account_B", "amount": 25.5, "note": {"a": 1}}"#,
        )
        .validate()
        .expect("a good request");
        assert_eq!((transfer.from_account.as_str(), transfer.amount.cents()), ("account_A", 2550));
    }

    #[test]
    fn an_invalid_request_says_why() {
        for (json, kind, word) in [
            (
                r#"{"from_account":"a","to_account":"b","amount":0.001}"#,
                RefusalKind::BadAmount,
                "two decimals",
            ),
            (r#"{"from_account":"a","to_account":"b","amount":"5"}"#, RefusalKind::BadAmount, "number"),
            (r#"{"from_account":"a","to_account":"a","amount":5}"#, RefusalKind::SameAccount, "both a"),
            (r#"{"from_account":"a","to_account":"b"}"#, RefusalKind::BadRequest, "amount"),
            (r#"{"from_account":1,"to_account":"b","amount":5}"#, RefusalKind::BadRequest, "string"),
            ("null", RefusalKind::BadRequest, "needs"),
            ("[1,2]", RefusalKind::BadRequest, "needs"),
        ] {
            let refusal = request(json).validate().expect_err(json);
            assert_eq!(refusal.kind, kind, "{json}");
            assert!(refusal.message.contains(word), "{json}: {refusal}");
        }
    }

    #[test]
    fn the_state_has_the_fields_and_nulls_of_the_contract() {
        let mut state = TransferState::new(
            request(r#"{"from_account":"account_A","to_account":"account_B","amount":25.5}"#),
            &step::ALL,
        );
        state.begin(step::CHECK_BALANCE_FROM);
        state.finish_step();
        state.begin(step::CHECK_BALANCE_TO);
        let json = serde_json::to_value(&state).expect("a state is always writable");
        assert_eq!(json["input"]["amount"], 25.5);
        assert_eq!(json["status"], "RUNNING");
        assert!(json["result"].is_null() && json["from_account_starting_balance"].is_null());
        assert_eq!(json["steps"], serde_json::json!(step::ALL));
        assert_eq!(json["completed_steps"], serde_json::json!(["check_balance_from"]));
        assert_eq!(json["current_step"], "check_balance_to");
    }
}
