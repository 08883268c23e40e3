//! `drill report`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use checkout::project::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use lab_client::{drill_report::DrillReport, facts::Reader, journal, state::State, supervisor::services};
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::stdoutln;

use super::recorded::recorded;
use crate::args::{example, flag, json_flag};

pub(super) fn command() -> Command {
    Command::new("report")
        .about("Reports the drill: how fast it was mitigated and recovered, what was hit, a timeline, a review to fill in")
        .arg(
            Arg::new("html")
                .long("html")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write the report to this file, as a page to print"),
        )
        .arg(flag("force", "Replace an existing file").requires("html"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask drill report", "cargo xtask drill report --html report.html"]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    recorded(project)?;
    let path = arguments.get_one::<PathBuf>("html");
    if let Some(path) = path.filter(|_| !arguments.get_flag("force")) {
        files::refuse_existing(path)?;
    }
    let report = read(project, &attach::attach_running(project)?)?;
    let as_json = arguments.get_flag("json");
    if let Some(path) = path {
        files::replace(path, report.html().as_bytes(), 0o644)
            .with_context(|| format!("could not write {}", path.display()))?;
        if !as_json {
            stdoutln!("wrote {}", path.display());
            return Ok(ExitCode::SUCCESS);
        }
    }
    print(&report, as_json);
    Ok(ExitCode::SUCCESS)
}

/// The report of the drill that is in progress or ended last.
pub(super) fn read(project: &Project, state: &State) -> Result<DrillReport> {
    let progress = recorded(project)?;
    let status = control::ask(state, &Request::Status)?;
    let facts = Reader::new(&state.endpoints()).read(&progress, services(&status))?;
    Ok(DrillReport::of(&progress, &facts, &journal::read(&project.lab)))
}

pub(super) fn print(report: &DrillReport, as_json: bool) {
    match as_json {
        true => stdoutln!("{}", report.to_json()),
        false => report.lines().iter().for_each(|line| stdoutln!("{line}")),
    }
}
