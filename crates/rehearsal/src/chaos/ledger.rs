//! The bank's ledger: all its entries, and whether they add up.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use contract::Money;
use lab_client::bank::Bank;
use serde_json::Value;

/// The whole ledger.
pub(super) fn entries(bank: &Bank) -> Result<Vec<Value>> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let mut page = bank.entries(&format!("after={after}"))?;
        if let Value::Array(some) = page["entries"].take() {
            entries.extend(some);
        }
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return Ok(entries),
        }
    }
}

/// Checks the ledger, also during a run: each balance follows from the previous one and is never negative, and no transfer's
/// money moved twice. Returns the balances.
pub(super) fn check_ledger(entries: &[Value]) -> Result<BTreeMap<String, Money>> {
    let mut balances: BTreeMap<String, Money> = BTreeMap::new();
    let mut moved: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for entry in entries {
        let (number, kind, amount) =
            (text(entry, "account_number"), text(entry, "kind"), money(&entry["amount"])?);
        let before = balances.get(number).copied();
        let after = match (kind, before) {
            ("open", None) => amount,
            ("deposit" | "refund", Some(before)) => plus(before, amount.cents())?,
            ("withdraw", Some(before)) => plus(before, -amount.cents())?,
            _ => bail!("entry {} of the ledger is out of order: {entry}", entry["id"]),
        };
        if after < Money::ZERO {
            bail!("entry {} of the ledger takes {number} below zero: {entry}", entry["id"]);
        }
        if money(&entry["balance"])? != after {
            bail!(
                "entry {} of the ledger should leave a balance of {after} in {number}: {entry}",
                entry["id"]
            );
        }
        balances.insert(number.to_owned(), after);
        if let Some(transfer) = entry["transfer"].as_str()
            && let Some(first) = moved.insert((transfer, kind), entry)
        {
            bail!("the ledger has two entries of one kind for one transfer: {first} and {entry}");
        }
    }
    Ok(balances)
}

/// A text field of the bank's JSON; empty if missing.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// An amount in the bank's JSON, exactly.
pub(super) fn money(value: &Value) -> Result<Money> {
    lab::money(value).with_context(|| format!("the bank returned {value} instead of an amount"))
}

/// The amount plus this many cents.
pub(super) fn plus(money: Money, cents: i64) -> Result<Money> {
    match money.checked_add(Money::from_cents(cents)) {
        Some(sum) => Ok(sum),
        None => bail!("{money} and {cents} cents are more than an account can hold"),
    }
}
