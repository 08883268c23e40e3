//! Accounts, withdrawals and deposits.

use serde_json::{Value, json};

use crate::support::bank;

#[tokio::test]
async fn a_new_bank_has_the_ten_accounts_of_the_contract_by_number() {
    let bank = bank().await;
    let answer = bank.get("/accounts").await;
    assert_eq!(answer.status, 200);
    let accounts: Vec<Value> = contract::bank::ACCOUNTS
        .iter()
        .map(|(number, balance)| json!({"account_number": number, "balance": balance}))
        .collect();
    assert_eq!(answer.json, json!({ "accounts": accounts }));
    assert_eq!(bank.total_cents().await, 795_000);
}

#[tokio::test]
async fn one_account_can_be_asked_for() {
    let answer = bank().await.get("/accounts/account_H").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json, json!({"account_number": "account_H", "balance": 1500}));
}

#[tokio::test]
async fn a_withdrawal_is_answered_as_the_contract_has_it() {
    let bank = bank().await;
    let answer = bank.withdraw("account_A", 25.5).send().await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "account_number": "account_A",
        "previous_balance": 1000,
        "amount_withdrawn": 25.5,
        "new_balance": 974.5,
    });
    assert_eq!(answer.json, expected);
    assert_eq!(bank.balance("account_A").await, 974.5);
}

#[tokio::test]
async fn a_deposit_is_answered_as_the_contract_has_it() {
    let bank = bank().await;
    let answer = bank.deposit("account_B", 0.01).send().await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "account_number": "account_B",
        "previous_balance": 500,
        "amount_deposited": 0.01,
        "new_balance": 500.01,
    });
    assert_eq!(answer.json, expected);
    assert_eq!(bank.balance("account_B").await, 500.01);
}

#[tokio::test]
async fn an_account_can_be_emptied_but_not_overdrawn() {
    let bank = bank().await;
    let answer = bank.withdraw("account_E", 300.01).send().await;
    assert_eq!(answer.refusal(), (400, Some("InsufficientFunds")));
    assert_eq!(answer.error(), "Insufficient funds");
    assert_eq!(answer.json["current_balance"], 300);
    assert_eq!(answer.json["requested_amount"], 300.01);
    assert_eq!(bank.withdraw("account_E", 300.0).send().await.status, 200);
    assert_eq!(bank.balance("account_E").await, 0.0);
}

#[tokio::test]
async fn an_unknown_account_is_not_found_by_any_route() {
    let bank = bank().await;
    // The last is no UTF-8.
    for account in ["account_Z", "account_a", "account_A%20", "%F0%9F%92%B0", "%ff"] {
        for ask in [
            bank.ask("GET", &format!("/accounts/{account}")),
            bank.withdraw(account, 1.0),
            bank.deposit(account, 1.0),
            bank.refund(account, 1.0).run_of("transfer", "run"),
        ] {
            let answer = ask.send().await;
            assert_eq!(answer.refusal(), (404, Some("UnknownAccount")), "{account}");
            assert_eq!(answer.error(), "Account not found");
        }
    }
}

#[tokio::test]
async fn what_is_no_amount_is_refused_with_a_sentence() {
    let bank = bank().await;
    for (body, word) in [
        (r#"{"amount": 0}"#, "greater than zero"),
        (r#"{"amount": -0.0}"#, "greater than zero"),
        (r#"{"amount": -5}"#, "greater than zero"),
        (r#"{"amount": 0.001}"#, "two decimals"),
        (r#"{"amount": 25.500000000000000000001}"#, "two decimals"),
        (r#"{"amount": 1000000000.01}"#, "at most"),
        (r#"{"amount": 1e400}"#, "at most"),
        (r#"{"amount": "5"}"#, "number"),
        (r#"{"amount": true}"#, "number"),
        (r#"{"amount": [5]}"#, "number"),
        (r#"{"amount": {"dollars": 5}}"#, "number"),
        (r#"{"amount": null}"#, "missing"),
        (r#"{"Amount": 5}"#, "missing"),
        ("{}", "missing"),
    ] {
        for route in ["withdraw", "deposit", "refund"] {
            let path = format!("/accounts/account_A/{route}");
            let ask = bank.ask("POST", &path).run_of("transfer", "run").body(body);
            let answer = ask.send().await;
            assert_eq!(answer.refusal(), (400, Some("BadAmount")), "{route} {body}");
            assert!(answer.error().contains(word), "{body}: {}", answer.error());
        }
    }
    assert_eq!(bank.total_cents().await, 795_000);
}

#[tokio::test]
async fn amounts_are_exact_to_the_cent_at_both_ends() {
    let bank = bank().await;
    for (body, balance) in [
        (r#"{"amount": 1000000000.00}"#, 1_000_001_000.0),
        (r#"{"amount": 1e9}"#, 2_000_001_000.0),
        (r#"{"amount": 0.29}"#, 2_000_001_000.29),
        (r#"{"amount": 0.010, "note": {"unknown": ["fields", "are", "ignored"]}}"#, 2_000_001_000.3),
    ] {
        let answer = bank.ask("POST", "/accounts/account_A/deposit").body(body).send().await;
        assert_eq!(answer.json["new_balance"].as_f64(), Some(balance), "{body}");
    }
}

#[tokio::test]
async fn a_reset_brings_everything_back_to_the_start() {
    let bank = bank().await;
    let withdraw = || bank.withdraw("account_A", 25.5).key("key").run_of("transfer", "run");
    assert_eq!(withdraw().send().await.status, 200);
    assert_eq!(bank.refund("account_A", 25.5).run_of("transfer", "run").send().await.status, 200);
    assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 200);
    let mode = bank.put("/real-world-mode", json!({"enabled": true, "error_rate": 0.9})).await;
    assert_eq!(mode.status, 200);
    assert_eq!(bank.put("/outage", json!({"deposits": true})).await.status, 200);

    let answer = bank.ask("POST", "/reset").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(bank.total_cents().await, 795_000);
    assert_eq!(bank.balance("account_B").await, 500.0);
    let mode = bank.get("/real-world-mode").await.json;
    assert_eq!((&mode["enabled"], &mode["error_rate"]), (&json!(false), &json!(0.4)));
    assert_eq!(bank.get("/outage").await.json, json!({"withdrawals": false, "deposits": false}));
    // The key is not known any more, but the run is over for good.
    assert_eq!(bank.withdraw("account_A", 25.5).key("key").send().await.json["previous_balance"], 1000);
    assert_eq!(withdraw().send().await.status, 409);
}
