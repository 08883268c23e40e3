//! The commands, one a file. Each has `command()`, which says how it is called, and `run()`.

mod adjust;
mod check;
mod doctor;
mod drill;
mod help_me;
mod hint;
mod lab;
mod ledger;
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
mod traffic;
mod transfer;
mod without_temporal;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use checkout::Project;
use clap::{ArgMatches, Command};
use terminal::Usage;

use crate::{extra, journal};

/// A command: how it is called, and what it does.
pub type Row = (fn() -> Command, fn(&Project, &ArgMatches) -> Result<ExitCode>);

/// The commands, in the order in which `cargo xtask --help` lists them. Those that a learner does not need are in [`extra`].
const COMMANDS: &[Row] = &[
    (lab::command, lab::run),
    (stage::command, stage::run),
    (check::command, check::run),
    (drill::command, drill::run),
    (hint::command, hint::run),
    (help_me::command, help_me::run),
    (reset::command, reset::run),
    (without_temporal::command, without_temporal::run),
    (transfer::command, transfer::run),
    (traffic::command, traffic::run),
    (retry::command, retry::run),
    (outage::command, outage::run),
    (real_world_mode::command, real_world_mode::run),
    (ledger::command, ledger::run),
    (adjust::command, adjust::run),
    (run_workflow::command, run_workflow::run),
    (temporal::command, temporal::run),
    (doctor::command, doctor::run),
    (prefetch::command, prefetch::run),
    (test::command, test::run),
];

/// How everything is called.
pub fn command_line() -> Command {
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about(
            "A hands-on lab for durable execution: start it, fix Jerry's bugs, and see that no money is lost",
        )
        .after_help(
            "Example:\n  cargo xtask lab start --detach\n\n\
             Environment:\n  \
             BUGLAB_DIR           the lab's folder instead of .lab, to run several labs in one checkout\n  \
             BUGLAB_TEMPORAL_CLI  the Temporal CLI to use instead of the one in .lab/cli or on PATH\n  \
             NO_COLOR             no colors\n\n\
             Exit codes: 0 success, 1 failure, with the reason, 2 wrong usage",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(COMMANDS.iter().map(|(command, _)| command()))
        .subcommands(extra::commands())
}

/// Does what was typed.
///
/// # Errors
/// What the command says; wrong usage is a [`Usage`].
pub fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let unknown = || Err(Usage("no such command; see: cargo xtask --help".to_owned()).into());
    run_one_of(COMMANDS, project, arguments).unwrap_or_else(unknown)
}

/// Does what was typed, if it is a command of this table.
pub fn run_one_of(table: &[Row], project: &Project, whole: &ArgMatches) -> Option<Result<ExitCode>> {
    let (typed, arguments) = whole.subcommand()?;
    let (_, run) = table.iter().find(|(command, _)| command().get_name() == typed)?;
    // `doctor` says it among its other findings.
    if let Some((says, remedy)) = project.foreign_folder().filter(|_| typed != "doctor") {
        return Some(Err(anyhow!("{says}; to make it yours, type: {remedy}")));
    }
    journal::note(project, whole);
    Some(run(project, arguments))
}
