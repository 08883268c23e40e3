//! Real World Mode and outages. Rates are 0 and 1 here, so that nothing is left to chance.

use serde_json::json;

use crate::support::bank;

#[tokio::test]
async fn real_world_mode_is_off_at_the_start_with_the_rates_of_the_contract() {
    let bank = bank().await;
    let expected = json!({
        "enabled": false,
        "timeout_rate": 0.1,
        "error_rate": 0.4,
        "slow_rate": 0.0,
        "timeout_seconds": 30.0,
        "slow_seconds": 3.0,
        "strikes": "before",
    });
    let answer = bank.get("/real-world-mode").await;
    assert_eq!((answer.status, &answer.json), (200, &expected));
    for _ in 0..50 {
        assert_eq!(bank.deposit("account_B", 0.01).send().await.status, 200);
    }
}

#[tokio::test]
async fn any_subset_of_the_settings_can_change_and_holds_from_the_next_request_on() {
    let bank = bank().await;
    let all = json!({
        "enabled": true,
        "timeout_rate": 0.0,
        "error_rate": 1.0,
        "slow_rate": 0.0,
        "timeout_seconds": 0.5,
        "slow_seconds": 2.0,
        "strikes": "after",
    });
    let answer = bank.put("/real-world-mode", all.clone()).await;
    assert_eq!((answer.status, &answer.json), (200, &all));
    assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 500);

    let answer = bank.put("/real-world-mode", json!({"enabled": false, "unknown": 1})).await;
    assert_eq!((&answer.json["enabled"], &answer.json["error_rate"]), (&json!(false), &json!(1.0)));
    assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 200);
    assert_eq!(bank.put("/real-world-mode", json!({})).await.json["strikes"], "after");
    assert_eq!(bank.put("/real-world-mode", json!({"enabled": true})).await.status, 200);
    assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 500);
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_and_change_nothing() {
    let bank = bank().await;
    let before = bank.get("/real-world-mode").await.json;
    for (change, word) in [
        (json!({"enabled": true, "timeout_rate": 1.1}), "timeout_rate"),
        (json!({"enabled": true, "timeout_rate": -0.1}), "timeout_rate"),
        (json!({"error_rate": 1.5, "timeout_rate": 0}), "error_rate"),
        (json!({"error_rate": 0.95}), "together"),
        (json!({"timeout_seconds": -1}), "timeout_seconds"),
        (json!({"timeout_seconds": 300.5}), "timeout_seconds"),
        (json!({"slow_seconds": -0.5}), "slow_seconds"),
        (json!({"slow_rate": 0.6}), "slow_rate"),
        (json!({"strikes": "never"}), "never"),
        (json!({"enabled": "yes"}), "yes"),
        (json!({"enabled": 1}), "boolean"),
        (json!([true]), "object"),
    ] {
        let answer = bank.put("/real-world-mode", change.clone()).await;
        assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{change}");
        assert!(answer.error().contains(word), "{change}: {}", answer.error());
    }
    assert_eq!(bank.get("/real-world-mode").await.json, before);
}

#[tokio::test]
async fn rates_that_come_to_exactly_one_are_taken() {
    let bank = bank().await;
    for (timeouts, errors) in [(0.3, 0.7), (0.7, 0.3), (1.0, 0.0), (0.1, 0.9), (0.0, 0.0)] {
        let change = json!({"timeout_rate": timeouts, "error_rate": errors});
        assert_eq!(bank.put("/real-world-mode", change).await.status, 200);
    }
}

#[tokio::test]
async fn a_fault_before_the_change_leaves_no_change() {
    let bank = bank().await;
    for (timeout_rate, error_rate, status) in [(0, 1, 500), (1, 0, 504)] {
        let mode = json!({
            "enabled": true,
            "timeout_rate": timeout_rate,
            "error_rate": error_rate,
            "timeout_seconds": 0.01,
        });
        assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
        assert_eq!(bank.withdraw("account_A", 1.0).send().await.refusal(), (status, None));
        assert_eq!(bank.deposit("account_A", 1.0).send().await.refusal(), (status, None));
    }
    assert_eq!(bank.balance("account_A").await, 1000.0);
}

#[tokio::test]
async fn a_lost_answer_and_its_retry_with_the_same_key_are_one_change() {
    let bank = bank().await;
    for (timeout_rate, error_rate, status, balance) in [(0, 1, 500, 974.5), (1, 0, 504, 949.0)] {
        let key = format!("key-{status}");
        let mode = json!({
            "enabled": true,
            "timeout_rate": timeout_rate,
            "error_rate": error_rate,
            "timeout_seconds": 0.01,
            "strikes": "after",
        });
        assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
        for _ in 0..3 {
            let answer = bank.withdraw("account_A", 25.5).key(&key).send().await;
            assert_eq!(answer.refusal(), (status, None));
        }
        assert_eq!(bank.balance("account_A").await, balance);
        assert_eq!(bank.put("/real-world-mode", json!({"enabled": false})).await.status, 200);
        let answer = bank.withdraw("account_A", 25.5).key(&key).send().await;
        assert_eq!((answer.status, answer.json["new_balance"].as_f64()), (200, Some(balance)));
    }
    assert_eq!(bank.balance("account_A").await, 949.0);
}

#[tokio::test]
async fn a_fault_of_either_kind_and_its_retries_are_one_change() {
    let bank = bank().await;
    let mode = json!({"enabled": true, "timeout_rate": 0, "error_rate": 1, "strikes": "either"});
    assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
    for _ in 0..20 {
        assert_eq!(bank.withdraw("account_A", 25.5).key("key").send().await.status, 500);
    }
    assert_eq!(bank.put("/real-world-mode", json!({"enabled": false})).await.status, 200);
    assert_eq!(bank.withdraw("account_A", 25.5).key("key").send().await.status, 200);
    assert_eq!(bank.balance("account_A").await, 974.5);
}

#[tokio::test]
async fn a_slow_answer_is_the_right_one_and_the_money_moves_before_it() {
    let bank = bank().await;
    for (strikes, balance) in [("before", 974.5), ("after", 949.0)] {
        let rates = json!({"timeout_rate": 0, "error_rate": 0, "slow_rate": 1, "slow_seconds": 1});
        assert_eq!(bank.put("/real-world-mode", rates).await.status, 200);
        let mode = json!({"enabled": true, "strikes": strikes});
        assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
        let begin = std::time::Instant::now();
        let asked = bank.withdraw("account_A", 25.5).send();
        let moved = async {
            while bank.balance("account_A").await != balance {}
            begin.elapsed()
        };
        let (answer, moved) = tokio::join!(asked, moved);
        assert_eq!((answer.status, answer.json["new_balance"].as_f64()), (200, Some(balance)));
        let answered = begin.elapsed();
        assert!(answered >= std::time::Duration::from_secs(1) && moved < answered, "{moved:?}, {answered:?}");
    }
}

#[tokio::test]
async fn a_slow_refusal_is_one_and_moves_nothing() {
    let bank = bank().await;
    let mode =
        json!({"enabled": true, "timeout_rate": 0, "error_rate": 0, "slow_rate": 1, "slow_seconds": 0});
    assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
    assert_eq!(bank.withdraw("account_A", 5000.0).send().await.status, 400);
    assert_eq!(bank.balance("account_A").await, 1000.0);
}

#[tokio::test]
async fn only_withdrawals_and_deposits_are_struck() {
    let bank = bank().await;
    assert_eq!(bank.withdraw("account_A", 1.0).run_of("transfer", "run").send().await.status, 200);
    let mode = json!({"enabled": true, "timeout_rate": 0, "error_rate": 1});
    assert_eq!(bank.put("/real-world-mode", mode).await.status, 200);
    for path in ["/accounts", "/accounts/account_A", "/health", "/real-world-mode", "/outage"] {
        assert_eq!(bank.get(path).await.status, 200, "{path}");
    }
    let refund = bank.refund("account_A", 1.0).run_of("transfer", "run").send().await;
    assert_eq!(refund.status, 200);
    assert_eq!(bank.ask("POST", "/reset").send().await.status, 200);
}

#[tokio::test]
async fn an_outage_stops_what_it_covers_and_nothing_else() {
    let bank = bank().await;
    assert_eq!(bank.get("/outage").await.json, json!({"withdrawals": false, "deposits": false}));

    let answer = bank.put("/outage", json!({"deposits": true})).await;
    assert_eq!(answer.json, json!({"withdrawals": false, "deposits": true}));
    let answer = bank.deposit("account_B", 1.0).key("key").send().await;
    assert_eq!(answer.refusal(), (503, None));
    assert!(answer.error().contains("deposits are out of service"), "{}", answer.error());
    assert_eq!(bank.withdraw("account_A", 1.0).run_of("transfer", "run").send().await.status, 200);
    // Giving back is no deposit: it is what a transfer does about the outage.
    let refund = bank.refund("account_A", 1.0).run_of("transfer", "run").send().await;
    assert_eq!(refund.json["amount_refunded"], 1);

    let answer = bank.put("/outage", json!({"withdrawals": true, "deposits": false})).await;
    assert_eq!(answer.json, json!({"withdrawals": true, "deposits": false}));
    assert_eq!(bank.withdraw("account_A", 1.0).send().await.status, 503);
    assert_eq!(bank.deposit("account_B", 1.0).key("key").send().await.status, 200);
    assert_eq!((bank.balance("account_A").await, bank.balance("account_B").await), (1000.0, 501.0));

    let answer = bank.put("/outage", json!({"deposits": "yes"})).await;
    assert_eq!(answer.refusal(), (400, Some("BadRequest")));
}
