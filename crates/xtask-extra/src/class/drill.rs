//! `class drill`.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use lab_client::{class::notices::ClassDrill, time};
use terminal::stdoutln;
use xtask::args::{example, flag, json_flag};

use super::{board::service_flags, change::change};

pub(super) fn command() -> Command {
    Command::new("drill")
        .about("Starts a drill for every learner, who does not see which one; the board shows how far each one is")
        .arg(
            Arg::new("seed")
                .value_name("SEED")
                .value_parser(value_parser!(u64))
                .required_unless_present("off")
                .help("What chooses the incident and its transfers, the same for every learner"),
        )
        .arg(flag("off", "End the drill of the class; a learner who works on it can go on").conflicts_with("seed"))
        .args(service_flags())
        .arg(json_flag())
        .after_help(example(&["cargo xtask class drill 7", "cargo xtask class drill --off"]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let since = time::rfc3339(time::unix_now());
    let drill = arguments.get_one::<u64>("seed").map(|&seed| ClassDrill { seed, since });
    let notices = change(project, arguments, |notices| notices.drill.clone_from(&drill))?;
    if arguments.get_flag("json") {
        stdoutln!("{}", notices.to_json());
        return Ok(ExitCode::SUCCESS);
    }
    match drill {
        Some(ClassDrill { seed, .. }) => {
            let incident = &lab::incident_of(seed).stage;
            stdoutln!("drill {seed} has started: {}", incident.heading());
            stdoutln!("learners see only its seed, and begin it by: cargo xtask drill --seed {seed}");
            stdoutln!(
                "to see how far each one is: cargo xtask class board; what happened and how to fix it: {}",
                incident.text.file
            );
            stdoutln!("to end it: cargo xtask class drill --off");
        }
        None => stdoutln!("the class has no drill now"),
    }
    Ok(ExitCode::SUCCESS)
}
