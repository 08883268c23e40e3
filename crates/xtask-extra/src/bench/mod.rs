//! `bench`: measures the figures that the docs and texts quote. It asserts nothing.

mod class;

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use rehearsal::bench::{self, Compile};
use serde_json::{Value, json};
use terminal::stdoutln;
use xtask::args::{example, flag, json_flag};
use xtask::extra::about;

pub(crate) fn command() -> Command {
    Command::new("bench")
        .about(about("bench"))
        .arg(
            Arg::new("transfers")
                .long("transfers")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..))
                .default_value("500")
                .help("How many transfers to measure throughput with"),
        )
        .arg(
            flag(
                "compile",
                "Also compile everything again, which takes minutes, and measure the first start",
            )
            .conflicts_with("no-compile"),
        )
        .arg(flag("no-compile", "Skip measuring how long this program takes to compile"))
        .arg(json_flag())
        .args_conflicts_with_subcommands(true)
        .subcommand(class::command())
        .after_help(example(&[
            "cargo xtask bench",
            "cargo xtask bench --compile",
            "cargo xtask bench --no-compile --transfers 100",
            "cargo xtask bench class --learners 1,10",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    if let Some(("class", arguments)) = arguments.subcommand() {
        return class::run(project, arguments);
    }
    let transfers = arguments.get_one::<u32>("transfers").map_or(500, |&number| number as usize);
    let compile = match (arguments.get_flag("compile"), arguments.get_flag("no-compile")) {
        (true, _) => Compile::Everything,
        (_, true) => Compile::Nothing,
        _ => Compile::ThisProgram,
    };
    let figures = bench::run(project, transfers, compile)?;
    if arguments.get_flag("json") {
        let list: Vec<Value> = figures
            .iter()
            .map(|figure| json!({ "what": figure.what, "value": figure.value, "unit": figure.unit, "goal": figure.goal }))
            .collect();
        stdoutln!("{}", json!({ "figures": list }));
    } else {
        for figure in &figures {
            stdoutln!("{:<58} {:>10.3} {:<5} {}", figure.what, figure.value, figure.unit, figure.goal);
        }
    }
    Ok(ExitCode::SUCCESS)
}
