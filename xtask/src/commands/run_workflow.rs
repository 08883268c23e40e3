//! `run-workflow`: a worker and one transfer in one process.

use std::{os::unix::process::CommandExt, process::Command as Process, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use clap::{Arg, ArgMatches, Command};

use crate::args::{example, text};
use checkout::project::Project;
use supervisor::{attach, build, services};

/// The flags that the program gets, with what they are.
const FLAGS: [(&str, &str, &str); 4] = [
    ("from", "ACCOUNT", "The account to withdraw from"),
    ("to", "ACCOUNT", "The account to deposit into"),
    ("amount", "AMOUNT", "How many dollars, with at most two decimals"),
    ("workflow-id", "ID", "The transfer's Workflow Id; if it is in progress already, waits for it"),
];

pub(crate) fn command() -> Command {
    let argument = |&(name, value, help): &(&'static str, &'static str, &'static str)| {
        Arg::new(name).long(name).value_name(value).allow_hyphen_values(true).help(help)
    };
    Command::new("run-workflow")
        .about("Runs a worker and one transfer in one process, against the running lab")
        .args(FLAGS.iter().map(argument))
        .after_help(example(&[
            "cargo xtask run-workflow",
            "cargo xtask run-workflow --from account_A --to account_B --amount 25.50",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_ready(project)?;
    let executables = build::build(project, &["run_workflow"])?;
    let program = executables.get("run_workflow").context("the worker's package has no run_workflow")?;
    let mut command = Process::new(&program);
    let endpoints = state.endpoints();
    for (name, _, _) in FLAGS {
        let value = text(arguments, name).map(str::to_owned);
        let value = match name {
            // With the learner's name, as `transfer` has it: this may join its transfer, and what is started here may be joined.
            "workflow-id" => {
                let id = value.unwrap_or_else(lab_client::new_workflow_id);
                Some(contract::workflow_id_of(endpoints.learner.as_deref(), &id))
            }
            _ => value,
        };
        if let Some(value) = value {
            command.arg(format!("--{name}={value}"));
        }
    }
    command.args(["--ui-url", &endpoints.temporal_ui]);
    dev_server::forget_settings(&mut command);
    command.envs(services::worker_environment(&state.ports, state.remote_service.as_ref()));
    // In place of this process: the terminal, its Ctrl-C and the exit code are the program's own.
    Err(anyhow!(command.exec()).context(format!("could not run {}", program.display())))
}
