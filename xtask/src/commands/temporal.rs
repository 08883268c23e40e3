//! `temporal ARGS`: the Temporal CLI against the lab's server.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command};

use crate::args::example;
use checkout::project::Project;
use lab_client::progress::Progress;
use supervisor::{attach, ports, temporal_cli};

pub(crate) fn command() -> Command {
    Command::new("temporal")
        .about("Runs the lab's Temporal CLI against the lab's server")
        .arg(
            Arg::new("arguments")
                .value_name("ARGS")
                .num_args(1..)
                .required(true)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("The arguments of the Temporal CLI"),
        )
        .after_help(example(&["cargo xtask temporal workflow list", "cargo xtask temporal workflow --help"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_ready(project)?;
    let words: Vec<&str> =
        arguments.get_many::<String>("arguments").into_iter().flatten().map(String::as_str).collect();
    if words.starts_with(&["workflow", "delete"]) && Progress::read(&project.lab).is_in_drill() {
        bail!(
            "in a drill, what has happened stays on record; to bring a transfer back, use a Workflow Reset: \
             cargo xtask temporal workflow reset --help"
        );
    }
    let cli = temporal_cli::provide(project)?;
    let mut command = cli.command();
    command.args(words);
    command.env("TEMPORAL_ADDRESS", state.ports.address(ports::TEMPORAL));
    command.env("TEMPORAL_NAMESPACE", state.endpoints().namespace);
    let status = command.status().with_context(|| format!("could not run {}", cli.path().display()))?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
