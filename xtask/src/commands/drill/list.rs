//! `drill` without arguments.

use std::process::ExitCode;

use anyhow::Result;
use checkout::project::Project;
use clap::ArgMatches;
use lab::{INCIDENTS, Stage};
use lab_client::progress::{Drill, Progress};
use serde_json::json;
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::{stderrln, stdoutln};

use crate::{class_status, commands::check};

/// Shows the drill in progress, or lists the incidents.
pub(super) fn list(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let running = attach::attach(project)?;
    let progress = Progress::read(&project.lab);
    let is_current = |stage: &Stage| stage == progress.stage && progress.drill.is_some();
    if arguments.get_flag("json") {
        let incidents = (1..).zip(INCIDENTS).map(|(number, incident)| {
            let stage = &incident.stage;
            json!({
                "number": number,
                "name": stage.name,
                "title": stage.title(),
                "done": progress.is_done(stage),
                "current": is_current(stage),
            })
        });
        let drill = progress.drill.as_ref().filter(|_| progress.stage.incident().is_some());
        let drill = drill.map(
            |drill| json!({ "name": progress.stage.name, "seed": drill.seed, "in_progress": is_on(drill) }),
        );
        stdoutln!("{}", json!({ "drill": drill, "incidents": incidents.collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    if running.is_some() && progress.drill.as_ref().is_some_and(is_on) {
        check::print_goals(project)?;
        return Ok(ExitCode::SUCCESS);
    }
    // The drill of the class is said first, until the learner has started it.
    let status = running.as_ref().and_then(|state| control::ask(state, &Request::Status).ok());
    for line in class_status::lines(&status.unwrap_or_default()) {
        stdoutln!("{line}");
    }
    let width = |of: fn(&Stage) -> &str| {
        INCIDENTS.iter().map(|incident| of(&incident.stage).len()).max().unwrap_or_default()
    };
    let (names, titles) = (width(|stage| stage.name), width(Stage::title));
    for (number, stage) in (1..).zip(INCIDENTS.iter().map(|incident| &incident.stage)) {
        let mark = if is_current(stage) { '*' } else { ' ' };
        let done = if progress.is_done(stage) { "done" } else { "" };
        let line = format!("{mark} {number:>2}  {:<names$}  {:<titles$}  {done}", stage.name, stage.title());
        stdoutln!("{}", line.trim_end());
    }
    stdoutln!("start one with: cargo xtask drill NAME, or any of them: cargo xtask drill --random");
    match (&progress.drill, progress.stage.incident()) {
        (Some(drill), _) if is_on(drill) => stderrln!(
            "* is in progress, but the lab is not running; start it with: cargo xtask lab start --detach"
        ),
        (Some(_), Some(_)) => stderrln!("* has ended; its report: cargo xtask drill report"),
        (None, Some(_)) => {
            stderrln!("{} was not made ready; to start it again: {}", progress.stage.name, progress.command())
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn is_on(drill: &Drill) -> bool {
    drill.ended.is_none()
}
