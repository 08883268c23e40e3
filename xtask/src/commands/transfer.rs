//! `transfer FROM TO AMOUNT`.

use std::{process::ExitCode, thread, time::Duration};

use anyhow::{Error, Result};
use clap::{Arg, ArgMatches, Command};
use contract::Amount;
use lab_client::{
    new_workflow_id,
    stuck::{self, Stuck},
    temporal::{Run, Server, status_name},
};
use serde_json::{Value, json};

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
    let amount: Amount =
        given("amount").parse().map_err(|error| Usage(format!("{error}; not {:?}", given("amount"))))?;
    if from == to {
        return Err(Usage(format!("a transfer needs two accounts, and both are {from}")).into());
    }
    let workflow_id = match text(arguments, "workflow-id") {
        Some("") => return Err(Usage("the Workflow Id is empty".to_owned()).into()),
        Some(id) => id.to_owned(),
        None => new_workflow_id(),
    };
    let as_json = arguments.get_flag("json");

    let state = attach::attach_running(project)?;
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
