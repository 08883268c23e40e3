//! The Account API's JSON, and the headers that make a movement of money happen once.

use serde::{Deserialize, Serialize};

use crate::{Amount, Money};

/// The header that carries the idempotency key of a withdrawal or deposit: the same key with the same
/// request is applied once and answered the same. A Structured Header string, so quoted; the IETF's
/// draft of that name has it.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The header that names the transfer a movement belongs to. The same for every run of the transfer,
/// so also after a Workflow Reset.
pub const TRANSFER_ID: &str = "Transfer-Id";
/// The header that names the run of the transfer that a request comes from: after a refund, the bank
/// refuses what still arrives from that run, and takes what a later run (a Workflow Reset) asks for.
pub const TRANSFER_RUN: &str = "Transfer-Run";

/// The accounts a new bank has, with their balances.
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

/// One account: an element of [`Accounts`], and the answer of `GET /accounts/{account_number}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// Its number, such as `account_A`.
    pub account_number: String,
    /// What it holds.
    pub balance: Money,
}

/// The answer of `GET /accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Accounts {
    /// All accounts, by number.
    pub accounts: Vec<Account>,
}

/// The answer of `POST /accounts/{account_number}/withdraw`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Withdrawn {
    /// The account taken from.
    pub account_number: String,
    /// What it held before.
    pub previous_balance: Money,
    /// How much was taken.
    pub amount_withdrawn: Amount,
    /// What it holds since.
    pub new_balance: Money,
}

/// The answer of `POST /accounts/{account_number}/deposit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Deposited {
    /// The account given to.
    pub account_number: String,
    /// What it held before.
    pub previous_balance: Money,
    /// How much was given.
    pub amount_deposited: Amount,
    /// What it holds since.
    pub new_balance: Money,
}

/// The answer of `POST /accounts/{account_number}/refund`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refunded {
    /// The account given back to.
    pub account_number: String,
    /// How much went back; zero when there was nothing to undo.
    pub amount_refunded: Money,
    /// What it holds since.
    pub new_balance: Money,
    /// Whether the transfer's money had reached the other account, so nothing was undone.
    pub delivered: bool,
}

/// What an entry of the ledger records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// The account was opened, with what it held at the start.
    Open,
    /// Money was taken out of it.
    Withdraw,
    /// Money was put into it.
    Deposit,
    /// Money that a transfer had taken was put back.
    Refund,
}

/// One entry of the ledger: an element of [`Entries`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// Its number; a later entry has a greater one.
    pub id: u64,
    /// The account it is about.
    pub account_number: String,
    /// What it records.
    pub kind: EntryKind,
    /// How much was moved, whichever way: never negative.
    pub amount: Money,
    /// What the account held after it.
    pub balance: Money,
    /// The transfer it belongs to, if the request named one ([`TRANSFER_ID`]).
    pub transfer: Option<String>,
    /// The run of that transfer, if the request named one ([`TRANSFER_RUN`]).
    pub run: Option<String>,
    /// When it was made, in Unix seconds.
    pub time: u64,
}

/// The answer of `GET /entries`: a page of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entries {
    /// The entries, the oldest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins: the `after` to ask for. Nothing where this page is the last.
    pub next: Option<u64>,
}

/// Every error of the bank: one sentence, and for some a `code` that programs can go by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Problem {
    /// What is wrong, for a person.
    pub error: String,
    /// The kind of a final refusal, by its name in [`RefusalKind`](crate::RefusalKind); absent for
    /// errors that another attempt may not meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// With insufficient funds: what the account holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_balance: Option<Money>,
    /// With insufficient funds: what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_amount: Option<Amount>,
}
