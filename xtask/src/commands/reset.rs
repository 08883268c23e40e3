//! `reset`.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{ArgMatches, Command};
use lab::STAGES;
use lab_client::temporal::Server;

use crate::args::{example, flag};
use checkout::{keep, modules, progress, project::Project};
use supervisor::{
    attach,
    control::{self, Request},
    log_tail, stage_entry, supervise,
};
use terminal::{Usage, confirm, stderrln, stdoutln};

pub(crate) fn command() -> Command {
    Command::new("reset")
        .about("Resets the lab: the first stage's modules, the initial balances, no transfers")
        .arg(flag("yes", "Do not ask for confirmation"))
        .after_help(example(&["cargo xtask reset", "cargo xtask reset --yes"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let stage = &STAGES[0];
    if !arguments.get_flag("yes") {
        if !io::stdin().is_terminal() {
            let words = "reset asks for confirmation, which needs a terminal; to reset without one: \
                         cargo xtask reset --yes";
            return Err(Usage(words.to_owned()).into());
        }
        let question = format!(
            "install the modules of {}, restore all balances and delete every transfer (your changes to the \
             modules are saved)?",
            stage.name
        );
        if !confirm(&question)? {
            stderrln!("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
    }
    let running = attach::attach(project)?;
    control::require_running(running.as_ref())?;
    stage_entry::require_no_entry(project)?;
    if let Some(state) = &running {
        control::wait_for_services(state);
        // Before anything is changed: at a service that does not answer, the transfers in progress would go on with other code.
        if state.remote_service.is_some() {
            Server::new(&state.endpoints()).own_running().context("your lab was not reset")?;
        }
    }
    if let Some(saved) = modules::enter(project, stage)? {
        saved.tell(project);
    }
    keep::forget(project)?;
    match &running {
        Some(state) => {
            log_tail::follow(project, || control::ask(state, &Request::Empty))
                .context("the modules are installed, but the lab did not restart with them")?;
        }
        None => {
            let _lock = attach::lock(project)?;
            supervise::empty_databases(project)?;
        }
    }
    progress::forget_done(project)?;
    stdoutln!("the lab has been reset; it is at stage {}", stage.heading());
    match running {
        Some(_) => stdoutln!("next: cargo xtask transfer account_A account_B 25.50"),
        None => stdoutln!("next: cargo xtask lab start --detach"),
    }
    Ok(ExitCode::SUCCESS)
}
