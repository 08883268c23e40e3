//! `play`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use lab::{STAGES, Stage};
use serde_json::{Value, json};

use super::{example, flag, json_flag, stage, text};
use crate::{
    build,
    play::{self, BROKEN_OFF, Failure, STAGE_WORKER, Shadow},
    project::Project,
    services::{BINARIES, WORKER},
    temporal_cli, toolchain,
    ui::{say, tell},
};

pub(crate) fn command() -> Command {
    Command::new("play")
        .about(
            "Plays the whole lab by its texts, every command and every fix, in a lab of its own: yours and your files \
             stay as they are",
        )
        .arg(Arg::new("stage").long("stage").value_name("NAME").help("Only this stage"))
        .arg(flag("keep", "Keep the folder in which it was played, until the next play"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask play", "cargo xtask play --stage fix-workflow"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let as_json = arguments.get_flag("json");
    let stages: Vec<&Stage> = match text(arguments, "stage") {
        Some(name) => vec![lab::stage(name).ok_or_else(|| stage::unknown(name))?],
        None => STAGES.iter().collect(),
    };
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &binaries())?;

    let begin = Instant::now();
    let shadow = Shadow::make(project, &executables, cli)?;
    shadow.start()?;
    let started = begin.elapsed();
    let mut results = Vec::new();
    for stage in stages {
        let begin = Instant::now();
        let result = play::follow(&shadow, stage);
        if shadow.is_interrupted() {
            break;
        }
        if !as_json {
            report(stage, begin.elapsed(), result.as_ref().err());
        }
        results.push((stage, begin.elapsed(), result.err()));
    }
    let interrupted = shadow.is_interrupted();
    let failed = results.iter().filter(|(_, _, failure)| failure.is_some()).count();
    let folder = project.display(&shadow.project.root);
    let keep = arguments.get_flag("keep") || failed > 0;
    if keep {
        shadow.stop()?;
    } else {
        shadow.remove()?;
    }
    let total = begin.elapsed();
    if interrupted {
        bail!("{BROKEN_OFF}; nothing of it is left running");
    }
    if as_json {
        let stages: Vec<Value> = results.iter().map(to_json).collect();
        say!(
            "{}",
            json!({ "ok": failed == 0, "seconds": total.as_secs_f64(), "stages": stages,
                    "folder": keep.then_some(&folder) })
        );
    } else {
        let count = results.len();
        let outcome = if failed == 0 { "played".to_owned() } else { format!("played, {failed} failed") };
        let stages = if count == 1 { "stage" } else { "stages" };
        say!("{count} {stages} {outcome}, in {} with the lab's start ({})", seconds(total), seconds(started));
    }
    if keep {
        tell!(
            "what was played is in {folder}, with the lab's logs in {folder}/.lab/logs, until the next play"
        );
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// What a lab runs, with the worker that has every stage's modules in place of the learner's.
pub(super) fn binaries() -> Vec<&'static str> {
    BINARIES.iter().map(|&name| if name == WORKER { STAGE_WORKER } else { name }).collect()
}

fn report(stage: &Stage, took: Duration, failure: Option<&Failure>) {
    let width = STAGES.iter().map(|stage| stage.name.len()).max().unwrap_or_default();
    let mark = if failure.is_some() { "FAIL" } else { "ok" };
    say!("{mark:<4} {:<width$}  {:>6}", stage.name, seconds(took));
    let Some(failure) = failure else { return };
    let line = failure.line.map(|line| format!(":{line}")).unwrap_or_default();
    say!("  {}{line}: {}", failure.file, failure.says);
    if let Some(typed) = &failure.typed {
        say!("  $ {typed}");
    }
    if !failure.expected.is_empty() {
        say!("  the text says:");
        lines(&failure.expected, failure.differ.map(|(line, _)| line));
    }
    if !failure.printed.is_empty() {
        say!("  it printed:");
        lines(&failure.printed, failure.differ.map(|(_, line)| line));
    }
}

/// Prints them, with a mark where they begin to differ.
fn lines(lines: &[String], differ: Option<usize>) {
    for (at, line) in lines.iter().enumerate() {
        say!("  {} {line}", if differ == Some(at) { '>' } else { ' ' });
    }
    if differ == Some(lines.len()) {
        say!("  > (nothing more)");
    }
}

fn to_json((stage, took, failure): &(&Stage, Duration, Option<Failure>)) -> Value {
    let failure = failure.as_ref().map(|failure| {
        json!({
            "file": failure.file,
            "line": failure.line,
            "command": failure.typed,
            "says": failure.says,
            "expected": failure.expected,
            "printed": failure.printed,
            "differ": failure.differ.map(|(expected, printed)| json!({ "expected": expected, "printed": printed })),
        })
    });
    json!({ "name": stage.name, "ok": failure.is_none(), "seconds": took.as_secs_f64(), "failure": failure })
}

/// With a tenth, also where it is more than ten.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
