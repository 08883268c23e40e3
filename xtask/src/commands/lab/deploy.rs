//! `lab deploy`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Command;

use crate::args::example;
use checkout::project::Project;
use supervisor::{attach, preparation};
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("deploy")
        .about("Builds the worker and restarts it, so that it runs your saved code")
        .long_about(
            "Builds the worker and restarts it, so that it runs your saved code. With watch on, the lab does this by \
             itself whenever you save an edit. If the code does not compile, the worker keeps running the previous code.",
        )
        .after_help(example(&["cargo xtask lab watch off", "cargo xtask lab deploy"]))
}

pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    preparation::deploy(project, &state)?;
    stdoutln!("deployed: the worker runs your saved code");
    Ok(ExitCode::SUCCESS)
}
