//! What the bank takes for its work, new and with 10,000 accounts and 1,000,000 entries, over HTTP and as the
//! program that it is: `cargo bench -p account-api`.

use std::error::Error;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use account_api::Bank;
use futures::future::try_join_all;
use reqwest::{Client, RequestBuilder};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often each request is made.
const ROUNDS: usize = 500;
/// How many connections ask at once, where many do.
const CLIENTS: usize = 50;
/// What a large bank holds.
const ACCOUNTS: usize = 10_000;
const ENTRIES: usize = 1_000_000;

/// What one bank took: what for, and how long or how much.
type Column = Vec<(&'static str, String)>;

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (new, large) = (folder.path().join("new.db"), folder.path().join("large.db"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(open(&large))?;
    fill(&large)?;
    let new = runtime.block_on(measure(&new, "account_A", "account_B"))?;
    let large = runtime.block_on(measure(&large, &number(3), &number(4)))?;

    println!("{:32}{:>34}{:>34}", "", "a new bank", "10,000 accounts,");
    println!("{:32}{:>34}{:>34}", "", "", "1,000,000 entries");
    for ((what, new), (_, large)) in new.iter().zip(large) {
        println!("{what:32}{new:>34}{large:>34}");
    }
    Ok(())
}

/// The number of an account of the large bank.
fn number(index: usize) -> String {
    format!("account_{index:05}")
}

/// Makes the ledger of a new bank.
async fn open(file: &Path) -> Outcome<()> {
    Bank::open(file)?.close().await;
    Ok(())
}

/// Makes this the ledger of a large bank: half of the entries belong to transfers, all have a key.
fn fill(file: &Path) -> Outcome<()> {
    let mut connection = Connection::open(file)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch("DELETE FROM entries; DELETE FROM accounts")?;
    let mut balances = vec![1_000_000_i64; ACCOUNTS];
    {
        let mut open = transaction.prepare("INSERT INTO accounts (number, balance_cents) VALUES (?1, ?2)")?;
        let mut enter = transaction.prepare(
            "INSERT INTO entries (account, kind, cents, balance_after_cents, transfer, run, idempotency_key) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (index, balance) in balances.iter().enumerate() {
            open.execute(params![number(index), balance])?;
            enter.execute(params![
                number(index),
                "open",
                balance,
                balance,
                None::<&str>,
                None::<&str>,
                None::<&str>
            ])?;
        }
        for entry in ACCOUNTS..ENTRIES {
            let (kind, cents) = if entry % 2 == 0 { ("withdraw", -1) } else { ("deposit", 1) };
            let account = entry * 7919 % ACCOUNTS;
            balances[account] += cents;
            // As long as what the worker sends.
            let id = format!("0199d5f0-1111-7222-8333-{:012}", entry / 2);
            let of_a_transfer = entry % 4 < 2;
            let transfer = of_a_transfer.then_some(&id);
            let key = format!("{id}/{kind}/{kind}");
            enter.execute(params![
                number(account),
                kind,
                cents,
                balances[account],
                transfer,
                transfer,
                key
            ])?;
        }
        let mut settle = transaction.prepare("UPDATE accounts SET balance_cents = ?2 WHERE number = ?1")?;
        for (index, balance) in balances.iter().enumerate() {
            settle.execute(params![number(index), balance])?;
        }
    }
    Ok(transaction.commit()?)
}

/// The running program, which ends with the bench at the latest.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(db: &Path) -> Outcome<Program> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_account-api"));
        command.args(["--port", "0", "--db"]).arg(db).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("it has an output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim_end().strip_prefix("account-api listens on ").ok_or("it does not start")?;
        Ok(Program { url: url.to_owned(), child })
    }

    /// The most memory that it had so far, where the system tells.
    fn memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u32>().ok());
        kilobytes.map_or("?".to_owned(), |kilobytes| format!("{} MiB", kilobytes / 1024))
    }

    fn stop(&mut self) -> Outcome<()> {
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a bank for everything that it does.
async fn measure(db: &Path, from: &str, to: &str) -> Outcome<Column> {
    let mut column = Column::new();
    let begin = Instant::now();
    let mut program = Program::start(db)?;
    column.push(("start", time(begin.elapsed())));

    let http = Client::builder().no_proxy().build()?;
    let get = |path: String| http.get(format!("{}{path}", program.url));
    let post = |path: String| http.post(format!("{}{path}", program.url)).json(&json!({ "amount": 0.01 }));
    let deposit = |key: String| post(format!("/accounts/{to}/deposit")).header("Idempotency-Key", key);
    let withdraw = |transfer: &str| {
        let request = post(format!("/accounts/{from}/withdraw")).header("Idempotency-Key", transfer);
        request.header("Transfer-Id", transfer).header("Transfer-Run", transfer)
    };
    let refund = |transfer: &str| {
        let request = post(format!("/accounts/{from}/refund"));
        request.header("Transfer-Id", transfer).header("Transfer-Run", transfer)
    };
    let last = count(db)?;
    column.push(("deposit", each(|round| ask(deposit(format!("deposit-{round}")))).await?));
    column
        .push(("withdraw, of a transfer", each(|round| ask(withdraw(&format!("transfer-{round}")))).await?));
    column.push(("the same key again", each(|round| ask(withdraw(&format!("transfer-{round}")))).await?));
    column.push(("refund", each(|round| ask(refund(&format!("transfer-{round}")))).await?));
    column.push(("GET /accounts/{account_number}", each(|_| ask(get(format!("/accounts/{from}")))).await?));
    column.push(("GET /accounts", each(|_| ask(get("/accounts".to_owned()))).await?));
    column.push(("GET /entries, the first 1000", each(|_| ask(get("/entries".to_owned()))).await?));
    let middle = last / 2;
    column.push(("from the middle", each(|_| ask(get(format!("/entries?after={middle}")))).await?));
    column.push((
        "of a transfer",
        each(|round| ask(get(format!("/entries?transfer=transfer-{round}")))).await?,
    ));

    let begin = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let deposit = &deposit;
        async move {
            for round in 0..100 {
                ask(deposit(format!("{client}-{round}"))).await?;
            }
            Outcome::Ok(())
        }
    });
    try_join_all(clients).await?;
    let rate = (CLIENTS * 100) as f64 / begin.elapsed().as_secs_f64();
    column.push(("deposits a second, 50 at once", format!("{rate:.0}")));

    let begin = Instant::now();
    program.stop()?;
    column.push(("stop", time(begin.elapsed())));
    column.push(("file", format!("{} MiB", fs::metadata(db)?.len() / (1 << 20))));

    let mut program = Program::start(db)?;
    let begin = Instant::now();
    ask(http.post(format!("{}/reset", program.url))).await?;
    column.push(("reset", time(begin.elapsed())));
    column.push(("memory, at most", program.memory()));
    let begin = Instant::now();
    program.stop()?;
    column.push(("stop after a reset", time(begin.elapsed())));
    let begin = Instant::now();
    Program::start(db)?;
    column.push(("start after a reset", time(begin.elapsed())));
    Ok(column)
}

/// How many entries there are.
fn count(db: &Path) -> Outcome<i64> {
    Ok(Connection::open(db)?.query_one("SELECT count(*) FROM entries", [], |row| row.get(0))?)
}

/// The answer, which must be a good one.
async fn ask(request: RequestBuilder) -> Outcome<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}

/// Makes many requests of one kind, one after the other.
async fn each<F: Future<Output = Outcome<Value>>>(request: impl Fn(usize) -> F) -> Outcome<String> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let begin = Instant::now();
        request(round).await?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(format!("{}, at most {}", time(times[ROUNDS / 2]), time(times[ROUNDS - 1])))
}

fn time(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
