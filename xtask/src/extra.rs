//! The commands that a learner does not need. Cargo builds them when one of them is typed, so that the first `lab start` does not
//! wait for them.

use std::{env, os::unix::process::CommandExt, process::Command as Process, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use checkout::Project;
use clap::{Arg, Command};
use supervisor::build;

/// The package and program with these commands. It has all other commands too.
pub(crate) const PACKAGE: &str = "xtask-extra";

/// The names of these commands, with their summaries.
const COMMANDS: [(&str, &str); 5] = [
    (
        "play",
        "Plays the course from its texts, with every command and fix, in a separate lab; yours and your files are not touched",
    ),
    ("bench", "Measures the lab: start, transfers, fixes, the page, the bank under load"),
    (
        "chaos",
        "Kills parts of a separate lab again and again while transfers are in progress, then checks every history and every cent",
    ),
    ("class", "For instructors: a server for the room, a board with all learners, and a rehearsal"),
    ("tidy", "For authors: checks the stages, their texts and modules, and says what is missing or wrong"),
];

/// The names of these commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name)
}

/// A command's summary in one line; empty for any other command.
pub fn about(name: &str) -> &'static str {
    COMMANDS.iter().find(|(other, _)| *other == name).map_or("", |(_, about)| about)
}

/// The commands as `cargo xtask --help` lists them. Their arguments are parsed by the other program.
pub(crate) fn commands() -> impl Iterator<Item = Command> {
    COMMANDS.iter().map(|&(name, about)| {
        let arguments = Arg::new("arguments").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
        Command::new(name).about(about).disable_help_flag(true).arg(arguments.hide(true))
    })
}

/// Whether one of these commands was typed, or help for one.
pub(crate) fn is_typed() -> bool {
    let mut words = env::args_os().skip(1).filter(|word| word != "help");
    words.next().is_some_and(|word| COMMANDS.iter().any(|(name, _)| word == *name))
}

/// Builds the program with these commands, and replaces this process with it.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let program = build::build_package(project, PACKAGE).context(
        "this command is built at its first use, which needs the crates; while online, type: cargo xtask prefetch",
    )?;
    let mut command = Process::new(&program);
    command.args(env::args_os().skip(1));
    // `exec`, so that the program gets the terminal and Ctrl-C, and its exit code is ours.
    Err(anyhow!(command.exec())).with_context(|| format!("could not run {}", program.display()))
}
