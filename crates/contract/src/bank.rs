//! The Account API's JSON, and the headers that make a withdrawal or deposit happen once.

use serde::{Deserialize, Serialize};

use crate::{Amount, Money};

/// The header with the idempotency key of a withdrawal or deposit: a request repeated with the same key is applied once and gets
/// the same response. A Structured Header string, so quoted, as in the IETF draft of this name.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The header that names the transfer of a withdrawal or deposit. It is the same for every run of the transfer, also after a
/// Workflow Reset.
pub const TRANSFER_ID: &str = "Transfer-Id";
/// The header that names the transfer's run: after a refund, the bank refuses late requests of that run, and accepts those of a
/// later run (a Workflow Reset).
pub const TRANSFER_RUN: &str = "Transfer-Run";

/// The accounts of a new bank, with their balances.
pub const ACCOUNTS: [(&str, Money); 10] = [
    ("account_A", Money::from_dollars(1000)),
    ("account_B", Money::from_dollars(500)),
    ("account_C", Money::from_dollars(750)),
    ("account_D", Money::from_dollars(1200)),
    ("account_E", Money::from_dollars(300)),
    ("account_F", Money::from_dollars(900)),
    ("account_G", Money::from_dollars(600)),
    ("account_H", Money::from_dollars(1500)),
    ("account_I", Money::from_dollars(400)),
    ("account_J", Money::from_dollars(800)),
];

/// One account: an element of [`Accounts`], and the response of `GET /accounts/{account_number}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// Its number, such as `account_A`.
    pub account_number: String,
    /// Its balance.
    pub balance: Money,
}

/// The response of `GET /accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Accounts {
    /// All accounts, by number.
    pub accounts: Vec<Account>,
}

/// The response of `POST /accounts/{account_number}/withdraw`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Withdrawn {
    /// The account withdrawn from.
    pub account_number: String,
    /// Its balance before.
    pub previous_balance: Money,
    /// The withdrawn amount.
    pub amount_withdrawn: Amount,
    /// Its balance after.
    pub new_balance: Money,
}

/// The response of `POST /accounts/{account_number}/deposit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Deposited {
    /// The account deposited to.
    pub account_number: String,
    /// Its balance before.
    pub previous_balance: Money,
    /// The deposited amount.
    pub amount_deposited: Amount,
    /// Its balance after.
    pub new_balance: Money,
}

/// The response of `POST /accounts/{account_number}/refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refunded {
    /// The refunded account.
    pub account_number: String,
    /// The refunded amount; zero if there was nothing to undo.
    pub amount_refunded: Money,
    /// Its balance after.
    pub new_balance: Money,
    /// Whether the transfer's money had already been deposited, so that nothing was undone.
    pub delivered: bool,
}

/// The kind of a ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// The account was opened with its initial balance.
    Open,
    /// A withdrawal.
    Withdraw,
    /// A deposit.
    Deposit,
    /// A refund of a transfer's withdrawal.
    Refund,
}

/// One entry of the ledger: an element of [`Entries`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// Its number, which increases with each entry.
    pub id: u64,
    /// Its account.
    pub account_number: String,
    /// Its kind.
    pub kind: EntryKind,
    /// The amount, never negative.
    pub amount: Money,
    /// The balance after it.
    pub balance: Money,
    /// The transfer it belongs to, if the request named one ([`TRANSFER_ID`]).
    pub transfer: Option<String>,
    /// The run of that transfer, if the request named one ([`TRANSFER_RUN`]).
    pub run: Option<String>,
    /// Its time, in Unix seconds.
    pub time: u64,
}

/// The response of `GET /entries`: a page of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entries {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The `after` of the next page; none on the last page.
    pub next: Option<u64>,
}

/// An error of the bank: a sentence, and for some errors a `code` for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Problem {
    /// The message.
    pub error: String,
    /// The kind of a final refusal, by its name in [`RefusalKind`](crate::RefusalKind); absent for errors that a retry may avoid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// With insufficient funds: the balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_balance: Option<Money>,
    /// With insufficient funds: the requested amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_amount: Option<Amount>,
}
