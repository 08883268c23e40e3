//! `retry`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};
use lab_client::{
    retry::Retried,
    side_by_side,
    stuck::{self, Stuck},
    temporal::Server,
};
use serde_json::json;

use crate::args::{example, json_flag};
use checkout::project::Project;
use supervisor::{attach, control};
use terminal::{stderrln, stdoutln};

pub(crate) fn command() -> Command {
    Command::new("retry")
        .about("Retries every failed Activity right away instead of waiting for its next attempt")
        .arg(json_flag())
        .after_help(example(&["cargo xtask retry"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    control::wait_for_build(&state, "the retry follows");
    let server = Server::new(&state.endpoints());
    let found = stuck::find_once_taken(&server)?;
    for (run, error) in &found.unknown {
        stderrln!("could not read the Activities of {}: {error:#}", run.workflow_id);
    }
    let waiting: Vec<(&Stuck, &str, &str)> = found
        .stuck
        .iter()
        .filter(|stuck| stuck.can_retry())
        .filter_map(|stuck| stuck.activity.as_ref().map(|(id, name)| (stuck, id.as_str(), name.as_str())))
        .collect();
    let results = side_by_side::map(&waiting, |(stuck, id, _)| server.retry_activity(&stuck.run, id));

    // What a retry does not help: a pause, a worker that does not answer, and so on.
    let mut held: Vec<String> = found
        .stuck
        .iter()
        .filter_map(|stuck| Some((stuck, stuck.way_out().filter(|_| !stuck.can_retry())?)))
        .map(|(stuck, way_out)| format!("{}: {}; {way_out}", stuck.run.workflow_id, stuck.words()))
        .collect();
    let mut retried = Vec::new();
    let mut failed = found.unknown.len();
    for ((stuck, id, name), result) in waiting.iter().zip(results) {
        match result {
            Ok(Retried::Now) => retried.push((stuck, id, name)),
            // It has completed or failed meanwhile.
            Ok(Retried::Gone) => {}
            // Somebody has paused it meanwhile.
            Ok(Retried::Paused(halt)) => {
                let run = &stuck.run.workflow_id;
                let way_out = halt.way_out(run, &stuck.activity);
                held.push(format!("{run}: {}; {way_out}", halt.words(&stuck.activity)));
            }
            Err(error) => {
                failed += 1;
                stderrln!("could not retry {name} of {}: {error:#}", stuck.run.workflow_id);
            }
        }
    }
    if arguments.get_flag("json") {
        let list: Vec<_> = retried
            .iter()
            .map(|(stuck, id, name)| {
                json!({ "workflow_id": stuck.run.workflow_id, "activity_id": id, "activity": name })
            })
            .collect();
        stdoutln!("{}", json!({ "retried": list, "failed": failed, "held": held }));
    } else if waiting.is_empty() && failed == 0 && held.is_empty() {
        stdoutln!("no Activity is waiting for its next attempt");
    } else if !waiting.is_empty() || failed > 0 {
        for (stuck, _, name) in &retried {
            stdoutln!(
                "retried {name} of {}, which comes to attempt {}",
                stuck.run.workflow_id,
                stuck.attempt
            );
        }
        stdoutln!("retried {}; see the result with: cargo xtask lab status", retried.len());
    }
    if !arguments.get_flag("json") {
        held.iter().for_each(|held| stderrln!("not retried: {held}"));
    }
    let is_in_vain = retried.is_empty() && !held.is_empty();
    Ok(ExitCode::from(u8::from(failed > 0 || is_in_vain)))
}
