//! `class board`.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use classroom::board;
use xtask::{
    args::{example, flag, json_flag},
    remote_flags,
};

/// The flags for the class's Temporal Service.
pub(super) fn service_flags() -> [Arg; 3] {
    [
        value("profile", "NAME", "The class's Temporal Service, by its profile in temporal.toml")
            .conflicts_with("address"),
        value("address", "HOST:PORT", "The class's Temporal Service, by its address, without TLS"),
        value("namespace", "NAME", "The namespace [default: default]").requires("address"),
    ]
}

fn value(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

pub(super) fn command() -> Command {
    Command::new("board")
        .about(
            "Shows each learner of a class, those who need help first: questions, stage, goals, and last report",
        )
        .args(service_flags())
        .arg(flag("watch", "Keep updating until Ctrl-C"))
        .arg(
            flag("page", "Serve the board as a web page on this machine until Ctrl-C")
                .conflicts_with_all(["watch", "json"]),
        )
        .arg(
            value("page-port", "PORT", "The page's port [default: 7240, or the next free one]")
                .value_parser(value_parser!(u16).range(1..))
                .requires("page"),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class board --watch",
            "cargo xtask class board --page",
            "cargo xtask class board --profile class --json",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let place = board::find(project, remote_flags::named(arguments))?;
    if arguments.get_flag("page") {
        board::serve_page(project, &place, arguments.get_one::<u16>("page-port").copied())?;
    } else {
        board::print(project, &place, arguments.get_flag("json"), arguments.get_flag("watch"))?;
    }
    Ok(ExitCode::SUCCESS)
}
