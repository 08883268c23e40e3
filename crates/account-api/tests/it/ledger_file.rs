//! The file: what the bank takes for its ledger, and what it leaves alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use account_api::Bank;
use futures::future::join_all;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::support::{Ask, serve};

fn refusal(file: &Path) -> String {
    let Err(error) = Bank::open(file) else { panic!("{} was taken", file.display()) };
    let error = format!("{error:#}");
    assert!(error.contains(&file.display().to_string()), "the file is not named: {error}");
    error
}

/// Opening fails, for this reason, and changes neither the file nor its folder.
fn assert_left_alone(file: &Path, reason: &str) {
    let before = contents(file.parent().expect("a folder"));
    let error = refusal(file);
    assert!(error.contains(reason), "{error}");
    assert!(error.contains("left as it is") && error.contains("--db"), "{error}");
    assert!(contents(file.parent().expect("a folder")) == before, "something has changed: {error}");
}

/// The files of a folder, byte for byte, but for what SQLite makes anew from them.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let files = files.filter(|file| !file.to_string_lossy().ends_with("-shm"));
    files.map(|file| (file.clone(), fs::read(file).expect("a file"))).collect()
}

async fn make_ledger(file: &Path) {
    Bank::open(file).expect("a bank").close().await;
}

#[tokio::test]
async fn the_entries_explain_every_balance() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    let bank = Bank::open(&file).expect("a bank");
    let client = serve(bank.clone()).await;
    for ask in [
        client.withdraw("account_A", 25.5).key("withdraw").run_of("transfer", "run"),
        client.refund("account_A", 25.5).run_of("transfer", "run"),
        client.deposit("account_B", 0.01),
    ] {
        assert_eq!(ask.send().await.status, 200);
    }
    // A refused request leaves nothing.
    assert_eq!(client.withdraw("account_A", 1e6).key("refused").send().await.status, 400);
    bank.close().await;

    assert_ledger_adds_up(&file);
    let connection = Connection::open(&file).expect("a database");
    let mut statement = connection
        .prepare(
            "SELECT account, kind, cents, balance_after_cents, transfer, run, idempotency_key \
             FROM entries WHERE kind <> 'open' AND unix_time > 1700000000 ORDER BY id",
        )
        .expect("the table");
    type Row = (String, String, i64, i64, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> =
        statement.query_map([], |row| row.try_into()).expect("rows").collect::<Result<_, _>>().expect("rows");
    let some = |text: &str| Some(text.to_owned());
    let row = |account: &str, kind: &str, cents, after, transfer, run, key| -> Row {
        (account.to_owned(), kind.to_owned(), cents, after, transfer, run, key)
    };
    let (transfer, run) = (some("transfer"), some("run"));
    let expected = [
        row("account_A", "withdraw", -2550, 97_450, transfer.clone(), run.clone(), some("withdraw")),
        row("account_A", "refund", 2550, 100_000, transfer, run, None),
        row("account_B", "deposit", 1, 50_001, None, None, None),
    ];
    assert_eq!(rows, expected);
}

/// For each account: what it holds is the sum of its entries, and what the last one says.
pub(crate) fn assert_ledger_adds_up(file: &Path) {
    let connection = Connection::open(file).expect("a database");
    let (accounts, wrong): (i64, i64) = connection
        .query_one(
            "SELECT count(*), coalesce(sum(balance_cents <> \
                 (SELECT sum(cents) FROM entries WHERE account = number) OR balance_cents <> \
                 (SELECT balance_after_cents FROM entries WHERE account = number \
                  ORDER BY id DESC LIMIT 1)), 0) \
             FROM accounts",
            [],
            |row| row.try_into(),
        )
        .expect("the tables");
    assert_eq!((accounts, wrong), (10, 0));
}

#[tokio::test]
async fn a_closed_bank_leaves_one_file_and_answers_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let bank = Bank::open(folder.path().join("bank.db")).expect("a bank");
    let client = serve(bank.clone()).await;
    bank.close().await;
    bank.close().await;
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    let answer = client.deposit("account_B", 1.0).send().await;
    assert_eq!(answer.refusal(), (503, None));
    assert!(answer.error().contains("shutting down"), "{}", answer.error());
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "my notes\n".repeat(1000)).expect("a file");
    assert_left_alone(&file, "not a database");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.db");
    let connection = Connection::open(&file).expect("a database");
    connection.execute_batch("CREATE TABLE accounts (name TEXT)").expect("a table");
    drop(connection);
    assert_left_alone(&file, "another program");
}

#[tokio::test]
async fn ledgers_of_a_newer_or_older_version_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    make_ledger(&file).await;
    for version in [2, 0] {
        let connection = Connection::open(&file).expect("a database");
        connection.pragma_update(None, "user_version", version).expect("a version");
        drop(connection);
        assert_left_alone(&file, &format!("its format is {version}"));
    }
}

#[tokio::test]
async fn damaged_ledgers_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    make_ledger(&file).await;
    let mut bytes = fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xA5);
    fs::write(&file, &bytes).expect("a file");
    assert_left_alone(&file, "damaged");
}

/// Makes a ledger of more than a page a table, and closes it.
async fn ledger_with_many_entries(file: &Path) {
    let bank = Bank::open(file).expect("a bank");
    let client = serve(bank.clone()).await;
    let asks = (0..150).map(|number| {
        let key = format!("a key of some length, number {number}");
        client.withdraw("account_H", 1.0).key(&key).run_of(&format!("a transfer, number {number}"), "run")
    });
    for answer in join_all(asks.map(Ask::send)).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(
        client.refund("account_H", 1.0).run_of("a transfer, number 7", "run").send().await.status,
        200
    );
    bank.close().await;
}

/// Who has how much, and why; and what each key and each transfer is found by.
fn told(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).expect("a database");
    let tell = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).expect("the table");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    };
    let columns = "id || account || kind || cents || balance_after_cents || \
                   coalesce(transfer, '') || coalesce(idempotency_key, '')";
    let mut told = tell("SELECT number || balance_cents FROM accounts ORDER BY number");
    told.extend(tell(&format!("SELECT {columns} FROM entries ORDER BY id")));
    told.extend(tell(&format!(
        "SELECT {columns} FROM entries WHERE idempotency_key > '' ORDER BY idempotency_key"
    )));
    told.extend(tell(&format!("SELECT {columns} FROM entries WHERE transfer > '' ORDER BY transfer, id")));
    told
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_wherever_it_tells_of_money() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    ledger_with_many_entries(&file).await;
    let (bytes, before) = (fs::read(&file).expect("a file"), told(&file));
    let mut noticed = 0;
    for place in (0..bytes.len()).step_by(97) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(&file, &flipped).expect("a file");
        match Bank::open(&file) {
            Ok(bank) => {
                bank.close().await;
                assert_eq!(told(&file), before, "byte {place} of {}", bytes.len());
            }
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.contains(&file.display().to_string()) && error.contains("--db"), "{error}");
                assert!(fs::read(&file).expect("a file") == flipped, "byte {place}: the file has changed");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 100, "only {noticed} were noticed");
}

#[tokio::test]
async fn ledgers_cut_short_anywhere_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    ledger_with_many_entries(&file).await;
    let bytes = fs::read(&file).expect("a file");
    // One byte SQLite takes for an empty file.
    for length in (2..bytes.len()).rev().step_by(1021).chain([2, 15, 16, 99, 100, 511, 512]) {
        fs::write(&file, &bytes[..length]).expect("a file");
        assert_left_alone(&file, "");
    }
}

#[tokio::test]
async fn ledgers_that_do_not_add_up_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    for (change, reason) in [
        ("UPDATE accounts SET balance_cents = 1 WHERE number = 'account_C'", "the balance of account_C"),
        ("UPDATE entries SET cents = -101 WHERE id = 20", "entry 20 does not add up"),
        ("UPDATE entries SET balance_after_cents = 5 WHERE id = 30", "entry 30 does not add up"),
        ("UPDATE entries SET cents = 9223372036854775807 WHERE id = 40", "entry 40 does not add up"),
        ("DELETE FROM entries WHERE id = 50", "entry 51 does not add up"),
        ("DELETE FROM accounts WHERE number = 'account_H'", "entries of unknown accounts"),
        ("DROP INDEX entries_by_key; DROP TABLE closed_runs", "its tables are not those of format 1"),
    ] {
        let _ = fs::remove_file(&file);
        ledger_with_many_entries(&file).await;
        let connection = Connection::open(&file).expect("a database");
        connection.pragma_update(None, "foreign_keys", false).expect("a setting");
        connection.execute_batch(change).expect("a change");
        drop(connection);
        assert_left_alone(&file, reason);
    }
}

#[tokio::test]
async fn refused_ledgers_keep_the_log_that_a_kill_left_beside_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    make_ledger(&file).await;
    let connection = Connection::open(&file).expect("a database");
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("a setting");
    connection.pragma_update(None, "user_version", 2).expect("a version");
    drop(connection);
    let log = contents(folder.path()).remove(&folder.path().join("bank.db-wal"));
    assert!(log.is_some_and(|log| log.len() > 4096));
    assert_left_alone(&file, "its format is 2");
}

#[tokio::test]
async fn a_log_whose_ledger_was_moved_away_is_not_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    let bank = Bank::open(&file).expect("a bank");
    let client = serve(bank.clone()).await;
    assert_eq!(client.deposit("account_B", 1.0).send().await.status, 200);
    let crashed = tempfile::tempdir().expect("a folder");
    for name in ["bank.db", "bank.db-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).expect("a copy");
    }
    bank.close().await;

    let (file, moved) = (crashed.path().join("bank.db"), crashed.path().join("moved.db"));
    fs::rename(&file, &moved).expect("a move");
    for is_empty in [false, true] {
        if is_empty {
            fs::write(&file, "").expect("a file");
        }
        let before = contents(crashed.path());
        let error = refusal(&file);
        assert!(error.contains("bank.db-wal") && error.contains("put the ledger back"), "{error}");
        assert!(contents(crashed.path()) == before, "something has changed: {error}");
    }
    fs::rename(&moved, &file).expect("a move");
    let client = serve(Bank::open(&file).expect("the same bank")).await;
    assert_eq!(client.balance("account_B").await, 501.0);
}

#[test]
fn a_program_that_has_locked_the_file_is_to_be_closed_and_the_file_not_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    let connection = Connection::open(&file).expect("a database");
    connection.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let error = refusal(&file);
    assert!(error.contains("close the other program") && !error.contains("mv "), "{error}");
}

#[tokio::test]
async fn a_program_that_locks_the_file_later_is_named_before_a_client_gives_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    let client = serve(Bank::open(&file).expect("a bank")).await;
    let connection = Connection::open(&file).expect("a database");
    connection.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    // The worker waits four seconds for an answer.
    let answer = tokio::time::timeout(Duration::from_secs(4), client.get("/accounts")).await;
    let answer = answer.expect("it answers in time");
    assert_eq!(answer.refusal(), (503, None), "{}", answer.json);
    assert!(answer.error().contains("close the other program"), "{}", answer.error());
    connection.execute_batch("COMMIT").expect("it is let go");
    assert_eq!(client.balance("account_A").await, 1000.0);
}

#[tokio::test]
async fn damage_that_comes_while_the_bank_is_open_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    make_ledger(&file).await;
    // More than SQLite keeps in memory.
    let connection = Connection::open(&file).expect("a database");
    connection
        .execute_batch(
            "WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
             INSERT INTO entries (account, kind, cents, balance_after_cents, transfer)
             SELECT 'account_B', 'deposit', 1, 50000 + n, printf('%0500d', n) FROM number;
             UPDATE accounts SET balance_cents = 70000 WHERE number = 'account_B'",
        )
        .expect("entries");
    drop(connection);

    let bank = Bank::open(&file).expect("a bank");
    let client = serve(bank.clone()).await;
    let length = fs::metadata(&file).expect("a file").len();
    let mut damage = fs::OpenOptions::new().write(true).open(&file).expect("a file");
    damage.seek(SeekFrom::Start(8 * 4096)).expect("a place");
    damage.write_all(&vec![0xA5; usize::try_from(length).expect("a length") - 8 * 4096]).expect("a change");
    let answer = client.get("/entries?after=5000").await;
    assert_eq!(answer.refusal(), (503, None), "{}", answer.json);
    for part in
        [&file.display().to_string(), "malformed", "nothing was changed", "with the bank stopped", "mv "]
    {
        assert!(answer.error().contains(part), "{part}: {}", answer.error());
    }
    // What can still be read is.
    assert_eq!(client.balance("account_A").await, 1000.0);
}

#[test]
fn a_place_where_no_file_can_be_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    refusal(folder.path());
    refusal(&folder.path().join("missing/bank.db"));
    assert!(Bank::open("").is_err());
}

#[tokio::test]
async fn an_empty_file_becomes_the_books() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    make_ledger(file.path()).await;
    assert_ledger_adds_up(file.path());
}
