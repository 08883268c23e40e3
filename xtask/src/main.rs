//! The command line of the lab, `cargo xtask`, and the supervisor of what a lab runs.
//!
//! One command is one file in `commands`. What several of them need is in the modules beside it.
//!
//! **Architecture invariant:** this crate reads and writes files, starts processes and asks them
//! questions over loopback. The Temporal SDK is the worker's; nothing imports this crate.

mod attach;
mod backup;
mod build;
mod chaos;
mod commands;
mod control;
mod copy;
mod logs;
mod play;
mod ports;
mod process;
mod progress;
mod project;
mod random;
mod remote_service;
mod reporter;
mod services;
mod shadow;
mod signals;
mod stage_entry;
mod state;
mod supervisor;
mod temporal_cli;
mod terminal;
mod tidy;
mod toolchain;
mod watch;

use std::process::ExitCode;

/// A mistake in what was typed, as opposed to something that went wrong: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let arguments = match commands::command_line().try_get_matches() {
        Ok(arguments) => arguments,
        // Also `--help`, which goes to stdout and is no failure.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Err(_) | Ok(()) => ExitCode::from(code),
            };
        }
    };
    match commands::run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            terminal::stderr_line(format_args!("error: {error:#}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}
