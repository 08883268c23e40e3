//! The transfer without Temporal: a plain program, killed between withdrawal and deposit and run again, at a bank of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use checkout::project::{self, Project};
use contract::Money;
use lab_client::http::get_json;
use serde_json::{Value, json};

use crate::{
    build::{self, Output, PLAIN_TRANSFER},
    control::random_hex,
    process,
    services::ACCOUNT_API,
};

/// The account that the money leaves.
const FROM: &str = "account_A";
/// The account that it should reach.
const TO: &str = "account_B";
/// How much is moved.
const AMOUNT: &str = "25.50";
/// How long the first run waits before its deposit, in seconds; it is killed long before.
const PAUSE: &str = "30";
/// How long the bank has to answer, and a run to withdraw, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often we look meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What a plain program did to the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRuns {
    /// Before the first run.
    before: Balances,
    /// After the first run, which was killed.
    killed: Balances,
    /// After the second run, which completed.
    again: Balances,
    /// How often the bank has withdrawn.
    withdrawals: usize,
    /// How often it has deposited.
    deposits: usize,
}

/// The balances of both accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balances {
    from: Money,
    to: Money,
}

impl Balances {
    /// How much less than before is in the two accounts together.
    fn missing_since(self, before: Balances) -> Money {
        let sum = |balances: Balances| balances.from.checked_add(balances.to);
        let missing = sum(before).zip(sum(self)).and_then(|(before, now)| before.checked_sub(now));
        missing.unwrap_or_default()
    }
}

impl PlainRuns {
    /// Each moment: when it is, the balances, and what is wrong with them.
    fn moments(&self) -> [(&'static str, Balances, String); 3] {
        let (withdrawn, deposited) = (times(self.withdrawals), times(self.deposits));
        [
            ("before", self.before, String::new()),
            ("killed after the withdrawal", self.killed, format!("{} is in no account", self.missing())),
            ("run again", self.again, format!("withdrawn {withdrawn}, deposited {deposited}")),
        ]
    }

    /// What was in an account before and is in none now.
    fn missing(&self) -> Money {
        self.again.missing_since(self.before)
    }

    fn title(&self) -> String {
        format!("A plain Rust program moves {AMOUNT} from {FROM} to {TO}:")
    }

    fn conclusion(&self) -> String {
        let missing = self.missing();
        format!("Nothing recorded where the first run stopped, so nobody knows that {missing} is missing.")
    }

    /// What happened, in lines for a person.
    pub fn lines(&self) -> Vec<String> {
        let moments = self.moments().into_iter().map(|(when, Balances { from, to }, what)| {
            let (from, to) = (from.to_string(), to.to_string());
            let line = format!("  {when:<30}{FROM} {from:>7}   {TO} {to:>6}   {what}");
            line.trim_end().to_owned()
        });
        [self.title()].into_iter().chain(moments).chain([self.conclusion()]).collect()
    }

    /// What happened, for a program.
    pub fn to_json(&self) -> Value {
        let moment = |(when, Balances { from, to }, what): (&str, Balances, String)| json!({ "when": when, "balances": { FROM: from, TO: to }, "what": what });
        json!({
            "title": self.title(),
            "moments": self.moments().map(moment),
            "conclusion": self.conclusion(),
            "missing": self.missing(),
            "withdrawals": self.withdrawals,
            "deposits": self.deposits,
        })
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        other => format!("{other} times"),
    }
}

/// Builds what is not built yet; then runs the program, kills it once the bank has withdrawn, and runs it again. Needs no
/// running lab, and leaves one alone.
///
/// # Errors
/// The build fails, or one of the two programs does not do what it should.
pub fn run(project: &Project, output: Output) -> Result<PlainRuns> {
    let built = build::build_plain_transfer(project, output)?;
    let program = |name: &str| built.get(name).with_context(|| format!("cargo built no program {name}"));
    let plain_transfer = program(PLAIN_TRANSFER)?;
    let bank = OwnBank::start(&program(ACCOUNT_API)?)?;

    let before = bank.balances()?;
    let mut first = start(&plain_transfer, &bank.url, PAUSE)?;
    let withdrawn = bank.until_withdrawn(&mut first);
    // The signal of a crash: the program cannot catch it.
    let _ = first.kill();
    first.wait().context("could not wait for the program")?;
    withdrawn?;
    let killed = bank.balances()?;

    if !start(&plain_transfer, &bank.url, "0")?.wait()?.success() {
        bail!("the second run failed; see the program: {}", plain_transfer.display());
    }
    let [withdrawals, deposits] = [bank.count("withdraw")?, bank.count("deposit")?];
    Ok(PlainRuns { before, killed, again: bank.balances()?, withdrawals, deposits })
}

/// Starts a run of the program, which pauses for so many seconds before it deposits.
fn start(program: &Path, bank: &str, pause: &str) -> Result<Child> {
    let mut command = Command::new(program);
    command.args([bank, FROM, TO, AMOUNT, pause]).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().with_context(|| format!("could not run {}", program.display()))
}

/// A bank with a ledger in a temporary folder. It ends with this process, however that ends.
struct OwnBank {
    url: String,
    folder: PathBuf,
    child: Child,
    /// Closing it ends the bank; see [`process::tied`].
    tie: Option<ChildStdin>,
}

impl OwnBank {
    fn start(program: &Path) -> Result<OwnBank> {
        let folder = env::temp_dir().join(format!("buglab-without-temporal-{}", random_hex(8)?));
        project::make_private(&folder)
            .with_context(|| format!("could not make the folder {}", folder.display()))?;
        let ready = folder.join("ready");
        let mut bank = Command::new(program);
        bank.args(["--port", "0", "--db"]).arg(folder.join("bank.db"));
        bank.arg("--ready-file").arg(&ready);
        let mut tied = process::tied(&bank);
        tied.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = tied.spawn().with_context(|| format!("could not run {}", program.display()))?;
        let tie = child.stdin.take();
        let mut bank = OwnBank { url: String::new(), folder, child, tie };
        let begin = Instant::now();
        while bank.url.is_empty() {
            if bank.child.try_wait()?.is_some() || begin.elapsed() > TIMEOUT {
                bail!("the bank did not start; try it by itself: {} --port 0", program.display());
            }
            thread::sleep(POLL_INTERVAL);
            bank.url = fs::read_to_string(&ready).unwrap_or_default().trim().to_owned();
        }
        Ok(bank)
    }

    fn balances(&self) -> Result<Balances> {
        Ok(Balances { from: self.balance(FROM)?, to: self.balance(TO)? })
    }

    fn balance(&self, account: &str) -> Result<Money> {
        let mut answer = get_json(&format!("{}/accounts/{account}", self.url))?;
        Ok(serde_json::from_value(answer["balance"].take())?)
    }

    /// How many entries of this kind its ledger has.
    fn count(&self, kind: &str) -> Result<usize> {
        let answer = get_json(&format!("{}/entries", self.url))?;
        let entries = answer["entries"].as_array().into_iter().flatten();
        Ok(entries.filter(|entry| entry["kind"] == kind).count())
    }

    /// Waits until its ledger has the withdrawal of this run.
    fn until_withdrawn(&self, run: &mut Child) -> Result<()> {
        let begin = Instant::now();
        while self.count("withdraw")? == 0 {
            if run.try_wait()?.is_some() || begin.elapsed() > TIMEOUT {
                bail!("the program did not withdraw");
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for OwnBank {
    fn drop(&mut self) {
        drop(self.tie.take());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balances(from: &str, to: &str) -> Balances {
        let money = |text: &str| serde_json::from_str(text).expect("a sum");
        Balances { from: money(from), to: money(to) }
    }

    #[test]
    fn what_happened_is_told_in_five_lines_with_every_balance() {
        let runs = PlainRuns {
            before: balances("1000", "500"),
            killed: balances("974.5", "500"),
            again: balances("949", "525.5"),
            withdrawals: 2,
            deposits: 1,
        };
        assert_eq!(
            runs.lines(),
            [
                "A plain Rust program moves 25.50 from account_A to account_B:",
                "  before                        account_A 1000.00   account_B 500.00",
                "  killed after the withdrawal   account_A  974.50   account_B 500.00   25.50 is in no account",
                "  run again                     account_A  949.00   account_B 525.50   withdrawn twice, deposited once",
                "Nothing recorded where the first run stopped, so nobody knows that 25.50 is missing.",
            ]
        );
        let json = runs.to_json();
        assert_eq!(json["missing"], 25.5);
        assert_eq!(json["moments"][2]["balances"], json!({ "account_A": 949, "account_B": 525.5 }));
    }
}
