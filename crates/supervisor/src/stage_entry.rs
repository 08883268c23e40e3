//! Entering a stage of a lab that runs: what becomes of the learner's code and of transfers from earlier stages, and the stage's
//! own situation.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    mem,
    time::Duration,
};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use lab::{Precondition, Report, Stage};
use lab_client::{
    facts::Reader,
    progress::{ENTERING, Progress, is_entering},
    supervisor, time,
};
use serde_json::{Value, json};

use crate::{
    control::{self, Request},
    entry_plan::{Choice, plan, starts, wanted},
    leftovers::{self, Leftover},
    preparation::{Preparation, Prepared, rebuild_edit},
    roll_out,
};
use checkout::{
    backups::{self, Backup},
    keep, modules, progress,
    project::{Project, open_private},
};
use lab_client::state::State;

/// What was done to enter a stage, as `cargo xtask stage --json` and the page report it.
#[derive(Debug, Default)]
pub struct Entered {
    /// What the stage begins with.
    pub prepared: Prepared,
    /// Whether the learner's own code is in place.
    pub kept: bool,
    /// Whether that code is newer than what was saved first.
    pub newer_in_place: bool,
    /// Whether that code does not compile, so that the shipped code runs.
    pub build_failed: bool,
    /// The transfers that are still in progress from earlier stages.
    pub leftovers: Vec<Leftover>,
    /// The Workflow Ids of those that were terminated.
    pub terminated: Vec<String>,
}

impl Entered {
    /// The report, for a program.
    pub fn to_json(&self, stage: &Stage) -> Value {
        json!({
            "stage": stage.name,
            "number": stage.number(),
            "title": stage.title(),
            "saved": self.prepared.saved.first().map(Backup::to_json),
            "worker_restarted": self.prepared.worker_restarted,
            "transfers": self.prepared.transfers,
            "kept": self.kept,
            "newer_in_place": self.newer_in_place,
            "build_failed": self.build_failed,
            "leftovers": self.leftovers.iter().map(Leftover::to_json).collect::<Vec<_>>(),
            "terminated": self.terminated,
        })
    }
}

const IS_ENTERING: &str =
    "another command is entering a stage or restoring an edit; wait until it finishes, and try again";

/// Checks that no stage is being entered, which deploys and ends versions itself.
///
/// # Errors
/// One is.
pub fn require_no_entry(project: &Project) -> Result<()> {
    ensure!(!is_entering(&project.lab), IS_ENTERING);
    Ok(())
}

/// Takes the lock under which a stage is entered or a saved edit restored; it is held until the file is closed.
pub(crate) fn lock(project: &Project) -> Result<File> {
    let path = project.in_lab(ENTERING);
    let lock = open_private(&path, OpenOptions::new().write(true))
        .with_context(|| format!("could not write {}", path.display()))?;
    // The page looks for a moment whether it is locked.
    if !files::lock_within(&lock, Duration::from_millis(200)).unwrap_or(true) {
        bail!(IS_ENTERING);
    }
    // The page takes the name in it for the stage that is being entered.
    let _ = lock.set_len(0);
    Ok(lock)
}

/// The lab whose stage is entered.
pub struct StageEntry<'a>(Preparation<'a>);

impl<'a> StageEntry<'a> {
    /// Enters stages of this lab; quiet, it does not report what it does.
    pub fn new(project: &'a Project, state: &'a State, quiet: bool) -> StageEntry<'a> {
        StageEntry(Preparation::new(project, state, quiet))
    }

    /// Checks that the Temporal Service has what this stage needs.
    ///
    /// # Errors
    /// It has not, or it does not answer. The message says what to do.
    pub fn require_service(&self, stage: &Stage) -> Result<()> {
        roll_out::require_versioning(&self.0.server, stage)
    }

    /// The transfers in progress that are not what this stage begins with.
    ///
    /// # Errors
    /// The Temporal server or the bank does not answer.
    pub fn leftovers(&self, stage: &Stage) -> Result<Vec<Leftover>> {
        leftovers::find(&self.0.server, &self.0.bank, stage, self.0.state.learner(), || {
            self.0.watch.transfers()
        })
    }

    /// What the learner decides before entering this stage: which edit it would replace, and which stuck transfers it would leave.
    ///
    /// # Errors
    /// A module cannot be read, or the Temporal server or the bank does not answer.
    pub fn question(&self, stage: &Stage) -> Result<Value> {
        self.require_service(stage)?;
        let replaces = keep::would_replace_edit(self.0.project, stage)?;
        let edit = if replaces { keep::edit(self.0.project)? } else { Vec::new() };
        let leftovers = self.leftovers(stage)?;
        Ok(json!({
            "stage": stage.name,
            "number": stage.number(),
            "title": stage.title(),
            "edit": edit,
            "keeps_by_default": keep::is_default(self.0.project, stage),
            "is_fix": stage.shows_diff,
            "has_bug": !stage.shows_diff && stage.fixed_by.is_some(),
            "leftovers": leftovers.iter().map(|one| {
                let mut json = one.to_json();
                json["says"] = json!(one.to_string());
                json
            }).collect::<Vec<_>>(),
        }))
    }

    /// Puts the stage's modules in place and prepares its situation. Nobody else enters one meanwhile.
    pub fn enter(&self, stage: &'static Stage, choice: Choice) -> Result<Entered> {
        control::require_running(Some(self.0.state))?;
        self.require_service(stage)?;
        let mut lock = lock(self.0.project)?;
        // Without the name, the page shows the stages on the way too.
        let _ = lock.write_all(stage.name.as_bytes());
        self.0.target.set(stage);
        self.0.seed.set(choice.seed);
        if stage.incident().is_some() {
            self.0.watch.be_quiet();
        }
        // What an interrupted command has set aside comes back, unless there is something newer to decide on.
        let is_pending = keep::is_pending(self.0.project, stage)
            && stage.incident().is_none()
            && !keep::has_edit(self.0.project)?;
        let choice = Choice { keep: choice.keep || is_pending, ..choice };
        self.record_done();
        let mut entered = Entered::default();
        // A person was told of them before, and asked.
        if choice.clean || self.0.quiet {
            entered.leftovers = self.leftovers(stage)?;
        }
        if choice.keep
            && let Some(backup) = keep::set_aside(self.0.project, stage)?
        {
            self.0.puts_back.set(true);
            self.0.say(format_args!("your code is saved in {}", self.0.project.display(&backup.folder)));
            entered.prepared.saved.push(backup);
        }
        let there = |precondition: &Precondition| Ok(self.0.there(precondition)?.len());
        for (at, step) in plan(stage, choice, self.0.puts_back.get(), &there)?.iter().enumerate() {
            self.0.tell(format_args!("{} {}. {step}", if at == 0 { "plan:" } else { "     " }, at + 1));
        }
        if choice.clean {
            self.terminate(&mut entered)?;
        }
        let mut outcome = self.0.enter(stage, starts(stage, choice), &mut entered.prepared);
        // An edit that was saved meanwhile may already run: then there is no failure of the shipped code to see.
        if self.0.has_placed.get() && keep::has_edit(self.0.project)? {
            self.0.notice_edit()?;
            entered.prepared.transfers.clear();
            outcome = self.0.enter(stage, starts(stage, choice), &mut entered.prepared);
        }
        outcome.map_err(|error| self.unfinished(stage, &error))?;
        if self.0.puts_back.get() && stage.incident().is_none() {
            self.put_back(stage, choice, &mut entered)?;
        } else {
            // What was saved on the way to an incident.
            let saved = backups::kept(self.0.project).filter(|saved| !entered.prepared.saved.contains(saved));
            entered.prepared.saved.extend(saved);
            keep::forget(self.0.project)?;
        }
        Ok(entered)
    }

    /// Records that the stage which is left is done, if that can be told.
    fn record_done(&self) {
        let progress = Progress::read(&self.0.project.lab);
        if progress.is_done(progress.stage) {
            return;
        }
        let judged = control::ask(self.0.state, &Request::Status).and_then(|status| {
            Reader::new(&self.0.state.endpoints()).read(&progress, supervisor::services(&status))
        });
        if judged.is_ok_and(|facts| Report::of(progress.stage, &facts).is_reached()) {
            // A list of stages without this one marked is no reason not to enter another.
            let _ = progress::record_done(self.0.project, progress.stage);
        }
    }

    fn terminate(&self, entered: &mut Entered) -> Result<()> {
        for leftover in mem::take(&mut entered.leftovers) {
            if leftover.terminate(&self.0.server)? {
                self.0.say(format_args!("terminated {}", leftover.workflow_id()));
                entered.terminated.push(leftover.workflow_id().to_owned());
            }
        }
        Ok(())
    }

    /// Puts the learner's code back, once the stage's failure is there to see under the shipped code.
    fn put_back(&self, stage: &Stage, choice: Choice, entered: &mut Entered) -> Result<()> {
        let seen = match stage.failure() {
            // Where the learner goes on saving edits, there may be nothing to see.
            Some(failure) if !keep::has_edit(self.0.project)? => {
                let number = wanted(stage, choice).min(entered.prepared.transfers.len());
                self.0.watch.wait_for(failure, &entered.prepared.transfers, number).map(drop)
            }
            _ => Ok(()),
        };
        // Also an edit that was saved meanwhile is set aside, in place of what the learner gave up or kept.
        let is_superseded = backups::kept(self.0.project).as_ref() != entered.prepared.saved.first();
        let is_newer_in_place =
            keep::put_back(self.0.project, stage).map_err(|error| self.unfinished(stage, &error))?;
        entered.kept = true;
        entered.newer_in_place = is_newer_in_place || is_superseded;
        match is_newer_in_place {
            true => {
                self.0.say(format_args!("your latest edit is in place; the previous one is in the backup"))
            }
            false => self.0.say(format_args!("your own code is in place again")),
        }
        if stage.has_versions {
            self.0.say(format_args!(
                "no version runs it yet; to deploy it as the next one: cargo xtask lab deploy"
            ));
        } else if !modules::is_in_place(self.0.project, stage) {
            entered.build_failed = rebuild_edit(self.0.project, self.0.state, self.0.quiet)?;
            if entered.build_failed {
                self.0.say(format_args!(
                    "your code does not compile, so the worker runs the shipped code of {}: fix it and save; see: cargo xtask \
                     lab logs build",
                    stage.name
                ));
            }
        }
        if stage.failure().is_none() {
            // The worker that has just been replaced is none that the learner has killed.
            progress::update(self.0.project, |progress| {
                if progress.stage == stage {
                    progress.entered = time::rfc3339_exact(time::now());
                }
            })?;
        }
        seen.context("your own code is in place again, but no transfer has shown the stage's failure yet")
    }

    /// The command that finishes an entry which was interrupted.
    fn command(&self, stage: &Stage) -> String {
        match stage.incident() {
            Some(_) => stage.command_with_seed(self.0.seed.get()),
            None => stage.command_that_keeps(),
        }
    }

    /// The error of an entry that was not finished, with how to finish it.
    fn unfinished(&self, stage: &Stage, error: &Error) -> Error {
        let project = self.0.project;
        let saved = backups::kept(project).map_or(String::new(), |backup| {
            format!("your code is saved in {}; ", project.display(&backup.folder))
        });
        match self.0.has_placed.get() || !saved.is_empty() {
            true => anyhow!("{error:#}; {saved}to finish: {}", self.command(stage)),
            false => anyhow!("{error:#}"),
        }
    }
}
