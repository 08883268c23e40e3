//! A transfer: what is asked for, how far it is, what came of it; and what its activities exchange.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Amount, Money, Refusal, RefusalKind};

/// The steps of a transfer. They name its activities' ids as well.
pub mod step {
    /// Reads the balance of the account that the money leaves.
    pub const CHECK_BALANCE_FROM: &str = "check_balance_from";
    /// Reads the balance of the account that the money reaches.
    pub const CHECK_BALANCE_TO: &str = "check_balance_to";
    /// Takes the money.
    pub const WITHDRAW: &str = "withdraw";
    /// Gives the money.
    pub const DEPOSIT: &str = "deposit";
    /// Only when the deposit cannot be made: gives back what was taken.
    pub const REFUND: &str = "refund";
    /// The four steps of a transfer that works, in order.
    pub const ALL: [&str; 4] = [CHECK_BALANCE_FROM, CHECK_BALANCE_TO, WITHDRAW, DEPOSIT];
}

/// The input of a transfer as it came in, from whatever client: any JSON at all.
///
/// A Workflow cannot answer a bad input with a 400. It takes what it was given and fails with the
/// [`Refusal`] that [`TransferRequest::validate`] returns, instead of failing its first Workflow Task
/// over and over.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TransferRequest(Box<RawValue>);

impl TransferRequest {
    /// The transfer that is asked for.
    ///
    /// # Errors
    /// The [`Refusal`] to fail with: a missing or ill-typed field, a bad amount, the same account twice.
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

/// A transfer that can be tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Transfer {
    /// The account that the money leaves.
    pub from_account: String,
    /// The account that the money reaches.
    pub to_account: String,
    /// How much.
    pub amount: Amount,
}

/// The result of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TransferResult {
    /// Always true: a transfer that does not succeed fails.
    pub success: bool,
    /// The account that the money left.
    pub from_account: String,
    /// The account that the money reached.
    pub to_account: String,
    /// How much.
    pub amount: Amount,
    /// What `from_account` held before.
    pub from_account_starting_balance: Money,
    /// What `to_account` held before.
    pub to_account_starting_balance: Money,
}

/// Whether the money has arrived yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not yet.
    #[default]
    Running,
    /// It has.
    Completed,
}

/// The answer to the Query [`STATE_QUERY`](crate::STATE_QUERY).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TransferState {
    /// What the transfer was started with.
    pub input: TransferRequest,
    /// Whether the money has arrived yet.
    pub status: Status,
    /// The result, once there is one.
    pub result: Option<TransferResult>,
    /// What `from_account` held before, once it is known.
    pub from_account_starting_balance: Option<Money>,
    /// What `to_account` held before, once it is known.
    pub to_account_starting_balance: Option<Money>,
    /// All steps, in order.
    pub steps: Vec<String>,
    /// The step under way.
    pub current_step: Option<String>,
    /// The steps behind it, in order.
    pub completed_steps: Vec<String>,
    /// An estimate of the milliseconds still to go, once there is something to estimate from.
    #[serde(default)]
    pub milliseconds_left: Option<u64>,
}

impl TransferState {
    /// A transfer that has not begun.
    pub fn new(input: TransferRequest, steps: &[&str]) -> TransferState {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        TransferState { input, steps, ..TransferState::default() }
    }

    /// This step is now under way.
    pub fn begin(&mut self, step: &str) {
        self.current_step = Some(step.to_owned());
    }

    /// The step under way is done.
    pub fn finish_step(&mut self) {
        self.completed_steps.extend(self.current_step.take());
    }

    /// The money has arrived: every step is behind it, also one whose answer was lost.
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
    /// Whose balance.
    pub account_id: String,
}

/// Output of `check_balance`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BalanceAnswer {
    /// Whose balance.
    pub account_id: String,
    /// What the account holds.
    pub balance: Money,
}

/// Input of `withdraw`, `deposit` and `refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Movement {
    /// The account to take from or give to.
    pub account_id: String,
    /// How much.
    pub amount: Amount,
}

/// Output of `withdraw` and `deposit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct MovementAnswer {
    /// The account taken from or given to.
    pub account_id: String,
    /// What it held before.
    pub previous_balance: Money,
    /// What it holds since.
    pub new_balance: Money,
    /// How much was moved.
    pub amount: Amount,
}

/// Output of `refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RefundAnswer {
    /// The account given back to.
    pub account_id: String,
    /// How much went back; zero when nothing had been taken, or when it had already been delivered.
    pub refunded: Money,
    /// Whether the money had reached the other account after all, so there was nothing to undo.
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
    fn a_request_that_can_never_work_says_why() {
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
