//! `class coming`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use checkout::Project;
use clap::{Arg, ArgMatches, Command};
use classroom::board;
use lab_client::class::{self, notices};
use terminal::stdoutln;
use xtask::{
    args::{example, json_flag, text},
    remote_flags,
};

use super::board::service_flags;

pub(super) fn command() -> Command {
    Command::new("coming")
        .about("Tells a learner who has asked for help that you are coming")
        .arg(Arg::new("name").value_name("NAME").required(true).help("The learner, as on the board"))
        .args(service_flags())
        .arg(json_flag())
        .after_help(example(&["cargo xtask class coming ada"]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let learner = remote_flags::checked(text(arguments, "name").unwrap_or_default())?;
    let place = board::find(project, remote_flags::named(arguments))?;
    // The gateway runs until the notices are changed.
    let (server, _gateway) = board::reach(project, &place)?;
    let last = class::last(&server, &learner).context("could not read the learner's question")?;
    let Some(help) = last.and_then(|held| held.report.help) else {
        bail!("{learner} has not asked for help; to see who has: cargo xtask class board");
    };
    let notices = notices::change(&server, |notices| notices.come_to(&learner, &help))
        .context("could not change the class's notices")?;
    match arguments.get_flag("json") {
        true => stdoutln!("{}", notices.to_json()),
        false => stdoutln!("{learner} now sees that you are coming: {}", help.text),
    }
    Ok(ExitCode::SUCCESS)
}
