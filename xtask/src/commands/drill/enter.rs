//! `drill NAME`: puts the code of an incident in place, and prints its ticket.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use anyhow::Result;
use checkout::{keep, project::Project};
use clap::ArgMatches;
use lab::Stage;
use lab_client::{
    drill_report::HINT,
    progress::Progress,
    state::{State, TRANSFER_WEB},
};
use serde_json::json;
use supervisor::{attach, control, entry_plan::Choice, stage_entry::StageEntry};
use terminal::{bold, confirm, stderrln, stdoutln};

use crate::commands::stage::enter::{ask_about_leftovers, nothing_changed};

/// Enters an incident, whose traffic has this seed.
pub(super) fn enter(
    project: &Project,
    stage: &'static Stage,
    seed: u64,
    arguments: &ArgMatches,
) -> Result<ExitCode> {
    let as_json = arguments.get_flag("json");
    let state = attach::attach_running(project)?;
    control::require_running(Some(&state))?;
    let entry = StageEntry::new(project, &state, as_json);
    let may_ask = !as_json && io::stdin().is_terminal() && io::stderr().is_terminal();
    let before = Progress::read(&project.lab);
    if !as_json && before.is_in_drill() {
        stderrln!("the drill {} is in progress; another one ends it, without a report", before.stage.name);
        if may_ask && !confirm("start another?")? {
            return Ok(nothing_changed());
        }
    }
    if !as_json && keep::would_replace_edit(project, stage)? {
        stderrln!(
            "your edit is saved in {} before the code of the drill replaces it",
            project.display(&project.in_lab("backup"))
        );
    }
    let mut choice = Choice { clean: arguments.get_flag("clean"), seed, ..Choice::default() };
    if !as_json && !choice.clean {
        let leftovers = entry.leftovers(stage)?;
        if !leftovers.is_empty() {
            let again = format!("{} --clean", stage.command_with_seed(seed));
            match ask_about_leftovers(stage, &leftovers, &again, may_ask)? {
                Some(clean) => choice.clean = clean,
                None => return Ok(nothing_changed()),
            }
        }
    }
    let entered = entry.enter(stage, choice)?;
    if as_json {
        let mut json = entered.to_json(stage);
        json["seed"] = json!(seed);
        json["ticket"] = json!(stage.text.section(TICKET));
        stdoutln!("{json}");
    } else {
        print_ticket(stage, seed, &state);
    }
    Ok(if entered.build_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The section of an incident's text with its symptoms.
const TICKET: &str = "Ticket";

/// Prints the ticket, and what to type next.
fn print_ticket(stage: &Stage, seed: u64, state: &State) {
    stdoutln!("");
    stdoutln!("{} {}, seed {seed}", bold(stage.kind()), stage.heading());
    stdoutln!("");
    for line in stage.text.section(TICKET).lines() {
        stdoutln!("{}", format!("  {line}").trim_end());
    }
    stdoutln!("");
    let ui = state.endpoints().temporal_ui;
    let page = state.ports.url(TRANSFER_WEB);
    let tools = [
        ("cargo xtask drill status", "the goals, the clock, and how many transfers were hit"),
        ("cargo xtask lab status", "what is stuck, and on what"),
        ("cargo xtask lab logs worker", "what the worker prints"),
        (&*page, "the page"),
        (&*ui, "the Temporal UI"),
    ];
    let tools = tools.into_iter().filter(|(typed, _)| !typed.is_empty());
    let width = tools.clone().map(|(typed, _)| typed.len()).max().unwrap_or_default();
    for (typed, shows) in tools {
        stdoutln!("  {typed:<width$}  {shows}");
    }
    stdoutln!("");
    stdoutln!("  Once everything has recovered: cargo xtask drill finish");
    stdoutln!("  Stuck? cargo xtask drill hint, which costs {HINT} points");
    stdoutln!("  A colleague gets the same with: {}", stage.command_with_seed(seed));
}
