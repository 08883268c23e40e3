//! `prefetch`.

mod bundle;
mod contents;
mod fetch;
mod from;
mod scratch;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};

use super::test;
use crate::{
    args::{example, flag},
    extra,
};
use checkout::project::Project;
use supervisor::{
    build::{self, Output},
    cargo, services, temporal_cli,
};

pub(crate) fn command() -> Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("prefetch")
        .about("Downloads and builds everything the lab and its tests need, so that they work offline")
        .arg(file("bundle", "Write an archive for laptops without a network: crates, Temporal CLI, checkout"))
        .arg(flag("this-system", "Put only this system's Temporal CLI into the archive").requires("bundle"))
        .arg(flag("force", "Replace an existing archive").requires("bundle"))
        .arg(
            file(
                "from",
                "Install the crates and the Temporal CLI from such an archive, or from its unpacked folder",
            )
            .conflicts_with("bundle"),
        )
        .after_help(example(&[
            "cargo xtask prefetch",
            "cargo xtask prefetch --bundle lab.tar.gz",
            "cargo xtask prefetch --from lab.tar.gz",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let named = |name: &str| -> Result<Option<PathBuf>> {
        let Some(file) = arguments.get_one::<PathBuf>(name) else { return Ok(None) };
        Ok(Some(env::current_dir().context("could not find the current folder")?.join(file)))
    };
    if let Some(file) = named("bundle")? {
        if !arguments.get_flag("force") {
            files::refuse_existing(&file)?;
        }
        bundle::check_place(&file)?;
        bundle::write(project, &file, arguments.get_flag("this-system"))?;
    } else if let Some(file) = named("from")? {
        from::take(project, &file)?;
    } else {
        everything(project)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn everything(project: &Project) -> Result<()> {
    step(1, "the Temporal CLI");
    temporal_cli::provide_anew(project)?;
    step(2, "the crates");
    fetch::crates(project)?;
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
    Ok(())
}

fn step(number: u8, what: &str) {
    terminal::stderr_line(format_args!("{number} of 4: {what}"));
}
