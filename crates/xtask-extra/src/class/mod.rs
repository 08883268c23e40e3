//! `class serve|board|rehearse`: for whoever gives a class.

mod board;
mod gateway;
mod places;
pub mod rehearse;
mod relay;
mod serve;
mod served;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::{example, flag, json_flag, text};
use terminal::Usage;
use checkout::project::Project;

pub fn command() -> Command {
    Command::new("class")
        .about("For whoever gives a class: a server for the room, a board of all learners, and a rehearsal")
        .after_help(example(&[
            "cargo xtask class serve --bind 192.168.0.7",
            "cargo xtask class board --watch",
        ]))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(board::command())
        .subcommand(rehearse::command())
}

pub fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("serve", arguments)) => serve::run(project, arguments),
        Some(("board", arguments)) => board::run(project, arguments),
        Some(("rehearse", arguments)) => rehearse::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask class --help".to_owned()).into()),
    }
}
