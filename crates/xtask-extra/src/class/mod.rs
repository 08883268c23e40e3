//! `class serve|board|announce|open|drill|coming|report|slides|handout|rehearse`: for instructors.

mod announce;
mod board;
mod change;
mod coming;
mod drill;
mod open;
mod pages;
mod rehearse;
mod report;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use checkout::project::Project;
use terminal::Usage;
use xtask::args::example;
use xtask::extra::about;

pub(crate) fn command() -> Command {
    Command::new("class")
        .about(about("class"))
        .after_help(example(&[
            "cargo xtask class serve --bind 192.168.0.7",
            "cargo xtask class board --watch",
            "cargo xtask class announce \"A break until 11:00\"",
        ]))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(board::command())
        .subcommand(announce::command())
        .subcommand(open::command())
        .subcommand(drill::command())
        .subcommand(coming::command())
        .subcommand(report::command())
        .subcommand(pages::slides_command())
        .subcommand(pages::handout_command())
        .subcommand(rehearse::command())
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("serve", arguments)) => serve::run(project, arguments),
        Some(("board", arguments)) => board::run(project, arguments),
        Some(("announce", arguments)) => announce::run(project, arguments),
        Some(("open", arguments)) => open::run(project, arguments),
        Some(("drill", arguments)) => drill::run(project, arguments),
        Some(("coming", arguments)) => coming::run(project, arguments),
        Some(("report", arguments)) => report::run(project, arguments),
        Some(("slides", arguments)) => pages::slides(project, arguments),
        Some(("handout", arguments)) => pages::handout(project, arguments),
        Some(("rehearse", arguments)) => rehearse::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask class --help".to_owned()).into()),
    }
}
