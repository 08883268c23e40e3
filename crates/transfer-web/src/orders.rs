//! Starting, retrying and terminating transfers, entering a stage, and the reset.

use std::{thread, time::Duration};

use anyhow::Error;
use axum::http::StatusCode;
use contract::{Amount, Transfer};
use lab_client::{
    bank::Bank,
    http::{NoAnswer, get_json},
    new_workflow_id,
    retry::Retried,
    side_by_side,
    temporal::{Run, Server},
    time,
};
use loopback::Failure;
use serde_json::{Value, json};

use crate::{failure::temporal_down, watch::Watched};

/// The daily batch: twelve transfers between the lab's accounts, in cents. No account is overdrawn.
const BATCH: [(&str, &str, i64); 12] = [
    ("account_A", "account_B", 12_50),
    ("account_B", "account_C", 8_00),
    ("account_C", "account_D", 19_99),
    ("account_D", "account_E", 45_00),
    ("account_E", "account_F", 3_25),
    ("account_F", "account_G", 27_10),
    ("account_G", "account_H", 5_05),
    ("account_H", "account_I", 60_00),
    ("account_I", "account_J", 14_75),
    ("account_J", "account_A", 31_40),
    ("account_H", "account_B", 22_22),
    ("account_D", "account_A", 9_90),
];

/// Starts a transfer.
pub(crate) fn start(watched: &Watched, transfer: &Transfer) -> Result<Value, Failure> {
    if let Some(account) = unknown_account(watched, transfer) {
        return Err(Failure::bad_request(format!("the bank has no account {account}")));
    }
    let server = Server::new(&watched.endpoints);
    let run = started(watched, &server, transfer)?;
    Ok(json!({
        "workflow_id": run.workflow_id,
        "run_id": run.run_id,
        "status": "started",
        "ui_url": server.ui_link(&run),
    }))
}

/// An account of the transfer that the bank does not have. If the bank is down, the transfer starts and waits for it.
fn unknown_account<'a>(watched: &Watched, transfer: &'a Transfer) -> Option<&'a str> {
    let answer = get_json(&format!("{}/accounts", watched.endpoints.bank)).ok()?;
    let accounts = answer["accounts"].as_array()?;
    let is_known = |account: &str| accounts.iter().any(|known| known["account_number"] == account);
    [&*transfer.from_account, &*transfer.to_account].into_iter().find(|account| !is_known(account))
}

fn started(watched: &Watched, server: &Server, transfer: &Transfer) -> Result<Run, Failure> {
    let workflow_id = new_workflow_id();
    let input = serde_json::to_value(transfer).map_err(|error| temporal_down(&error.into()))?;
    let run = server
        .start_transfer(&workflow_id, &input)
        .map_err(|error| not_started(server, &workflow_id, &error))?;
    watched.transfers().note_started(run.clone());
    Ok(run)
}

fn not_started(server: &Server, workflow_id: &str, error: &Error) -> Failure {
    match error.downcast_ref::<NoAnswer>() {
        Some(_) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, server.why_not_started(workflow_id, error)),
        None => temporal_down(error),
    }
}

/// Starts the daily batch.
pub(crate) fn batch(watched: &Watched) -> Result<Value, Failure> {
    let server = Server::new(&watched.endpoints);
    let results = side_by_side::map(&BATCH, |&(from, to, cents)| {
        let amount = Amount::from_cents(cents).map_err(|error| Failure::bad_request(error.to_string()))?;
        let transfer = Transfer { from_account: from.to_owned(), to_account: to.to_owned(), amount };
        started(watched, &server, &transfer).map(|run| run.workflow_id)
    });
    let number = results.len();
    let (ids, failures): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let ids: Vec<String> = ids.into_iter().flatten().collect();
    match failures.into_iter().find_map(Result::err) {
        None => Ok(json!({ "started": ids.len(), "workflow_ids": ids })),
        Some(Failure { status, error }) if ids.is_empty() => Err(Failure { status, error }),
        Some(Failure { status, error }) => Err(Failure::new(
            status,
            format!("only {} of {number} transfers were started: {error}", ids.len()),
        )),
    }
}

/// Retries the Activity that this transfer waits for, right away.
pub(crate) fn retry(watched: &Watched, row: &Value) -> Result<Value, Failure> {
    let Some(activity) = row["stuck"]["activity_id"].as_str() else {
        let stuck = &row["stuck"];
        let error = match (stuck["says"].as_str(), stuck["kind"].as_str()) {
            (Some(says), _) => &format!("{says}; {}: {}", text(stuck, "advice"), text(stuck, "command")),
            (None, Some(_)) => {
                "Temporal retries a Workflow Task every few seconds; fix the Workflow code and save it"
            }
            (None, None) => "no Activity of this transfer is waiting for a retry",
        };
        return Err(Failure::new(StatusCode::CONFLICT, error));
    };
    let run =
        Run { workflow_id: text(row, "workflow_id").to_owned(), run_id: text(row, "run_id").to_owned() };
    let server = Server::new(&watched.endpoints);
    match server.retry_activity(&run, activity).map_err(|error| temporal_down(&error))? {
        Retried::Now => Ok(json!({ "retried": 1 })),
        Retried::Gone => Ok(json!({ "retried": 0 })),
        Retried::Paused(halt) => {
            let held = Some((activity.to_owned(), text(&row["stuck"], "activity").to_owned()));
            let error = format!("{}; {}", halt.words(&held), halt.way_out(&run.workflow_id, &held));
            Err(Failure::new(StatusCode::CONFLICT, error))
        }
    }
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

/// Sends the lab's supervisor a request. Without one, `terminal` is what does the same there.
pub(crate) fn supervise(
    watched: &Watched,
    request: Value,
    terminal: &str,
    what: &str,
) -> Result<Value, Failure> {
    let Some(supervisor) = watched.supervisor() else {
        let error = format!("this page does not belong to a running lab; type: {terminal}");
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    supervisor.exchange(request).map_err(|error| {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("could not {what}: {error:#}"))
    })
}

/// Enters a stage as `cargo xtask stage` does, which includes a build. `keep` puts the learner's own code back; `clean` terminates
/// transfers that are stuck from earlier stages.
pub(crate) fn enter_stage(
    watched: &Watched,
    stage: &lab::Stage,
    keep: bool,
    clean: bool,
) -> Result<Value, Failure> {
    let request = json!({ "request": "enter", "stage": stage.name, "keep": keep, "clean": clean });
    let (terminal, what) =
        (format!("cargo xtask stage {}", stage.name), format!("enter the stage {}", stage.name));
    supervise(watched, request, &terminal, &what)
}

/// What entering this stage would replace, and which stuck transfers it would leave.
pub(crate) fn stage_question(watched: &Watched, stage: &lab::Stage) -> Result<Value, Failure> {
    let request = json!({ "request": "question", "stage": stage.name });
    let terminal = format!("cargo xtask stage {}", stage.name);
    supervise(watched, request, &terminal, "compare your code with the stage's")
}

/// Compares or restores a saved edit.
pub(crate) fn saved_edit(watched: &Watched, what: &str, id: &str) -> Result<Value, Failure> {
    let list = "cargo xtask stage restore";
    let request = json!({ "request": what, "id": id });
    let answer = supervise(watched, request, list, &format!("{what} your saved edit"))?;
    if answer["missing"] == true {
        let error = format!("there is no saved edit {id}; for a list, type: {list}");
        return Err(Failure::new(StatusCode::NOT_FOUND, error));
    }
    Ok(answer)
}

/// Has the supervisor run the transfer without Temporal, as `cargo xtask without-temporal` does.
pub(crate) fn without_temporal(watched: &Watched) -> Result<Value, Failure> {
    let Some(supervisor) = watched.supervisor() else {
        let error = "the page runs without a lab; type: cargo xtask without-temporal";
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    supervisor.exchange(json!({ "request": "without-temporal" })).map_err(|error| {
        let error = format!("it did not run: {error:#}; type: cargo xtask without-temporal");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
    })
}

/// Terminates every transfer in progress, then resets the bank.
pub(crate) fn reset(watched: &Watched, bank: &Bank) -> Result<Value, Failure> {
    let ended = end_all(watched).map_err(|error| temporal_down(&error))?;
    // The bank records whole seconds: a transfer completed in this second would seem to belong to the new ledger.
    thread::sleep(Duration::from_secs(1) - Duration::from_nanos(time::now().subsec_nanos().into()));
    let ended = ended + end_all(watched).map_err(|error| temporal_down(&error))?;
    bank.reset().map_err(|error| {
        let error = format!("the transfers were terminated, but the bank does not answer: {error:#}");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
    })?;
    // Transfers started in the meantime belong to the old ledger.
    let ended = ended + end_all(watched).map_err(|error| temporal_down(&error))?;
    watched.ask_opened();
    watched.transfers().forget_running();
    let message = "Balances and transfers have been reset. Your code is unchanged. To get the stage's own transfers and outage \
                   back, start the stage again.";
    Ok(json!({ "message": message, "ended": ended }))
}

/// Terminates every transfer in progress, and returns how many there were.
fn end_all(watched: &Watched) -> Result<usize, Error> {
    let server = Server::new(&watched.endpoints);
    let mut running = server.own_running()?;
    // The server's list lags behind: a transfer started just now is not on it.
    running.extend(watched.transfers().started());
    running.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    running.dedup();
    let ended =
        side_by_side::try_map(&running, |run| server.terminate(run, "the lab was reset from its page"))?;
    Ok(ended.into_iter().filter(|&was_running| was_running).count())
}
