//! `lab start|stop|status|logs|restart`.

mod logs;
mod restart;
mod start;
mod status;
mod stop;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};

use crate::args::{example, text};
use checkout::project::Project;
use terminal::Usage;

pub(crate) fn command() -> Command {
    Command::new("lab")
        .about("Starts, stops and shows the lab: Temporal server, account API, worker and page")
        .after_help(example(&["cargo xtask lab start --detach", "cargo xtask lab status"]))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(start::command())
        .subcommand(stop::command())
        .subcommand(status::command())
        .subcommand(logs::command())
        .subcommand(restart::command())
        .subcommand(start::supervise_command())
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("start", arguments)) => start::run(project, arguments),
        Some(("supervise", arguments)) => start::supervise(project, arguments),
        Some(("stop", _)) => stop::run(project),
        Some(("status", arguments)) => status::run(project, arguments),
        Some(("logs", arguments)) => logs::run(project, arguments),
        Some(("restart", arguments)) => restart::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask lab --help".to_owned()).into()),
    }
}

/// The optional argument that is one of these names.
fn service_argument(names: impl Iterator<Item = &'static str>) -> Arg {
    let mut names: Vec<_> = names.collect();
    let last = names.pop().unwrap_or_default();
    Arg::new("service").value_name("SERVICE").help(format!("{} or {last}", names.join(", ")))
}

/// The one of these names that was given, if one was.
fn chosen(
    arguments: &ArgMatches,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Result<Option<&'static str>> {
    let Some(given) = text(arguments, "service") else { return Ok(None) };
    match names.clone().find(|&name| name == given) {
        Some(name) => Ok(Some(name)),
        None => {
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Usage(format!("no service is called {given}; there are: {names}")).into())
        }
    }
}
