//! `lab logs [SERVICE] [-f]`.

use std::{process::ExitCode, slice, thread, time::Duration};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use lab_client::{
    kept_versions::{KeptVersions, service_of},
    state::WORKER,
};

use super::service_argument::{chosen, service_argument};
use crate::args::example;
use checkout::project::Project;
use supervisor::{attach, log_tail::Stream, logs, services};
use terminal::{stderrln, stdoutln};

/// How often we poll the logs.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn command() -> Command {
    Command::new("logs")
        .about("Shows the log of a service, with times in UTC; without a name, shows all logs")
        .long_about(
            "Shows the log of a service, with times in UTC; without a name, shows all logs. In a stage with versions, each has a \
             log of its own, such as worker@2; `worker` shows all of them.",
        )
        .arg(service_argument(services::names().chain([logs::BUILD, logs::SUPERVISOR])))
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Keep printing new lines until Ctrl-C"),
        )
        .arg(
            Arg::new("lines")
                .short('n')
                .long("lines")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .default_value("50")
                .help("How many lines of each log"),
        )
        .after_help(example(&["cargo xtask lab logs worker -f"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let service = chosen(arguments, logs::names())?;
    attach::attach(project)?;
    // Opened before the old lines are read: a line twice is better than a line missed.
    let versions = versions(project);
    let (names, mut stream) = match &service {
        // All versions of the worker are the worker.
        Some(service) if service == WORKER && !versions.is_empty() => {
            (versions.clone(), Stream::of(project, &versions))
        }
        Some(service) => (vec![service.clone()], Stream::of(project, slice::from_ref(service))),
        None => (logs::names().map(str::to_owned).chain(versions).collect(), Stream::of_all(project)),
    };
    let lines = arguments.get_one::<u32>("lines").map_or(50, |&lines| lines as usize);
    let is_one = names.len() == 1;
    for name in names {
        let lines = logs::last_lines(&project.log(&name), lines);
        if lines.is_empty() && service.is_some() {
            stderrln!("{}", nothing_yet(&name));
        }
        for line in lines {
            match is_one {
                true => stdoutln!("{line}"),
                false => stdoutln!("{}{line}", logs::prefix(&name)),
            }
        }
    }
    if !arguments.get_flag("follow") {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        thread::sleep(POLL_INTERVAL);
        if stream.print_new().is_err() || terminal::reader_is_gone() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The names of the versions of the worker that this lab runs.
fn versions(project: &Project) -> Vec<String> {
    let versions = KeptVersions::read(&project.lab).versions;
    versions.into_iter().map(|version| service_of(version.number)).collect()
}

/// What is said of an empty log.
fn nothing_yet(name: &str) -> String {
    match name {
        logs::BUILD => {
            "no build yet; `lab start` in the foreground prints its own in that terminal".to_owned()
        }
        name => format!("{name} has written nothing yet"),
    }
}
