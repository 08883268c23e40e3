//! The command line of the lab, `cargo xtask`: one command is one file in `commands`, which parses, calls and prints.
//!
//! What a command does is in the crates below: `supervisor`, `checkout`, `lab-client`. The commands that a learner does not need
//! are those of `xtask-extra`, which is built when one of them is typed.
//!
//! **Architecture invariant:** every crate that this one is built of is compiled before a learner sees anything. Nothing but
//! `xtask-extra` imports this crate.

pub mod args;
pub mod commands;
mod deployment;
pub mod extra;
pub mod remote_flags;

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{ArgMatches, Command};
use terminal::Usage;

/// Parses what was typed, runs it, and prints the error where there is one. Exit codes: 0 done, 1 it failed, 2 wrong usage.
pub fn main(command_line: Command, run: impl Fn(&Project, &ArgMatches) -> Result<ExitCode>) -> ExitCode {
    let arguments = match command_line.try_get_matches() {
        Ok(arguments) => arguments,
        // Also `--help`, which goes to stdout and is no failure.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Err(_) | Ok(()) => ExitCode::from(code),
            };
        }
    };
    report(Project::find().and_then(|project| run(&project, &arguments)))
}

/// The exit code of a command, with its error on standard error.
fn report(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        terminal::stderr_line(format_args!("error: {error:#}"));
        ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
    })
}

/// Runs the program `xtask-extra` in place of this one, if one of its commands was typed.
pub fn delegate() -> Option<ExitCode> {
    extra::is_typed().then(|| report(Project::find().and_then(|project| extra::run(&project))))
}
