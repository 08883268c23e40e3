//! `bench class`: how a Temporal Service bears a class, and how that grows with the learners.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command};
use rehearsal::bench::class;
use serde_json::json;
use supervisor::{build, temporal_cli};
use terminal::{Usage, stderrln, stdoutln};
use xtask::args::{example, json_flag};

pub(super) fn command() -> Command {
    Command::new("class")
        .about("Measures how one Temporal Service bears so many learners, each of whom plays the whole lab")
        .arg(
            Arg::new("learners")
                .long("learners")
                .value_name("N,N,…")
                .default_value("1,10,40")
                .help("How many, one measurement each"),
        )
        .arg(
            Arg::new("at-once")
                .long("at-once")
                .value_name("N")
                .value_parser(clap::value_parser!(u16).range(1..=100))
                .help("How many of them at a time [default: all]; their labs are on this machine, too"),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask bench class",
            "cargo xtask bench class --learners 1,5 --at-once 5",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let numbers = arguments.get_one::<String>("learners").map(String::as_str).unwrap_or_default();
    let numbers: Vec<u16> = numbers
        .split(',')
        .map(|number| match number.trim().parse() {
            Ok(number @ 1..=100) => Ok(number),
            _ => Err(Usage(format!("{number:?} is no number of learners between 1 and 100"))),
        })
        .collect::<Result<_, _>>()?;
    let as_json = arguments.get_flag("json");
    let temporal_cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &build::binaries_for_play())?;
    let (mut measured, mut everybody_finished) = (Vec::new(), true);
    for learners in numbers {
        let at_once = arguments.get_one::<u16>("at-once").copied().unwrap_or(learners).min(learners);
        stderrln!("of {learners} learners, {at_once} at a time");
        let figures = class::run(project, &temporal_cli, &executables, learners, at_once)?;
        everybody_finished &= figures.everybody_finished();
        if !as_json {
            figures.print();
        }
        measured.push(figures.to_json());
    }
    if as_json {
        stdoutln!("{}", json!({ "class": measured }));
    }
    // The figures of those who did not come to the end are no figures of a class.
    if !everybody_finished {
        stderrln!("not everybody has finished, or is shown by the board as one who has");
    }
    Ok(if everybody_finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
