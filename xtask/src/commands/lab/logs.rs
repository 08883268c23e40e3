//! `lab logs [SERVICE] [-f]`.

use std::{process::ExitCode, thread, time::Duration};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::service_argument::{chosen, service_argument};
use crate::args::example;
use checkout::project::Project;
use supervisor::{
    attach,
    logs::{self, Stream},
    services,
};
use terminal::stdoutln;

/// How often the logs are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn command() -> Command {
    Command::new("logs")
        .about("Shows what a service has written; all of them when none is named")
        .arg(service_argument(services::names().chain([logs::BUILD, logs::SUPERVISOR])))
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Go on until Ctrl-C"),
        )
        .arg(
            Arg::new("lines")
                .short('n')
                .long("lines")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .default_value("50")
                .help("How many lines of each"),
        )
        .after_help(example(&["cargo xtask lab logs worker -f"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let service = chosen(arguments, logs::names())?;
    attach::attach(project)?;
    let names = || logs::names().filter(|&name| service.is_none_or(|service| service == name));
    // Opened before the old lines are read: a line more than once is better than one not at all.
    let mut stream = Stream::from_end(project, names());
    let lines = arguments.get_one::<u32>("lines").map_or(50, |&lines| lines as usize);
    for name in names() {
        for line in logs::last_lines(&project.log(name), lines) {
            match service {
                Some(_) => stdoutln!("{line}"),
                None => stdoutln!("{}{line}", logs::prefix(name)),
            }
        }
    }
    if !arguments.get_flag("follow") {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        thread::sleep(POLL_INTERVAL);
        if stream.print_new().is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
