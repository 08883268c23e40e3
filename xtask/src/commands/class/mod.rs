//! `class`: many learners on one Temporal Service.

pub(crate) mod rehearse;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::example;
use crate::{Usage, project::Project};

pub(crate) fn command() -> Command {
    Command::new("class")
        .about("For an instructor: many learners on one Temporal Service")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(rehearse::command())
        .after_help(example(&["cargo xtask class rehearse --learners 3 --profile class"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("rehearse", arguments)) => rehearse::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask class --help".to_owned()).into()),
    }
}
