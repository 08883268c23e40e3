//! `without-temporal`: the same transfer as a plain program, killed between withdrawal and deposit.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use crate::args::{example, json_flag};
use checkout::project::Project;
use supervisor::{build::Output, without_temporal};
use terminal::stdoutln;

/// Where the program is.
const SOURCE: &str = "crates/plain-transfer/src/main.rs";

pub(crate) fn command() -> Command {
    Command::new("without-temporal")
        .about("Runs the transfer as a plain program without Temporal, kills it halfway, and runs it again")
        .arg(json_flag())
        .after_help(example(&["cargo xtask without-temporal"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let runs = without_temporal::run(project, Output::Terminal)?;
    if arguments.get_flag("json") {
        stdoutln!("{}", runs.to_json());
        return Ok(ExitCode::SUCCESS);
    }
    for line in runs.lines() {
        stdoutln!("{line}");
    }
    stdoutln!("The program: {SOURCE}");
    stdoutln!("Next, the same transfer with Temporal: {}", lab::STAGES[0].text.file);
    Ok(ExitCode::SUCCESS)
}
