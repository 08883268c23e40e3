//! Many learners who play the whole course on one Temporal Service: to rehearse a class, and to measure one.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use dev_server::Cli;
use lab::Stage;
use lab_client::{class, state::RemoteService, temporal::Server};
use serde_json::{Value, json};

use crate::{
    play::{Failure, follow},
    shadow::Shadow,
};
use checkout::project::Project;
use supervisor::{executables::Executables, gateway::Gateway};
use terminal::{stderrln, stdoutln};

/// The prefix of a rehearsal's name.
const NAME: &str = "rehearsal";
/// How long the board may take to show the last reports: it is based on a list, which lags behind.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How often the board is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The largest number of learners at a time, limited by the ports.
pub const MOST: u16 = 100;

/// The result of one learner.
#[derive(Default)]
pub struct Rehearsed {
    /// The learner's name.
    pub learner: String,
    /// How long the lab took to start.
    pub started: Duration,
    /// Each stage, and how long it took.
    pub stages: Vec<(&'static str, Duration)>,
    /// The time from each saved fix until all goals were reached.
    pub fixes: Vec<Duration>,
    /// Where and how the lab differed from the texts.
    pub failure: Option<String>,
}

/// Checks that the class has no notices, which the labs would print among what the texts show.
///
/// # Errors
/// There is an announcement or a drill, or not all stages are open; the error says what to type. Or the service does not answer.
pub fn refuse_notices(project: &Project, service: &RemoteService) -> Result<()> {
    let gateway = Gateway::start(project, service, &["--http-port".to_owned(), "0".to_owned()])?;
    let notices = class::notices::read(&Server::new(&gateway.endpoints()))?;
    if notices.announcement.is_none() && notices.open.is_none() && notices.drill.is_none() {
        return Ok(());
    }
    bail!(
        "this class has an announcement or a drill, or not all stages are open, so a rehearsal would not match the texts; type: \
         cargo xtask class announce --clear && cargo xtask class drill --off && cargo xtask class open --all, with --address or \
         --profile as here"
    );
}

/// Checks that the board shows every learner, and then removes them, also after an interrupted rehearsal.
///
/// # Errors
/// The board cannot be read or cleaned up.
pub fn leave_board(
    project: &Project,
    service: &RemoteService,
    rehearsal: &Rehearsal,
    all: &mut [Rehearsed],
) -> Result<()> {
    stderrln!("checking the class board, and removing the rehearsal from it");
    let gateway = Gateway::start(project, service, &["--http-port".to_owned(), "0".to_owned()])?;
    let server = Server::new(&gateway.endpoints());
    let looked = look_at_board(&server, all);
    // Remove each learner, even if removing another failed.
    let left: Vec<Result<()>> =
        (1..=rehearsal.learners).map(|number| class::take_off(&server, &rehearsal.learner(number))).collect();
    looked.and(left.into_iter().collect())
}

/// Waits until the board shows each learner who has finished; the others count as failed.
fn look_at_board(server: &Server, all: &mut [Rehearsed]) -> Result<()> {
    let begin = Instant::now();
    loop {
        let is_late = begin.elapsed() > SHOWN_WITHIN;
        let shown = match finished_on_board(server, all) {
            Ok(shown) => shown,
            Err(error) if is_late => return Err(error),
            // A busy service needs a moment.
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

/// The learners whom the board shows at their last stage with every goal.
pub fn finished_on_board(server: &Server, all: &[Rehearsed]) -> Result<Vec<String>> {
    let board = class::board(server)?;
    let is_shown = |one: &&Rehearsed| {
        let Some((last, _)) = one.stages.last().filter(|_| one.failure.is_none()) else { return false };
        board.rows.iter().any(|row| row.report.learner == one.learner && row.has_finished(last))
    };
    Ok(all.iter().filter(is_shown).map(|one| one.learner.clone()).collect())
}

/// A unique name, so that an earlier rehearsal's transfers are not in the lists.
pub fn name() -> String {
    format!("{NAME}-{:04x}", fastrand::u16(..))
}

/// The plan of a rehearsal.
pub struct Rehearsal {
    /// The prefix of its learners' names.
    pub name: String,
    /// The stages that each plays, in order.
    pub stages: Vec<&'static Stage>,
    /// How many learners.
    pub learners: u16,
    /// How many of them at a time.
    pub at_once: u16,
    /// The flags that select the service for `lab start`.
    pub words: Vec<String>,
    /// The executables of a lab.
    pub executables: Executables,
    /// The Temporal CLI.
    pub temporal_cli: Cli,
}

impl Rehearsal {
    fn learner(&self, number: u16) -> String {
        format!("{}-{number}", self.name)
    }
}

/// Plays the whole course for each learner, and reports each one that finishes.
pub fn all(
    project: &Project,
    rehearsal: &Rehearsal,
    on_one: impl Fn(&Rehearsed) + Sync,
) -> Result<Vec<Rehearsed>> {
    let next = AtomicU16::new(1);
    let is_interrupted = AtomicBool::new(false);
    let all: Mutex<Vec<Rehearsed>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..rehearsal.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > rehearsal.learners || is_interrupted.load(Ordering::Relaxed) {
                        return;
                    }
                    let learner = rehearsal.learner(number);
                    match rehearse(project, rehearsal, number, &learner) {
                        Ok(Some(one)) => {
                            on_one(&one);
                            all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                        }
                        Ok(None) => is_interrupted.store(true, Ordering::Relaxed),
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
    if is_interrupted.into_inner() {
        bail!("interrupted; everything it started has ended");
    }
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by(|a, b| a.learner.cmp(&b.learner));
    Ok(all)
}

/// Plays the whole course as one learner; none if interrupted.
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
    for &stage in &rehearsal.stages {
        if one.failure.is_some() || shadow.is_interrupted() {
            break;
        }
        let begin = Instant::now();
        match follow(&shadow, stage, one.stages.is_empty()) {
            Ok(fixed) => {
                one.stages.push((stage.name, begin.elapsed()));
                one.fixes.extend(fixed);
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
        stderrln!("the folder of {learner} is kept until the next rehearsal: {folder}");
    } else {
        shadow.remove()?;
    }
    Ok(Some(one))
}

/// Describes where and how a lab differs from its text.
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
    /// Prints one line for a person.
    pub fn print(&self) {
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

    /// The result as JSON.
    pub fn to_json(&self) -> Value {
        let stages =
            self.stages.iter().map(|(name, took)| json!({ "name": name, "seconds": took.as_secs_f64() }));
        json!({
            "learner": self.learner,
            "started_after": self.started.as_secs_f64(),
            "stages": stages.collect::<Vec<_>>(),
            "fixed_after": self.fixes.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            "failure": self.failure,
        })
    }
}
