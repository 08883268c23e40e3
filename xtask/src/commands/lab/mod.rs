//! `lab start|stop|status|logs|restart|watch|deploy|retire|env`.

mod deploy;
mod env;
mod logs;
mod restart;
mod retire;
mod service_argument;
mod start;
mod status;
mod stop;
mod versioned;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use crate::args::example;
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
        .subcommand(watch::command())
        .subcommand(deploy::command())
        .subcommand(retire::command())
        .subcommand(env::command())
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
        Some(("watch", arguments)) => watch::run(project, arguments),
        Some(("deploy", arguments)) => deploy::run(project, arguments),
        Some(("retire", arguments)) => retire::run(project, arguments),
        Some(("env", arguments)) => env::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask lab --help".to_owned()).into()),
    }
}
