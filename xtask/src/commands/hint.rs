//! `hint`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};
use serde_json::json;

use crate::args::{example, flag, json_flag};
use checkout::{progress, project::Project};
use lab::Stage;
use lab_client::{drill_report::HINT, progress::Progress};
use supervisor::attach;
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("hint")
        .about("Shows the next hint for the current stage, from where to look to the exact line")
        .arg(flag("again", "Start again with the first hint"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask hint", "cargo xtask hint --again"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    attach::attach(project)?;
    let again = arguments.get_flag("again");
    let shown = Progress::read(&project.lab);
    // After a drill they explain what it was, and cost nothing any more.
    if shown.drill.as_ref().is_some_and(|drill| drill.ended.is_some()) {
        return repeat(shown.stage, usize::MAX, arguments.get_flag("json"));
    }
    if again && shown.stage.incident().is_some() && shown.hints > 0 {
        return repeat(shown.stage, shown.hints, arguments.get_flag("json"));
    }
    let progress = progress::update(project, |progress| {
        let hints = progress.stage.text.hints().len();
        let shown = if again { 0 } else { progress.hints };
        // After the last hint, repeat it.
        progress.hints = shown.min(hints.saturating_sub(1)) + 1;
    })?;
    let (stage, at) = (progress.stage, progress.hints - 1);
    let hints = stage.text.hints();
    let is_last = at + 1 >= hints.len();
    let hint = hints.get(at).map_or("this stage has no hints", String::as_str);
    if arguments.get_flag("json") {
        stdoutln!("{}", json!({ "stage": stage.name, "hint": hint, "number": at + 1, "of": hints.len() }));
        return Ok(ExitCode::SUCCESS);
    }
    stdoutln!("hint {} of {} for {}: {hint}", at + 1, hints.len(), stage.name);
    match (is_last, stage.fixed_by) {
        (false, _) if stage.incident().is_some() => {
            stdoutln!("for the next hint, which costs {HINT} points: cargo xtask drill hint")
        }
        (true, _) if stage.incident().is_some() => stdoutln!(
            "that was the last hint; to see the explanation and the shipped fix: cargo xtask drill give-up"
        ),
        (false, _) => stdoutln!("for the next hint: cargo xtask hint"),
        (true, Some(fix)) => {
            stdoutln!("that was the last hint; to see the shipped fix: cargo xtask stage {fix} --diff")
        }
        (true, None) => stdoutln!("that was the last hint; the stage's text: {}", stage.text.file),
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows so many hints of an incident again, without counting them.
fn repeat(stage: &Stage, shown: usize, as_json: bool) -> Result<ExitCode> {
    let hints = stage.text.hints();
    let of = hints.len();
    for (hint, number) in hints.iter().take(shown).zip(1..) {
        match as_json {
            true => stdoutln!("{}", json!({ "stage": stage.name, "hint": hint, "number": number, "of": of })),
            false => stdoutln!("hint {number} of {of} for {}: {hint}", stage.name),
        }
    }
    Ok(ExitCode::SUCCESS)
}
