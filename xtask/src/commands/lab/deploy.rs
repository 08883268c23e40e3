//! `lab deploy`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command, value_parser};
use lab_client::{kept_versions::service_of, state::State, supervisor::versions};

use super::versioned;
use crate::args::example;
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
    log_tail::follow,
    preparation, stage_entry,
};
use terminal::{stderrln, stdoutln};

pub(crate) fn command() -> Command {
    Command::new("deploy")
        .about("Builds the worker and restarts it, so that it runs your saved code")
        .long_about(
            "Builds the worker and restarts it, so that it runs your saved code. With watch on, the lab does this by \
             itself whenever you save an edit. If the code does not compile, the worker keeps running the previous code.\n\n\
             In a stage with versions, it deploys your saved code as the next version of the Worker Deployment, with a worker of \
             its own; the other versions keep running. The new version takes transfers once you ramp it or make it current.",
        )
        .arg(
            Arg::new("over")
                .long("over")
                .value_name("VERSION")
                .value_parser(value_parser!(u32).range(1..))
                .help("In a stage with versions: replace the code of this version, under the same Build ID"),
        )
        .after_help(example(&["cargo xtask lab watch off", "cargo xtask lab deploy"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    stage_entry::require_no_entry(project)?;
    let over = arguments.get_one::<u32>("over").copied();
    if !versions(&control::ask(&state, &Request::Status)?).is_empty() {
        deploy_version(project, &state, over)?;
        return Ok(ExitCode::SUCCESS);
    }
    if over.is_some() {
        return Err(versioned::no_versions());
    }
    preparation::deploy(project, &state)?;
    stdoutln!("deployed: the worker runs your saved code");
    Ok(ExitCode::SUCCESS)
}

/// Deploys the saved code as the next version, or over one, and says what to type next.
fn deploy_version(project: &Project, state: &State, over: Option<u32>) -> Result<()> {
    match over {
        Some(version) => stderrln!("building the code of version {version} and restarting its worker"),
        None => stderrln!("building the next version and starting its worker"),
    }
    let answer = follow(project, || control::ask(state, &Request::DeployVersion(over)))?;
    let version =
        answer["version"].as_u64().and_then(|version| u32::try_from(version).ok()).unwrap_or_default();
    let worker = service_of(version);
    if over.is_some() {
        stdoutln!("deployed over version {version}: {worker} runs your saved code under the same Build ID");
        return Ok(());
    }
    stdoutln!("deployed version {version}: {worker} runs your saved code; it takes no new transfers yet");
    stdoutln!(
        "to send it 20% of them: {}",
        versioned::ramp(&contract::deployment(state.learner()), version, 20)
    );
    Ok(())
}
