//! `class rehearse`: the whole lab, as many learners, against the service, before the class comes.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::STAGES;
use lab_client::{class, state::RemoteService, temporal::Server};
use serde_json::{Value, json};

use super::{
    super::{json_flag, play},
    example,
    gateway::Gateway,
};
use crate::{
    play::{Failure, follow},
    shadow::Shadow,
};
use checkout::project::Project;
use supervisor::{build, build::Executables, remote_service, temporal_cli, toolchain};
use terminal::{Usage, stderrln, stdoutln};

/// What the name of a rehearsal begins with.
const NAME: &str = "rehearsal";
/// How long the board may take to show what was reported last: it is a list, which follows some moments later.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// More do not find ports.
const MOST: u16 = 100;

pub fn command() -> Command {
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
        .args(remote_service::flags().into_iter().filter(|flag| flag.get_id() != "learner"))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class rehearse --learners 3 --address 192.168.1.10:7233",
            "cargo xtask class rehearse --learners 40 --at-once 10 --profile class",
        ]))
}

/// How the lab went for one learner.
#[derive(Default)]
pub struct Rehearsed {
    /// Who.
    pub learner: String,
    /// How long the lab took to start.
    pub started: Duration,
    /// Each stage, with how long it took.
    pub stages: Vec<(&'static str, Duration)>,
    /// How long it took from each saved mend until all goals were reached.
    pub mends: Vec<Duration>,
    /// Where and how it was not as the texts say.
    pub failure: Option<String>,
}

pub fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let learners = arguments.get_one::<u16>("learners").copied().unwrap_or(1);
    let at_once = arguments.get_one::<u16>("at-once").copied().unwrap_or(learners).min(learners);
    let Some(service) = remote_service::named(arguments) else {
        return Err(Usage("say on which Temporal Service, by --profile or --address".to_owned()).into());
    };
    let as_json = arguments.get_flag("json");
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &play::binaries())?;
    let words = remote_service::words(arguments);
    let begin = Instant::now();
    let on_one = |one: &Rehearsed| {
        if !as_json {
            one.tell();
        }
    };
    let name = name();
    let rehearsal = Rehearsal { name, learners, at_once, words, executables, temporal_cli: cli };
    let mut played = all(project, &rehearsal, on_one);
    let took = begin.elapsed();
    let board = leave_board(project, &service, &rehearsal, played.as_deref_mut().unwrap_or_default())
        .context("the rehearsal is over, and the board of the class could not be looked at and tidied up");
    if played.is_err()
        && let Err(error) = &board
    {
        stderrln!("error: {error:#}");
    }
    let all = played?;
    let failed = all.iter().filter(|one| one.failure.is_some()).count();
    if as_json {
        let learners: Vec<Value> = all.iter().map(Rehearsed::to_json).collect();
        stdoutln!(
            "{}",
            json!({ "ok": failed == 0 && board.is_ok(), "seconds": took.as_secs_f64(), "learners": learners })
        );
    } else {
        for (at, stage) in STAGES.iter().enumerate() {
            let mut times: Vec<f64> =
                all.iter().filter_map(|one| Some(one.stages.get(at)?.1.as_secs_f64())).collect();
            times.sort_by(f64::total_cmp);
            if let (Some(middle), Some(last)) = (times.get(times.len() / 2), times.last()) {
                stdoutln!("{:<21} {middle:>6.1} s in the middle, {last:>6.1} s at most", stage.name);
            }
        }
        let outcome = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        stdoutln!(
            "{} learners finished all stages{outcome}, in {:.1} s",
            all.len() - failed,
            took.as_secs_f64()
        );
        if failed == 0 && board.is_ok() {
            stdoutln!("the board has shown each of them with every goal; they are off it now");
        }
    }
    board?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Looks whether the board shows everybody, and leaves it to the class that comes: also of a rehearsal that was broken off, nothing
/// stays on it.
fn leave_board(
    project: &Project,
    service: &RemoteService,
    rehearsal: &Rehearsal,
    all: &mut [Rehearsed],
) -> Result<()> {
    stderrln!("looking at the board of the class, and taking the rehearsal off it");
    let gateway = Gateway::start(project, service, &["--http-port".to_owned(), "0".to_owned()])?;
    let server = Server::new(&gateway.endpoints());
    let looked = look_at_board(&server, all);
    // Each of them, whatever became of the others.
    let left: Vec<Result<()>> =
        (1..=rehearsal.learners).map(|number| class::take_off(&server, &rehearsal.learner(number))).collect();
    looked.and(left.into_iter().collect())
}

/// Waits until the board shows each learner who has finished; who is not shown so has failed.
fn look_at_board(server: &Server, all: &mut [Rehearsed]) -> Result<()> {
    let begin = Instant::now();
    loop {
        let is_late = begin.elapsed() > SHOWN_WITHIN;
        let shown = match finished_on_board(server, all) {
            Ok(shown) => shown,
            Err(error) if is_late => return Err(error),
            // A busy service answers a moment later.
            Err(_) => {
                thread::sleep(POLL_INTERVAL);
                continue;
            }
        };
        let mut is_complete = true;
        for one in all.iter_mut().filter(|one| one.failure.is_none() && !shown.contains(&one.learner)) {
            is_complete = false;
            if is_late {
                one.failure = Some("the board does not show that every goal was reached".to_owned());
                stderrln!("FAIL {:<16} {}", one.learner, one.failure.as_deref().unwrap_or_default());
            }
        }
        if is_complete || is_late {
            return Ok(());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Those of them whom the board shows at the last stage with every goal.
pub fn finished_on_board(server: &Server, all: &[Rehearsed]) -> Result<Vec<String>> {
    let last = STAGES.last().map(|stage| stage.name).unwrap_or_default();
    let rows = class::board(server)?.rows.into_iter().filter(|row| row.has_finished(last));
    let is_one = |name: &String| all.iter().any(|one| one.learner == *name);
    Ok(rows.map(|row| row.report.learner).filter(is_one).collect())
}

/// A name for a rehearsal: no earlier one had it, whose transfers would be in the lists.
pub fn name() -> String {
    format!("{NAME}-{:04x}", fastrand::u16(..))
}

/// What is rehearsed.
pub struct Rehearsal {
    /// What its learners are called, with a number.
    pub name: String,
    /// How many learners.
    pub learners: u16,
    /// How many of them at a time.
    pub at_once: u16,
    /// The words that name the service to `lab start`.
    pub words: Vec<String>,
    /// What a lab runs, built.
    pub executables: Executables,
    /// The Temporal CLI.
    pub temporal_cli: PathBuf,
}

impl Rehearsal {
    fn learner(&self, number: u16) -> String {
        format!("{}-{number}", self.name)
    }
}

/// Plays the whole lab for each of them, and tells of each that has finished.
pub fn all(
    project: &Project,
    rehearsal: &Rehearsal,
    on_one: impl Fn(&Rehearsed) + Sync,
) -> Result<Vec<Rehearsed>> {
    let next = AtomicU16::new(1);
    let is_broken_off = AtomicBool::new(false);
    let all: Mutex<Vec<Rehearsed>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..rehearsal.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > rehearsal.learners || is_broken_off.load(Ordering::Relaxed) {
                        return;
                    }
                    let learner = rehearsal.learner(number);
                    match rehearse(project, rehearsal, number, &learner) {
                        Ok(Some(one)) => {
                            on_one(&one);
                            all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                        }
                        Ok(None) => is_broken_off.store(true, Ordering::Relaxed),
                        Err(error) => {
                            let failure = Some(format!("{error:#}"));
                            let one = Rehearsed { learner, failure, ..Rehearsed::default() };
                            on_one(&one);
                            all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                        }
                    }
                }
            });
        }
    });
    if is_broken_off.into_inner() {
        bail!("the rehearsal was broken off; nothing of it is left running");
    }
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by(|a, b| a.learner.cmp(&b.learner));
    Ok(all)
}

/// The whole lab, as one learner; nothing where it was broken off.
fn rehearse(
    project: &Project,
    rehearsal: &Rehearsal,
    number: u16,
    learner: &str,
) -> Result<Option<Rehearsed>> {
    let Rehearsal { executables, temporal_cli, words, .. } = rehearsal;
    let shadow = Shadow::make_one(project, "rehearse", number, executables, temporal_cli.clone())?;
    let mut words = words.clone();
    words.extend(["--learner".to_owned(), learner.to_owned()]);
    let begin = Instant::now();
    let mut one = Rehearsed {
        learner: learner.to_owned(),
        failure: shadow.start(&words).err().map(|error| format!("{error:#}")),
        ..Rehearsed::default()
    };
    one.started = begin.elapsed();
    for stage in STAGES {
        if one.failure.is_some() || shadow.is_interrupted() {
            break;
        }
        let begin = Instant::now();
        match follow(&shadow, stage, one.stages.is_empty()) {
            Ok(mended) => {
                one.stages.push((stage.name, begin.elapsed()));
                one.mends.extend(mended);
            }
            Err(found) => one.failure = Some(sentence(stage.name, &found)),
        }
    }
    if shadow.is_interrupted() {
        shadow.remove()?;
        return Ok(None);
    }
    if one.failure.is_some() {
        shadow.stop()?;
        let folder = project.display(&shadow.project.root);
        stderrln!("the folder of {learner} stays until the next rehearsal: {folder}");
    } else {
        shadow.remove()?;
    }
    Ok(Some(one))
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
                stdoutln!(
                    "ok   {:<16} {} stages in {:.1} s",
                    self.learner,
                    self.stages.len(),
                    took.as_secs_f64()
                )
            }
            Some(failure) => stdoutln!("FAIL {:<16} {failure}", self.learner),
        }
    }

    fn to_json(&self) -> Value {
        let stages =
            self.stages.iter().map(|(name, took)| json!({ "name": name, "seconds": took.as_secs_f64() }));
        json!({
            "learner": self.learner,
            "started_after": self.started.as_secs_f64(),
            "stages": stages.collect::<Vec<_>>(),
            "mended_after": self.mends.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            "failure": self.failure,
        })
    }
}
