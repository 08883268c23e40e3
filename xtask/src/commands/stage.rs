//! `stage [NAME]` and `stage restore [ID]`.

pub(super) mod closing;
pub(super) mod enter;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use lab::{STAGES, Stage};
use serde_json::json;

use crate::args::{self, example, flag, json_flag, text};
use checkout::{
    backups::{self, Backup},
    keep, modules,
    project::Project,
};
use lab_client::{bank::Bank, progress::Progress, state::State};
use supervisor::{attach, control, stage_entry};
use terminal::{Usage, stderrln, stdoutln};

pub(crate) fn command() -> Command {
    Command::new("stage")
        .about("Lists the stages of the story, or enters one: its code, built and running, and its transfers")
        .arg(Arg::new("name").value_name("NAME").value_parser(args::stage_name()).help("The stage to enter"))
        .arg(
            flag("keep", "Prepare its transfers with the shipped code, then put your own code back")
                .requires("name"),
        )
        .arg(flag("clean", "Terminate the transfers that are left over from earlier stages").requires("name"))
        .arg(
            flag("ahead", "In a class: enter it even if your instructor has not opened it yet")
                .requires("name"),
        )
        .arg(
            flag("diff", "Only show how its code differs from the current code")
                .requires("name")
                .conflicts_with_all(["json", "keep", "clean", "ahead", "bare"]),
        )
        .arg(
            flag("bare", "Install only its code: start no transfers, and leave the bank as it is")
                .requires("name")
                .conflicts_with("clean"),
        )
        .arg(json_flag())
        .args_conflicts_with_subcommands(true)
        .after_help(example(&[
            "cargo xtask stage",
            "cargo xtask stage fix-workflow --diff",
            "cargo xtask stage fix-workflow",
            "cargo xtask stage fix-workflow --keep",
            "cargo xtask stage restore",
        ]))
        .subcommand(
            Command::new("restore")
                .about("Lists your saved edits, or restores one of them")
                .arg(Arg::new("id").value_name("ID").help("The id of the edit to restore"))
                .arg(json_flag())
                .after_help(example(&["cargo xtask stage restore 20261122T120501Z-jerry"])),
        )
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    match (arguments.subcommand(), args::stage(arguments, "name")) {
        (Some(("restore", arguments)), _) => match text(arguments, "id") {
            Some(id) => restore(project, id, arguments.get_flag("json")),
            None => list_backups(project, arguments.get_flag("json")),
        },
        (_, Some(stage)) => {
            if arguments.get_flag("diff") {
                attach::attach(project)?;
                return diff(project, stage);
            }
            enter::enter(project, stage, arguments)
        }
        (_, None) => list(project, arguments.get_flag("json")),
    }
}

fn list(project: &Project, as_json: bool) -> Result<ExitCode> {
    attach::attach(project)?;
    let progress = Progress::read(&project.lab);
    if as_json {
        let stages: Vec<_> = STAGES
            .iter()
            .map(|stage| {
                json!({
                    "name": stage.name,
                    "number": stage.number(),
                    "title": stage.title(),
                    "done": progress.is_done(stage),
                    "current": stage == progress.stage,
                })
            })
            .collect();
        stdoutln!("{}", json!({ "stage": progress.stage.name, "stages": stages }));
        return Ok(ExitCode::SUCCESS);
    }
    let width = |of: fn(&Stage) -> &str| STAGES.iter().map(|stage| of(stage).len()).max().unwrap_or_default();
    let (names, titles) = (width(|stage| stage.name), width(Stage::title));
    for (number, stage) in (1..).zip(STAGES) {
        let mark = if stage == progress.stage { '*' } else { ' ' };
        let done = if progress.is_done(stage) { "done" } else { "" };
        let line = format!("{mark} {number}  {:<names$}  {:<titles$}  {done}", stage.name, stage.title());
        stdoutln!("{}", line.trim_end());
    }
    match progress.stage.incident() {
        None => stdoutln!("* is the current one; enter another with: cargo xtask stage NAME"),
        Some(_) => stdoutln!(
            "the lab is in the drill {}; to leave it, enter a stage with: cargo xtask stage NAME",
            progress.stage.heading()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(project: &Project, stage: &Stage) -> Result<ExitCode> {
    let lines = modules::diff(project, stage)?;
    if lines.is_empty() {
        stdoutln!("no difference: the code of {} is in place", stage.name);
    }
    closing::print_diff(&lines);
    Ok(ExitCode::SUCCESS)
}

fn restore(project: &Project, id: &str, as_json: bool) -> Result<ExitCode> {
    let backups = complete_list(project);
    let Some(wanted) = backups.iter().find(|backup| backup.id == id) else {
        let known = backups.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>().join(", ");
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are: {known}") };
        return Err(Usage(format!("there is no backup {id}; {known}")).into());
    };
    let running = attach::attach(project)?;
    control::require_running(running.as_ref())?;
    stage_entry::require_no_entry(project)?;
    // A drill is more than its code, and is not brought back.
    let saved = match lab::stage(wanted.stage()).and_then(Stage::incident) {
        Some(_) => keep::restore(project, wanted)?,
        None => {
            leave_drill(project, running.as_ref())?;
            modules::restore(project, wanted)?
        }
    };
    if !as_json {
        saved.iter().for_each(|saved| saved.tell(project));
        stderrln!("restored {id}: {} and {}", lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES);
    }
    closing::finish(modules::current_stage(project), saved.as_ref(), running.as_ref(), project, as_json)
}

/// Has the bank behave again as it does in a stage, if a drill is in progress: restoring an edit of a stage leaves the drill.
fn leave_drill(project: &Project, running: Option<&State>) -> Result<()> {
    let progress = Progress::read(&project.lab);
    if progress.is_in_drill() {
        stderrln!("this leaves the drill {}", progress.stage.name);
        if let Some(state) = running {
            Bank::new(&state.endpoints()).restore_real_world_mode()?;
        }
    }
    Ok(())
}

/// All backups, with one of what an editor has saved just now.
fn complete_list(project: &Project) -> Vec<Backup> {
    // Also where nothing can be written there is something to see.
    if let Err(error) = modules::complete(project) {
        stderrln!("warning: {error:#}");
    }
    backups::list(project)
}

fn list_backups(project: &Project, as_json: bool) -> Result<ExitCode> {
    attach::attach(project)?;
    let backups = complete_list(project);
    if as_json {
        let list: Vec<_> = backups
            .iter()
            .map(|backup| {
                json!({
                    "id": backup.id,
                    "folder": backup.folder,
                    "time": backup.time(),
                    "stage": backup.stage(),
                    "changed": backup.changed(),
                })
            })
            .collect();
        stdoutln!("{}", json!({ "backups": list }));
        return Ok(ExitCode::SUCCESS);
    }
    let width = |of: fn(&Backup) -> &str| backups.iter().map(|backup| of(backup).len()).max().unwrap_or(0);
    let (id_width, stage_width) = (width(|backup| &backup.id), width(Backup::stage));
    for backup in &backups {
        let time = backup.time().unwrap_or_default().replace('T', " ").replace('Z', " UTC");
        let changed = backup.changed().join(", ");
        stdoutln!("{:<id_width$}  {time:<23}  {:<stage_width$}  {changed}", backup.id, backup.stage());
    }
    if backups.is_empty() {
        stdoutln!("nothing was saved yet: no command has replaced an edit of yours");
    } else {
        stdoutln!(
            "restore one with: cargo xtask stage restore ID; they are saved in {}, which git clean -fdx deletes",
            { project.display(&project.in_lab("backup")) }
        );
    }
    Ok(ExitCode::SUCCESS)
}
