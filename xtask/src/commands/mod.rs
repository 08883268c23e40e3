//! The commands, one a file. Each has `command()`, which says how it is called, and `run()`.

mod bench;
mod chaos;
mod check;
pub(crate) mod class;
mod doctor;
mod help_me;
mod hint;
mod lab;
mod mine;
mod outage;
mod play;
mod prefetch;
mod real_world_mode;
mod reset;
mod retry;
mod run_workflow;
mod stage;
mod temporal;
mod test;
mod tidy;
mod transfer;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command};

use terminal::Usage;
use checkout::project::Project;

pub(crate) use lab::follow;

/// How everything is called.
pub(crate) fn command_line() -> Command {
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
        .subcommand(play::command())
        .subcommand(doctor::command())
        .subcommand(prefetch::command())
        .subcommand(test::command())
        .subcommand(bench::command())
        .subcommand(chaos::command())
        .subcommand(class::command())
        .subcommand(tidy::command())
}

/// Does what was typed.
pub(crate) fn run(arguments: &ArgMatches) -> Result<ExitCode> {
    let project = Project::find()?;
    match arguments.subcommand() {
        Some(("lab", arguments)) => lab::run(&project, arguments),
        Some(("stage", arguments)) => stage::run(&project, arguments),
        Some(("check", arguments)) => check::run(&project, arguments),
        Some(("hint", arguments)) => hint::run(&project, arguments),
        Some(("help-me", arguments)) => help_me::run(&project, arguments),
        Some(("outage", arguments)) => outage::run(&project, arguments),
        Some(("real-world-mode", arguments)) => real_world_mode::run(&project, arguments),
        Some(("reset", arguments)) => reset::run(&project, arguments),
        Some(("transfer", arguments)) => transfer::run(&project, arguments),
        Some(("retry", arguments)) => retry::run(&project, arguments),
        Some(("run-workflow", arguments)) => run_workflow::run(&project, arguments),
        Some(("temporal", arguments)) => temporal::run(&project, arguments),
        Some(("play", arguments)) => play::run(&project, arguments),
        Some(("doctor", arguments)) => doctor::run(&project, arguments),
        Some(("prefetch", arguments)) => prefetch::run(&project, arguments),
        Some(("test", arguments)) => test::run(&project, arguments),
        Some(("bench", arguments)) => bench::run(&project, arguments),
        Some(("chaos", arguments)) => chaos::run(&project, arguments),
        Some(("class", arguments)) => class::run(&project, arguments),
        Some(("tidy", arguments)) => tidy::run(&project, arguments),
        _ => Err(Usage("no such command; see: cargo xtask --help".to_owned()).into()),
    }
}

/// The flag `--json`.
fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Report as JSON, for a program")
}

/// A flag without a value.
pub(crate) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// A text that was given for that argument.
fn text<'a>(arguments: &'a ArgMatches, name: &str) -> Option<&'a str> {
    arguments.get_one::<String>(name).map(String::as_str)
}

/// The help's last part.
fn example(lines: &[&str]) -> String {
    let heading = if lines.len() == 1 { "Example" } else { "Examples" };
    let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
    format!("{heading}:{lines}")
}

#[cfg(test)]
mod tests {
    use clap::Command;

    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn check(mut command: Command, path: &str) {
            let help = command.render_help().to_string();
            let has = help.contains("Example:\n") || help.contains("Examples:\n");
            assert!(has && help.contains("cargo xtask"), "{path} has no example:\n{help}");
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                check(sub.clone(), &format!("{path} {}", sub.get_name()));
            }
        }
        let command = super::command_line();
        command.clone().debug_assert();
        check(command, "cargo xtask");
    }
}
