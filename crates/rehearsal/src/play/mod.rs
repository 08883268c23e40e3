//! Following the texts of the stages in a shadow of the checkout, as a learner would who types every command.

mod compare;
pub mod drills;
mod typed;
mod words;

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use lab::{Block, Command, Stage, Text};
use lab_client::{
    state::State,
    supervisor::{BuildState, versions},
};
use serde_json::Value;

pub use self::words::Typed;
use self::{compare::Ids, words::Program};
use crate::shadow::{Printed, Shadow};
use supervisor::{
    control::{self, Request},
    services,
};

/// How long a lab has to come to what a text says of it.
const STATE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often is looked meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where and how the lab is not as its text says.
#[derive(Debug)]
pub struct Failure {
    /// The file of the text, relative to the project's folder.
    pub file: &'static str,
    /// The line in it; none where it is about the stage as a whole.
    pub line: Option<usize>,
    /// What was typed, if anything was.
    pub typed: Option<String>,
    /// What is wrong.
    pub says: String,
    /// What the text says is printed; none where it does not matter.
    pub expected: Vec<String>,
    /// What was printed.
    pub printed: Vec<String>,
    /// From which line of each on they differ.
    pub differ: Option<(usize, usize)>,
}

/// Whether the lab is as its text says.
type Followed = Result<(), Box<Failure>>;

/// Does what the text of a stage says, and compares. In a fresh lab nobody has done anything yet. Returns how long after the
/// last fix was saved all goals were reached, where the text has one.
pub fn follow(shadow: &Shadow, stage: &Stage, fresh: bool) -> Result<Option<Duration>, Box<Failure>> {
    let blocks = stage.text.blocks();
    let commands = || {
        blocks.iter().flat_map(|block| match block {
            Block::Commands(commands) => &commands[..],
            Block::Fix | Block::Write(..) | Block::Settle => &[],
        })
    };
    let enters = |command: &Command| {
        Typed::parse(&command.typed).is_ok_and(|typed| typed.enters() == Some(stage.name))
    };
    let is_there = fresh && stage == &lab::STAGES[0];
    if !is_there && !commands().any(enters) {
        enter(shadow, stage)?;
    }
    let mut ids = Ids::default();
    let mut fixed = None;
    for block in &blocks {
        match block {
            Block::Commands(commands) => {
                for command in commands {
                    follow_command(shadow, stage.text.file, command, &mut ids)?;
                }
            }
            Block::Fix => fixed = Some(fix(shadow, stage)?),
            Block::Write(module, name) => write(shadow, stage, module, name)?,
            Block::Settle => {
                return Err(about(stage, "it corrects accounts, as only an incident's text does".to_owned()));
            }
        }
    }
    reach(shadow, stage, "its goals are not reached at the end of its text", |check| {
        check["reached"] == true
    })?;
    Ok(fixed.map(|saved| saved.elapsed()))
}

/// Does what a text says that belongs to no stage, and compares: it has commands alone.
pub fn follow_text(shadow: &Shadow, text: &Text) -> Result<(), Box<Failure>> {
    let mut ids = Ids::default();
    for block in text.blocks() {
        let Block::Commands(commands) = block else {
            return Err(failure(text.file, "it changes code, and belongs to no stage".to_owned()));
        };
        for command in &commands {
            follow_command(shadow, text.file, command, &mut ids)?;
        }
    }
    Ok(())
}

/// On a service that others share everything may take longer, above all where many rehearse on one machine.
fn state_timeout(shadow: &Shadow) -> Duration {
    let is_shared = shadow.state().is_ok_and(|state| state.remote_service.is_some());
    if is_shared { 3 * STATE_TIMEOUT } else { STATE_TIMEOUT }
}

/// A failure that no line of the text stands for.
fn about(stage: &Stage, says: String) -> Box<Failure> {
    failure(stage.text.file, says)
}

fn failure(file: &'static str, says: String) -> Box<Failure> {
    let (expected, printed) = Default::default();
    Box::new(Failure { file, line: None, typed: None, says, expected, printed, differ: None })
}

/// Enters a stage whose text does not say to.
fn enter(shadow: &Shadow, stage: &Stage) -> Followed {
    let entered = shadow.xtask(&["stage", stage.name]).map_err(|error| about(stage, format!("{error:#}")))?;
    if entered.ok {
        return Ok(());
    }
    let typed = format!("cargo xtask stage {}", stage.name);
    let failure = about(stage, "it could not be entered".to_owned());
    Err(Box::new(Failure { typed: Some(typed), printed: entered.lines, ..*failure }))
}

/// Types a command; one that only tells how things are, until they are as the text says.
fn follow_command(shadow: &Shadow, file: &'static str, command: &Command, ids: &mut Ids) -> Followed {
    let failure = |ids: &Ids, says: String, printed: Vec<String>, differ: Option<(usize, usize)>| {
        Box::new(Failure {
            file,
            line: Some(command.line),
            typed: Some(command.typed.clone()),
            says,
            expected: command.prints.iter().map(|line| ids.in_line(line)).collect(),
            printed,
            differ,
        })
    };
    let breaks = |ids: &Ids, error: Error| failure(ids, format!("{error:#}"), Vec::new(), None);
    let typed = lab::with_deployment(&command.typed, &deployment(shadow));
    let typed = this_times(&typed, ids).map_err(|error| breaks(ids, error))?;
    let shown = command.prints.iter().any(|line| !line.trim().is_empty());
    let begin = Instant::now();
    loop {
        let printed = typed::run(shadow, &typed).map_err(|error| breaks(ids, error))?;
        // Where a text shows nothing in particular, it is to work.
        let (says, differ) = if shown {
            match ids.compare(&command.prints, &printed.lines) {
                Ok(()) if !printed.ok && command.prints.iter().all(|line| line.trim() == "…") => {
                    ("it fails, and the text does not show that", None)
                }
                Ok(()) => return Ok(()),
                Err(differ) => ("it does not print what the text says", Some(differ)),
            }
        } else if printed.ok {
            return Ok(());
        } else {
            ("it fails, and the text does not show that", None)
        };
        if !typed.only_reads() || begin.elapsed() > state_timeout(shadow) {
            return Err(failure(ids, says.to_owned(), printed.lines, differ));
        }
        shadow.pause(POLL_INTERVAL).map_err(|error| breaks(ids, error))?;
    }
}

/// The name of the lab's Worker Deployment, which has the learner's name where several share a namespace.
fn deployment(shadow: &Shadow) -> String {
    let state = shadow.state().ok();
    contract::deployment(state.as_ref().and_then(State::learner))
}

/// The command with the ids that this time's are, in place of the text's.
fn this_times(typed: &str, ids: &Ids) -> Result<Typed> {
    let mut typed = Typed::parse(typed)?;
    typed.check()?;
    for word in &mut typed.words {
        if typed.program == Program::Kill && word.parse::<u32>().is_ok() {
            let pid = ids.pid(word).with_context(|| format!("nothing before has printed: pid {word}"))?;
            *word = pid.to_owned();
            continue;
        }
        *word = ids
            .in_command(word)
            .map_err(|id| anyhow!("nothing before has printed the id {id}, so it is not known here"))?;
    }
    Ok(typed)
}

/// Fixes the code as the shipped fix does, once its failure is seen. Returns when it was saved.
fn fix(shadow: &Shadow, stage: &Stage) -> Result<Instant, Box<Failure>> {
    let is_seen = |check: &Value| {
        let failures = stage.goals.iter().filter(|goal| goal.is_failure);
        failures.into_iter().all(|failure| is_reached(check, failure.name))
    };
    reach(shadow, stage, "what is to be fixed is not seen to fail", |check| {
        is_seen(check) && check["reached"] == false
    })?;
    let saved = Instant::now();
    put_fix_in_place(shadow, stage)?;
    Ok(saved)
}

/// Puts the shipped fix in place.
fn put_fix_in_place(shadow: &Shadow, stage: &Stage) -> Followed {
    let Some(fixed) = stage.fixed_by.and_then(lab::stage) else {
        return Err(about(
            stage,
            "it says where to fix the code, and no stage has the fix: see fixed_by".to_owned(),
        ));
    };
    let modules =
        [(lab::LIVE_WORKFLOW, fixed.workflow.source), (lab::LIVE_ACTIVITIES, fixed.activities.source)];
    place(shadow, &modules).map_err(|error| about(stage, format!("{error:#}")))
}

/// Writes what a variant has, as the text says that the learner does.
fn write(shadow: &Shadow, stage: &Stage, module: &str, name: &str) -> Followed {
    let (path, variant) = match module {
        "workflow" => (lab::LIVE_WORKFLOW, lab::workflow_variants().find(|variant| variant.name == name)),
        _ => (lab::LIVE_ACTIVITIES, lab::activities_variants().find(|variant| variant.name == name)),
    };
    let Some(variant) = variant else {
        return Err(about(stage, format!("it has the learner write {module}/{name}, which does not exist")));
    };
    place(shadow, &[(path, variant.source)]).map_err(|error| about(stage, format!("{error:#}")))
}

fn is_reached(check: &Value, goal: &str) -> bool {
    let goals = check["goals"].as_array();
    goals.into_iter().flatten().any(|entry| entry["name"] == goal && entry["reached"] == true)
}

/// Saves these modules, and waits until the lab's worker runs them. With watch off nobody builds them until the text says to deploy.
fn place(shadow: &Shadow, modules: &[(&str, &str)]) -> Result<()> {
    let before = status(shadow)?;
    if !shadow.put_in_place(modules).context("could not write the live modules")? || before["watch"] == false
    {
        return Ok(());
    }
    // With versions a saved file is built, and the text says when to deploy it.
    let runs_versions = !versions(&before).is_empty();
    let before = if runs_versions { Value::Null } else { worker(&before)? };
    let begin = Instant::now();
    loop {
        let now = status(shadow)?;
        let is_used = if runs_versions {
            BuildState::of_saved(&now) == Some(BuildState::Ok)
        } else {
            let now = worker(&now)?;
            now["state"] == "running" && now["pid"] != before["pid"]
        };
        if is_used {
            return Ok(());
        }
        if begin.elapsed() > state_timeout(shadow) {
            let log =
                std::fs::read_to_string(shadow.project.log(supervisor::logs::SUPERVISOR)).unwrap_or_default();
            bail!("the fixed modules are saved, and the lab's worker does not run them; its log:\n{log}");
        }
        shadow.pause(POLL_INTERVAL)?;
    }
}

/// What the supervisor answers of the lab.
fn status(shadow: &Shadow) -> Result<Value> {
    control::ask(&shadow.state()?, &Request::Status)
}

/// What it answers of the worker.
fn worker(status: &Value) -> Result<Value> {
    let mut services = status["services"].as_array().into_iter().flatten();
    let worker = services.find(|service| service["name"] == services::WORKER);
    worker.cloned().context("the lab has no worker")
}

/// Waits until `check` tells that.
fn reach(shadow: &Shadow, stage: &Stage, else_says: &str, is_so: impl Fn(&Value) -> bool) -> Followed {
    let begin = Instant::now();
    loop {
        let looked = shadow.xtask(&CHECK).and_then(|printed| shadow.pause(POLL_INTERVAL).map(|()| printed));
        let printed = looked.map_err(|error| about(stage, format!("{error:#}")))?;
        if printed.json().is_some_and(|check| is_so(&check)) {
            return Ok(());
        }
        if begin.elapsed() > state_timeout(shadow) {
            return Err(with_goals(stage, else_says, &printed));
        }
    }
}

/// What tells how far the goals are.
const CHECK: [&str; 2] = ["check", "--json"];

/// The failure to get so far as the text says, with what `check` has printed.
fn with_goals(stage: &Stage, says: &str, check: &Printed) -> Box<Failure> {
    let typed = Some(format!("cargo xtask {}", CHECK.join(" ")));
    Box::new(Failure { typed, printed: told(check), ..*about(stage, says.to_owned()) })
}

/// What a person wants to know of it: the goals, one a line.
fn told(printed: &Printed) -> Vec<String> {
    let check = printed.json().unwrap_or_default();
    let Some(goals) = check["goals"].as_array() else { return printed.lines.clone() };
    let line = |goal: &Value| {
        let mark = if goal["reached"] == true { "reached" } else { "open" };
        let text = |name: &str| goal[name].as_str().unwrap_or_default().to_owned();
        format!("{mark:<8} {}: {} {}", text("name"), text("goal"), text("next")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = goals.iter().map(line).collect();
    // What else it says, such as a fix that is wrong.
    if let Value::Object(mut rest) = check.clone() {
        rest.remove("goals");
        lines.push(Value::Object(rest).to_string());
    }
    lines
}
