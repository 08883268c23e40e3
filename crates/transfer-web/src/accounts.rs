//! The transfers of one account, and their sums.

use contract::{Amount, Money};
use serde_json::{Value, json};

/// The account's history, from the rows of all transfers.
pub(crate) fn history(account: &str, rows: Vec<Value>) -> Value {
    let (mut sent, mut received) = (0, 0);
    let mut workflows = Vec::new();
    for mut row in rows {
        let (from, to) = (row["input"]["from_account"].clone(), row["input"]["to_account"].clone());
        let (direction, counterparty) = match (from == account, to == account) {
            (true, _) => ("sent", to),
            (false, true) => ("received", from),
            (false, false) => continue,
        };
        if row["status"] == "COMPLETED" {
            let cents = Amount::from_json(&row["input"]["amount"].to_string()).map_or(0, Amount::cents);
            *(if direction == "sent" { &mut sent } else { &mut received }) += cents;
        }
        row["direction"] = json!(direction);
        row["counterparty"] = counterparty;
        workflows.push(row);
    }
    let count = |status: &str| workflows.iter().filter(|row| row["status"] == status).count();
    let (completed, running) = (count("COMPLETED"), count("RUNNING"));
    json!({
        "account_id": account,
        "summary": {
            "total_sent": Money::from_cents(sent),
            "total_received": Money::from_cents(received),
            "net_change": Money::from_cents(received - sent),
            "transaction_count": workflows.len(),
            "completed_count": completed,
            "failed_count": workflows.len() - completed - running,
            "running_count": running,
        },
        "workflows": workflows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_completed_counts_and_to_the_cent() {
        let row = |from: &str, to: &str, amount: Value, status: &str| json!({ "status": status, "input": { "from_account": from, "to_account": to, "amount": amount } });
        let rows = vec![
            row("account_A", "account_B", json!(0.1), "COMPLETED"),
            row("account_A", "account_C", json!(0.2), "COMPLETED"),
            row("account_C", "account_A", json!(0.7), "COMPLETED"),
            row("account_A", "account_B", json!(500), "RUNNING"),
            row("account_A", "account_B", json!("odd"), "TERMINATED"),
            row("account_B", "account_C", json!(1), "COMPLETED"),
            json!({ "status": "FAILED", "input": "anything" }),
        ];
        let history = history("account_A", rows);
        let summary = json!({ "total_sent": 0.3, "total_received": 0.7, "net_change": 0.4, "transaction_count": 5,
            "completed_count": 3, "failed_count": 1, "running_count": 1 });
        assert_eq!(history["summary"], summary);
        assert_eq!(history["workflows"][2]["direction"], "received");
        assert_eq!(history["workflows"][2]["counterparty"], "account_C");
    }
}
