//! The commands that a learner does not need: cargo builds them when one of them is typed, so that nobody waits for them before the
//! first `lab start`.

use std::{env, os::unix::process::CommandExt, process::Command as Process, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use checkout::Project;
use clap::{Arg, Command};
use supervisor::build;

/// The package with these commands, and its program: it knows all others, too.
pub(crate) const PACKAGE: &str = "xtask-extra";

/// Their names, with what each is about.
const COMMANDS: [(&str, &str); 5] = [
    (
        "play",
        "Plays the whole lab by its texts, every command and every fix, in a lab of its own: yours and your files stay as they are",
    ),
    ("bench", "Measures the lab: its start, transfers, fixes, the page, the bank under load"),
    (
        "chaos",
        "Kills the parts of a lab of its own, again and again, while transfers are under way; then goes through every history and every cent",
    ),
    ("class", "For whoever gives a class: a server for the room, a board of all learners, and a rehearsal"),
    (
        "tidy",
        "Tells authors what is missing of a stage, its text and its modules, and what is wrong in a text",
    ),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name)
}

/// What that command is about, in one line; empty for a command that is none of these.
pub fn about(name: &str) -> &'static str {
    COMMANDS.iter().find(|(other, _)| *other == name).map_or("", |(_, about)| about)
}

/// Each as `cargo xtask --help` lists it. What it takes, its own program knows.
pub(crate) fn commands() -> impl Iterator<Item = Command> {
    COMMANDS.iter().map(|&(name, about)| {
        let arguments = Arg::new("arguments").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
        Command::new(name).about(about).disable_help_flag(true).arg(arguments.hide(true))
    })
}

/// Whether one of them was typed, or help about one.
pub(crate) fn is_typed() -> bool {
    let mut words = env::args_os().skip(1).filter(|word| word != "help");
    words.next().is_some_and(|word| COMMANDS.iter().any(|(name, _)| word == *name))
}

/// Builds the program with these commands, and runs it in place of this one with what was typed.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let program = build::build_package(project, PACKAGE).context(
        "this command is built when it is first typed, which needs the crates; with a network, type: cargo xtask prefetch",
    )?;
    let mut command = Process::new(&program);
    command.args(env::args_os().skip(1));
    // In place of this process: the terminal, its Ctrl-C and the exit code are the program's own.
    Err(anyhow!(command.exec())).with_context(|| format!("could not run {}", program.display()))
}
