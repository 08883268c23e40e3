//! `hint`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};
use lab_client::progress::Progress;
use serde_json::json;

use super::{example, flag, json_flag};
use checkout::{progress, project::Project};
use supervisor::attach;
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("hint")
        .about("Shows one more hint for the current stage each time, from where to look to the line")
        .arg(flag("again", "Begin with the first one again"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask hint", "cargo xtask hint --again"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    attach::attach(project)?;
    let mut progress = Progress::read(&project.lab);
    let stage = progress.stage;
    let hints = stage.text.hints();
    if arguments.get_flag("again") {
        progress.hints = 0;
    }
    // After the last one, that one again.
    let at = progress.hints.min(hints.len().saturating_sub(1));
    let is_last = at + 1 >= hints.len();
    progress.hints = at + 1;
    progress::write(project, &progress)?;
    let hint = hints.get(at).map_or("there is none for this stage", String::as_str);
    if arguments.get_flag("json") {
        stdoutln!("{}", json!({ "stage": stage.name, "hint": hint, "number": at + 1, "of": hints.len() }));
        return Ok(ExitCode::SUCCESS);
    }
    stdoutln!("hint {} of {} for {}: {hint}", at + 1, hints.len(), stage.name);
    match (is_last, stage.fixed_by) {
        (false, _) => stdoutln!("one more: cargo xtask hint"),
        (true, Some(fix)) => {
            stdoutln!("that was the last; the shipped fix, as a diff: cargo xtask stage {fix} --diff")
        }
        (true, None) => stdoutln!("that was the last; all about this stage: {}", stage.text.file),
    }
    Ok(ExitCode::SUCCESS)
}
