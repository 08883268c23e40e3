//! The file: what the bank takes for its books, and what it leaves alone.

use std::fs;
use std::path::Path;

use account_api::Bank;
use rusqlite::Connection;

use crate::support::serve;

fn refusal(file: &Path) -> String {
    let Err(error) = Bank::open(file) else { panic!("{} was taken", file.display()) };
    let error = format!("{error:#}");
    assert!(error.contains(&file.display().to_string()), "the file is not named: {error}");
    error
}

/// Opening fails, for this reason, and changes neither the file nor its folder.
fn assert_left_alone(file: &Path, reason: &str) {
    let bytes = fs::read(file).expect("a file");
    let names = || {
        let entries = fs::read_dir(file.parent().expect("a folder")).expect("a folder");
        entries.map(|entry| entry.expect("a file").file_name()).collect::<Vec<_>>()
    };
    let before = names();
    let error = refusal(file);
    assert!(error.contains(reason), "{error}");
    assert!(error.contains("left as it is"), "{error}");
    assert_eq!(fs::read(file).expect("a file"), bytes);
    assert_eq!(names(), before);
}

async fn books(file: &Path) {
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

    assert_books_add_up(&file);
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
pub(crate) fn assert_books_add_up(file: &Path) {
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
    assert!(answer.error().contains("closing"), "{}", answer.error());
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
async fn books_of_a_newer_or_older_version_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    books(&file).await;
    for version in [2, 0] {
        let connection = Connection::open(&file).expect("a database");
        connection.pragma_update(None, "user_version", version).expect("a version");
        drop(connection);
        assert_left_alone(&file, &format!("its format is {version}"));
    }
}

#[tokio::test]
async fn damaged_books_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    books(&file).await;
    let mut bytes = fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xA5);
    fs::write(&file, &bytes).expect("a file");
    assert_left_alone(&file, "damaged");
    // Cut short.
    fs::write(&file, &bytes[..middle]).expect("a file");
    assert_left_alone(&file, "malformed");
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
    books(file.path()).await;
    assert_books_add_up(file.path());
}
