//! `retry`.

use std::{process::ExitCode, thread};

use anyhow::{Result, anyhow};
use clap::{ArgMatches, Command};
use serde_json::json;

use super::{example, json_flag};
use crate::{
    attach,
    project::Project,
    stuck::{self, Stuck},
    temporal::Server,
    ui::{say, tell},
};

/// So many are retried side by side.
const SIDE_BY_SIDE: usize = 8;

pub(crate) fn command() -> Command {
    Command::new("retry")
        .about("Runs every Activity that has failed and waits for its next attempt, now")
        .arg(json_flag())
        .after_help(example(&["cargo xtask retry"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    let server = Server::with_cli(project, &state.ports);
    let found = stuck::find(&server, usize::MAX)?;
    for (run, error) in &found.unknown {
        tell!("could not ask for the Activities of {}: {error:#}", run.workflow_id);
    }
    let waiting: Vec<(&Stuck, &str, &str)> = found
        .stuck
        .iter()
        .filter_map(|stuck| stuck.activity.as_ref().map(|(id, name)| (stuck, id.as_str(), name.as_str())))
        .collect();
    let retry = |&(stuck, id, _): &(&Stuck, &str, &str)| server.retry_activity(&stuck.run, id);
    let mut results = Vec::new();
    for some in waiting.chunks(SIDE_BY_SIDE) {
        thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|one| scope.spawn(move || retry(one))).collect();
            results.extend(
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("the retry broke off")))),
            );
        });
    }

    let mut retried = Vec::new();
    let mut failed = found.unknown.len();
    for ((stuck, id, name), result) in waiting.iter().zip(results) {
        match result {
            Ok(true) => retried.push((stuck, id, name)),
            // Nothing of it is left to be retried.
            Ok(false) => {}
            Err(error) => {
                failed += 1;
                tell!("could not retry {name} of {}: {error:#}", stuck.run.workflow_id);
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
        say!("{}", json!({ "retried": list, "failed": failed }));
    } else if waiting.is_empty() && failed == 0 {
        say!("no Activity waits for its next attempt");
    } else {
        for (stuck, _, name) in &retried {
            say!(
                "retried {name} of {}, which had failed at attempt {}",
                stuck.run.workflow_id,
                stuck.attempt
            );
        }
        say!("retried {}; see what came of it with: cargo xtask lab status", retried.len());
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}
