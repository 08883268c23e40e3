//! `stage NAME`: what becomes of the learner's code and of transfers that are left over is asked first; nothing is touched until then.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use super::closing;
use crate::class_status;
use anyhow::{Result, bail};
use checkout::{backups::Backup, keep, modules, project::Project};
use clap::ArgMatches;
use lab::Stage;
use supervisor::{
    attach,
    control::{self, Request},
    entry_plan::Choice,
    leftovers::Leftover,
    stage_entry::{self, StageEntry},
};
use terminal::{ask, bold, is_yes, stderrln, stdoutln};

/// Enters a stage, as these flags say.
pub(super) fn enter(project: &Project, stage: &'static Stage, arguments: &ArgMatches) -> Result<ExitCode> {
    let [bare, as_json, keep, clean] = ["bare", "json", "keep", "clean"].map(|flag| arguments.get_flag(flag));
    let running = attach::attach(project)?;
    control::require_running(running.as_ref())?;
    // A learner may always start the current stage again.
    let may_be_ahead = !arguments.get_flag("ahead") && stage != modules::current_stage(project);
    if let Some(state) = running.as_ref().filter(|state| may_be_ahead && state.learner().is_some()) {
        let status = control::ask(state, &Request::Status)?;
        if let Some(why) = class_status::why_closed(&status, stage) {
            bail!("{why}; nothing was changed; to enter it anyway: cargo xtask stage {} --ahead", stage.name);
        }
    }
    let entry = running.as_ref().filter(|_| !bare).map(|state| StageEntry::new(project, state, as_json));
    if let Some(entry) = &entry {
        entry.require_service(stage)?;
    }
    let may_ask = !as_json && io::stdin().is_terminal() && io::stderr().is_terminal();
    let has_edit = keep::would_replace_edit(project, stage)?;
    let mut choice = Choice { keep, clean, ..Choice::default() };
    if has_edit && may_ask && !keep {
        match ask_whose_code(project, stage)? {
            Some(keep) => choice.keep = keep,
            None => return Ok(nothing_changed()),
        }
    }
    let leftovers = match &entry {
        Some(entry) if !as_json && !clean => entry.leftovers(stage)?,
        _ => Vec::new(),
    };
    if !leftovers.is_empty() {
        let again = format!("{} --clean", stage.command_that_keeps());
        match ask_about_leftovers(stage, &leftovers, &again, may_ask)? {
            Some(clean) => choice.clean = clean,
            None => return Ok(nothing_changed()),
        }
    }
    // A fix is there to be read, but not over the learner's own.
    let (is_read, stays) = (stage.shows_diff && !as_json && !bare, choice.keep && has_edit);
    if is_read && !stays {
        closing::print_diff(&modules::diff(project, stage)?);
    }
    let Some(entry) = entry else {
        let saved = enter_down(project, stage, choice.keep, as_json)?;
        return closing::finish(stage, saved.as_ref(), running.as_ref(), project, as_json);
    };
    let entered = entry.enter(stage, choice)?;
    match as_json {
        true => stdoutln!("{}", entered.to_json(stage)),
        false => closing::print_look(stage),
    }
    Ok(if entered.build_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Puts the modules in place and nothing else.
fn enter_down(project: &Project, stage: &'static Stage, keep: bool, as_json: bool) -> Result<Option<Backup>> {
    stage_entry::require_no_entry(project)?;
    let is_pending = keep::is_pending(project, stage) && !keep::has_edit(project)?;
    let set_aside = if keep || is_pending { keep::set_aside(project, stage)? } else { None };
    let saved = modules::enter(project, stage)?;
    match &set_aside {
        Some(_) => drop(keep::put_back(project, stage)?),
        None => keep::forget(project)?,
    }
    if !as_json {
        saved.iter().for_each(|saved| saved.tell(project));
        match set_aside {
            Some(_) => stderrln!("your own code stays in place"),
            None => stderrln!("the code of {} is in place", stage.name),
        }
    }
    Ok(set_aside.or(saved))
}

/// Shows the learner's edit, and asks which code to use. Returns whether to keep the learner's; `None` without an answer.
fn ask_whose_code(project: &Project, stage: &Stage) -> Result<Option<bool>> {
    stdoutln!("{}", bold("your edit:"));
    closing::print_diff(&keep::edit(project)?);
    stderrln!("either way your edit is saved in {}", project.display(&project.in_lab("backup")));
    let name = stage.name;
    stderrln!("  k  keep mine: prepare {name} with the shipped code, then put your code back");
    stderrln!("  s  shipped: use the code that comes with {name}");
    let keeps_by_default = keep::is_default(project, stage);
    let choices = if keeps_by_default { "[K/s]" } else { "[k/S]" };
    loop {
        match ask(&format!("which code do you want? {choices}"))?.as_deref() {
            None => return Ok(None),
            Some("") => return Ok(Some(keeps_by_default)),
            Some("k" | "keep" | "mine" | "keep mine") => return Ok(Some(true)),
            Some("s" | "shipped") => return Ok(Some(false)),
            Some(_) => stderrln!("type k or s"),
        }
    }
}

/// So many transfers that are left over are named: a drill may leave hundreds.
const LISTED: usize = 10;

/// Names what is left over, and asks whether to terminate it; where nobody can answer, says the command that does. `None` without an
/// answer.
pub(in crate::commands) fn ask_about_leftovers(
    stage: &Stage,
    leftovers: &[Leftover],
    again: &str,
    may_ask: bool,
) -> Result<Option<bool>> {
    stderrln!(
        "stuck from earlier stages, and not part of {} (its code may still complete them):",
        stage.name
    );
    for leftover in leftovers.iter().take(LISTED) {
        stderrln!("  {leftover}");
    }
    if leftovers.len() > LISTED {
        stderrln!("  and {} more", leftovers.len() - LISTED);
    }
    if !may_ask {
        stderrln!("to terminate them: {again}");
        return Ok(Some(false));
    }
    let question = match leftovers {
        [_] => "terminate it? [y/N]".to_owned(),
        several => format!("terminate these {}? [y/N]", several.len()),
    };
    Ok(ask(&question)?.map(|answer| is_yes(&answer)))
}

/// Says that nothing was done without an answer.
pub(in crate::commands) fn nothing_changed() -> ExitCode {
    stderrln!("\nno answer, so nothing was changed");
    ExitCode::FAILURE
}
