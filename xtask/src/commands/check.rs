//! `check`.

use std::{
    io::{self, IsTerminal},
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};
use lab::{Evidence, Facts, Stage, Verdict, Wrong};
use serde_json::{Value, json};

use super::{example, flag, json_flag};
use crate::{
    attach,
    control::{self, Request},
    facts::{MOST, Reader},
    progress::Progress,
    project::Project,
    state::State,
    ui::{self, bold, say, shorten},
};

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_millis(500);
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
    let mut reader = Reader::new(&state.ports);
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
                let lines = if as_json { vec![report.to_json().to_string()] } else { report.lines() };
                if report.is_reached() {
                    show(&lines, &shown, in_place);
                    return Ok(ExitCode::SUCCESS);
                }
                lines
            }
            // A part of the lab that is down comes back by itself, if the lab is there still.
            Err(error) if state.is_recorded(project) && state.supervisor.is_alive() => {
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
        thread::sleep(PERIOD);
    }
}

/// Shows the lines, in place of those before; or after them, where they are not on a terminal.
fn show(lines: &[String], before: &[String], in_place: bool) {
    if lines == before {
        return;
    }
    // To the top of the screen, and away with what was there.
    let top = if in_place { "\x1b[H\x1b[J" } else { "" };
    if ui::try_say(format_args!("{top}{}", lines.join("\n"))).is_err() {
        // Nobody reads it any more.
        process::exit(0);
    }
}

fn print(report: &Report, as_json: bool) {
    match as_json {
        true => say!("{}", report.to_json()),
        false => say!("{}", report.lines().join("\n")),
    }
}

/// How far a learner is at a stage.
struct Report {
    stage: &'static Stage,
    verdicts: Vec<Verdict>,
    wrong: Vec<Wrong>,
    transfers: usize,
    /// Whether the code that was saved last could not be built.
    build_failed: bool,
}

/// Asks the server and the bank, and judges.
fn look(project: &Project, state: &State, reader: &mut Reader) -> Result<Report> {
    let progress = Progress::read(project);
    let status = control::ask(state, &Request::Status)?;
    let facts = reader.read(&progress, services(&status))?;
    Ok(Report { build_failed: status["build"] == "failed", ..Report::of(progress.stage, &facts) })
}

fn services(status: &Value) -> Vec<lab::Service> {
    let services = status["services"].as_array().into_iter().flatten();
    let service = |service: &Value| {
        let text = |name: &str| service[name].as_str().map(str::to_owned);
        Some(lab::Service { name: text("name")?, since: text("since")? })
    };
    services.filter_map(service).collect()
}

impl Report {
    fn of(stage: &'static Stage, facts: &Facts) -> Report {
        Report {
            stage,
            verdicts: stage.goals.iter().map(|goal| (goal.check)(facts)).collect(),
            wrong: lab::wrong(facts),
            transfers: facts.transfers.len(),
            build_failed: false,
        }
    }

    fn is_reached(&self) -> bool {
        self.wrong.is_empty() && self.verdicts.iter().all(Verdict::is_reached)
    }

    fn to_json(&self) -> Value {
        let goals = self.stage.goals.iter().zip(&self.verdicts).map(|(goal, verdict)| {
            let (evidence, next) = match verdict {
                Verdict::Reached(evidence) => (evidence.iter().map(evidence_json).collect(), Value::Null),
                Verdict::Open(next) => (Vec::new(), json!(next)),
            };
            json!({
                "name": goal.name,
                "goal": goal.says,
                "reached": verdict.is_reached(),
                "evidence": evidence,
                "next": next,
            })
        });
        let wrong = self.wrong.iter().map(|wrong| {
            let mut json = evidence_json(&wrong.evidence);
            json["meaning"] = json!(wrong.meaning);
            json
        });
        json!({
            "stage": self.stage.name,
            "reached": self.is_reached(),
            "goals": goals.collect::<Vec<_>>(),
            "wrong": wrong.collect::<Vec<_>>(),
            "transfers": self.transfers,
            "build_failed": self.build_failed,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}: {}", bold("stage"), self.stage.name, self.stage.summary)];
        if self.build_failed {
            lines.push(
                "the last build failed, so the worker from before runs: cargo xtask lab logs build"
                    .to_owned(),
            );
        }
        let mut said = "";
        for (goal, verdict) in self.stage.goals.iter().zip(&self.verdicts) {
            let mark = if verdict.is_reached() { 'x' } else { ' ' };
            lines.push(format!("[{mark}] {}", goal.says));
            match verdict {
                Verdict::Reached(evidence) => {
                    lines.extend(
                        evidence.iter().take(SHOWN).map(|evidence| format!("    {}", line(evidence))),
                    );
                    if evidence.len() > SHOWN {
                        lines.push(format!("    and {} more", evidence.len() - SHOWN));
                    }
                }
                // What is next for several is said once.
                Verdict::Open(next) if next == said => {}
                Verdict::Open(next) => {
                    lines.push(format!("    next: {next}"));
                    said = next;
                }
            }
        }
        for wrong in self.wrong.iter().take(SHOWN) {
            lines.push(format!("{} {}", bold("wrong:"), line(&wrong.evidence)));
            lines.push(format!("    {}", wrong.meaning));
        }
        if self.wrong.len() > SHOWN {
            lines.push(format!(
                "and {} more that are wrong: cargo xtask check --json",
                self.wrong.len() - SHOWN
            ));
        }
        if !self.wrong.is_empty() {
            lines.push(format!(
                "what a transfer has done stays done: once the code is right, begin again by \
                 cargo xtask stage {}",
                self.stage.name
            ));
        }
        if self.transfers >= MOST {
            lines.push(format!("only the last {MOST} transfers were looked at"));
        }
        let reached = self.verdicts.iter().filter(|verdict| verdict.is_reached()).count();
        lines.push(match (self.is_reached(), self.next_stage()) {
            (true, Some(next)) => format!("all reached; the next stage: cargo xtask stage {}", next.name),
            (true, None) => "all reached; that was the last stage".to_owned(),
            (false, _) => format!("{reached} of {} reached; a hint: cargo xtask hint", self.verdicts.len()),
        });
        lines
    }

    /// The stage that comes after this one in the story.
    fn next_stage(&self) -> Option<&'static Stage> {
        let at = lab::STAGES.iter().position(|stage| stage == self.stage)?;
        lab::STAGES.get(at + 1)
    }
}

fn line(evidence: &Evidence) -> String {
    let event = evidence.event_id.map_or(String::new(), |id| format!(", event {id}"));
    // Of the time, what a person looks for in the Temporal UI: hours, minutes, seconds.
    let clock = evidence.time.as_ref().and_then(|time| time.get(11..19));
    let time = clock.map_or(String::new(), |clock| format!(" at {clock}"));
    shorten(&format!("{}{event}{time}: {}", evidence.workflow_id, evidence.what), WIDTH)
}

fn evidence_json(evidence: &Evidence) -> Value {
    json!({
        "workflow_id": evidence.workflow_id,
        "run_id": evidence.run_id,
        "event_id": evidence.event_id,
        "time": evidence.time,
        "what": evidence.what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_transfer_no_goal_is_reached_and_each_says_what_is_next() {
        for stage in lab::STAGES {
            let report = Report::of(stage, &Facts::default());
            assert!(!report.is_reached(), "{}", stage.name);
            assert!(report.verdicts.iter().all(|verdict| !verdict.is_reached()), "{}", stage.name);
            let json = report.to_json();
            assert_eq!(json["goals"].as_array().map(Vec::len), Some(stage.goals.len()));
            assert!(
                json["goals"][0]["next"].as_str().is_some_and(|next| next.contains("cargo xtask")),
                "{json}"
            );
            assert!(
                report.lines().last().is_some_and(|line| line.starts_with("0 of")),
                "{:?}",
                report.lines()
            );
        }
    }
}
