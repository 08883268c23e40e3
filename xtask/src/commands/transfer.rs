//! `transfer FROM TO AMOUNT`.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, bail};
use clap::{Arg, ArgMatches, Command};
use contract::Amount;
use lab_client::{
    bank::Bank,
    http::{is_silence, is_transient},
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

/// The time until the second look at a transfer that is waited for; each next one comes after half as long again, up to
/// [`LONGEST_INTERVAL`].
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);
/// How long the server may be silent before we give up waiting.
const SILENT_FOR: Duration = Duration::from_secs(120);

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
    let (run, (status, result, failure)) = wait(&server, run, as_json)?;
    if as_json {
        let link = server.ui_link(&run);
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

/// How a transfer has ended, with what result, with what failure.
type End = (String, Value, Option<String>);

/// What a look at a transfer finds.
enum Look {
    Ended(End),
    /// The server does not have it.
    Gone,
    /// A reset has continued it in this run.
    Reset(Run),
    InProgress(Option<Stuck>),
}

/// Waits until the transfer has ended, through whatever becomes of the server meanwhile. Returns its last run, too.
fn wait(server: &Server, mut run: Run, quiet: bool) -> Result<(Run, End)> {
    let tell = |words: &str| {
        if !quiet {
            stderrln!("{words}");
        }
    };
    let mut interval = POLL_INTERVAL;
    let mut shown: Option<Stuck> = None;
    let mut silent_since: Option<Instant> = None;
    loop {
        match look(server, &run) {
            Ok(Look::Ended(end)) => return Ok((run, end)),
            Ok(Look::Gone) => {
                bail!("the server has no transfer {} any more, as after a reset of the lab", run.workflow_id)
            }
            Ok(Look::Reset(next)) => {
                tell(&format!("it was reset; it continues in run {}", next.run_id));
                run = next;
            }
            Ok(Look::InProgress(stuck)) => {
                silent_since = None;
                if let Some(now) = stuck.filter(|now| is_news(shown.as_ref(), now)) {
                    if shown.is_none() {
                        tell("still waiting; Ctrl-C ends only the waiting, not the transfer");
                    }
                    tell(&match now.way_out() {
                        Some(way_out) => format!("{}; {way_out}", now.words()),
                        None => {
                            let (what, attempt) = (now.what(), now.attempt);
                            format!("stuck on {what}, attempt {attempt}: {}", shorten(&now.failure, 200))
                        }
                    });
                    shown = Some(now);
                }
            }
            Err(error)
                if is_transient(&error) && silent_since.is_none_or(|since| since.elapsed() < SILENT_FOR) =>
            {
                if silent_since.is_none() && is_silence(&error) {
                    tell("the Temporal server does not answer at this moment; still waiting");
                }
                silent_since.get_or_insert_with(Instant::now);
            }
            Err(error) => {
                return Err(error.context(format!(
                    "{} may still be in progress (see: cargo xtask lab status), but this command cannot follow it",
                    run.workflow_id
                )));
            }
        }
        thread::sleep(interval);
        interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
    }
}

/// Whether this is another state than the one that was shown.
fn is_news(shown: Option<&Stuck>, now: &Stuck) -> bool {
    shown.is_none_or(|old| old.attempt != now.attempt || old.activity != now.activity || old.halt != now.halt)
}

fn look(server: &Server, run: &Run) -> Result<Look> {
    let Some(description) = server.describe_if_there(run)? else { return Ok(Look::Gone) };
    let status = status_name(&description["workflowExecutionInfo"]["status"]).to_owned();
    if status == "RUNNING" {
        let events = || server.last_events(run).unwrap_or_default();
        return Ok(Look::InProgress(stuck::of(run, &description, events).into_iter().next()));
    }
    // A reset terminates the run and continues in another one of the same id.
    if status == "TERMINATED" {
        let latest = server.describe(&Run { run_id: String::new(), ..run.clone() })?;
        let run_id = latest["workflowExecutionInfo"]["execution"]["runId"].as_str().unwrap_or_default();
        if !run_id.is_empty() && run_id != run.run_id {
            return Ok(Look::Reset(Run { run_id: run_id.to_owned(), ..run.clone() }));
        }
    }
    let event = server.last_events(run)?.into_iter().next().unwrap_or_default();
    let (result, failure) = outcome(&event, &status);
    Ok(Look::Ended((status, result, failure)))
}

/// The result or the failure in the event that closes a history.
fn outcome(event: &Value, status: &str) -> (Value, Option<String>) {
    if status == "COMPLETED" {
        let result = &event["workflowExecutionCompletedEventAttributes"]["result"];
        // One value, as the server's HTTP API writes payloads of JSON.
        return (result.get(0).unwrap_or(result).clone(), None);
    }
    let failure = lab::failure_chain(&event["workflowExecutionFailedEventAttributes"]["failure"]);
    let reason = event["workflowExecutionTerminatedEventAttributes"]["reason"].as_str().unwrap_or_default();
    let failure = match (failure.is_empty(), reason) {
        (false, _) => failure,
        (true, "") => format!("the transfer ended as {status}"),
        (true, reason) => format!("the transfer ended as {status}: {reason}"),
    };
    (Value::Null, Some(failure))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lab_client::Endpoints;

    use super::*;

    /// A server whose descriptions come in this order, the last one again and again, and whose histories end with this event.
    fn server(descriptions: &'static [(u16, &str)], last_event: &'static str) -> Server {
        let asked = AtomicUsize::new(0);
        let address = webtest::web_service(move |request| {
            let line = request.head.lines().next().unwrap_or_default();
            if line.contains("history-reverse") {
                return (200, format!(r#"{{"history":{{"events":[{last_event}]}}}}"#));
            }
            let at = asked.fetch_add(1, Ordering::Relaxed).min(descriptions.len() - 1);
            let (status, body) = descriptions[at];
            (status, body.to_owned())
        });
        Server::new(&Endpoints::own(&format!("http://{address}"), "", ""))
    }

    /// The last run, its status, and what it ended with.
    fn waited(
        descriptions: &'static [(u16, &str)],
        last_event: &'static str,
    ) -> Result<(String, String, String)> {
        let run = Run { workflow_id: "one".to_owned(), run_id: "first".to_owned() };
        let (run, (status, result, failure)) = wait(&server(descriptions, last_event), run, true)?;
        Ok((run.run_id, status, failure.unwrap_or_else(|| result.to_string())))
    }

    const RUNNING: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_RUNNING"}}"#;
    const TERMINATED: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_TERMINATED",
        "execution":{"runId":"first"}}}"#;
    const COMPLETED: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_COMPLETED",
        "execution":{"runId":"second"}}}"#;
    const RESULT: &str = r#"{"workflowExecutionCompletedEventAttributes":{"result":["done"]}}"#;

    #[test]
    fn waiting_goes_on_while_the_server_is_away_and_follows_a_reset() {
        let away = &[(503, "{}"), (200, RUNNING), (429, "{}"), (200, COMPLETED)];
        let ended = |run: &str| (run.to_owned(), "COMPLETED".to_owned(), "\"done\"".to_owned());
        assert_eq!(waited(away, RESULT).expect("it ends"), ended("first"));
        let reset = &[(200, TERMINATED), (200, COMPLETED), (200, COMPLETED)];
        assert_eq!(waited(reset, RESULT).expect("it ends"), ended("second"));
    }

    #[test]
    fn the_end_of_waiting_says_why_and_what_becomes_of_the_transfer() {
        let because = r#"{"workflowExecutionTerminatedEventAttributes":{"reason":"the lab was reset"}}"#;
        let (_, status, failure) = waited(&[(200, TERMINATED)], because).expect("it ends");
        assert_eq!(
            (&*status, &*failure),
            ("TERMINATED", "the transfer ended as TERMINATED: the lab was reset")
        );
        const REFUSED: &[(u16, &str)] = &[(403, r#"{"message":"permission denied"}"#)];
        for (answer, begins, ends) in [
            (REFUSED, "one may still be", "permission denied"),
            (&[(404, "{}")], "the server has no transfer one any more", "a reset of the lab"),
        ] {
            let error = format!("{:#}", waited(answer, "{}").expect_err("it cannot be followed"));
            assert!(error.starts_with(begins) && error.ends_with(ends), "{error}");
        }
    }
}
