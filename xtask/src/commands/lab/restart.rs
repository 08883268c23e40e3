//! `lab restart [SERVICE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::service_argument::{chosen, service_argument};
use crate::args::{example, flag};
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
    logs,
    services::{self, WORKER},
};
use terminal::{Usage, stdoutln};

pub(crate) fn command() -> Command {
    Command::new("restart")
        .about("Ends a service gracefully and starts it again; all of them when none is named")
        .arg(service_argument(services::names()))
        .arg(flag("build", "Build the worker first: for a lab that was started with --no-watch"))
        .after_help(example(&["cargo xtask lab restart worker", "cargo xtask lab restart worker --build"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let service = chosen(arguments, services::names())?;
    let state = attach::attach_running(project)?;
    if arguments.get_flag("build") {
        if service != Some(WORKER) {
            return Err(
                Usage("only the worker is built: cargo xtask lab restart worker --build".to_owned()).into()
            );
        }
        logs::follow(project, || control::ask(&state, &Request::Rebuild))?;
        stdoutln!("worker runs again");
        return Ok(ExitCode::SUCCESS);
    }
    control::ask(&state, &Request::Restart(service.map(str::to_owned)))?;
    match service {
        Some(service) => stdoutln!("{service} runs again"),
        None => stdoutln!("{} run again", services::names().collect::<Vec<_>>().join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
