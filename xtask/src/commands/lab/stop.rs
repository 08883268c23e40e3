//! `lab stop`.

use std::{process::ExitCode, thread, time::Duration};

use anyhow::{Result, bail};
use clap::Command;
use lab_client::supervisor::is_stopped;
use nix::sys::signal::Signal;

use crate::args::example;
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
    process,
};
use terminal::{stderrln, stdoutln};

/// How long the services may take together, each having its own deadline.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn command() -> Command {
    Command::new("stop")
        .about("Stops everything that the lab runs; transfers and balances are kept")
        .after_help(example(&["cargo xtask lab stop"]))
}

pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let Some(state) = attach::attach(project)? else {
        stdoutln!("the lab is not running");
        return Ok(ExitCode::SUCCESS);
    };
    if is_stopped(state.supervisor.pid) {
        stderrln!("the supervisor (pid {}) is stopped, as after Ctrl-Z; continuing it", state.supervisor.pid);
        process::signal(&state.supervisor, Signal::SIGCONT);
    }
    // It answers by ending. One that cannot be asked gets a signal.
    let asked = state.clone();
    thread::spawn(move || {
        if control::ask(&asked, &Request::Stop).is_err() {
            process::signal(&asked.supervisor, Signal::SIGTERM);
        }
    });
    if !process::wait_for_end(&state.supervisor, STOP_TIMEOUT) {
        stderrln!("the supervisor (pid {}) did not stop; killing it", state.supervisor.pid);
        process::signal(&state.supervisor, Signal::SIGKILL);
        if !process::wait_for_end(&state.supervisor, Duration::from_secs(5)) {
            bail!("could not kill the supervisor (pid {})", state.supervisor.pid);
        }
    }
    // If somebody killed it, its services may still run.
    attach::attach(project)?;
    stdoutln!("the lab has stopped; start it again with: cargo xtask lab start --detach");
    Ok(ExitCode::SUCCESS)
}
