//! The commands, one a file. Each has `command()`, which says how it is called, and `run()`.

mod check;
mod doctor;
mod help_me;
mod hint;
mod lab;
mod mine;
mod outage;
mod prefetch;
mod real_world_mode;
mod reset;
mod retry;
mod run_workflow;
mod stage;
mod temporal;
mod test;
mod transfer;

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{ArgMatches, Command};
use terminal::Usage;

use crate::extra;

/// How everything is called.
pub fn command_line() -> Command {
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about("A hands-on lab for durable execution: start it, meet Jerry's bugs, mend them, see nothing get lost")
        .after_help(
            "Example:\n  cargo xtask lab start --detach\n\n\
             Environment:\n  \
             BUGLAB_DIR           the lab's folder, in place of .lab: several labs on one checkout\n  \
             BUGLAB_TEMPORAL_CLI  the Temporal CLI to use, in place of the one on PATH or in .lab/cli\n  \
             NO_COLOR             no colours\n\n\
             Exit codes: 0 done, 1 it failed and says why, 2 wrong usage",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(lab::command())
        .subcommand(stage::command())
        .subcommand(check::command())
        .subcommand(hint::command())
        .subcommand(help_me::command())
        .subcommand(reset::command())
        .subcommand(transfer::command())
        .subcommand(retry::command())
        .subcommand(outage::command())
        .subcommand(real_world_mode::command())
        .subcommand(run_workflow::command())
        .subcommand(temporal::command())
        .subcommand(extra::command("play"))
        .subcommand(doctor::command())
        .subcommand(prefetch::command())
        .subcommand(test::command())
        .subcommand(extra::command("bench"))
        .subcommand(extra::command("chaos"))
        .subcommand(extra::command("class"))
        .subcommand(extra::command("tidy"))
}

/// Does what was typed.
///
/// # Errors
/// What the command says; wrong usage is a [`Usage`].
pub fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("lab", arguments)) => lab::run(project, arguments),
        Some(("stage", arguments)) => stage::run(project, arguments),
        Some(("check", arguments)) => check::run(project, arguments),
        Some(("hint", arguments)) => hint::run(project, arguments),
        Some(("help-me", arguments)) => help_me::run(project, arguments),
        Some(("outage", arguments)) => outage::run(project, arguments),
        Some(("real-world-mode", arguments)) => real_world_mode::run(project, arguments),
        Some(("reset", arguments)) => reset::run(project, arguments),
        Some(("transfer", arguments)) => transfer::run(project, arguments),
        Some(("retry", arguments)) => retry::run(project, arguments),
        Some(("run-workflow", arguments)) => run_workflow::run(project, arguments),
        Some(("temporal", arguments)) => temporal::run(project, arguments),
        Some(("doctor", arguments)) => doctor::run(project, arguments),
        Some(("prefetch", arguments)) => prefetch::run(project, arguments),
        Some(("test", arguments)) => test::run(project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask --help".to_owned()).into()),
    }
}
