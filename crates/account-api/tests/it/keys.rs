//! Idempotency keys.

use account_api::Bank;
use serde_json::json;

use crate::support::{bank, serve};

#[tokio::test]
async fn the_same_key_is_applied_once_and_answered_the_same() {
    let bank = bank().await;
    let first = bank.withdraw("account_A", 25.5).key("key").send().await;
    // What happens in between does not show in the second answer.
    assert_eq!(bank.deposit("account_A", 1.0).send().await.status, 200);
    for body in [r#"{"amount": 25.5}"#, r#"{"amount": 2550e-2, "note": "the same amount"}"#] {
        let ask = bank.ask("POST", "/accounts/account_A/withdraw").key("key").body(body);
        let again = ask.send().await;
        assert_eq!((again.status, &again.json), (200, &first.json));
    }
    assert_eq!(bank.balance("account_A").await, 975.5);
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let bank = bank().await;
    assert_eq!(bank.withdraw("account_A", 25.5).key("key").send().await.status, 200);
    for ask in
        [bank.withdraw("account_A", 25.51), bank.withdraw("account_B", 25.5), bank.deposit("account_A", 25.5)]
    {
        let answer = ask.key("key").send().await;
        assert_eq!(answer.refusal(), (422, Some("KeyReused")));
        assert!(answer.error().contains("Idempotency-Key"), "{}", answer.error());
    }
    assert_eq!(bank.total_cents().await, 795_000 - 2550);
}

#[tokio::test]
async fn the_same_key_of_another_transfer_is_refused_and_not_answered_with_money_that_did_not_move() {
    let bank = bank().await;
    let withdraw = |transfer| bank.withdraw("account_A", 25.5).key("key").run_of(transfer, "run");
    assert_eq!(withdraw("one").send().await.status, 200);
    assert_eq!(withdraw("two").send().await.refusal(), (422, Some("KeyReused")));
    let without = bank.withdraw("account_A", 25.5).key("key").send().await;
    assert_eq!(without.refusal(), (422, Some("KeyReused")));
    // Another run of the same transfer is the same request.
    let again = bank.withdraw("account_A", 25.5).key("key").run_of("one", "run-2").send().await;
    assert_eq!(again.status, 200);
    assert_eq!(bank.balance("account_A").await, 974.5);
}

#[tokio::test]
async fn a_refusal_is_not_remembered_under_its_key() {
    let bank = bank().await;
    let refused = bank.withdraw("account_E", 301.0).key("key").send().await;
    assert_eq!(refused.status, 400);
    assert_eq!(bank.deposit("account_E", 1.0).send().await.status, 200);
    let granted = bank.withdraw("account_E", 301.0).key("key").send().await;
    assert_eq!((granted.status, &granted.json["new_balance"]), (200, &json!(0)));
    // Not even its request was: only what was applied binds the key.
    assert_eq!(bank.withdraw("account_Z", 1.0).key("other").send().await.status, 404);
    assert_eq!(bank.withdraw("account_A", 1.0).key("other").send().await.status, 200);
}

#[tokio::test]
async fn without_a_key_every_request_is_applied() {
    let bank = bank().await;
    for _ in 0..3 {
        assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 200);
    }
    assert_eq!(bank.balance("account_B").await, 503.0);
}

#[tokio::test]
async fn a_key_is_the_same_in_quotes_and_bare() {
    let bank = bank().await;
    for value in ["\"key-1\"", "key-1"] {
        let ask = bank.deposit("account_B", 1.0).header("Idempotency-Key", value);
        assert_eq!(ask.send().await.json["new_balance"], 501);
    }
    assert_eq!(bank.balance("account_B").await, 501.0);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let bank = bank().await;
    let long = "k".repeat(256);
    for value in ["", "\"\"", "\"open", "not visible", "\"é\"", &long] {
        let answer = bank.deposit("account_B", 1.0).header("Idempotency-Key", value).send().await;
        assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{value}");
        assert!(answer.error().contains("Idempotency-Key"), "{}", answer.error());
        assert!(answer.error().contains("1 to 255"), "{}", answer.error());
    }
    let twice = bank.deposit("account_B", 1.0).key("one").key("two").send().await;
    assert_eq!(twice.refusal(), (400, Some("BadRequest")));
    let long = "t".repeat(1001);
    for (name, value) in [("Transfer-Id", ""), ("Transfer-Run", ""), ("Transfer-Id", &long)] {
        let answer = bank.deposit("account_B", 1.0).header(name, value).send().await;
        assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{name}");
        assert!(answer.error().contains(name), "{}", answer.error());
    }
    assert_eq!(bank.balance("account_B").await, 500.0);
}

#[tokio::test]
async fn a_key_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    let mut answers = Vec::new();
    for _ in 0..2 {
        let bank = Bank::open(&file).expect("a bank");
        let client = serve(bank.clone()).await;
        answers.push(client.withdraw("account_A", 25.5).key("key").send().await.json);
        let other = client.withdraw("account_A", 1.0).key("key").send().await;
        assert_eq!(other.status, 422);
        bank.close().await;
    }
    assert_eq!(answers[0], answers[1]);
    let client = serve(Bank::open(&file).expect("a bank")).await;
    assert_eq!(client.balance("account_A").await, 974.5);
}
