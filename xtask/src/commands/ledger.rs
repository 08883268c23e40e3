//! `ledger`: which money moved for which transfer.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Result, bail};
use checkout::project::Project;
use clap::{Arg, ArgMatches, Command};
use contract::Money;
use lab::{Entry, Facts, Outcome, Status, Transfer, in_transit, money, surplus};
use lab_client::{bank::Bank, facts::Reader, progress::Progress, supervisor::services, time};
use serde_json::{Value, json};
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::{Usage, bold, stdoutln};

use super::transfer::unknown_accounts;
use crate::args::{example, flag, json_flag, text};

pub(crate) fn command() -> Command {
    Command::new("ledger")
        .about("Shows which money moved for which transfer of the current drill or stage, by the bank's ledger")
        .arg(
            Arg::new("account").long("account").value_name("ACCOUNT").help("Only what moved on this account"),
        )
        .arg(
            Arg::new("transfer")
                .long("transfer")
                .value_name("ID")
                .conflicts_with("account")
                .help("Only this transfer, by its Workflow Id"),
        )
        .arg(flag(
            "uneven",
            "Only transfers whose money is not where it should be, and those in progress with money on its way",
        ))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask ledger --uneven",
            "cargo xtask ledger --account account_A",
            "cargo xtask ledger --transfer transfer-1795349101-0000001f",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_ready(project)?;
    let account = text(arguments, "account");
    let unknown = unknown_accounts(&Bank::new(&state.endpoints()), account);
    if let Some(unknown) = unknown.into_iter().next() {
        return Err(Usage(unknown).into());
    }
    let progress = Progress::read(&project.lab);
    let status = control::ask(&state, &Request::Status)?;
    let facts = Reader::new(&state.endpoints()).read(&progress, services(&status))?;
    let named = text(arguments, "transfer");
    if let Some(id) = named.filter(|id| !facts.transfers.iter().any(|transfer| transfer.workflow_id == **id))
    {
        bail!(
            "the current {} has no transfer {id}; those it has: cargo xtask temporal workflow list",
            progress.stage.kind()
        );
    }
    let is_asked_for = |row: &Row<'_>| {
        account.is_none_or(|account| row.entries.iter().any(|entry| entry.account == account))
            && named.is_none_or(|id| row.transfer.workflow_id == id)
            && (!arguments.get_flag("uneven") || !row.surplus.is_empty())
    };
    let all: Vec<Row<'_>> = facts.transfers.iter().map(|transfer| Row::of(&facts, transfer)).collect();
    let is_uneven = |row: &&Row<'_>| row.transfer.last().status != Status::Running && !row.surplus.is_empty();
    let uneven = all.iter().filter(is_uneven).count();
    let rows: Vec<Row<'_>> = all.into_iter().filter(is_asked_for).collect();
    let is_of_account = |entry: &&Entry| account.is_none_or(|account| entry.account == account);
    let corrections: Vec<&Entry> =
        facts.corrections.iter().filter(|_| named.is_none()).filter(is_of_account).collect();
    let differences = Outcome::of(&facts).differences;
    if arguments.get_flag("json") {
        let corrections: Vec<Value> = corrections.into_iter().map(entry_json).collect();
        stdoutln!(
            "{}",
            json!({
                "transfers": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
                "corrections": corrections,
                "differences": differences,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows.iter().filter(|row| !row.entries.is_empty() || !row.surplus.is_empty()) {
        row.lines().iter().for_each(|line| stdoutln!("{line}"));
    }
    if !corrections.is_empty() {
        stdoutln!("{}", bold("corrections"));
        corrections.iter().for_each(|entry| stdoutln!("{}", entry_line(entry)));
    }
    let moved = facts.transfers.iter().filter(|transfer| facts.entries_of(transfer).next().is_some()).count();
    stdoutln!(
        "{moved} of {} transfers have moved money; of those that closed, {uneven} uneven",
        facts.transfers.len()
    );
    differences.iter().for_each(|(account, more)| stdoutln!("{}", difference_line(account, *more)));
    Ok(ExitCode::SUCCESS)
}

/// A transfer and what moved for it.
struct Row<'a> {
    transfer: &'a Transfer,
    entries: Vec<&'a Entry>,
    /// See [`surplus`].
    surplus: BTreeMap<String, Money>,
}

impl<'a> Row<'a> {
    fn of(facts: &'a Facts, transfer: &'a Transfer) -> Row<'a> {
        Row { transfer, entries: facts.entries_of(transfer).collect(), surplus: surplus(facts, transfer) }
    }

    fn status(&self) -> &'static str {
        match self.transfer.last().status {
            Status::Running => "in progress",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Other => "ended early",
        }
    }

    /// The transfer, its entries, and what is uneven.
    fn lines(&self) -> Vec<String> {
        let input = self.transfer.input();
        let name = |field: &str| input[field].as_str().unwrap_or("?").to_owned();
        let amount = money(&input["amount"]).map_or("?".to_owned(), |amount| amount.to_string());
        let mut lines = vec![format!(
            "{} {}: {amount} from {} to {}",
            bold(&self.transfer.workflow_id),
            self.status(),
            name("from_account"),
            name("to_account")
        )];
        lines.extend(self.entries.iter().map(|entry| entry_line(entry)));
        let on_its_way = in_transit(self.entries.iter().copied());
        match self.transfer.last().status {
            _ if self.surplus.is_empty() => {}
            Status::Running if on_its_way == Money::ZERO => {}
            Status::Running => lines.push(format!("  {on_its_way} on its way")),
            _ => lines.extend(self.surplus.iter().map(|(account, more)| {
                format!("  {}: {}", bold("uneven"), amount_of_difference(account, *more))
            })),
        }
        lines
    }

    fn to_json(&self) -> Value {
        let input = self.transfer.input();
        json!({
            "workflow_id": self.transfer.workflow_id,
            "status": self.status(),
            "from_account": input["from_account"],
            "to_account": input["to_account"],
            "amount": input["amount"],
            "entries": self.entries.iter().map(|entry| entry_json(entry)).collect::<Vec<_>>(),
            "surplus": self.surplus,
        })
    }
}

/// An entry of the ledger: when, what, whose, how much.
fn entry_line(entry: &Entry) -> String {
    let clock = time::rfc3339(entry.time);
    let sign = if entry.signed() < Money::ZERO { '-' } else { '+' };
    let amount = format!("{sign}{}", entry.amount);
    format!(
        "  {}  {:<8}  {:<9}  {amount:>9}",
        clock.get(11..19).unwrap_or_default(),
        entry.kind,
        entry.account
    )
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "time": time::rfc3339(entry.time),
        "kind": entry.kind,
        "account": entry.account,
        "amount": entry.amount,
    })
}

/// What an account holds too much or too little, by all closed transfers and corrections.
fn difference_line(account: &str, more: Money) -> String {
    format!("in all, {}", amount_of_difference(account, more))
}

fn amount_of_difference(account: &str, more: Money) -> String {
    let (amount, word) = match more < Money::ZERO {
        true => (Money::from_cents(-more.cents()), "less"),
        false => (more, "more"),
    };
    format!("{account} has {amount} {word} than it should")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_and_a_difference_are_lines_for_a_person() {
        let entry = Entry {
            id: 12,
            account: "account_A".to_owned(),
            kind: "withdraw".to_owned(),
            amount: Money::from_cents(6_57),
            transfer: String::new(),
            run: None,
            time: 1_795_349_101,
        };
        assert_eq!(entry_line(&entry), "  12:05:01  withdraw  account_A      -6.57");
        let given = Entry { kind: "deposit".to_owned(), ..entry };
        assert_eq!(entry_line(&given), "  12:05:01  deposit   account_A      +6.57");
        assert_eq!(
            amount_of_difference("account_A", Money::from_cents(-5)),
            "account_A has 0.05 less than it should"
        );
        assert_eq!(
            difference_line("account_A", Money::from_cents(5)),
            "in all, account_A has 0.05 more than it should"
        );
    }
}
