//! `class open`.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command};
use terminal::stdoutln;
use xtask::args::{self, example, flag, json_flag};

use super::{board::service_flags, change::change};

pub(super) fn command() -> Command {
    Command::new("open")
        .about(
            "Opens the stages up to this one; learners can still enter later ones with `stage NAME --ahead`",
        )
        .arg(
            Arg::new("stage")
                .value_name("STAGE")
                .value_parser(args::stage_name())
                .required_unless_present("all")
                .help("The last stage that is open"),
        )
        .arg(flag("all", "Open every stage").conflicts_with("stage"))
        .args(service_flags())
        .arg(json_flag())
        .after_help(example(&["cargo xtask class open fix-activity", "cargo xtask class open --all"]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let stage = args::stage(arguments, "stage");
    let notices =
        change(project, arguments, |notices| notices.open = stage.map(|stage| stage.name.to_owned()))?;
    if arguments.get_flag("json") {
        stdoutln!("{}", notices.to_json());
        return Ok(ExitCode::SUCCESS);
    }
    match stage {
        Some(stage) => {
            stdoutln!("open up to stage {}", stage.heading());
            stdoutln!("to open every stage: cargo xtask class open --all");
        }
        None => stdoutln!("every stage is open"),
    }
    Ok(ExitCode::SUCCESS)
}
