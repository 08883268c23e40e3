//! What `stage` and `drill` print at their end, and diffs.

use std::process::ExitCode;

use anyhow::Result;
use lab::Stage;
use serde_json::json;

use checkout::{backups::Backup, project::Project};
use lab_client::{state::State, temporal::Server};
use supervisor::{preparation, roll_out::end_versions, saved_edits};
use terminal::{bold, green, red, stdoutln};

/// Prints the lines of a diff.
pub(in crate::commands) fn print_diff(lines: &[String]) {
    for line in lines {
        stdoutln!("{}", coloured(line));
    }
}

/// A line of a diff, in the usual colours.
fn coloured(line: &str) -> String {
    match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => bold(line),
        Some(b'+') => green(line),
        Some(b'-') => red(line),
        _ => line.to_owned(),
    }
}

/// Has a running lab use what is in place now, and says what to look at.
pub(super) fn finish(
    stage: &Stage,
    saved: Option<&Backup>,
    running: Option<&State>,
    project: &Project,
    as_json: bool,
) -> Result<ExitCode> {
    let mut restarted = false;
    if let Some(state) = running
        && !saved_edits::is_deployed_by_hand(state, stage)?
    {
        preparation::rebuild(project, state, as_json)?;
        end_versions(&Server::new(&state.endpoints()))?;
        restarted = true;
    }
    if as_json {
        let saved = saved.map(Backup::to_json);
        stdoutln!(
            "{}",
            json!({
                "stage": stage.name,
                "number": stage.number(),
                "title": stage.title(),
                "saved": saved,
                "worker_restarted": restarted,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    print_look(stage);
    if running.is_some() && !restarted {
        stdoutln!("no version runs this code yet; to deploy it as the next one: cargo xtask lab deploy");
    }
    if running.is_none() {
        stdoutln!(
            "the lab is not running; it uses this code from its next start: cargo xtask lab start --detach"
        );
    }
    if stage.incident().is_none() && (stage.precondition.is_some() || stage.starts > 0) {
        stdoutln!("to enter it again, for the transfers it begins with: {}", stage.command_that_keeps());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the stage's title, and what to look at.
pub(super) fn print_look(stage: &Stage) {
    stdoutln!("{} {}", bold(stage.kind()), stage.heading());
    if stage.incident().is_some() {
        stdoutln!("  Your progress: cargo xtask drill status");
        return;
    }
    for paragraph in stage.look {
        stdoutln!("  {paragraph}");
    }
    stdoutln!("  Read {}. Your progress: cargo xtask check. Stuck? cargo xtask hint", stage.text.file);
}
