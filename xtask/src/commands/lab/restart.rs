//! `lab restart [SERVICE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::{chosen, example, service_argument};
use crate::{
    attach,
    control::{self, Request},
    project::Project,
    services::{self, SERVICES},
    ui::say,
};

pub(crate) fn command() -> Command {
    Command::new("restart")
        .about("Ends a service gracefully and starts it again; all of them when none is named")
        .arg(service_argument("temporal, account-api or worker"))
        .after_help(example(&["cargo xtask lab restart worker"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let service = chosen(arguments, SERVICES.iter().map(|service| service.name))?;
    let state = attach::attach_running(project)?;
    control::ask(&state, &Request::Restart(service.map(str::to_owned)))?;
    match service {
        Some(service) => say!("{service} runs again"),
        None => say!("{} run again", services::names().collect::<Vec<_>>().join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
