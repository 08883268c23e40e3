//! `test`.

use std::{os::unix::process::ExitStatusExt, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command};

use super::mine;
use crate::args::{example, flag, json_flag};
use checkout::project::Project;
use supervisor::{build, cargo, temporal_cli};

/// The packages of each call of `cargo test`; see [`build::COMMAND_LINE`] for why there are two.
pub(super) fn rounds() -> [Vec<&'static str>; 2] {
    [build::other_packages(), build::command_line_packages()]
}

/// Slow tests are in modules of this name: they take long, and changes to other code seldom break them.
const SLOW: &str = "slow::";

pub(crate) fn command() -> Command {
    Command::new("test")
        .about("Runs the project's tests, without the slow ones, on their own Temporal servers")
        .arg(flag("all", "Run the slow tests too").conflicts_with_all(["arguments", "mine", "slow"]))
        .arg(flag("slow", "Run only the slow tests").conflicts_with_all(["arguments", "mine"]))
        .arg(
            flag("mine", "Run only the tests of the modules that you edit, and replay the lab's transfers")
                .conflicts_with("arguments"),
        )
        .arg(
            flag("replay", "Only the replay: does your change break a transfer in progress?")
                .requires("mine"),
        )
        .arg(json_flag().requires("mine"))
        .arg(
            Arg::new("arguments")
                .value_name("ARGS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("Arguments for cargo test, which then runs slow tests too"),
        )
        .after_help(example(&[
            "cargo xtask test",
            "cargo xtask test --all",
            "cargo xtask test -p xtask -- --nocapture",
            "cargo xtask test --mine",
            "cargo xtask test --mine --replay",
        ]))
}

pub(crate) fn run(project: &Project, given: &ArgMatches) -> Result<ExitCode> {
    if given.get_flag("mine") {
        return mine::run(project, given.get_flag("replay"), given.get_flag("json"));
    }
    let cli = temporal_cli::provide(project)?;
    let arguments: Vec<&String> = given.get_many("arguments").into_iter().flatten().collect();
    let picks = |argument: &&String| ["-p", "--package"].iter().any(|flag| argument.starts_with(flag));
    let rounds = match arguments.iter().take_while(|argument| **argument != "--").any(picks) {
        true => vec![Vec::new()],
        false => rounds().into(),
    };
    let tier: &[&str] = match (given.get_flag("slow"), given.get_flag("all")) {
        // Without doc tests, none of which is slow.
        (true, _) => &["--tests", "--", SLOW],
        (false, false) if arguments.is_empty() => &["--", "--skip", SLOW],
        _ => &[],
    };
    let mut all_passed = true;
    for packages in rounds {
        let mut command = cargo::call("test");
        // A failing test must not hide others.
        command.arg("--no-fail-fast").args(packages).args(&arguments).args(tier);
        command.current_dir(&project.root).env(temporal_cli::CLI_VARIABLE, cli.path());
        let status = command.status().context("could not run cargo")?;
        all_passed &= status.success();
        // Ctrl-C ends both calls of cargo.
        if status.signal().is_some() {
            break;
        }
    }
    Ok(ExitCode::from(u8::from(!all_passed)))
}
