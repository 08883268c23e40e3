//! `drill finish` and `drill give-up`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use checkout::{keep, modules, project::Project};
use clap::{ArgMatches, Command};
use lab::Stage;
use lab_client::{progress::Progress, state::State};
use serde_json::json;
use supervisor::{
    attach,
    control::{self, Request},
    drill_end, stage_entry,
};
use terminal::{bold, stderrln, stdoutln};

use super::report;
use crate::{
    args::{example, flag, json_flag},
    commands::{check, stage::closing},
};

pub(super) fn finish_command() -> Command {
    Command::new("finish")
        .about("Ends the drill once everything has recovered, and shows its report; else says what is open")
        .arg(json_flag())
        .after_help(example(&["cargo xtask drill finish"]))
}

pub(super) fn give_up_command() -> Command {
    Command::new("give-up")
        .about("Ends the drill with a score of 0, and shows its explanation and the shipped fix")
        .arg(flag("fix", "Also put the shipped fix in place; your edit is saved first"))
        .after_help(example(&["cargo xtask drill give-up", "cargo xtask drill give-up --fix"]))
}

pub(super) fn finish(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let as_json = arguments.get_flag("json");
    drill_end::in_progress(project)?;
    let state = attach::attach_running(project)?;
    let goals = drill_end::finish(project, &state)?;
    if goals.is_reached() {
        report::print(&report::read(project, &state)?, as_json);
        return Ok(ExitCode::SUCCESS);
    }
    if as_json {
        let mut json = goals.to_json();
        json["ended"] = json!(false);
        stdoutln!("{json}");
    } else {
        check::goal_lines(&goals).iter().for_each(|line| stdoutln!("{line}"));
    }
    stderrln!(
        "the drill goes on, because not everything has recovered; to see when it has: cargo xtask drill status --watch"
    );
    Ok(ExitCode::FAILURE)
}

pub(super) fn give_up(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let puts_fix = arguments.get_flag("fix");
    let progress = Progress::read(&project.lab);
    let gave_up = progress.drill.is_some_and(|drill| drill.ended.is_some_and(|(_, gave_up)| gave_up));
    let fix = progress.stage.fixed_by.and_then(lab::stage);
    // The fix was offered when the drill was given up.
    if gave_up
        && puts_fix
        && let Some(fix) = fix
    {
        return put_fix(project, fix, attach::attach(project)?.as_ref());
    }
    drill_end::in_progress(project)?;
    let state = attach::attach_running(project)?;
    drill_end::give_up(project, &state)?;
    let report = report::read(project, &state)?;
    report::print(&report, false);
    stdoutln!("");
    stdoutln!("{}", bold("explanation"));
    stdoutln!("");
    report.explanation_lines().iter().for_each(|line| stdoutln!("{line}"));
    let Some(fix) = fix else { bail!("the incident {} has no shipped fix", progress.stage.name) };
    stdoutln!("");
    stdoutln!("{}", bold("from the code in place to the shipped fix"));
    let lines = modules::diff(project, fix)?;
    if lines.is_empty() {
        stdoutln!("no difference: the shipped fix is in place");
        return Ok(ExitCode::SUCCESS);
    }
    closing::print_diff(&lines);
    if puts_fix {
        return put_fix(project, fix, Some(&state));
    }
    stdoutln!("to put it in place: cargo xtask drill give-up --fix");
    Ok(ExitCode::SUCCESS)
}

/// Puts the shipped fix in place. A running lab deploys it as any edit.
fn put_fix(project: &Project, fix: &Stage, running: Option<&State>) -> Result<ExitCode> {
    stage_entry::require_no_entry(project)?;
    if let Some(saved) = keep::put_fix(project, fix).context("the shipped fix was not put in place")? {
        saved.tell(project);
    }
    let status = running.map(|state| control::ask(state, &Request::Status)).transpose()?;
    let then = match status {
        None => "the lab runs it from its next start: cargo xtask lab start --detach",
        Some(status) if status["watch"] == false => "to deploy it: cargo xtask lab deploy",
        Some(_) => "the lab is deploying it",
    };
    stdoutln!("the shipped fix is in place; {then}");
    Ok(ExitCode::SUCCESS)
}
