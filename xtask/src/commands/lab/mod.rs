//! `lab start|stop|status|logs|restart`.

mod logs;
mod restart;
mod start;
mod status;
mod stop;

use std::{process::ExitCode, thread, time::Duration};

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};

use super::{example, flag, json_flag, text};
use checkout::project::Project;
use supervisor::{
    logs::{self as log_files, Tail},
    services,
};
use terminal::{Usage, stderrln};

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

/// Does something that the supervisor works on, and shows what it and its builds say in the meantime.
pub(crate) fn follow<T: Send>(project: &Project, work: impl FnOnce() -> T + Send) -> T {
    let mut tails = [log_files::SUPERVISOR, log_files::BUILD].map(|name| Tail::from_end(project.log(name)));
    let mut relay = || {
        for line in tails.iter_mut().flat_map(Tail::new_lines) {
            stderrln!("{line}");
        }
    };
    thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() {
            relay();
            thread::sleep(Duration::from_millis(20));
        }
        relay();
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The names that have a log.
fn log_names() -> impl Iterator<Item = &'static str> + Clone {
    [log_files::SUPERVISOR, log_files::BUILD].into_iter().chain(services::names())
}
