//! A client of the lab's bank.

use anyhow::{Context, Result};
use contract::Money;
use serde_json::{Value, json};

use crate::{
    Endpoints,
    http::{encode, get_json, post_json, post_json_once, put_json},
};

/// The lab's bank.
pub struct Bank {
    url: String,
}

/// The bank's outages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Whether withdrawals are out of service.
    pub withdrawals: bool,
    /// Whether deposits are out of service.
    pub deposits: bool,
}

impl Bank {
    /// The bank at these endpoints.
    pub fn new(endpoints: &Endpoints) -> Bank {
        Bank { url: endpoints.bank.clone() }
    }

    /// The current outages.
    pub fn outage(&self) -> Result<Outage> {
        get_json(&format!("{}/outage", self.url)).map(|answer| Outage::of(&answer)).context(NO_ANSWER)
    }

    /// Sets the outages.
    pub fn set_outage(&self, outage: Outage) -> Result<()> {
        let order = json!({ "withdrawals": outage.withdrawals, "deposits": outage.deposits });
        put_json(&format!("{}/outage", self.url), &order).map(drop).context(NO_ANSWER)
    }

    /// Whether Real World Mode is on.
    pub fn real_world_mode(&self) -> Result<bool> {
        get_json(&self.real_world_mode_url()).map(|answer| answer["enabled"] == true).context(NO_ANSWER)
    }

    /// Switches Real World Mode on or off.
    pub fn set_real_world_mode(&self, on: bool) -> Result<()> {
        self.change_real_world_mode(&json!({ "enabled": on }))
    }

    /// Changes these of Real World Mode's settings.
    pub fn change_real_world_mode(&self, settings: &Value) -> Result<()> {
        put_json(&self.real_world_mode_url(), settings).map(drop).context(NO_ANSWER)
    }

    /// Switches Real World Mode off, and sets its rates as they are when the bank starts.
    pub fn restore_real_world_mode(&self) -> Result<()> {
        self.change_real_world_mode(&json!({
            "enabled": false, "timeout_rate": 0.1, "error_rate": 0.4, "slow_rate": 0, "timeout_seconds": 30,
            "slow_seconds": 3, "strikes": "before",
        }))
    }

    fn real_world_mode_url(&self) -> String {
        format!("{}/real-world-mode", self.url)
    }

    /// Resets it: a new ledger with the initial balances, and no faults.
    pub fn reset(&self) -> Result<()> {
        post_json(&format!("{}/reset", self.url), &json!({})).map(drop).context(NO_ANSWER)
    }

    /// Changes the balance of an account for no transfer: deposits so much, or withdraws it where it is below zero. With the same key it is
    /// applied once.
    ///
    /// # Errors
    /// The bank refuses it or does not answer.
    pub fn adjust(&self, account: &str, change: Money, key: &str) -> Result<Value> {
        let movement = if change < Money::ZERO { "withdraw" } else { "deposit" };
        let url = format!("{}/accounts/{}/{movement}", self.url, encode(account));
        post_json_once(&url, &json!({ "amount": Money::from_cents(change.cents().abs()) }), key)
    }

    /// The accounts with their balances, as `{"accounts": […]}`.
    pub fn accounts(&self) -> Result<Value> {
        get_json(&format!("{}/accounts", self.url)).context(NO_ANSWER)
    }

    /// The number of the ledger's last entry.
    pub fn last_entry(&self) -> Result<u64> {
        let mut last = 0;
        loop {
            let page = self.entries(&format!("after={last}&limit=1000"))?;
            let entries = page["entries"].as_array();
            last = entries.and_then(|entries| entries.last()?["id"].as_u64()).unwrap_or(last);
            if page["next"].is_null() {
                return Ok(last);
            }
        }
    }

    /// A page of the ledger, by this query.
    pub fn entries(&self, query: &str) -> Result<Value> {
        get_json(&format!("{}/entries?{query}", self.url)).context(NO_ANSWER)
    }
}

/// What is switched on, for a sentence, by what the bank notes in its `--faults-file`; none where nothing is.
pub fn switched_on(noted: &Value) -> Option<String> {
    let real_world_mode = (noted["real_world_mode"]["enabled"] == true).then(|| "Real World Mode".to_owned());
    let outage = Outage::of(&noted["outage"]);
    let outage = outage.is_any().then(|| format!("the outage of {}", outage.what()));
    let what: Vec<String> = real_world_mode.into_iter().chain(outage).collect();
    (!what.is_empty()).then(|| what.join(" and "))
}

const NO_ANSWER: &str = "the bank does not answer; see: cargo xtask lab status";

impl Outage {
    fn of(json: &Value) -> Outage {
        Outage { withdrawals: json["withdrawals"] == true, deposits: json["deposits"] == true }
    }

    /// Whether there is an outage.
    pub fn is_any(self) -> bool {
        self.withdrawals || self.deposits
    }

    /// The outages in words.
    pub fn what(self) -> &'static str {
        match (self.withdrawals, self.deposits) {
            (true, true) => "withdrawals and deposits",
            (true, false) => "withdrawals",
            (false, true) => "deposits",
            (false, false) => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bank_noted_is_named_for_a_sentence() {
        let of = |mode: bool, deposits: bool| {
            let outage = json!({ "withdrawals": false, "deposits": deposits });
            switched_on(&json!({ "real_world_mode": { "enabled": mode }, "outage": outage }))
        };
        assert_eq!(of(true, true).as_deref(), Some("Real World Mode and the outage of deposits"));
        assert_eq!(of(true, false).as_deref(), Some("Real World Mode"));
        assert_eq!(of(false, true).as_deref(), Some("the outage of deposits"));
        assert_eq!((of(false, false), switched_on(&Value::Null)), (None, None));
    }
}
