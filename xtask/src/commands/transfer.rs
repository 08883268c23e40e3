//! `transfer FROM TO AMOUNT`.

use std::{process::ExitCode, thread, time::Duration};

use anyhow::{Error, Result};
use clap::{Arg, ArgMatches, Command};
use contract::Amount;
use lab_client::{
    bank::Bank,
    new_workflow_id,
    stuck::{self, Stuck},
    temporal::{Run, Server, status_name},
};
use serde_json::{Value, json};
use strsim::damerau_levenshtein;

use crate::{
    args::{example, flag, json_flag, text},
    deployment::warning,
};
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::{Usage, shorten, stderrln, stdoutln};

/// How often we poll a transfer while we wait for it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The longest Workflow Id that Temporal accepts, in bytes.
const LONGEST_ID: usize = 1000;
/// A name with so few typing errors was probably meant.
const NEAR: usize = 2;

pub(crate) fn command() -> Command {
    Command::new("transfer")
        .about("Starts a transfer of money from one account to another")
        .arg(Arg::new("from").value_name("FROM").required(true).help("The account to withdraw from"))
        .arg(Arg::new("to").value_name("TO").required(true).help("The account to deposit into"))
        .arg(
            Arg::new("amount")
                .value_name("AMOUNT")
                .required(true)
                .allow_negative_numbers(true)
                .help("How many dollars, with at most two decimals"),
        )
        .arg(flag("wait", "Wait for the result, and show what the transfer is stuck on meanwhile"))
        .arg(
            Arg::new("workflow-id")
                .long("workflow-id")
                .value_name("ID")
                .help("The transfer's Workflow Id, without a slash, instead of transfer-TIME-RANDOM"),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask transfer account_A account_B 25.50",
            "cargo xtask transfer account_A account_B 25.50 --wait",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let given = |name| text(arguments, name).unwrap_or_default();
    let (from, to) = (given("from"), given("to"));
    let as_json = arguments.get_flag("json");
    let amount = given("amount").parse::<Amount>();
    let workflow_id = text(arguments, "workflow-id");

    let state = attach::attach_ready(project);
    let mut wrong = Vec::new();
    if let Ok(state) = &state {
        wrong.extend(unknown_accounts(&Bank::new(&state.endpoints()), [from, to]));
    }
    if from == to {
        wrong.push(format!("a transfer needs two accounts, and both are {from}"));
    }
    wrong.extend(amount.as_ref().err().map(|error| format!("{error}; not {:?}", given("amount"))));
    wrong.extend(workflow_id.and_then(unusable));
    let (Ok(amount), true) = (amount, wrong.is_empty()) else {
        return Err(Usage(wrong.join("\n       ")).into());
    };
    let workflow_id = workflow_id.map_or_else(new_workflow_id, str::to_owned);
    let state = state?;
    control::wait_for_build(&state, "the transfer starts");
    let server = Server::new(&state.endpoints());
    let input = json!({ "from_account": from, "to_account": to, "amount": amount });
    let run = server
        .start_transfer(&workflow_id, &input)
        .map_err(|error| Error::msg(server.why_not_started(&workflow_id, &error)))?;
    let link = server.ui_link(&run);
    // It is started anyway, and its worker may not run the code that the learner expects.
    if let Some(warning) = control::ask(&state, &Request::Status).ok().and_then(|status| warning(&status)) {
        stderrln!("warning: {warning}");
    }
    if !arguments.get_flag("wait") {
        if as_json {
            stdoutln!("{}", report(&run, &link, "RUNNING", &Value::Null, None));
        } else {
            stdoutln!("started {}", run.workflow_id);
            stdoutln!("  run   {}", run.run_id);
            stdoutln!("  see   {}", where_to_see(&link, &run));
            stdoutln!("  next  cargo xtask lab status");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !as_json {
        stderrln!("started {}, run {}", run.workflow_id, run.run_id);
        stderrln!("  see {}", where_to_see(&link, &run));
    }
    let (status, result, failure) = wait(&server, &run, as_json)?;
    if as_json {
        stdoutln!("{}", report(&run, &link, &status, &result, failure.as_deref()));
    } else {
        match &failure {
            None => stdoutln!("completed: {} from {from} to {to}", contract::Money::from(amount)),
            Some(failure) => stdoutln!("{}: {failure}", status.to_lowercase()),
        }
    }
    Ok(ExitCode::from(u8::from(failure.is_some())))
}

/// What is wrong with those accounts that the bank does not have. If the bank is down, the transfer starts and waits for it.
pub(super) fn unknown_accounts<'a>(bank: &Bank, given: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let answer = bank.accounts().unwrap_or_default();
    let Some(accounts) = answer["accounts"].as_array() else { return Vec::new() };
    let known: Vec<&str> = accounts.iter().filter_map(|account| account["account_number"].as_str()).collect();
    let unknown = given.into_iter().filter(|account| !known.contains(account));
    unknown
        .map(|account| format!("the bank has no account {account}; {}", suggestion(account, &known)))
        .collect()
}

/// The account that was probably meant, or all there are.
fn suggestion(account: &str, known: &[&str]) -> String {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let by_distance = known.iter().map(|name| (damerau_levenshtein(&plain(account), &plain(name)), name));
    let mut by_distance: Vec<_> = by_distance.collect();
    by_distance.sort();
    match by_distance[..] {
        [(distance, name), (next, _), ..] if distance <= NEAR && distance < next => {
            format!("did you mean {name}?")
        }
        _ => format!("it has: {}", known.join(", ")),
    }
}

/// Why the lab cannot use this Workflow Id, if it cannot.
fn unusable(workflow_id: &str) -> Option<String> {
    let is_bad = workflow_id.is_empty()
        || workflow_id.len() > LONGEST_ID
        || workflow_id.contains('/')
        || [".", ".."].contains(&workflow_id);
    is_bad.then(|| {
        format!(
            "a Workflow Id must be 1 to {LONGEST_ID} bytes without a slash, and neither . nor .., because the lab starts \
             transfers by the server's HTTP API, which has it in a path; not {:?}",
            shorten(workflow_id, 60)
        )
    })
}

/// Its page in the Temporal UI; else the command that shows its history.
fn where_to_see(link: &str, run: &Run) -> String {
    match link {
        "" => format!("cargo xtask temporal workflow show --workflow-id {}", run.workflow_id),
        link => link.to_owned(),
    }
}

fn report(run: &Run, link: &str, status: &str, result: &Value, failure: Option<&str>) -> Value {
    json!({
        "workflow_id": run.workflow_id,
        "run_id": run.run_id,
        "status": status,
        "result": result,
        "failure": failure,
        "url": link,
    })
}

/// Waits until the transfer has ended: how, with what result, with what failure.
fn wait(server: &Server, run: &Run, quiet: bool) -> Result<(String, Value, Option<String>)> {
    let mut shown: Option<Stuck> = None;
    loop {
        let description = server.describe(run)?;
        let status = status_name(&description["workflowExecutionInfo"]["status"]).to_owned();
        if status != "RUNNING" {
            let event = server.last_events(run)?.into_iter().next().unwrap_or_default();
            let (result, failure) = outcome(&event, &status);
            return Ok((status, result, failure));
        }
        let stuck = stuck::look(server, run)?.into_iter().next();
        if let Some(now) = stuck.filter(|_| !quiet) {
            let news = shown.as_ref().is_none_or(|old| {
                old.attempt != now.attempt || old.activity != now.activity || old.halt != now.halt
            });
            if news {
                if shown.is_none() {
                    stderrln!("still waiting; Ctrl-C ends only the waiting, not the transfer");
                }
                match now.way_out() {
                    Some(way_out) => stderrln!("{}; {way_out}", now.words()),
                    None => {
                        let (what, attempt) = (now.what(), now.attempt);
                        stderrln!("stuck on {what}, attempt {attempt}: {}", shorten(&now.failure, 200));
                    }
                }
                shown = Some(now);
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The result or the failure in the event that closes a history.
fn outcome(event: &Value, status: &str) -> (Value, Option<String>) {
    if status == "COMPLETED" {
        let result = &event["workflowExecutionCompletedEventAttributes"]["result"];
        // One value, as the server's HTTP API writes payloads of JSON.
        return (result.get(0).unwrap_or(result).clone(), None);
    }
    let failure = lab::failure_chain(&event["workflowExecutionFailedEventAttributes"]["failure"]);
    let failure = if failure.is_empty() { format!("the transfer ended as {status}") } else { failure };
    (Value::Null, Some(failure))
}
