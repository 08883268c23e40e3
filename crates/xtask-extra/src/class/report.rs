//! `class report`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use classroom::{
    board,
    results::{self, Results},
};
use lab_client::time;
use terminal::stdoutln;
use xtask::{
    args::{example, flag, json_flag},
    remote_flags,
};

pub(super) fn command() -> Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("report")
        .about(
            "Shows each learner's stages, goals, broken rules and questions, up to 12 hours after the class",
        )
        .args(super::board::service_flags())
        .arg(file("csv", "Write the results to this file, for a spreadsheet"))
        .arg(file("html", "Write the results to this file, as a page to print"))
        .arg(flag("force", "Replace an existing file"))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class report",
            "cargo xtask class report --csv results.csv --html results.html",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let place = board::find(project, remote_flags::named(arguments))?;
    let results = Results::of(board::read(project, &place)?, time::unix_now())?;
    let paths = ["csv", "html"].map(|name| arguments.get_one::<PathBuf>(name));
    if !arguments.get_flag("force") {
        // Before the first is written, so that either both are or none.
        paths.into_iter().flatten().try_for_each(|path| files::refuse_existing(path))?;
    }
    let mut is_written = false;
    for (name, content) in [("csv", Results::to_csv as fn(&Results) -> String), ("html", Results::to_html)] {
        if let Some(path) = arguments.get_one::<PathBuf>(name) {
            results::write(path, &content(&results))?;
            is_written = true;
            if !arguments.get_flag("json") {
                stdoutln!("wrote {}", path.display());
            }
        }
    }
    if arguments.get_flag("json") {
        stdoutln!("{}", results.to_json());
    } else if !is_written {
        stdoutln!("{}", results.lines().join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}
