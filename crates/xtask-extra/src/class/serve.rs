//! `class serve`.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use classroom::serve::{self, PORT, UI_PORT};
use terminal::Usage;
use xtask::args::{example, text};

pub(super) fn command() -> Command {
    let port = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PORT")
            .default_value(default)
            .value_parser(value_parser!(u16).range(1..))
            .help(help)
    };
    Command::new("serve")
        .about("Runs a Temporal server for a class until Ctrl-C, and prints the command with which learners join")
        .arg(
            Arg::new("bind")
                .long("bind")
                .value_name("ADDRESS")
                .required(true)
                .help("This machine's address to listen on: 0.0.0.0 for all of them, 127.0.0.1 for a rehearsal"),
        )
        .arg(port("port", "7233", "The Temporal server's port"))
        .arg(port("ui-port", "8233", "The Temporal UI's port"))
        .after_help(example(&["cargo xtask class serve --bind 192.168.0.7", "cargo xtask class serve --bind 0.0.0.0"]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let bound = serve::address(text(arguments, "bind").unwrap_or_default())?;
    let port = |name: &str, default: u16| arguments.get_one::<u16>(name).copied().unwrap_or(default);
    let (port, ui_port) = (port("port", PORT), port("ui-port", UI_PORT));
    if port == ui_port {
        return Err(Usage(format!("the server and its UI cannot both use port {port}")).into());
    }
    serve::run(project, bound, port, ui_port).map(|()| ExitCode::SUCCESS)
}
