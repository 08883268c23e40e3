//! The ledger as it is given out.

use std::time::{SystemTime, UNIX_EPOCH};

use contract::Money;
use contract::bank::{Entries, EntryKind};
use serde_json::{Value, json};

use crate::support::{Client, bank};

/// A page, as clients read it.
async fn page(bank: &Client, query: &str) -> Entries {
    let answer = bank.get(&format!("/entries{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.json);
    serde_json::from_value(answer.json).expect("the contract's shape")
}

/// The numbers of the entries on a page, and of the one that the next page begins behind.
async fn ids(bank: &Client, query: &str) -> (Vec<u64>, Option<u64>) {
    let page = page(bank, query).await;
    (page.entries.iter().map(|entry| entry.id).collect(), page.next)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

#[tokio::test]
async fn a_new_bank_has_an_entry_for_each_account() {
    let bank = bank().await;
    let entries = page(&bank, "").await;
    assert_eq!(entries.next, None);
    let opened: Vec<_> = entries
        .entries
        .iter()
        .map(|entry| (entry.account_number.as_str(), entry.amount, entry.kind, entry.balance == entry.amount))
        .collect();
    let expected = contract::bank::ACCOUNTS.map(|(number, balance)| (number, balance, EntryKind::Open, true));
    assert_eq!(opened, expected);
}

#[tokio::test]
async fn each_movement_is_told_with_its_transfer_and_without_its_key() {
    let bank = bank().await;
    let before = unix_now();
    for ask in [
        bank.withdraw("account_A", 25.5).key("secret-1").run_of("transfer ü&1", "run"),
        bank.refund("account_A", 25.5).run_of("transfer ü&1", "run"),
        bank.deposit("account_B", 0.01).key("secret-2"),
        // The same again: no other entry.
        bank.deposit("account_B", 0.01).key("secret-2"),
    ] {
        assert_eq!(ask.send().await.status, 200);
    }
    // A refused request leaves nothing.
    assert_eq!(bank.withdraw("account_E", 1e6).send().await.status, 400);

    let mut answer = bank.get("/entries?after=10").await.json;
    assert!(!answer.to_string().contains("secret"), "{answer}");
    for entry in answer["entries"].as_array_mut().expect("a list") {
        let time = entry.as_object_mut().and_then(|entry| entry.remove("time"));
        let time = time.as_ref().and_then(Value::as_u64).expect("a time");
        assert!((before..=unix_now()).contains(&time), "{time}");
    }
    let entry = |id: u64, account: &str, kind: &str, cents: [i64; 2], of: [Option<&str>; 2]| {
        json!({
            "id": id,
            "account_number": account,
            "kind": kind,
            "amount": Money::from_cents(cents[0]),
            "balance": Money::from_cents(cents[1]),
            "transfer": of[0],
            "run": of[1],
        })
    };
    let of = [Some("transfer ü&1"), Some("run")];
    let expected = json!({
        "entries": [
            entry(11, "account_A", "withdraw", [2550, 97_450], of),
            entry(12, "account_A", "refund", [2550, 100_000], of),
            entry(13, "account_B", "deposit", [1, 50_001], [None, None]),
        ],
        "next": null,
    });
    assert_eq!(answer, expected);

    assert_eq!(ids(&bank, "?transfer=transfer+%C3%BC%261").await, (vec![11, 12], None));
    assert_eq!(ids(&bank, "?transfer=transfer%20%c3%bc%261&after=11").await, (vec![12], None));
    assert_eq!(ids(&bank, "?transfer=transfer").await, (vec![], None));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_and_the_last_one_says_so() {
    let bank = bank().await;
    assert_eq!(ids(&bank, "?limit=4").await, (vec![1, 2, 3, 4], Some(4)));
    assert_eq!(ids(&bank, "?limit=4&after=4").await, (vec![5, 6, 7, 8], Some(8)));
    assert_eq!(ids(&bank, "?limit=4&after=8").await, (vec![9, 10], None));
    // As many as there are: no empty page follows.
    assert_eq!(ids(&bank, "?limit=2&after=8").await, (vec![9, 10], None));
    assert_eq!(ids(&bank, "?after=10").await, (vec![], None));
    assert_eq!(ids(&bank, "?after=9223372036854775807&limit=1000").await, (vec![], None));

    for transfer in ["one", "two", "one", "two", "one"] {
        let ask = bank.withdraw("account_H", 1.0).run_of(transfer, "run");
        assert_eq!(ask.send().await.status, 200);
    }
    assert_eq!(ids(&bank, "?transfer=one&limit=2").await, (vec![11, 13], Some(13)));
    assert_eq!(ids(&bank, "?transfer=one&limit=2&after=13").await, (vec![15], None));
}

#[tokio::test]
async fn a_thousand_entries_are_one_page_and_no_more() {
    let bank = bank().await;
    let asks = (0..991).map(|_| bank.deposit("account_B", 0.01).send());
    assert!(futures::future::join_all(asks).await.iter().all(|answer| answer.status == 200));
    let (first, next) = ids(&bank, "").await;
    assert_eq!((first.len(), next), (1000, Some(1000)));
    assert_eq!(ids(&bank, "?after=1000").await, (vec![1001], None));
}

#[tokio::test]
async fn a_question_that_is_not_as_it_must_be_is_refused_with_a_sentence() {
    let bank = bank().await;
    for (query, words) in [
        ("limit=0", "limit must be a whole number from 1 to 1000"),
        ("limit=1001", "limit must be a whole number from 1 to 1000"),
        ("limit=99999999999999999999", "limit must be"),
        ("limit=-1", "limit must be"),
        ("limit=", "limit must be"),
        ("limit=ten", "limit must be"),
        ("limit=1.5", "limit must be"),
        ("limit=%2B5", "limit must be"),
        ("after=-1", "after must be a whole number from 0"),
        ("after=9223372036854775808", "after must be"),
        ("after=%FF", "the query must be UTF-8"),
        ("after=1&after=2", "after must not be repeated"),
        ("transfer=a&transfer=b", "transfer must not be repeated"),
        ("transfer=%FF", "the query must be UTF-8"),
        ("limit=1&note=%C3%28", "the query must be UTF-8"),
        ("transfer=", "transfer must be 1 to 1000 bytes"),
        (&format!("transfer={}", "t".repeat(1001)), "transfer must be 1 to 1000 bytes"),
    ] {
        let answer = bank.get(&format!("/entries?{query}")).await;
        assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{query}");
        assert!(answer.error().contains(words), "{query}: {}", answer.error());
    }
    // What nobody asked for is ignored, as in a body.
    assert_eq!(ids(&bank, "?limit=1&colour=blue&&").await, (vec![1], Some(1)));
}

#[tokio::test]
async fn a_reset_begins_a_new_ledger() {
    let bank = bank().await;
    assert_eq!(bank.deposit("account_B", 1.0).send().await.status, 200);
    assert_eq!(bank.ask("POST", "/reset").send().await.status, 200);
    let entries = page(&bank, "").await.entries;
    assert_eq!(entries.len(), 10);
    assert!(entries.iter().all(|entry| entry.kind == EntryKind::Open));
}

#[tokio::test]
async fn no_page_of_another_site_reads_the_ledger() {
    let bank = bank().await;
    for (header, value, status) in [("Origin", "https://example.com", 403), ("Host", "example.com", 421)] {
        let answer = bank.ask("GET", "/entries").header(header, value).send().await;
        assert_eq!(answer.refusal(), (status, None), "{header}");
    }
}
