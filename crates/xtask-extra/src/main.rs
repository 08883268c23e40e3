//! The commands that a learner does not need: `play`, `chaos`, `class`, `bench`, `tidy`. `cargo xtask` builds and runs this program
//! when one of them is typed. It has the other commands too, because a rehearsal uses them.

mod bench;
mod chaos;
mod class;
mod play;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{ArgMatches, Command};
use xtask::commands::{self, Row};

fn main() -> ExitCode {
    xtask::main(command_line(), run)
}

/// The commands, in the order of [`xtask::extra`], which tells `cargo xtask` their names.
const COMMANDS: &[Row] = &[
    (play::command, play::run),
    (bench::command, bench::run),
    (chaos::command, chaos::run),
    (class::command, class::run),
    // It checks the commands in the texts against this command line.
    (tidy::command, |project, arguments| tidy::run(project, arguments, &command_line())),
];

/// The whole command line, with these commands' arguments.
fn command_line() -> Command {
    COMMANDS.iter().fold(commands::command_line(), |line, (command, _)| {
        let command = command();
        let name = command.get_name().to_owned();
        line.mut_subcommand(name, |_| command)
    })
}

fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    commands::run_one_of(COMMANDS, project, arguments).unwrap_or_else(|| commands::run(project, arguments))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    #[test]
    fn cargo_xtask_lists_every_command() {
        let names: Vec<String> =
            super::COMMANDS.iter().map(|(command, _)| command().get_name().to_owned()).collect();
        assert_eq!(names, xtask::extra::names().collect::<Vec<_>>());
    }

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

    #[test]
    fn every_command_on_the_slides_and_the_handout_parses() {
        for page in [classroom::pages::slides(None), classroom::pages::handout(None)] {
            let spans = page.split("<code>").skip(1).filter_map(|rest| rest.split_once("</code>"));
            let typed: Vec<&str> =
                spans.map(|(span, _)| span).filter(|span| span.starts_with("cargo xtask ")).collect();
            assert!(typed.len() > 3, "{typed:?}");
            for typed in typed {
                let words = shlex::split(typed).expect("its quotes are closed");
                let parsed = super::command_line().try_get_matches_from(&words[1..]);
                assert!(parsed.is_ok(), "{typed}: {}", parsed.expect_err("it does not parse"));
            }
        }
    }
}
