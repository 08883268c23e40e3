//! Any operations in any order: the bank answers as a plain model of its rules does, and holds the same ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use account_api::Bank;
use arbitrary::Unstructured;
use contract::Money;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ledger_file::assert_ledger_adds_up;
use crate::support::{Answer, Client, serve};

/// What happens to the bank.
#[derive(Clone, Debug)]
enum Operation {
    Ask(Request),
    /// One of the requests before is made once more: the one that far behind the first, and around again.
    Again(usize),
    Reset,
    /// It is closed, and opened again.
    Reopen,
    /// It is gone as by a `kill -9`, and another one opens its file.
    Kill,
}

#[derive(Clone, Debug)]
enum Request {
    Move {
        kind: &'static str,
        account: &'static str,
        cents: i64,
        key: Option<&'static str>,
        transfer: Option<&'static str>,
        run: Option<&'static str>,
    },
    Refund {
        account: &'static str,
        transfer: &'static str,
        run: &'static str,
    },
}

/// Few names, so that they meet each other often.
fn operation(dice: &mut Unstructured<'_>) -> arbitrary::Result<Operation> {
    type Name = &'static str;
    let account = |dice: &mut Unstructured<'_>| -> arbitrary::Result<Name> {
        if dice.ratio(1, 10)? { Ok("account_Z") } else { Ok(*dice.choose(&["account_A", "account_E"])?) }
    };
    let transfer = |dice: &mut Unstructured<'_>| dice.choose(&["transfer 1", "transfer 2"]).copied();
    let run = |dice: &mut Unstructured<'_>| dice.choose(&["run 1", "run 2", "run 3"]).copied();
    Ok(match dice.int_in_range(1..=25)? {
        1..=12 => Operation::Ask(Request::Move {
            kind: dice.choose(&["withdraw", "deposit"])?,
            account: account(dice)?,
            cents: match dice.int_in_range(0..=3)? {
                0 => 1,
                1 => 2550,
                2 => dice.int_in_range(1..=5000)?,
                // All that account_E has at the start.
                _ => 30_000,
            },
            key: if dice.ratio(7, 10)? {
                Some(*dice.choose(&["key 1", "key 2", "key 3", "key 4"])?)
            } else {
                None
            },
            transfer: if dice.ratio(8, 10)? { Some(transfer(dice)?) } else { None },
            run: if dice.ratio(9, 10)? { Some(run(dice)?) } else { None },
        }),
        13..=16 => Operation::Ask(Request::Refund {
            account: account(dice)?,
            transfer: transfer(dice)?,
            run: run(dice)?,
        }),
        17..=22 => Operation::Again(dice.int_in_range(0..=39)?),
        23 => Operation::Reset,
        24 => Operation::Reopen,
        _ => Operation::Kill,
    })
}

/// What the bank should do: the rules of ledger.rs over a list of entries.
struct Model {
    balances: BTreeMap<&'static str, i64>,
    entries: Vec<Entry>,
    /// How much went back with each run that is closed.
    closed: BTreeMap<(&'static str, &'static str), i64>,
}

struct Entry {
    account: &'static str,
    kind: &'static str,
    /// Below zero for what went out.
    cents: i64,
    after: i64,
    transfer: Option<&'static str>,
    run: Option<&'static str>,
    key: Option<&'static str>,
}

/// A refusal's status, code, and the fields that it has besides.
fn refused(status: u16, code: &str, more: Value) -> (u16, Value) {
    let mut json = json!({ "code": code });
    let fields = more.as_object().expect("fields").clone();
    json.as_object_mut().expect("fields").extend(fields);
    (status, json)
}

fn money(cents: i64) -> Money {
    Money::from_cents(cents)
}

impl Model {
    fn new() -> Model {
        let mut model = Model { balances: BTreeMap::new(), entries: Vec::new(), closed: BTreeMap::new() };
        model.open();
        model
    }

    fn open(&mut self) {
        for (account, balance) in contract::bank::ACCOUNTS {
            self.balances.insert(account, 0);
            self.enter(account, "open", balance.cents(), [None; 3]);
        }
    }

    fn enter(
        &mut self,
        account: &'static str,
        kind: &'static str,
        cents: i64,
        of: [Option<&'static str>; 3],
    ) {
        let balance = self.balances.get_mut(account).expect("it was looked for");
        *balance += cents;
        let [transfer, run, key] = of;
        self.entries.push(Entry { account, kind, cents, after: *balance, transfer, run, key });
    }

    /// The entries of a transfer.
    fn of<'a>(&'a self, transfer: &'a str) -> impl DoubleEndedIterator<Item = (usize, &'a Entry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| entry.transfer == Some(transfer))
    }

    fn in_transit(&self, transfer: &str) -> i64 {
        -self.of(transfer).map(|(_, entry)| entry.cents).sum::<i64>()
    }

    fn last(&self, transfer: &str, kind: &str) -> Option<usize> {
        self.of(transfer).filter(|(_, entry)| entry.kind == kind).map(|(index, _)| index).next_back()
    }

    fn ask(&mut self, request: &Request) -> (u16, Value) {
        match *request {
            Request::Move { kind, account, cents, key, transfer, run } => {
                self.move_money(kind, account, cents, [transfer, run, key])
            }
            Request::Refund { account, transfer, run } => self.refund(account, transfer, run),
        }
    }

    fn move_money(
        &mut self,
        kind: &'static str,
        account: &'static str,
        amount: i64,
        of @ [transfer, run, key]: [Option<&'static str>; 3],
    ) -> (u16, Value) {
        let closed = || refused(409, "TransferClosed", json!({}));
        if let (Some(transfer), Some(run)) = (transfer, run)
            && self.closed.contains_key(&(transfer, run))
        {
            return closed();
        }
        let cents = if kind == "withdraw" { -amount } else { amount };
        let moved = |after: i64| {
            let amount_moved = if kind == "withdraw" { "amount_withdrawn" } else { "amount_deposited" };
            let json = json!({
                "account_number": account,
                "previous_balance": money(after - cents),
                amount_moved: money(amount),
                "new_balance": money(after),
            });
            (200, json)
        };
        let used = self.entries.iter().enumerate().rev().find(|(_, entry)| key.is_some() && entry.key == key);
        if let Some((index, entry)) = used {
            let same = (entry.kind, entry.account, entry.cents, entry.transfer);
            if same != (kind, account, cents, transfer) {
                return refused(422, "KeyReused", json!({}));
            }
            let is_undone = transfer.and_then(|transfer| self.last(transfer, "refund")) > Some(index);
            if !is_undone {
                return moved(entry.after);
            }
        }
        let Some(&balance) = self.balances.get(account) else {
            return refused(404, "UnknownAccount", json!({}));
        };
        if kind == "deposit"
            && let Some(transfer) = transfer
            && self.closed.keys().any(|(closed, _)| *closed == transfer)
            && self.in_transit(transfer) < amount
        {
            return closed();
        }
        if balance + cents < 0 {
            let more = json!({ "current_balance": money(balance), "requested_amount": money(amount) });
            return refused(400, "InsufficientFunds", more);
        }
        self.enter(account, kind, cents, of);
        moved(balance + cents)
    }

    fn refund(&mut self, account: &'static str, transfer: &'static str, run: &'static str) -> (u16, Value) {
        let Some(&balance) = self.balances.get(account) else {
            return refused(404, "UnknownAccount", json!({}));
        };
        if self.of(transfer).any(|(_, entry)| entry.kind == "withdraw" && entry.account != account) {
            return refused(422, "BadRequest", json!({}));
        }
        let refunded = |amount: i64, balance: i64, delivered: bool| {
            let json = json!({
                "account_number": account,
                "amount_refunded": money(amount),
                "new_balance": money(balance),
                "delivered": delivered,
            });
            (200, json)
        };
        if let Some(&amount) = self.closed.get(&(transfer, run)) {
            return refunded(amount, balance, false);
        }
        let amount = self.in_transit(transfer).max(0);
        if amount == 0 && self.last(transfer, "deposit") > self.last(transfer, "refund") {
            return refunded(0, balance, true);
        }
        if amount > 0 {
            self.enter(account, "refund", amount, [Some(transfer), Some(run), None]);
        }
        self.close_runs(Some(transfer));
        self.closed.insert((transfer, run), amount);
        refunded(amount, balance + amount, false)
    }

    /// Closes the runs of this transfer, or of all.
    fn close_runs(&mut self, of: Option<&str>) {
        for entry in &self.entries {
            if let Some(transfer) = entry.transfer
                && of.is_none_or(|of| of == transfer)
            {
                // What named no run closes none, but the transfer had one.
                self.closed.entry((transfer, entry.run.unwrap_or(""))).or_insert(0);
            }
        }
    }

    fn reset(&mut self) {
        self.close_runs(None);
        self.entries.clear();
        self.open();
    }

    /// What must hold of the model itself.
    fn assert_sound(&self) {
        assert!(self.balances.values().all(|balance| *balance >= 0), "an account is below zero");
        let transfers: BTreeSet<_> = self.entries.iter().filter_map(|entry| entry.transfer).collect();
        for transfer in transfers {
            let sum = |kind: &str| -> i64 {
                self.of(transfer).filter(|(_, entry)| entry.kind == kind).map(|(_, entry)| entry.cents).sum()
            };
            assert!(sum("refund") <= -sum("withdraw"), "{transfer} got back more than it took");
        }
    }

    fn accounts(&self) -> Value {
        let account =
            |(number, cents): (&&str, &i64)| json!({ "account_number": number, "balance": money(*cents) });
        json!({ "accounts": self.balances.iter().map(account).collect::<Vec<_>>() })
    }

    fn entries(&self) -> Value {
        let entry = |(index, entry): (usize, &Entry)| {
            json!({
                "id": index + 1,
                "account_number": entry.account,
                "kind": entry.kind,
                "amount": money(entry.cents.abs()),
                "balance": money(entry.after),
                "transfer": entry.transfer,
                "run": entry.run,
            })
        };
        json!({ "entries": self.entries.iter().enumerate().map(entry).collect::<Vec<_>>(), "next": null })
    }
}

/// The real bank.
struct Real {
    folder: TempDir,
    bank: Bank,
    client: Client,
}

impl Real {
    async fn new() -> Real {
        let folder = tempfile::tempdir().expect("a folder");
        let bank = Bank::open(folder.path().join("bank.db")).expect("a bank");
        let client = serve(bank.clone()).await;
        Real { folder, bank, client }
    }

    async fn ask(&self, request: &Request) -> (u16, Value) {
        let mut ask;
        match request {
            Request::Move { kind, account, cents, key, transfer, run } => {
                ask = self.client.ask("POST", &format!("/accounts/{account}/{kind}"));
                ask = ask.json(json!({ "amount": money(*cents) }));
                if let Some(key) = key {
                    ask = ask.key(key);
                }
                for (name, value) in [("Transfer-Id", transfer), ("Transfer-Run", run)] {
                    if let Some(value) = value {
                        ask = ask.header(name, value);
                    }
                }
            }
            Request::Refund { account, transfer, run } => {
                ask = self.client.refund(account, 1.0).run_of(transfer, run);
            }
        }
        let Answer { status, mut json, .. } = ask.send().await;
        if status != 200 {
            let sentence = json.as_object_mut().and_then(|json| json.remove("error"));
            assert!(sentence.is_some(), "a refusal without a sentence: {json}");
        }
        (status, json)
    }

    async fn reopen(&mut self) {
        self.bank.close().await;
        self.open(self.folder.path().join("bank.db").as_path()).await;
    }

    /// Leaves the bank as it is, and opens what a kill would leave of it.
    async fn kill(&mut self) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["bank.db", "bank.db-wal"] {
            let file = self.folder.path().join(name);
            if file.exists() {
                fs::copy(file, folder.path().join(name)).expect("a copy");
            }
        }
        self.bank.close().await;
        self.open(&folder.path().join("bank.db")).await;
        self.folder = folder;
    }

    async fn open(&mut self, file: &Path) {
        self.bank = Bank::open(file).expect("the same bank");
        self.client = serve(self.bank.clone()).await;
    }

    async fn accounts(&self) -> Value {
        self.client.get("/accounts").await.json
    }

    async fn entries(&self) -> Value {
        let mut json = self.client.get("/entries").await.json;
        for entry in json["entries"].as_array_mut().expect("a list") {
            entry.as_object_mut().and_then(|entry| entry.remove("time")).expect("a time");
        }
        json
    }
}

/// Has both do the same.
async fn compare(operations: &[Operation]) {
    let (mut model, mut real) = (Model::new(), Real::new().await);
    let mut requests = Vec::new();
    for operation in operations {
        match operation {
            Operation::Ask(request) => {
                assert_eq!(real.ask(request).await, model.ask(request), "{request:?}");
                requests.push(request);
            }
            Operation::Again(index) if !requests.is_empty() => {
                let request = requests[index % requests.len()];
                assert_eq!(real.ask(request).await, model.ask(request), "again {request:?}");
            }
            Operation::Again(_) => {}
            Operation::Reset => {
                assert_eq!(real.client.ask("POST", "/reset").send().await.status, 200);
                model.reset();
            }
            Operation::Reopen => real.reopen().await,
            Operation::Kill => real.kill().await,
        }
        model.assert_sound();
        assert_eq!(real.accounts().await, model.accounts(), "{operation:?}");
        assert_eq!(real.entries().await, model.entries(), "{operation:?}");
    }
    real.bank.close().await;
    assert_ledger_adds_up(&real.folder.path().join("bank.db"));
}

/// So many days as take a few seconds; this variable asks for others.
const DAYS: u64 = 48;
const DAYS_VARIABLE: &str = "BANK_DAYS";

/// The operations that a number stands for.
fn day(number: u64) -> Vec<Operation> {
    let mut random = fastrand::Rng::with_seed(number);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1024).collect();
    let mut dice = Unstructured::new(&bytes);
    (0..random.usize(1..40)).map(|_| operation(&mut dice).expect("there are bytes enough")).collect()
}

async fn compare_shown(what: &str, operations: &[Operation]) {
    // Shown where the comparison fails.
    println!("{what}: {operations:#?}");
    compare(operations).await;
}

#[tokio::test]
async fn the_bank_does_what_a_model_of_its_rules_does() {
    let days = env::var(DAYS_VARIABLE).map_or(DAYS, |days| days.parse().expect("a number of days"));
    for number in 0..days {
        compare_shown(&format!("day {number}"), &day(number)).await;
    }
}

#[tokio::test]
async fn a_reset_closes_also_a_transfer_that_names_no_run() {
    let movement = |kind| {
        let (account, transfer) = ("account_A", Some("transfer 1"));
        Operation::Ask(Request::Move { kind, account, cents: 1, key: None, transfer, run: None })
    };
    compare_shown("found by random days", &[movement("withdraw"), Operation::Reset, movement("deposit")])
        .await;
}
