//! `bench class`: the load of a class on a Temporal Service, by the number of learners.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::Stage;
use rehearsal::bench::{
    class,
    service::{Cluster, Service},
};
use serde_json::json;
use supervisor::{build, temporal_cli};
use terminal::{Usage, stderrln, stdoutln};
use xtask::{
    args::{self, example, json_flag},
    remote_flags,
};

pub(super) fn command() -> Command {
    Command::new("class")
        .about("Measures the load on one Temporal Service while learners play the course")
        .arg(
            Arg::new("learners")
                .long("learners")
                .value_name("N,N,...")
                .default_value("1,10,40")
                .help("The numbers of learners, one measurement each"),
        )
        .arg(
            Arg::new("at-once")
                .long("at-once")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..=100))
                .help("How many of them play at once [default: all]; their labs run on this machine too"),
        )
        .arg(
            Arg::new("stage")
                .long("stage")
                .value_name("NAME")
                .value_parser(args::stage_name())
                .help("Play only this stage [default: all]"),
        )
        .arg(
            Arg::new("cluster")
                .long("cluster")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("Measure also the Temporal cluster that has this folder, as .ci/cluster makes one"),
        )
        .args(
            remote_flags::flags()
                .into_iter()
                .filter(|flag| flag.get_id() != "learner")
                .map(|flag| flag.requires("cluster")),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask bench class",
            "cargo xtask bench class --learners 1,5 --at-once 5",
            "cargo xtask bench class --learners 40 --at-once 10 --cluster FOLDER --profile class",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let numbers = arguments.get_one::<String>("learners").map(String::as_str).unwrap_or_default();
    let numbers: Vec<u16> = numbers
        .split(',')
        .map(|number| match number.trim().parse() {
            Ok(number @ 1..=100) => Ok(number),
            _ => Err(Usage(format!("{number:?} is not a number of learners from 1 to 100"))),
        })
        .collect::<Result<_, _>>()?;
    let stages: Vec<&'static Stage> = match args::stage(arguments, "stage") {
        Some(stage) => vec![stage],
        None => lab::STAGES.iter().collect(),
    };
    let as_json = arguments.get_flag("json");
    let course = class::Course {
        stages,
        temporal_cli: temporal_cli::provide_server(project)?,
        executables: build::build_for_play(project, &build::binaries_for_play())?,
    };
    let cluster = match (arguments.get_one::<PathBuf>("cluster").cloned(), remote_flags::named(arguments)) {
        (Some(folder), Some(remote_service)) => {
            Some(Service::Cluster(Cluster { folder, words: remote_flags::words(arguments), remote_service }))
        }
        (Some(_), None) => {
            return Err(Usage("name the cluster's address: add --profile or --address".to_owned()).into());
        }
        (None, _) => None,
    };
    let (mut measured, mut everybody_finished) = (Vec::new(), true);
    for learners in numbers {
        let at_once = arguments.get_one::<u16>("at-once").copied().unwrap_or(learners).min(learners);
        let mut measure = |name: &str, service: &Service| {
            stderrln!("{learners} learners, {at_once} at once, on {name}");
            let figures = class::run(project, &course, service, learners, at_once)?;
            everybody_finished &= figures.everybody_finished();
            if !as_json {
                figures.print();
            }
            let mut json = figures.to_json();
            json["service"] = json!(name);
            measured.push(json);
            anyhow::Ok(())
        };
        measure("a dev server", &Service::start(project, &course.temporal_cli)?)?;
        if let Some(service) = &cluster {
            measure("the cluster", service)?;
        }
    }
    if as_json {
        stdoutln!("{}", json!({ "class": measured }));
    }
    // Figures that include unfinished learners are not those of a class.
    if !everybody_finished {
        stderrln!("some learners did not finish, or the board does not show that they did");
    }
    Ok(if everybody_finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
