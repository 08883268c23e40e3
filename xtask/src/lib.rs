//! The command line of the lab, `cargo xtask`. Each command is a file in `commands`, which parses, calls and prints.
//!
//! The work is done in the crates below: `supervisor`, `checkout`, `lab-client`. The commands that a learner does not need are in
//! `xtask-extra`, which is built when one of them is typed.
//!
//! **Architecture invariant:** a learner waits for every dependency of this crate to compile, so there are few. Only `xtask-extra`
//! imports this crate.

pub mod args;
mod class_status;
pub mod commands;
mod deployment;
pub mod extra;
mod journal;
pub mod remote_flags;
mod service_trouble;
mod versions;

use std::process::ExitCode;

use anyhow::{Result, bail};
use checkout::Project;
use clap::{ArgMatches, Command};
use terminal::Usage;

/// Parses the command line, runs the command, and prints its error if it fails. Exit codes: 0 success, 1 failure, 2 wrong usage.
pub fn main(command_line: Command, run: impl Fn(&Project, &ArgMatches) -> Result<ExitCode>) -> ExitCode {
    let arguments = match command_line.try_get_matches() {
        Ok(arguments) => arguments,
        // clap also returns `--help` as an error, but prints it to stdout.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Err(_) | Ok(()) => ExitCode::from(code),
            };
        }
    };
    report(Project::find().and_then(|project| {
        terminal::link_places(&project.root);
        run(&project, &arguments)
    }))
}

/// The exit code of a command, with its error on standard error.
fn report(outcome: Result<ExitCode>) -> ExitCode {
    let outcome = outcome.and_then(|code| match terminal::is_output_lost() {
        true => bail!("could not write all of the output; is the disk full?"),
        false => Ok(code),
    });
    outcome.unwrap_or_else(|error| {
        terminal::stderr_line(format_args!("error: {error:#}"));
        ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
    })
}

/// Runs the program `xtask-extra` in place of this one, if one of its commands was typed.
pub fn delegate() -> Option<ExitCode> {
    extra::is_typed().then(|| report(Project::find().and_then(|project| extra::run(&project))))
}
