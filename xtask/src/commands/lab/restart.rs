//! `lab restart [SERVICE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::service_argument::{chosen, service_argument};
use crate::args::example;
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
    services,
};
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("restart")
        .about("Restarts a service, or all of them if you name none")
        .long_about(
            "Restarts a service, or all of them if you name none. It does not build anything: `lab deploy` does. Restarting the \
             bank ends Real World Mode and outages. In a stage with versions, `worker` is all of them and `worker@2` is one.",
        )
        .arg(service_argument(services::names()))
        .after_help(example(&["cargo xtask lab restart worker"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let service = chosen(arguments, services::names())?;
    let state = attach::attach_running(project)?;
    control::ask(&state, &Request::Restart(service.clone()))?;
    match service {
        Some(service) => stdoutln!("{service} has been restarted"),
        None => {
            let services = control::ask(&state, &Request::Status)?;
            let names = services["services"].as_array().into_iter().flatten();
            // A worker that does not compile runs once it does.
            let restarted =
                names.filter(|one| one["state"] != "stopped").filter_map(|one| one["name"].as_str());
            stdoutln!("restarted: {}", restarted.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(ExitCode::SUCCESS)
}
