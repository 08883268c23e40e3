//! `class rehearse`: the whole lab, as many learners, against the service, before the class comes.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::STAGES;
use serde_json::{Value, json};

use super::super::{example, json_flag, play, text};
use crate::{
    Usage, build,
    build::Executables,
    control, elsewhere,
    play::{Failure, follow},
    project::Project,
    shadow::Shadow,
    temporal_cli, toolchain,
    ui::{say, tell},
};

/// What the learners of a rehearsal are called, with a number.
const NAME: &str = "rehearsal";
/// More do not find ports.
const MOST: u16 = 100;

pub(crate) fn command() -> Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("NUMBER")
            .value_parser(value_parser!(u16).range(1..=i64::from(MOST)))
            .help(help)
    };
    Command::new("rehearse")
        .about("Plays the whole lab as many learners at a time on a Temporal Service, each with a lab of its own on this machine")
        .arg(number("learners", "How many").default_value("3"))
        .arg(number("at-once", "How many of them at a time [default: all]"))
        .args(elsewhere::flags().into_iter().filter(|flag| flag.get_id() != "learner"))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class rehearse --learners 3 --address 192.168.1.10:7233",
            "cargo xtask class rehearse --learners 40 --at-once 10 --profile class",
        ]))
}

/// How the lab went for one learner.
struct Rehearsed {
    learner: String,
    /// How long the lab took to start.
    started: Duration,
    /// Each stage, with how long it took.
    stages: Vec<(&'static str, Duration)>,
    failure: Option<String>,
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let learners = arguments.get_one::<u16>("learners").copied().unwrap_or(1);
    let at_once = arguments.get_one::<u16>("at-once").copied().unwrap_or(learners).min(learners);
    if text(arguments, "profile").is_none() && text(arguments, "address").is_none() {
        return Err(Usage("say on which Temporal Service, by --profile or --address".to_owned()).into());
    }
    let as_json = arguments.get_flag("json");
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &play::binaries())?;
    let words = elsewhere::words(arguments);

    let rehearsal = control::random_hex(2)?;
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let all: Mutex<Vec<Rehearsed>> = Mutex::default();
    let broken_off = Mutex::new(false);
    let cli = &cli;
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed) + 1;
                    let is_over = number > usize::from(learners);
                    if is_over || *broken_off.lock().unwrap_or_else(PoisonError::into_inner) {
                        return;
                    }
                    let Ok(number) = u16::try_from(number) else { return };
                    let one = rehearse(project, (&rehearsal, number), &words, &executables, cli.clone());
                    let one = match one {
                        Ok(Some(one)) => one,
                        Ok(None) => {
                            *broken_off.lock().unwrap_or_else(PoisonError::into_inner) = true;
                            return;
                        }
                        Err(error) => Rehearsed {
                            learner: name(&rehearsal, number),
                            started: Duration::ZERO,
                            stages: Vec::new(),
                            failure: Some(format!("{error:#}")),
                        },
                    };
                    if !as_json {
                        one.tell();
                    }
                    all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    if broken_off.into_inner().unwrap_or_else(PoisonError::into_inner) {
        bail!("the rehearsal was broken off; nothing of it is left running");
    }
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by(|a, b| a.learner.cmp(&b.learner));
    let failed = all.iter().filter(|one| one.failure.is_some()).count();
    let took = begin.elapsed();
    if as_json {
        let learners: Vec<Value> = all.iter().map(Rehearsed::to_json).collect();
        say!("{}", json!({ "ok": failed == 0, "seconds": took.as_secs_f64(), "learners": learners }));
    } else {
        for (at, stage) in STAGES.iter().enumerate() {
            let mut times: Vec<f64> =
                all.iter().filter_map(|one| Some(one.stages.get(at)?.1.as_secs_f64())).collect();
            times.sort_by(f64::total_cmp);
            if let (Some(middle), Some(last)) = (times.get(times.len() / 2), times.last()) {
                say!("{:<21} {middle:>6.1} s in the middle, {last:>6.1} s at most", stage.name);
            }
        }
        let outcome = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        say!("{} learners finished all stages{outcome}, in {:.1} s", all.len() - failed, took.as_secs_f64());
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// The name of that learner of this rehearsal: no earlier one had it, whose transfers would be in the lists.
fn name(rehearsal: &str, number: u16) -> String {
    format!("{NAME}-{rehearsal}-{number}")
}

/// The whole lab, as one learner; nothing where it was broken off.
fn rehearse(
    project: &Project,
    (rehearsal, number): (&str, u16),
    words: &[String],
    executables: &Executables,
    temporal_cli: std::path::PathBuf,
) -> Result<Option<Rehearsed>> {
    let shadow = Shadow::make_one(project, "rehearse", number, executables, temporal_cli)?;
    let learner = name(rehearsal, number);
    let mut all_words = words.to_vec();
    all_words.extend(["--learner".to_owned(), learner.clone()]);
    let begin = Instant::now();
    let mut failure = shadow.start(&all_words).err().map(|error| format!("{error:#}"));
    let started = begin.elapsed();
    let mut stages = Vec::new();
    for stage in STAGES {
        if failure.is_some() || shadow.is_interrupted() {
            break;
        }
        let begin = Instant::now();
        match follow(&shadow, stage, stages.is_empty()) {
            Ok(()) => stages.push((stage.name, begin.elapsed())),
            Err(found) => failure = Some(sentence(stage.name, &found)),
        }
    }
    if shadow.is_interrupted() {
        shadow.remove()?;
        return Ok(None);
    }
    if failure.is_some() {
        shadow.stop()?;
        tell!(
            "the folder of {learner} stays until the next rehearsal: {}",
            project.display(&shadow.project.root)
        );
    } else {
        shadow.remove()?;
    }
    Ok(Some(Rehearsed { learner, started, stages, failure }))
}

/// Where and how a lab is not as its text says.
fn sentence(stage: &str, failure: &Failure) -> String {
    let line = failure.line.map(|line| format!(":{line}")).unwrap_or_default();
    let typed = failure.typed.as_ref().map(|typed| format!("; typed: {typed}")).unwrap_or_default();
    let printed = match &failure.printed[..] {
        [] => String::new(),
        printed => format!("; it printed:\n    {}", printed.join("\n    ")),
    };
    format!("{stage}, {}{line}: {}{typed}{printed}", failure.file, failure.says)
}

impl Rehearsed {
    fn tell(&self) {
        let took: Duration = self.stages.iter().map(|(_, took)| *took).sum();
        match &self.failure {
            None => {
                say!("ok   {:<16} {} stages in {:.1} s", self.learner, self.stages.len(), took.as_secs_f64())
            }
            Some(failure) => say!("FAIL {:<16} {failure}", self.learner),
        }
    }

    fn to_json(&self) -> Value {
        let stages =
            self.stages.iter().map(|(name, took)| json!({ "name": name, "seconds": took.as_secs_f64() }));
        json!({
            "learner": self.learner,
            "started_after": self.started.as_secs_f64(),
            "stages": stages.collect::<Vec<_>>(),
            "failure": self.failure,
        })
    }
}
