//! `prefetch`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Command};

use super::test;
use crate::{args::example, extra};
use checkout::project::Project;
use supervisor::{
    build::{self, Output},
    cargo, services, temporal_cli,
};

pub(crate) fn command() -> Command {
    Command::new("prefetch")
        .about("Downloads and builds everything the lab and its tests need, so that they work offline")
        .after_help(example(&["cargo xtask prefetch"]))
}

pub(crate) fn run(project: &Project, _: &ArgMatches) -> Result<ExitCode> {
    step(1, "the Temporal CLI");
    temporal_cli::provide_anew(project)?;
    step(2, "the crates");
    let mut fetch = cargo::call("fetch");
    fetch.current_dir(&project.root);
    if !fetch.status().context("could not run cargo")?.success() {
        bail!("could not download the crates; check the network, then type: cargo xtask prefetch");
    }
    step(3, "a first build of the lab");
    build::build(project, &services::all_binaries())?;
    build::build(project, &["run_workflow"])?;
    build::build_plain_transfer(project, Output::Terminal)?;
    build::build_for_play(project, &build::binaries_for_play())?;
    build::build_package(project, extra::PACKAGE)?;
    step(4, "a first build of the tests");
    for packages in test::rounds() {
        let mut compile = cargo::call("test");
        compile.args(["--no-run", "--quiet"]).args(packages).current_dir(&project.root);
        if !compile.status().context("could not run cargo")?.success() {
            bail!("the tests do not compile");
        }
    }
    terminal::stderr_line(format_args!("done; the lab and its tests now work offline"));
    Ok(ExitCode::SUCCESS)
}

fn step(number: u8, what: &str) {
    terminal::stderr_line(format_args!("{number} of 4: {what}"));
}
