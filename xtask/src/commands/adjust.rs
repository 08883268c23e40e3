//! `adjust ACCOUNT AMOUNT`.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, bail};
use checkout::project::Project;
use clap::{Arg, ArgMatches, Command};
use contract::{Amount, AmountError, Money};
use lab_client::{
    bank::Bank,
    http::{Refused, is_silence},
    temporal::status_of,
};
use serde_json::{Value, json};
use supervisor::{attach, control::random_hex, drill_end};
use terminal::{Usage, stderrln, stdoutln};

use super::transfer::unknown_accounts;
use crate::args::{example, json_flag, text};

/// How long the bank may answer with errors that pass.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn command() -> Command {
    Command::new("adjust")
        .about("Corrects the balance of an account by hand, for no transfer, in a drill")
        .long_about(
            "Corrects the balance of an account by hand, in a drill: the bank deposits AMOUNT, or withdraws it if it is negative, for no \
             transfer. The ledger records it as a correction, and the report of the drill shows the reason. What the accounts hold too \
             much or too little: cargo xtask ledger --uneven",
        )
        .arg(Arg::new("account").value_name("ACCOUNT").required(true).help("The account to correct"))
        .arg(
            Arg::new("amount")
                .value_name("AMOUNT")
                .required(true)
                .allow_negative_numbers(true)
                .help("How many dollars to add, with at most two decimals; negative to take them away"),
        )
        .arg(
            Arg::new("reason").long("reason").value_name("TEXT").required(true).help("Why, for the report of the drill"),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask adjust account_A 6.57 --reason \"withdrawn twice\"",
            "cargo xtask adjust account_C -40 --reason \"deposited twice\"",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let given = |name| text(arguments, name).unwrap_or_default();
    let account = given("account");
    let change = change(given("amount"));
    let mut wrong = Vec::new();
    let state = attach::attach_ready(project);
    let bank = state.as_ref().ok().map(|state| Bank::new(&state.endpoints()));
    wrong.extend(bank.iter().flat_map(|bank| unknown_accounts(bank, [account])));
    wrong.extend(change.as_ref().err().map(|error| format!("{error}; not {:?}", given("amount"))));
    if given("reason").trim().is_empty() {
        wrong.push("say why, for the report of the drill: --reason \"deposited twice\"".to_owned());
    }
    let (Ok(change), true) = (change, wrong.is_empty()) else {
        return Err(Usage(wrong.join("\n       ")).into());
    };
    let bank = Bank::new(&state?.endpoints());
    drill_end::in_progress(project)?;
    let answer = adjust(&bank, account, change)?;
    if arguments.get_flag("json") {
        stdoutln!("{}", json!({ "account": account, "change": change, "balance": answer["new_balance"] }));
        return Ok(ExitCode::SUCCESS);
    }
    let (did, amount) = match change < Money::ZERO {
        true => ("withdrew", Money::from_cents(-change.cents())),
        false => ("deposited", change),
    };
    let preposition = if change < Money::ZERO { "from" } else { "into" };
    let balance = serde_json::from_value::<Money>(answer["new_balance"].clone()).unwrap_or_default();
    stdoutln!("{did} {amount} {preposition} {account}, which now holds {balance}");
    Ok(ExitCode::SUCCESS)
}

/// The change of the balance that was typed.
fn change(typed: &str) -> Result<Money, AmountError> {
    let (amount, sign) = match typed.strip_prefix('-') {
        Some(amount) => (amount, -1),
        None => (typed, 1),
    };
    match amount.parse::<Amount>() {
        Err(AmountError::NotPositive) => Err(AmountError::NotPositive),
        amount => Ok(Money::from_cents(sign * amount?.cents())),
    }
}

/// Changes the balance once. The bank may answer with errors that pass, in a drill more often than else.
fn adjust(bank: &Bank, account: &str, change: Money) -> Result<Value> {
    let key = format!("adjust-{}", random_hex(8)?);
    let begin = Instant::now();
    let mut is_told = false;
    loop {
        let error = match bank.adjust(account, change, &key) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let passes = is_silence(&error) || status_of(&error) >= 500;
        if !passes || begin.elapsed() > TIMEOUT {
            let why = why(&error);
            match passes {
                true => bail!(
                    "the bank does not answer whether it has corrected {account}: {why}; look for it: cargo xtask ledger --account {account}"
                ),
                false => bail!("the bank did not correct {account}: {why}"),
            }
        }
        if !is_told {
            let answered = match error.downcast_ref::<Refused>() {
                Some(refused) => format!("the bank answered {}: {}", refused.status, refused.why()),
                None => "the bank did not answer".to_owned(),
            };
            stderrln!("{answered}; trying again with the same idempotency key, so that it is corrected once");
            is_told = true;
        }
        thread::sleep(PAUSE);
    }
}

/// What the bank said, with the balance that is too low, if it is that.
fn why(error: &Error) -> String {
    let Some(refused) = error.downcast_ref::<Refused>() else { return format!("{error:#}") };
    let money = |name: &str| serde_json::from_value::<Money>(refused.answer()[name].clone()).ok();
    match (money("current_balance"), money("requested_amount")) {
        (Some(balance), Some(requested)) => {
            format!("{}: the account holds {balance}, less than {requested}", refused.why())
        }
        _ => refused.why().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_added_or_taken_away() {
        let cents = |typed| change(typed).map(Money::cents);
        assert_eq!((cents("6.57"), cents("-40"), cents("0.01")), (Ok(6_57), Ok(-40_00), Ok(1)));
        for (typed, error) in [
            ("0", AmountError::NotPositive),
            ("-0", AmountError::NotPositive),
            ("--5", AmountError::NotPositive),
            ("0.001", AmountError::TooPrecise),
            ("-", AmountError::NotANumber),
            ("much", AmountError::NotANumber),
            ("-1000000000.01", AmountError::TooLarge),
        ] {
            assert_eq!(cents(typed), Err(error), "{typed}");
        }
    }
}
