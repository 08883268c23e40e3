//! Many clients at once, each on a connection of its own, at two banks that share one file.

use std::path::Path;

use contract::bank::{Entries, EntryKind};
use futures::future::join_all;
use serde_json::Value;

use crate::ledger_file::assert_ledger_adds_up;
use crate::program::Program;
use crate::support::Client;

const CLIENTS: usize = 50;

/// Connects these many clients, every other one to the other bank.
async fn crowd(banks: &[Program; 2]) -> Vec<Client> {
    let clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(&banks[number % 2].client.url)).collect();
    for answer in join_all(clients.iter().map(|client| client.get("/health"))).await {
        assert_eq!(answer.status, 200);
    }
    clients
}

fn two_banks(db: &Path) -> [Program; 2] {
    [Program::start(db), Program::start(db)]
}

/// The ledger but for the entries that opened the accounts.
async fn entries(bank: &Client) -> Entries {
    let answer = bank.get("/entries?after=10").await;
    serde_json::from_value(answer.json).expect("the contract's shape")
}

#[tokio::test]
async fn fifty_clients_with_the_same_key_at_once_are_one_entry_and_get_one_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let banks = two_banks(&db);
    let clients = crowd(&banks).await;
    for (direction, count) in [("withdraw", 1), ("deposit", 2)] {
        let asks = clients.iter().map(|client| {
            let ask = match direction {
                "withdraw" => client.withdraw("account_A", 25.5),
                _ => client.deposit("account_B", 25.5),
            };
            ask.key(direction).run_of("transfer", "run").send()
        });
        let answers: Vec<Value> = join_all(asks)
            .await
            .into_iter()
            .map(|answer| {
                assert_eq!(answer.status, 200, "{}", answer.json);
                answer.json
            })
            .collect();
        assert_eq!(answers.len(), CLIENTS);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(entries(&clients[0]).await.entries.len(), count, "{direction}");
    }
    for (account, balance) in [("account_A", 974.5), ("account_B", 525.5)] {
        assert_eq!(clients[1].balance(account).await, balance);
    }
    assert_ledger_adds_up(&db);
}

#[tokio::test]
async fn withdrawals_of_fifty_clients_at_once_never_take_an_account_below_zero() {
    const ROUNDS: usize = 6;
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let banks = two_banks(&db);
    let clients = crowd(&banks).await;
    // Together they ask for far more than the 300 dollars, and every fifth brings a little.
    let ask = async |number: usize, client: &Client| {
        let mut moved = Vec::new();
        for round in 0..ROUNDS {
            let cents = 100 + 7 * i64::try_from(number * ROUNDS + round).expect("a small number");
            let amount = cents as f64 / 100.0;
            let (ask, cents) = match number % 5 {
                0 => (client.deposit("account_E", amount), cents),
                _ => (client.withdraw("account_E", amount), -cents),
            };
            let answer = ask.send().await;
            match answer.status {
                200 => moved.push(cents),
                _ => assert_eq!(answer.refusal(), (400, Some("InsufficientFunds"))),
            }
            let balance = answer.json["new_balance"].as_f64().or(answer.json["current_balance"].as_f64());
            assert!(balance.is_some_and(|balance| balance >= 0.0), "{}", answer.json);
        }
        moved
    };
    let moved =
        join_all(clients.iter().enumerate().map(|(number, client)| ask(number, client))).await.concat();
    assert!(moved.len() < CLIENTS * ROUNDS, "nothing was refused");
    assert!(moved.iter().filter(|cents| **cents < 0).count() > 10, "{moved:?}");

    let held = 30_000 + moved.iter().sum::<i64>();
    assert_eq!((clients[0].balance("account_E").await * 100.0).round() as i64, held);
    let entries = entries(&clients[0]).await.entries;
    let mut entered: Vec<_> = entries
        .iter()
        .map(
            |entry| {
                if entry.kind == EntryKind::Withdraw { -entry.amount.cents() } else { entry.amount.cents() }
            },
        )
        .collect();
    let mut moved = moved;
    moved.sort_unstable();
    entered.sort_unstable();
    assert_eq!(entered, moved);
    assert!(entries.iter().all(|entry| entry.balance.cents() >= 0));
    assert_ledger_adds_up(&db);
}
