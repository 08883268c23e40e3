//! `check`.

use std::{
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};
use lab::{Evidence, Next, Report, Stage, Verdict};
use lab_client::{
    drill_status::DrillStatus,
    facts::{MOST, Reader},
    http::{Refused, is_silence},
    progress::Progress,
    supervisor::{self as lab_supervisor, BuildState},
    time,
    versions::VersionRow,
};
use serde_json::{Value, json};

use crate::{
    args::{example, flag, json_flag},
    class_status, deployment, versions,
};
use checkout::{progress, project::Project, state};
use lab_client::state::State;
use supervisor::{
    attach,
    control::{self, Request},
    process::is_alive,
};
use terminal::{bold, duration, shorten, stderrln, stdoutln};

/// How often `--watch` looks.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// So many pieces of evidence are shown for a goal.
const SHOWN: usize = 3;
/// The longest line of evidence.
const WIDTH: usize = 150;

pub(crate) fn command() -> Command {
    Command::new("check")
        .about("Shows which goals of the current stage are reached, judged by the Event Histories and the bank's ledger")
        .arg(flag("watch", "Keep checking until all goals are reached"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask check", "cargo xtask check --watch"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let is_reached = show_goals(project, arguments)?;
    Ok(ExitCode::from(u8::from(!is_reached)))
}

/// Prints the goals once.
pub(super) fn print_goals(project: &Project) -> Result<()> {
    let state = attach::attach_running(project)?;
    let look = look(project, &state, &mut Reader::new(&state.endpoints()))?;
    stdoutln!("{}", look.lines(false).join("\n"));
    Ok(())
}

/// Shows the goals, as the flags `--watch` and `--json` say. Returns whether all are reached.
pub(super) fn show_goals(project: &Project, arguments: &ArgMatches) -> Result<bool> {
    let state = attach::attach_running(project)?;
    let mut reader = Reader::new(&state.endpoints());
    let as_json = arguments.get_flag("json");
    if !arguments.get_flag("watch") {
        let look = look(project, &state, &mut reader)?;
        let is_reached = look.is_reached();
        stdoutln!("{}", look.lines(as_json).join("\n"));
        return Ok(is_reached);
    }

    let in_place = terminal::is_screen() && !as_json;
    let mut shown = Vec::new();
    loop {
        let lines = match look(project, &state, &mut reader) {
            Ok(look) => {
                let lines = look.lines(as_json);
                if look.is_reached() {
                    show(&lines, &shown, in_place);
                    return Ok(true);
                }
                lines
            }
            // The supervisor may be busy, if the lab is there still.
            Err(error) if state::is_recorded(project, &state) && is_alive(&state.supervisor) => {
                let error = format!("{error:#}");
                vec![if as_json { json!({ "error": error }).to_string() } else { error }]
            }
            Err(_) => bail!("the lab has stopped; start it with: cargo xtask lab start --detach"),
        };
        show(&lines, &shown, in_place);
        shown = lines;
        thread::sleep(POLL_INTERVAL);
    }
}

/// Shows the lines in place of those before, as long as somebody reads them.
fn show(lines: &[String], before: &[String], in_place: bool) {
    let footer = in_place.then(time::checked_now);
    if terminal::show(lines, before, footer.as_deref()).is_err() {
        process::exit(0);
    }
}

/// What is known at one moment.
struct Look {
    stage: &'static Stage,
    /// The command that enters the stage again.
    command: String,
    /// The numbers of the drill, if the stage is an incident that was made ready.
    drill: Option<DrillStatus>,
    /// What the instructor tells the class.
    class: Vec<String>,
    /// Why the learner should wait with the next stage, if so.
    next_is_closed: Option<String>,
    build: Option<BuildState>,
    /// Why the worker does not run the saved code, with the first compile error; shown if the last build failed.
    build_failed: Vec<String>,
    /// The code that blocks the worker.
    blocking: Vec<String>,
    /// The services that do not run, in the words of `lab status`.
    down: Vec<String>,
    /// The versions of the worker, in a stage that has versions.
    versions: Vec<VersionRow>,
    /// The judgement, or why there is none.
    report: Result<Report, String>,
}

/// Asks the server and the bank, and judges.
fn look(project: &Project, state: &State, reader: &mut Reader) -> Result<Look> {
    let progress = Progress::read(&project.lab);
    let stage = progress.stage;
    let mut status = control::ask(state, &Request::Status)?;
    let mut drill = None;
    let report = match reader.read(&progress, lab_supervisor::services(&status)) {
        Ok(facts) => {
            drill = DrillStatus::of(&progress, &facts);
            let build_failed = BuildState::of(&status) == Some(BuildState::Failed);
            Ok(Report { build_failed, ..Report::of(stage, &facts) })
        }
        Err(error) if is_silence(&error) => {
            // It may have died so recently that the supervisor had not noticed yet.
            thread::sleep(POLL_INTERVAL);
            status = control::ask(state, &Request::Status)?;
            Err("the goals cannot be judged until the Temporal server and the bank respond; try again: cargo xtask check"
                .to_owned())
        }
        Err(error) => {
            let why = error.downcast_ref::<Refused>().map(|refused| refused.why().to_owned());
            Err(format!("the goals cannot be judged: {}", why.unwrap_or_else(|| format!("{error:#}"))))
        }
    };
    if report.as_ref().is_ok_and(Report::is_reached)
        && let Err(error) = progress::record_done(project, stage)
    {
        stderrln!("warning: the stage is not marked as done: {error:#}");
    }
    let next = report.as_ref().ok().and_then(Report::next_stage);
    let versions = if report.is_ok() { versions::rows(state, &status) } else { Vec::new() };
    Ok(Look {
        stage,
        command: progress.command(),
        drill,
        class: class_status::lines(&status),
        next_is_closed: next.and_then(|next| class_status::why_closed(&status, next)),
        build: BuildState::of_saved(&status),
        build_failed: deployment::warning(&status).into_iter().chain(deployment::excerpt(&status)).collect(),
        blocking: deployment::blocking(&status),
        down: down(&status),
        versions,
        report,
    })
}

/// The services of a status that do not run.
fn down(status: &Value) -> Vec<String> {
    let services = status["services"].as_array().into_iter().flatten();
    let is_down = |service: &&Value| service["state"].as_str().is_some_and(|state| state != "running");
    let words = |service: &Value| {
        let text = |name: &str| service[name].as_str().unwrap_or_default();
        let since = time::parse_rfc3339(text("since")).map_or(0.0, |since| time::now().as_secs_f64() - since);
        format!("{}: {} for {}", text("name"), text("state"), duration(since))
    };
    services.filter(is_down).map(words).collect()
}

impl Look {
    fn is_reached(&self) -> bool {
        self.report.as_ref().is_ok_and(Report::is_reached)
    }

    fn lines(&self, as_json: bool) -> Vec<String> {
        if as_json {
            return vec![self.to_json().to_string()];
        }
        let mut lines = self.class.clone();
        lines.push(format!("{} {}", bold(self.stage.kind()), self.stage.heading()));
        lines.extend(self.drill.as_ref().map(drill_line));
        match self.build {
            Some(BuildState::Building) => {
                lines.push("building: this shows the code from before your edit".to_owned());
            }
            Some(BuildState::Failed) => lines.extend(self.build_failed.clone()),
            _ => {}
        }
        lines.extend(self.blocking.iter().cloned());
        lines.extend(self.down.iter().cloned());
        lines.extend(versions::lines(&self.versions));
        match &self.report {
            Ok(report) => {
                lines.extend(goal_lines(report));
                lines.push(match self.stage.incident() {
                    Some(_) => last_line_of_drill(report, self.drill.as_ref(), &self.command),
                    None => last_line(report, self.next_is_closed.as_deref()),
                });
            }
            Err(why) => lines.push(why.clone()),
        }
        lines
    }

    fn to_json(&self) -> Value {
        let mut json = match &self.report {
            Ok(report) => report.to_json(),
            Err(why) => json!({ "stage": self.stage.name, "reached": false, "error": why }),
        };
        json["drill"] = json!(self.drill.as_ref().map(DrillStatus::to_json));
        json["building"] = json!(self.build == Some(BuildState::Building));
        json["down"] = json!(self.down);
        json["versions"] = versions::to_json(&self.versions);
        json["blocking"] = json!(self.blocking);
        json
    }
}

/// The clock of a drill, and the numbers of its transfers.
fn drill_line(drill: &DrillStatus) -> String {
    let DrillStatus { seconds, hints, in_progress, hit, safe, .. } = drill;
    let ended = match &drill.drill.ended {
        None => "so far",
        Some((_, false)) => "until you finished it",
        Some((_, true)) => "until you gave up",
    };
    let hints = match hints {
        0 => String::new(),
        1 => ", 1 hint".to_owned(),
        hints => format!(", {hints} hints"),
    };
    format!(
        "{} {ended}{hints}; transfers: {in_progress} in progress, {hit} hit, {safe} of {} safe since the last deploy",
        duration(*seconds),
        lab::SAFE
    )
}

/// How many goals of a drill are reached, and what to type next.
fn last_line_of_drill(report: &Report, drill: Option<&DrillStatus>, command: &str) -> String {
    let reached = count_reached(report);
    match drill {
        None => format!("the drill was not made ready; to start it again: {command}"),
        Some(drill) if !drill.is_on() => {
            "the drill has ended; its report: cargo xtask drill report".to_owned()
        }
        Some(_) if report.is_reached() => {
            "all reached; to end the drill: cargo xtask drill finish".to_owned()
        }
        Some(_) if reached == report.verdicts.len() => {
            "all goals are reached, but a transfer broke a rule: see above".to_owned()
        }
        Some(_) => format!("{reached} of {} reached; a hint: cargo xtask drill hint", report.verdicts.len()),
    }
}

/// How many goals of a stage are reached, and what to type next.
fn last_line(report: &Report, next_is_closed: Option<&str>) -> String {
    let reached = count_reached(report);
    match (report.is_reached(), report.next_stage()) {
        (true, Some(next)) if let Some(why) = next_is_closed => {
            format!("all reached; {why}; to enter it anyway: cargo xtask stage {} --ahead", next.name)
        }
        (true, Some(next)) => format!("all reached; the next stage: cargo xtask stage {}", next.name),
        (true, None) => "all reached; that was the last stage".to_owned(),
        (false, _) if reached == report.verdicts.len() => {
            "all goals are reached, but a transfer broke a rule: see above".to_owned()
        }
        (false, _) => format!("{reached} of {} reached; a hint: cargo xtask hint", report.verdicts.len()),
    }
}

fn count_reached(report: &Report) -> usize {
    report.verdicts.iter().filter(|verdict| verdict.is_reached()).count()
}

/// The goals and what is wrong, for a person.
pub(super) fn goal_lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
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
                lines.extend(next_lines(next));
                said = Some(next);
            }
        }
    }
    for wrong in report.wrong.iter().take(SHOWN) {
        lines.push(format!("{} {}", bold("wrong:"), line(&wrong.evidence)));
        lines.push(format!("    {}", wrong.meaning));
    }
    if report.wrong.len() > SHOWN {
        lines.push(format!("and {} more: cargo xtask check --json", report.wrong.len() - SHOWN));
    }
    match report.stage.incident() {
        _ if report.wrong.is_empty() => {}
        Some(_) => lines.push(
            "once your code is right, deploy it: only the transfers since then are judged by this".to_owned(),
        ),
        None => lines.push(format!(
            "what these transfers did cannot be undone; once your code is right, start the stage again: {}",
            report.stage.command_that_keeps()
        )),
    }
    if report.transfers >= MOST && report.stage.incident().is_none() {
        lines.push(format!("only the latest {MOST} transfers were checked"));
    }
    lines
}

/// What to do next; its command alone on a line, to be copied.
fn next_lines(next: &Next) -> Vec<String> {
    let Some(command) = next.to_type() else { return vec![format!("    next: {next}")] };
    let mut lines = vec![format!("    next: {}:", next.before()), format!("      {command}")];
    if !next.after().is_empty() {
        lines.push(format!("    {}", next.after()));
    }
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
    use lab_client::progress::Drill;

    use super::*;

    #[test]
    fn a_report_ends_with_how_many_goals_are_reached() {
        for stage in lab::STAGES {
            let last = last_line(&Report::of(stage, &Facts::default()), None);
            assert!(last.starts_with("0 of") && last.ends_with("cargo xtask hint"), "{last}");
        }
    }

    #[test]
    fn a_drill_has_its_clock_and_no_next_stage() {
        let stage = &lab::INCIDENTS[0].stage;
        let report = Report::of(stage, &Facts::default());
        let status = |ended| DrillStatus {
            stage,
            drill: Drill { seed: 7, last_entry: 10, ended },
            began: "2026-11-22T12:00:00Z".to_owned(),
            seconds: 200.0,
            hints: 1,
            in_progress: 3,
            hit: 2,
            safe: 4,
        };
        let on = status(None);
        assert_eq!(
            drill_line(&on),
            "3 min so far, 1 hint; transfers: 3 in progress, 2 hit, 4 of 5 safe since the last deploy"
        );
        assert_eq!(
            last_line_of_drill(&report, Some(&on), ""),
            "0 of 5 reached; a hint: cargo xtask drill hint"
        );
        let ended = status(Some(("2026-11-22T12:03:20Z".to_owned(), true)));
        assert!(drill_line(&ended).starts_with("3 min until you gave up, 1 hint; "));
        assert!(last_line_of_drill(&report, Some(&ended), "").ends_with("cargo xtask drill report"));
        assert!(last_line_of_drill(&report, None, "cargo xtask drill x").ends_with("cargo xtask drill x"));
        assert_eq!(report.next_stage(), None);
    }

    #[test]
    fn the_next_command_stands_alone_on_its_line() {
        let next = Next::command("start a transfer: ", "cargo xtask transfer a b 1").then("; then look");
        assert_eq!(
            next_lines(&next),
            ["    next: start a transfer:", "      cargo xtask transfer a b 1", "    then look"]
        );
        assert_eq!(next_lines(&"look".into()), ["    next: look"]);
    }

    #[test]
    fn a_build_and_a_service_that_is_down_are_said_as_lab_status_says_them() {
        let since = time::rfc3339(time::unix_now() - 42);
        let status = json!({ "build": "building", "services": [
            { "name": "temporal", "state": "restarting", "since": since },
            { "name": "worker", "state": "running", "since": since },
        ]});
        let look = Look {
            stage: &lab::STAGES[0],
            command: String::new(),
            drill: None,
            class: Vec::new(),
            next_is_closed: None,
            build: BuildState::of(&status),
            build_failed: deployment::warning(&status).into_iter().collect(),
            blocking: deployment::blocking(&status),
            down: down(&status),
            versions: Vec::new(),
            report: Err("the goals cannot be judged".to_owned()),
        };
        let lines = look.lines(false);
        assert!(lines[1].starts_with("building: "), "{lines:?}");
        assert!(lines[2].starts_with("temporal: restarting for 4"), "{lines:?}");
        assert_eq!(lines.len(), 4, "{lines:?}");
        let json = look.to_json();
        assert_eq!((&json["building"], &json["reached"]), (&json!(true), &json!(false)));
    }
}
