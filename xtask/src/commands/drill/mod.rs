//! `drill [NAME]`, `drill status|hint|finish|give-up|report`: incidents that no text explains.

mod end;
mod enter;
mod list;
mod recorded;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgGroup, ArgMatches, Command, value_parser};
use lab::{Stage, incident_of};
use lab_client::{class::notices::ClassDrill, drill_traffic::random_seed, progress::Progress};
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::stderrln;

use self::recorded::recorded;
use super::{check, hint};
use crate::{
    args::{self, example, flag, json_flag},
    class_status,
};
use checkout::project::Project;

/// The arguments that choose an incident.
const CHOICE: &str = "incident";

pub(crate) fn command() -> Command {
    let name = args::incident_name();
    Command::new("drill")
        .about("Practices an incident that nobody explains; without arguments, shows the one in progress or lists all")
        .long_about(
            "Practices an incident: puts code with a bug in place, prints a ticket with the symptoms, and customers start transfers. \
             Find out what is wrong, fix the code, and repair what was hit; then type: cargo xtask drill finish. The server's \
             histories and the bank's ledger are the judge, so any right way counts. Without arguments, shows the drill in progress, \
             begins the drill that your instructor has started, or lists the incidents.",
        )
        .arg(Arg::new("name").value_name("NAME").value_parser(name).help("The incident to practice"))
        .arg(flag("random", "Choose an incident at random").conflicts_with_all(["name", "seed"]))
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("SEED")
                .value_parser(value_parser!(u64))
                .help("The seed of the traffic, and of the choice of an incident without NAME: the same for everybody"),
        )
        .group(ArgGroup::new(CHOICE).args(["name", "random", "seed"]).multiple(true))
        .arg(flag("clean", "Terminate the transfers that are left over from earlier stages").requires(CHOICE))
        .arg(json_flag())
        .args_conflicts_with_subcommands(true)
        .after_help(example(&[
            "cargo xtask drill",
            "cargo xtask drill --random",
            "cargo xtask drill --seed 42",
            "cargo xtask drill some-never-arrive",
            "cargo xtask drill status --watch",
        ]))
        .subcommand(
            Command::new("status")
                .about("Shows which goals are reached, the clock, and how many transfers were hit")
                .arg(flag("watch", "Keep checking until all goals are reached"))
                .arg(json_flag())
                .after_help(example(&["cargo xtask drill status", "cargo xtask drill status --watch"])),
        )
        .subcommand(
            hint::command()
                .about("Shows the next hint, from where to look to the exact line; each costs points")
                .after_help(example(&["cargo xtask drill hint", "cargo xtask drill hint --again"])),
        )
        .subcommand(end::finish_command())
        .subcommand(end::give_up_command())
        .subcommand(report::command())
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("status", arguments)) => {
            recorded(project)?;
            check::show_goals(project, arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("hint", arguments)) => {
            recorded(project)?;
            hint::run(project, arguments)
        }
        Some(("finish", arguments)) => end::finish(project, arguments),
        Some(("give-up", arguments)) => end::give_up(project, arguments),
        Some(("report", arguments)) => report::run(project, arguments),
        _ => match chosen(arguments) {
            Some((stage, seed)) => enter::enter(project, stage, seed, arguments),
            None => match class_drill(project).filter(|_| !arguments.get_flag("json")) {
                Some(ClassDrill { seed, .. }) => {
                    stderrln!("your instructor started this drill: cargo xtask drill --seed {seed}");
                    enter::enter(project, &incident_of(seed).stage, seed, arguments)
                }
                None => list::list(project, arguments),
            },
        },
    }
}

/// The incident to enter, and the seed of its traffic; none if none was chosen.
fn chosen(arguments: &ArgMatches) -> Option<(&'static Stage, u64)> {
    let given = arguments.get_one::<u64>("seed").copied();
    let named = args::stage(arguments, "name");
    if given.is_none() && named.is_none() && !arguments.get_flag("random") {
        return None;
    }
    let seed = given.unwrap_or_else(random_seed);
    Some((named.unwrap_or_else(|| &incident_of(seed).stage), seed))
}

/// The class's drill, if the learner has not started it and no other drill is in progress.
fn class_drill(project: &Project) -> Option<ClassDrill> {
    if Progress::read(&project.lab).is_in_drill() {
        return None;
    }
    let state = attach::attach(project).ok()??;
    class_status::unstarted_drill(&control::ask(&state, &Request::Status).ok()?)
}
