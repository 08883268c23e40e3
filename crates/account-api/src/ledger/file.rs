//! The ledger's file: created if missing, checked before use, and left unchanged if it is not valid.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use super::Ledger;

/// How long to wait for another program that holds the file's lock, when the file is opened, and later: then a client waits for the answer,
/// and should read what is wrong before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_TIMEOUT_IN_USE: Duration = Duration::from_secs(1);

/// Marks an SQLite file as one of this bank: `TBLb`.
const APPLICATION_ID: i32 = 0x5442_4C62;

/// The format of the tables below. Any change to them takes the next number.
const FORMAT: i32 = 1;

/// The tables. A file of this format has them word for word.
const SCHEMA: &str = "
CREATE TABLE accounts (
    number        TEXT    PRIMARY KEY,
    balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    id                  INTEGER PRIMARY KEY,
    account             TEXT    NOT NULL REFERENCES accounts,
    kind                TEXT    NOT NULL CHECK (kind IN ('open', 'withdraw', 'deposit', 'refund')),
    cents               INTEGER NOT NULL,
    balance_after_cents INTEGER NOT NULL,
    transfer            TEXT,
    run                 TEXT,
    idempotency_key     TEXT,
    unix_time           INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
CREATE INDEX entries_by_transfer ON entries (transfer) WHERE transfer IS NOT NULL;
CREATE INDEX entries_by_key ON entries (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE closed_runs (
    transfer       TEXT    NOT NULL,
    run            TEXT    NOT NULL,
    refunded_cents INTEGER NOT NULL,
    PRIMARY KEY (transfer, run)
) STRICT, WITHOUT ROWID;
";

impl Ledger {
    /// Opens the file, or makes it with the accounts of the start.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Ledger> {
        ensure!(!path.as_os_str().is_empty(), "the ledger's file name is empty");
        let log = log_of(path);
        let has_log = length(&log) > 0;
        // SQLite deletes a log without its database. Where a database was moved away after a kill, and its log was
        // not, its last entries would be lost for good.
        ensure!(
            !has_log || length(path) > 0,
            "there is a log {log}, and the ledger {path} that it belongs to is gone: put the ledger back beside it, \
             move the log away, or name another ledger with --db",
            log = log.display(),
            path = path.display(),
        );
        Ledger::open_file(path, has_log).map_err(|error| {
            anyhow!(
                "cannot use {} as the bank's ledger; it is left as it is: {}, or name another with --db: {error}",
                path.display(),
                remedy(error.downcast_ref(), path),
            )
        })
    }

    /// Opens the file, or leaves it as it is, with its log if it has one.
    fn open_file(path: &Path, has_log: bool) -> anyhow::Result<Ledger> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // SQLite takes some names for no file, such as `:memory:` and `file:bank.db?mode=memory`.
        let connection = Connection::open_with_flags(Path::new(".").join(path), flags)?;
        // It opens what cannot be written as well, to be read.
        if connection.is_readonly(MAIN_DB)? {
            let why = Some("it cannot be written".to_owned());
            bail!(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), why));
        }
        // Else the log would go into a file that is refused, when that is closed.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        let ledger = Ledger::from_connection(connection, path.to_owned())?;
        ledger.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(ledger)
    }

    /// A ledger that is gone when it is dropped.
    pub(crate) fn in_memory() -> anyhow::Result<Ledger> {
        Ledger::from_connection(Connection::open_in_memory()?, PathBuf::new())
    }

    /// Makes the tables in a blank database, and checks any other before it is used.
    fn from_connection(connection: Connection, file: PathBuf) -> anyhow::Result<Ledger> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.pragma_update(None, "foreign_keys", true)?;
        let ledger = Ledger { connection, file };
        let transaction = ledger.begin()?;
        if ledger.is_blank()? {
            ledger.create()?;
        } else {
            ledger.verify()?;
        }
        transaction.commit()?;
        ledger.connection.pragma_update(None, "journal_mode", "WAL")?;
        ledger.connection.pragma_update(None, "synchronous", "NORMAL")?;
        ledger.connection.busy_timeout(BUSY_TIMEOUT_IN_USE)?;
        Ok(ledger)
    }

    /// Whether nobody has used the file yet.
    fn is_blank(&self) -> rusqlite::Result<bool> {
        let tables: i64 =
            self.connection.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(tables == 0 && self.pragma("application_id")? == 0 && self.pragma("user_version")? == 0)
    }

    /// The tables, marked as this bank's, with the accounts of the start.
    fn create(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch(SCHEMA)?;
        self.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        self.connection.pragma_update(None, "user_version", FORMAT)?;
        self.open_accounts()
    }

    /// Checks that this is a ledger of this bank and this format, whole, and that it adds up.
    fn verify(&self) -> anyhow::Result<()> {
        ensure!(self.pragma("application_id")? == APPLICATION_ID, "it is a database of another program");
        let format = self.pragma("user_version")?;
        ensure!(
            format == FORMAT,
            "its format is {format}, but this version of account-api supports only format {FORMAT}"
        );
        ensure!(
            self.tables()? == Ledger::in_memory()?.tables()?,
            "its tables are not those of format {FORMAT}"
        );
        let verdict: String = self.connection.query_one("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        ensure!(verdict == "ok", "it is damaged: {verdict}");
        self.add_up()
    }

    /// That every account holds what its entries come to, and did so after each of them.
    fn add_up(&self) -> anyhow::Result<()> {
        let mut balances: HashMap<String, i64> = HashMap::new();
        let mut statement = self
            .connection
            .prepare("SELECT account, cents, balance_after_cents, id FROM entries ORDER BY id")?;
        let mut entries = statement.query([])?;
        while let Some(entry) = entries.next()? {
            let account = entry.get_ref(0)?.as_str()?;
            let (cents, after, id): (i64, i64, i64) = (entry.get(1)?, entry.get(2)?, entry.get(3)?);
            let before = balances.get(account).copied().unwrap_or(0);
            ensure!(
                before.checked_add(cents) == Some(after),
                "it is damaged: entry {id} does not add up with those of {account} before it"
            );
            match balances.get_mut(account) {
                Some(balance) => *balance = after,
                None => drop(balances.insert(account.to_owned(), after)),
            }
        }
        let mut statement = self.connection.prepare("SELECT number, balance_cents FROM accounts")?;
        let mut accounts = statement.query([])?;
        while let Some(account) = accounts.next()? {
            let (number, balance): (String, i64) = (account.get(0)?, account.get(1)?);
            ensure!(
                balances.remove(&number) == Some(balance),
                "it is damaged: the balance of {number} is not the sum of its entries"
            );
        }
        ensure!(balances.is_empty(), "it is damaged: it has entries of unknown accounts");
        Ok(())
    }

    /// How the tables and their indexes were made.
    fn tables(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement =
            self.connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// The number that a `PRAGMA` gives.
    fn pragma(&self, name: &str) -> rusqlite::Result<i32> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    /// Why nothing was changed when the open ledger gave this error, and what to do about it.
    pub(crate) fn trouble(&self, error: &rusqlite::Error) -> String {
        format!(
            "the bank cannot use its ledger {} ({error}), so nothing was changed: {}, then try again",
            self.file.display(),
            remedy(Some(error), &self.file)
        )
    }
}

/// SQLite's log of this file.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// The length of a file, 0 if there is none.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// What to do about a ledger that gives this error, or is none.
fn remedy(error: Option<&rusqlite::Error>, file: &Path) -> String {
    match error.and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::DiskFull) => "free some disk space".to_owned(),
        Some(ErrorCode::SystemIoFailure) => "check whether its disk is full or damaged".to_owned(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "give the bank write access to it and its folder".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "close the other program that is using it".to_owned()
        }
        _ => {
            let file = file.display();
            format!("with the bank stopped, move it away and what is beside it (`mv '{file}'* ELSEWHERE`)")
        }
    }
}
