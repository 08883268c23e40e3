//! The ledger: every account's balance, and every entry that led to it, in one SQLite file.
//!
//! An entry is never changed. It contains the request's idempotency key, transfer and run, so the response to a repeated request
//! comes from the entry itself and always matches it.
//!
//! # How money moves once
//!
//! A *transfer* has one or more *runs*; a Workflow Reset starts a new run. Money that a transfer has withdrawn and neither
//! deposited nor refunded is *in transit*.
//!
//! - **A request repeated with the same key is applied once**, and gets its response from the entry. Another request (account,
//!   direction, amount or transfer) with that key is refused. Refusals are not stored: a retry is judged again.
//! - **A refund returns what is in transit**, whatever the requested amount, because only that neither loses nor creates money.
//!   If the money has been deposited, nothing is undone: only the deposit's response was lost.
//! - **A refund closes its run**, and the runs in the transfer's entries, which a reset has ended. A withdrawal or deposit of such
//!   a run may still be in flight, from an attempt that timed out. After the refund it would move money for a closed transfer,
//!   so it is refused, even if its key had been applied before.
//! - **A repeated refund gets the same response**: its run is closed, so it cannot return what a later run has withdrawn.
//! - **A refund undoes the transfer's earlier entries.** A key whose entry is undone is applied again for the same request, so that
//!   a reset can withdraw again with the keys of the first run.
//! - **A refunded transfer deposits only what is in transit.** Otherwise a reset to a point after the withdrawal would deposit
//!   refunded money. Transfers without a refund have no such rule, because other clients may deposit without a withdrawal.
//! - **A reset of the bank closes all runs of the old ledger**: otherwise a transfer in progress would deposit into the new ledger
//!   what it withdrew from the old one. That includes transfers whose requests name no run.
//!
//! There is one gap: if a Workflow Reset ended a run that has no entry yet, a later run's refund does not close it. A first
//! withdrawal of that run which is still in flight, seconds after its attempt timed out, would be applied.
//!
//! # What survives
//!
//! An acknowledged change survives a `kill -9` of any process. A power cut may lose the last changes (`synchronous = NORMAL`), but
//! the ledger always adds up.

mod file;

use std::path::PathBuf;

use contract::bank::{self, EntryKind};
use contract::{Amount, Money};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, TransactionBehavior, params};

/// The most an account may hold. Up to here a JSON number holds every cent exactly.
const MAX_BALANCE: Money = Money::from_dollars(10_000_000_000_000);

/// A page of all entries: `?1` is the last one before it, `?2` how many there may be.
const ENTRIES: &str = "
    SELECT id, account, kind, abs(cents), balance_after_cents, transfer, run, unix_time
    FROM entries WHERE id > ?1 ORDER BY id LIMIT ?2";

/// The same of the transfer `?3`.
const ENTRIES_OF_TRANSFER: &str = "
    SELECT id, account, kind, abs(cents), balance_after_cents, transfer, run, unix_time
    FROM entries WHERE transfer = ?3 AND id > ?1 ORDER BY id LIMIT ?2";

/// The last entry with a key.
const ENTRY_OF_KEY: &str = "
    SELECT id, account, kind, cents, balance_after_cents, transfer
    FROM entries WHERE idempotency_key = ?1 ORDER BY id DESC LIMIT 1";

/// The sums of a transfer's entries.
const STANDING: &str = "
    SELECT coalesce(-sum(cents), 0),
           coalesce(max(id) FILTER (WHERE kind = 'refund'), 0),
           coalesce(max(id) FILTER (WHERE kind = 'deposit'), 0)
    FROM entries WHERE transfer = ?1";

/// Whether a transfer has withdrawn from another account.
const WITHDREW_ELSEWHERE: &str = "
    SELECT 1 FROM entries WHERE transfer = ?1 AND kind = 'withdraw' AND account <> ?2";

/// The amount of the refund that closed a run.
const REFUNDED_BY: &str = "
    SELECT refunded_cents FROM closed_runs WHERE transfer = ?1 AND run = ?2";

/// Whether any run of a transfer is closed.
const HAD_A_RUN_CLOSED: &str = "
    SELECT 1 FROM closed_runs WHERE transfer = ?1 LIMIT 1";

/// Closes the runs that a transfer had so far.
const CLOSE_RUNS_SO_FAR: &str = "
    INSERT OR IGNORE INTO closed_runs (transfer, run, refunded_cents)
    SELECT transfer, run, 0 FROM entries WHERE transfer = ?1 AND run IS NOT NULL";

/// What an account holds.
const BALANCE: &str = "
    SELECT balance_cents FROM accounts WHERE number = ?1";

/// Changes it.
const SET_BALANCE: &str = "
    UPDATE accounts SET balance_cents = ?2 WHERE number = ?1";

/// The direction of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out of the account.
    Withdraw,
    /// Into the account.
    Deposit,
}

impl Direction {
    /// The entry's kind in the ledger.
    fn kind(self) -> &'static str {
        match self {
            Direction::Withdraw => "withdraw",
            Direction::Deposit => "deposit",
        }
    }

    /// What the movement does to the balance.
    fn signed_cents(self, amount: Amount) -> i64 {
        match self {
            Direction::Withdraw => -amount.cents(),
            Direction::Deposit => amount.cents(),
        }
    }
}

/// A requested withdrawal or deposit.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    /// Out or in.
    pub(crate) direction: Direction,
    /// The account's number.
    pub(crate) account: String,
    /// How much.
    pub(crate) amount: Amount,
    /// Where it belongs.
    pub(crate) provenance: Provenance,
}

/// The key, transfer and run of a request, each optional.
#[derive(Clone, Debug, Default)]
pub(crate) struct Provenance {
    /// The same for every attempt of one request.
    pub(crate) idempotency_key: Option<String>,
    /// The same for every run of one transfer.
    pub(crate) transfer: Option<String>,
    /// One execution of the transfer.
    pub(crate) run: Option<String>,
}

/// A movement that is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// What the account held before.
    pub(crate) previous_balance: Money,
    /// What it held then.
    pub(crate) new_balance: Money,
}

/// A requested refund.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    /// The account that the money was withdrawn from.
    pub(crate) account: String,
    /// The transfer to undo.
    pub(crate) transfer: String,
    /// The run to close.
    pub(crate) run: String,
}

/// The result of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenBack {
    /// The refunded amount.
    pub(crate) amount: Money,
    /// What the account holds now.
    pub(crate) new_balance: Money,
    /// Whether the money had been deposited, so that nothing was undone.
    pub(crate) delivered: bool,
}

/// Which entries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Only this transfer's, where one is named.
    pub(crate) transfer: Option<String>,
    /// Only those behind this one.
    pub(crate) after: i64,
    /// So many at most.
    pub(crate) limit: i64,
}

/// Why the bank refuses a request. The ledger is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such account.
    UnknownAccount,
    /// The account holds less than is asked for.
    InsufficientFunds { balance: Money, amount: Amount },
    /// The account would hold more than [`MAX_BALANCE`].
    AccountFull,
    /// The key was used for another request.
    KeyReused,
    /// A refund has closed the run that this comes from.
    RunClosed,
    /// The transfer was refunded, and less than the deposit is in transit.
    NotInTransit,
    /// The transfer's money was taken from another account than the one to refund.
    OtherAccount,
}

/// Why an operation on the ledger failed.
#[derive(Debug)]
pub(crate) enum LedgerError {
    /// By the bank's rules.
    Refused(Refused),
    /// SQLite cannot read or write the file: all of the transaction is lost.
    Broken(rusqlite::Error),
}

impl From<Refused> for LedgerError {
    fn from(refused: Refused) -> LedgerError {
        LedgerError::Refused(refused)
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> LedgerError {
        LedgerError::Broken(error)
    }
}

/// An entry that a repeated request is answered from.
struct Entry {
    id: i64,
    account: String,
    kind: String,
    cents: i64,
    balance_after: i64,
    transfer: Option<String>,
}

/// How far a transfer's money has come.
struct Standing {
    /// Withdrawn, and neither deposited nor refunded.
    in_transit: Money,
    /// The last refund's entry; 0 for none.
    last_refund: i64,
    /// The last deposit's entry; 0 for none.
    last_deposit: i64,
}

/// The open ledger.
///
/// Its methods check first and write last, so a refusal writes nothing. Call them between [`begin`](Ledger::begin) and a commit.
pub(crate) struct Ledger {
    connection: Connection,
    /// Where its file is; empty for one in memory.
    file: PathBuf,
}

impl Ledger {
    /// The accounts of the start, each with the entry that explains its balance.
    fn open_accounts(&self) -> rusqlite::Result<()> {
        for (number, balance) in bank::ACCOUNTS {
            self.connection.execute(
                "INSERT INTO accounts (number, balance_cents) VALUES (?1, ?2)",
                params![number, balance.cents()],
            )?;
            self.connection.execute(
                "INSERT INTO entries (account, kind, cents, balance_after_cents) \
                 VALUES (?1, 'open', ?2, ?2)",
                params![number, balance.cents()],
            )?;
        }
        Ok(())
    }

    /// Begins a transaction; dropped without a commit, it is rolled back.
    pub(crate) fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
    }

    /// All accounts, by number.
    pub(crate) fn accounts(&self) -> Result<Vec<bank::Account>, LedgerError> {
        let mut statement =
            self.connection.prepare_cached("SELECT number, balance_cents FROM accounts ORDER BY number")?;
        let accounts = statement.query_map([], |row| {
            let balance = Money::from_cents(row.get(1)?);
            Ok(bank::Account { account_number: row.get(0)?, balance })
        })?;
        Ok(accounts.collect::<Result<_, _>>()?)
    }

    /// What an account holds.
    pub(crate) fn balance(&self, account: &str) -> Result<Money, LedgerError> {
        let mut statement = self.connection.prepare_cached(BALANCE)?;
        let cents: Option<i64> = statement.query_one([account], |row| row.get(0)).optional()?;
        Ok(cents.map(Money::from_cents).ok_or(Refused::UnknownAccount)?)
    }

    /// A page of the entries, oldest first, without idempotency keys: with a key, anyone could repeat its request.
    pub(crate) fn entries(&self, page: &Page) -> Result<bank::Entries, LedgerError> {
        // One more than requested shows whether there is a next page.
        let most = page.limit + 1;
        let mut entries = match &page.transfer {
            None => self.entries_of(ENTRIES, params![page.after, most])?,
            Some(transfer) => self.entries_of(ENTRIES_OF_TRANSFER, params![page.after, most, transfer])?,
        };
        let mut next = None;
        if entries.len() as i64 == most {
            entries.pop();
            next = entries.last().map(|entry| entry.id);
        }
        Ok(bank::Entries { entries, next })
    }

    /// The entries that one of the two statements finds.
    fn entries_of(&self, sql: &str, values: impl Params) -> rusqlite::Result<Vec<bank::Entry>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let entries = statement.query_map(values, |row| {
            Ok(bank::Entry {
                id: row.get::<_, i64>(0)?.cast_unsigned(),
                account_number: row.get(1)?,
                kind: kind_named(&row.get::<_, String>(2)?),
                amount: Money::from_cents(row.get(3)?),
                balance: Money::from_cents(row.get(4)?),
                transfer: row.get(5)?,
                run: row.get(6)?,
                time: row.get::<_, i64>(7)?.cast_unsigned(),
            })
        })?;
        entries.collect()
    }

    /// Withdraws or deposits, or finds that it was done before.
    pub(crate) fn apply(&self, movement: &Movement) -> Result<Moved, LedgerError> {
        let Movement { direction, account, amount, provenance } = movement;
        if let (Some(transfer), Some(run)) = (&provenance.transfer, &provenance.run)
            && self.refunded_by(transfer, run)?.is_some()
        {
            return Err(Refused::RunClosed.into());
        }
        if let Some(key) = &provenance.idempotency_key
            && let Some(moved) = self.repeated(movement, key)?
        {
            return Ok(moved);
        }

        let previous_balance = self.balance(account)?;
        if *direction == Direction::Deposit
            && let Some(transfer) = &provenance.transfer
        {
            let standing = self.standing(transfer)?;
            let undone = standing.last_refund > 0 || self.had_a_run_closed(transfer)?;
            if undone && standing.in_transit < Money::from(*amount) {
                return Err(Refused::NotInTransit.into());
            }
        }
        let new_balance = match direction {
            Direction::Withdraw => previous_balance
                .checked_sub(Money::from(*amount))
                .filter(|balance| *balance >= Money::ZERO)
                .ok_or(Refused::InsufficientFunds { balance: previous_balance, amount: *amount })?,
            Direction::Deposit => raised(previous_balance, Money::from(*amount))?,
        };

        let cents = direction.signed_cents(*amount);
        self.enter(direction.kind(), account, cents, new_balance, provenance)?;
        Ok(Moved { previous_balance, new_balance })
    }

    /// Gives back what the transfer has in transit, and closes the run.
    pub(crate) fn refund(&self, refund: &Refund) -> Result<GivenBack, LedgerError> {
        let Refund { account, transfer, run } = refund;
        let balance = self.balance(account)?;
        if self.withdrew_elsewhere(transfer, account)? {
            return Err(Refused::OtherAccount.into());
        }
        if let Some(amount) = self.refunded_by(transfer, run)? {
            return Ok(GivenBack { amount, new_balance: balance, delivered: false });
        }

        let standing = self.standing(transfer)?;
        let amount = standing.in_transit.max(Money::ZERO);
        if amount == Money::ZERO && standing.last_deposit > standing.last_refund {
            return Ok(GivenBack { amount, new_balance: balance, delivered: true });
        }
        let new_balance = raised(balance, amount)?;
        if amount > Money::ZERO {
            let provenance = Provenance {
                idempotency_key: None,
                transfer: Some(transfer.clone()),
                run: Some(run.clone()),
            };
            self.enter("refund", account, amount.cents(), new_balance, &provenance)?;
        }
        self.close(transfer, run, amount)?;
        Ok(GivenBack { amount, new_balance, delivered: false })
    }

    /// Whether any run of the transfer is closed, by a refund or by a reset of the bank.
    fn had_a_run_closed(&self, transfer: &str) -> rusqlite::Result<bool> {
        self.connection.prepare_cached(HAD_A_RUN_CLOSED)?.exists([transfer])
    }

    /// Closes this run, and those that the transfer had before.
    fn close(&self, transfer: &str, run: &str, refunded: Money) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO closed_runs (transfer, run, refunded_cents) VALUES (?1, ?2, ?3)")?
            .execute(params![transfer, run, refunded.cents()])?;
        self.connection.prepare_cached(CLOSE_RUNS_SO_FAR)?.execute([transfer])?;
        Ok(())
    }

    /// Resets the ledger to the initial balances. Only the closed runs are kept.
    pub(crate) fn reset(&self) -> Result<(), LedgerError> {
        // An empty run name, which no request can have, represents movements without a run.
        self.connection.execute_batch(
            "INSERT OR IGNORE INTO closed_runs (transfer, run, refunded_cents) \
             SELECT transfer, coalesce(run, ''), 0 FROM entries WHERE transfer IS NOT NULL; \
             DELETE FROM entries; DELETE FROM accounts;",
        )?;
        Ok(self.open_accounts()?)
    }

    /// Stands in for a disk with room for so many pages, or as many as are in use.
    #[cfg(test)]
    pub(crate) fn limit_size(&self, pages: u32) -> Result<(), LedgerError> {
        let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        self.connection.query_one(&format!("PRAGMA max_page_count = {pages}"), [], set)?;
        Ok(())
    }

    /// The answer of the first request with this key, unless a refund has undone it.
    fn repeated(&self, movement: &Movement, key: &str) -> Result<Option<Moved>, LedgerError> {
        let mut statement = self.connection.prepare_cached(ENTRY_OF_KEY)?;
        let entry = statement.query_one([key], |row| {
            Ok(Entry {
                id: row.get(0)?,
                account: row.get(1)?,
                kind: row.get(2)?,
                cents: row.get(3)?,
                balance_after: row.get(4)?,
                transfer: row.get(5)?,
            })
        });
        let Some(entry) = entry.optional()? else { return Ok(None) };
        if entry.account != movement.account
            || entry.kind != movement.direction.kind()
            || entry.cents != movement.direction.signed_cents(movement.amount)
            || entry.transfer != movement.provenance.transfer
        {
            return Err(Refused::KeyReused.into());
        }
        if let Some(transfer) = &entry.transfer
            && self.standing(transfer)?.last_refund > entry.id
        {
            return Ok(None);
        }
        Ok(Some(Moved {
            previous_balance: Money::from_cents(entry.balance_after - entry.cents),
            new_balance: Money::from_cents(entry.balance_after),
        }))
    }

    /// Adds up the transfer's entries.
    fn standing(&self, transfer: &str) -> rusqlite::Result<Standing> {
        let mut statement = self.connection.prepare_cached(STANDING)?;
        statement.query_one([transfer], |row| {
            Ok(Standing {
                in_transit: Money::from_cents(row.get(0)?),
                last_refund: row.get(1)?,
                last_deposit: row.get(2)?,
            })
        })
    }

    /// What the refund that closed this run gave back; `None` for a run that is open.
    fn refunded_by(&self, transfer: &str, run: &str) -> rusqlite::Result<Option<Money>> {
        self.connection
            .prepare_cached(REFUNDED_BY)?
            .query_one([transfer, run], |row| Ok(Money::from_cents(row.get(0)?)))
            .optional()
    }

    /// Whether the transfer has withdrawn from an account other than this one.
    fn withdrew_elsewhere(&self, transfer: &str, account: &str) -> rusqlite::Result<bool> {
        self.connection.prepare_cached(WITHDREW_ELSEWHERE)?.exists([transfer, account])
    }

    /// Writes the balance and the entry that explains it.
    fn enter(
        &self,
        kind: &str,
        account: &str,
        cents: i64,
        new_balance: Money,
        provenance: &Provenance,
    ) -> rusqlite::Result<()> {
        self.connection.prepare_cached(SET_BALANCE)?.execute(params![account, new_balance.cents()])?;
        self.connection
            .prepare_cached(
                "INSERT INTO entries (account, kind, cents, balance_after_cents, transfer, run, \
                                      idempotency_key) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                account,
                kind,
                cents,
                new_balance.cents(),
                provenance.transfer,
                provenance.run,
                provenance.idempotency_key,
            ])?;
        Ok(())
    }
}

/// The kind of an entry by its name in the table, which has no others.
fn kind_named(name: &str) -> EntryKind {
    match name {
        "withdraw" => EntryKind::Withdraw,
        "deposit" => EntryKind::Deposit,
        "refund" => EntryKind::Refund,
        _ => EntryKind::Open,
    }
}

/// The balance with this amount on top, if an account may hold that.
fn raised(balance: Money, amount: Money) -> Result<Money, Refused> {
    balance.checked_add(amount).filter(|sum| *sum <= MAX_BALANCE).ok_or(Refused::AccountFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step by which SQLite finds what a statement asks for.
    fn plan(ledger: &Ledger, sql: &str) -> Vec<String> {
        let mut statement =
            ledger.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
        let steps = statement.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<Result<_, _>>().expect("a plan")
    }

    #[test]
    fn a_page_of_a_million_entries_is_found_by_an_index_and_not_sorted() {
        let ledger = Ledger::in_memory().expect("a ledger");
        for (sql, step) in [
            (ENTRIES, "SEARCH entries USING INTEGER PRIMARY KEY (rowid>?)"),
            (ENTRIES_OF_TRANSFER, "SEARCH entries USING INDEX entries_by_transfer (transfer=? AND rowid>?)"),
        ] {
            assert_eq!(plan(&ledger, sql), [step]);
        }
    }

    #[test]
    fn moving_money_reads_no_table_from_end_to_end() {
        let ledger = Ledger::in_memory().expect("a ledger");
        for (sql, step) in [
            (BALANCE, "SEARCH accounts USING PRIMARY KEY (number=?)"),
            (SET_BALANCE, "SEARCH accounts USING PRIMARY KEY (number=?)"),
            (ENTRY_OF_KEY, "SEARCH entries USING INDEX entries_by_key (idempotency_key=?)"),
            (STANDING, "SEARCH entries USING INDEX entries_by_transfer (transfer=?)"),
            (WITHDREW_ELSEWHERE, "SEARCH entries USING INDEX entries_by_transfer (transfer=?)"),
            (REFUNDED_BY, "SEARCH closed_runs USING PRIMARY KEY (transfer=? AND run=?)"),
            (HAD_A_RUN_CLOSED, "SEARCH closed_runs USING PRIMARY KEY (transfer=?)"),
            (CLOSE_RUNS_SO_FAR, "SEARCH entries USING INDEX entries_by_transfer (transfer=?)"),
        ] {
            assert_eq!(plan(&ledger, sql), [step], "{sql}");
        }
    }

    #[test]
    fn an_account_holds_no_more_than_json_can_say_to_the_cent() {
        let ledger = Ledger::in_memory().expect("a ledger");
        let nearly_full = MAX_BALANCE.cents() - 2;
        ledger.connection.execute("UPDATE accounts SET balance_cents = ?1", [nearly_full]).expect("a change");
        let movement = |cents| Movement {
            direction: Direction::Deposit,
            account: "account_A".to_owned(),
            amount: Amount::from_cents(cents).expect("an amount"),
            provenance: Provenance::default(),
        };
        let full = ledger.apply(&movement(3)).expect_err("one cent too many");
        assert!(matches!(full, LedgerError::Refused(Refused::AccountFull)), "{full:?}");
        let most = ledger.apply(&movement(Amount::MAX.cents())).expect_err("far too many");
        assert!(matches!(most, LedgerError::Refused(Refused::AccountFull)), "{most:?}");

        let balance = ledger.apply(&movement(1)).expect("room for one").new_balance;
        assert_eq!(serde_json::to_string(&balance).expect("JSON"), "9999999999999.99");
        ledger.apply(&movement(1)).expect("room for another");
    }
}
