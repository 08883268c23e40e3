//! `check`.

use std::{
    io::{self, IsTerminal},
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};
use lab::{Evidence, Report, Verdict};
use lab_client::{
    facts::{MOST, Reader},
    progress::Progress,
    supervisor::{self as lab_supervisor, BuildState},
};
use serde_json::json;

use crate::args::{example, flag, json_flag};
use checkout::{project::Project, state};
use lab_client::state::State;
use supervisor::{
    attach,
    control::{self, Request},
    process::is_alive,
};
use terminal::{bold, shorten, stdoutln};

/// How often `--watch` looks.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// So many pieces of evidence are shown for a goal.
const SHOWN: usize = 3;
/// The longest line of evidence.
const WIDTH: usize = 150;

pub(crate) fn command() -> Command {
    Command::new("check")
        .about("Tells which goals of the current stage are reached, by the server's Event Histories and the bank's ledger")
        .arg(flag("watch", "Go on looking, until all are reached"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask check", "cargo xtask check --watch"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    let mut reader = Reader::new(&state.endpoints());
    let as_json = arguments.get_flag("json");
    if !arguments.get_flag("watch") {
        let report = look(project, &state, &mut reader)?;
        print(&report, as_json);
        return Ok(ExitCode::from(u8::from(!report.is_reached())));
    }

    let in_place = io::stdout().is_terminal() && !as_json;
    let mut shown = Vec::new();
    loop {
        let lines = match look(project, &state, &mut reader) {
            Ok(report) => {
                let lines = if as_json { vec![report.to_json().to_string()] } else { lines(&report) };
                if report.is_reached() {
                    show(&lines, &shown, in_place);
                    return Ok(ExitCode::SUCCESS);
                }
                lines
            }
            // A part of the lab that is down comes back by itself, if the lab is there still.
            Err(error) if state::is_recorded(project, &state) && is_alive(&state.supervisor) => {
                let error = format!("{error:#}");
                vec![if as_json {
                    json!({ "error": error }).to_string()
                } else {
                    format!("not known at this moment: {error}")
                }]
            }
            Err(_) => bail!("the lab has ended; start it with: cargo xtask lab start --detach"),
        };
        show(&lines, &shown, in_place);
        shown = lines;
        thread::sleep(POLL_INTERVAL);
    }
}

/// Shows the lines in place of those before, as long as somebody reads them.
fn show(lines: &[String], before: &[String], in_place: bool) {
    if terminal::show(lines, before, in_place).is_err() {
        process::exit(0);
    }
}

fn print(report: &Report, as_json: bool) {
    match as_json {
        true => stdoutln!("{}", report.to_json()),
        false => stdoutln!("{}", lines(report).join("\n")),
    }
}

/// Asks the server and the bank, and judges.
fn look(project: &Project, state: &State, reader: &mut Reader) -> Result<Report> {
    let progress = Progress::read(&project.lab);
    let status = control::ask(state, &Request::Status)?;
    let facts = reader.read(&progress, lab_supervisor::services(&status))?;
    let build_failed = BuildState::of(&status) == Some(BuildState::Failed);
    Ok(Report { build_failed, ..Report::of(progress.stage, &facts) })
}

/// The report for a person.
fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![format!("{} {}: {}", bold("stage"), report.stage.name, report.stage.summary)];
    if report.build_failed {
        lines.push(
            "the last build failed, so the worker from before runs: cargo xtask lab logs build".to_owned(),
        );
    }
    let mut said = None;
    for (goal, verdict) in report.stage.goals.iter().zip(&report.verdicts) {
        let mark = if verdict.is_reached() { 'x' } else { ' ' };
        lines.push(format!("[{mark}] {}", goal.says));
        match verdict {
            Verdict::Reached(evidence) => {
                lines.extend(evidence.iter().take(SHOWN).map(|evidence| format!("    {}", line(evidence))));
                if evidence.len() > SHOWN {
                    lines.push(format!("    and {} more", evidence.len() - SHOWN));
                }
            }
            // What is next for several is said once.
            Verdict::Open(next) if said == Some(next) => {}
            Verdict::Open(next) => {
                lines.push(format!("    next: {next}"));
                said = Some(next);
            }
        }
    }
    for wrong in report.wrong.iter().take(SHOWN) {
        lines.push(format!("{} {}", bold("wrong:"), line(&wrong.evidence)));
        lines.push(format!("    {}", wrong.meaning));
    }
    if report.wrong.len() > SHOWN {
        lines.push(format!(
            "and {} more that are wrong: cargo xtask check --json",
            report.wrong.len() - SHOWN
        ));
    }
    if !report.wrong.is_empty() {
        lines.push(format!(
            "what a transfer has done stays done: once the code is right, begin again by \
                 cargo xtask stage {}",
            report.stage.name
        ));
    }
    if report.transfers >= MOST {
        lines.push(format!("only the last {MOST} transfers were looked at"));
    }
    let reached = report.verdicts.iter().filter(|verdict| verdict.is_reached()).count();
    lines.push(match (report.is_reached(), report.next_stage()) {
        (true, Some(next)) => format!("all reached; the next stage: cargo xtask stage {}", next.name),
        (true, None) => "all reached; that was the last stage".to_owned(),
        (false, _) => format!("{reached} of {} reached; a hint: cargo xtask hint", report.verdicts.len()),
    });
    lines
}

fn line(evidence: &Evidence) -> String {
    let event = evidence.event_id.map_or(String::new(), |id| format!(", event {id}"));
    // Of the time, what a person looks for in the Temporal UI: hours, minutes, seconds.
    let clock = evidence.time.as_ref().and_then(|time| time.get(11..19));
    let time = clock.map_or(String::new(), |clock| format!(" at {clock}"));
    shorten(&format!("{}{event}{time}: {}", evidence.workflow_id, evidence.what), WIDTH)
}

#[cfg(test)]
mod tests {
    use lab::Facts;

    use super::*;

    #[test]
    fn a_report_ends_with_how_many_goals_are_reached() {
        for stage in lab::STAGES {
            let lines = lines(&Report::of(stage, &Facts::default()));
            assert!(lines.last().is_some_and(|line| line.starts_with("0 of")), "{lines:?}");
        }
    }
}
