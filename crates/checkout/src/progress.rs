//! `stage.json`: the stage that was entered last, and how far its learner is. Nothing else writes it.
//!
//! Every change is made under the lock that the live modules are exchanged under, so the file never names another stage than the one
//! whose modules this lab has put in place last. Several labs on one checkout share the modules, and each has a file of its own.

use anyhow::{Result, bail};
use lab::Stage;
use lab_client::progress::{FILE, Kept, Progress};

use crate::{project::Project, stage_lock::StageLock};

/// Changes what is recorded, and returns it. The stage stays the one that was entered last, and what outlives a stage
/// stays as it is: which ones are done, which drills have ended, and code that was set aside.
///
/// # Errors
/// The lab's folder cannot be written to, or another command holds the lock for too long.
pub fn update(project: &Project, change: impl FnOnce(&mut Progress)) -> Result<Progress> {
    let lock = StageLock::take(project)?;
    change_under(project, &lock, change)
}

/// As [`update`], for whoever has entered this stage.
///
/// # Errors
/// Another stage was entered in the meantime; nothing is changed then.
pub fn update_at(project: &Project, stage: &Stage, change: impl FnOnce(&mut Progress)) -> Result<()> {
    let lock = StageLock::take(project)?;
    require(project, &lock, stage)?;
    change_under(project, &lock, change).map(drop)
}

/// Records that the goals of this stage were all reached, whichever stage was entered since. An incident that the learner gave up is not
/// done by its explanation.
///
/// # Errors
/// The lab's folder cannot be written to, or another command holds the lock for too long.
pub fn record_done(project: &Project, stage: &Stage) -> Result<()> {
    let before = Progress::read(&project.lab);
    let ended = before.drill.as_ref().and_then(|drill| drill.ended.as_ref());
    let gave_up = ended.is_some_and(|(_, gave_up)| *gave_up);
    if before.is_done(stage) || gave_up && before.stage == stage {
        return Ok(());
    }
    let _lock = StageLock::take(project)?;
    let mut progress = Progress::read(&project.lab);
    if !progress.is_done(stage) {
        progress.done.push(stage.name.to_owned());
    }
    write(project, &progress)
}

/// Forgets which stages are done and which drills have ended: the lab has been reset.
///
/// # Errors
/// The lab's folder cannot be written to, or another command holds the lock for too long.
pub fn forget_done(project: &Project) -> Result<()> {
    let _lock = StageLock::take(project)?;
    write(project, &Progress { done: Vec::new(), ended_drills: Vec::new(), ..Progress::read(&project.lab) })
}

/// Refuses if another stage was entered in the meantime.
pub(crate) fn require(project: &Project, _lock: &StageLock, stage: &Stage) -> Result<()> {
    let current = Progress::read(&project.lab).stage;
    if current != stage {
        bail!(
            "another command has entered the {} {} in the meantime; to enter this one: {}",
            current.kind(),
            current.name,
            stage.command_that_keeps()
        );
    }
    Ok(())
}

/// Records what code is to be put back, if any.
pub(crate) fn set_kept(project: &Project, _lock: &StageLock, kept: Option<Kept>) -> Result<()> {
    let before = Progress::read(&project.lab);
    if before.kept == kept { Ok(()) } else { write(project, &Progress { kept, ..before }) }
}

/// Records that the stage was entered just now. Its modules were put in place under the same lock.
pub(crate) fn begin(project: &Project, _lock: &StageLock, stage: &'static Stage) -> Result<()> {
    let Progress { done, ended_drills, kept, .. } = Progress::read(&project.lab);
    write(project, &Progress { done, ended_drills, kept, ..Progress::begin(stage) })
}

fn change_under(
    project: &Project,
    _lock: &StageLock,
    change: impl FnOnce(&mut Progress),
) -> Result<Progress> {
    let before = Progress::read(&project.lab);
    let mut progress = before.clone();
    change(&mut progress);
    let Progress { stage, done, mut ended_drills, kept, .. } = before;
    let ended = progress.drill.as_ref().and_then(|drill| Some((drill.seed, drill.ended.as_ref()?.0.clone())));
    ended_drills.extend(ended.filter(|ended| !ended_drills.contains(ended)));
    let progress = Progress { stage, done, ended_drills, kept, ..progress };
    write(project, &progress)?;
    Ok(progress)
}

fn write(project: &Project, progress: &Progress) -> Result<()> {
    project.make_lab()?;
    project.write_json(FILE, &progress.to_json())
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use lab::STAGES;
    use lab_client::progress::Drill;

    use super::*;
    use crate::fixture;
    use crate::{backups, keep, modules};

    /// What anybody does to the state of a lab, at any moment.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        /// `stage NAME`, or the page: the modules, then the transfers.
        Enter(&'static Stage),
        /// `stage NAME --keep`.
        Keep(&'static Stage),
        /// `stage restore`.
        Restore,
        /// Restore, on the page.
        RestoreHere,
        /// `hint`.
        Hint,
        /// The supervisor, at a service that it comes to for the first time.
        Anew,
    }

    fn act(project: &Project, act: Act, number: usize) -> Result<()> {
        match act {
            Act::Enter(stage) => {
                modules::enter(project, stage)?;
                let id = format!("transfer-{number}");
                // Somebody else may have entered another one: then this one's transfers are not noted.
                let _ = update_at(project, stage, |progress| progress.transfers = vec![id]);
            }
            Act::Keep(stage) => {
                keep::set_aside(project, stage)?;
                modules::enter(project, stage)?;
                // Somebody else may have entered another one.
                let _ = keep::put_back(project, stage);
            }
            Act::Restore => {
                if let Some(backup) = backups::list(project).first() {
                    modules::restore(project, backup)?;
                }
            }
            Act::RestoreHere => {
                if let Some(backup) = backups::list(project).first() {
                    keep::restore(project, backup)?;
                }
            }
            Act::Hint => drop(update(project, |progress| progress.hints += 1)?),
            Act::Anew => drop(update(project, |progress| *progress = Progress::begin(progress.stage))?),
        }
        Ok(())
    }

    /// The property: whoever looks under the lock finds the modules of the stage that is recorded, or an edit of the learner's.
    fn assert_consistent(project: &Project) {
        let _lock = loop {
            if let Ok(lock) = StageLock::take(project) {
                break lock;
            }
        };
        let stage = Progress::read(&project.lab).stage;
        for (path, variant) in
            [(lab::LIVE_WORKFLOW, &stage.workflow), (lab::LIVE_ACTIVITIES, &stage.activities)]
        {
            let live = fs::read_to_string(project.root.join(path)).expect("both modules are there");
            assert!(live == variant.source || live.starts_with("// mine"), "{path} is not of {}", stage.name);
        }
    }

    #[test]
    fn whoever_changes_the_state_at_the_same_time_it_names_the_stage_whose_modules_are_in_place() {
        let project = fixture::checkout("progress");
        // An edit that was saved: there is something to restore.
        fs::write(project.root.join(lab::LIVE_WORKFLOW), "// mine").expect("it can be written");
        modules::enter(&project, &STAGES[1]).expect("it is saved");

        thread::scope(|scope| {
            for worker in 0..4 {
                let project = &project;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(worker);
                    for number in 0..20 {
                        let what = match random.u8(..9) {
                            0..3 => Act::Enter(&STAGES[random.usize(..STAGES.len())]),
                            3 => Act::Keep(&STAGES[random.usize(..STAGES.len())]),
                            4 => Act::Restore,
                            5 => Act::RestoreHere,
                            6 | 7 => Act::Hint,
                            _ => Act::Anew,
                        };
                        if let Err(error) = act(project, what, number) {
                            // On a slow disk it may not be anybody's turn for seconds.
                            assert!(error.to_string().contains("nothing was touched"), "{what:?}: {error:#}");
                        }
                        assert_consistent(project);
                    }
                });
            }
        });
        assert_consistent(&project);
        fs::remove_dir_all(&project.root).expect("it is there");
    }

    #[test]
    fn a_drill_that_has_ended_is_remembered_until_the_lab_is_reset() {
        let project = fixture::checkout("ended");
        let drill = |seed, ended: bool| {
            let ended = ended.then(|| ("2026-11-22T12:05:01Z".to_owned(), false));
            let change =
                |progress: &mut Progress| progress.drill = Some(Drill { seed, last_entry: 0, ended });
            update(&project, change).expect("it can be written");
        };
        let started = |seed| Progress::read(&project.lab).has_started_drill(seed, "2026-11-22T12:00:00Z");
        drill(7, false);
        drill(8, true);
        drill(8, true);
        assert_eq!((started(7), started(8)), (false, true), "the first was left before its end");
        modules::enter(&project, &STAGES[2]).expect("there is nothing in the way");
        assert!(started(8));
        let progress = Progress::read(&project.lab);
        assert_eq!(progress.ended_drills.len(), 1);
        assert!(!progress.has_started_drill(8, "2026-11-22T13:00:00Z"), "it is offered once more");
        forget_done(&project).expect("it can be written");
        assert!(!started(8));
        fs::remove_dir_all(&project.root).expect("it is there");
    }

    #[test]
    fn a_stage_that_is_done_stays_done_until_the_lab_is_reset() {
        let project = fixture::checkout("done");
        let done = || Progress::read(&project.lab).done;
        record_done(&project, &STAGES[0]).expect("it can be written");
        record_done(&project, &STAGES[0]).expect("it is there already");
        modules::enter(&project, &STAGES[2]).expect("there is nothing in the way");
        update_at(&project, &STAGES[2], |progress| *progress = Progress::begin(&STAGES[2]))
            .expect("it can be written");
        update(&project, |progress| progress.hints += 1).expect("it can be written");
        assert_eq!(done(), ["jerry"]);
        forget_done(&project).expect("it can be written");
        assert!(done().is_empty());
        assert_eq!(Progress::read(&project.lab).hints, 1);
        fs::remove_dir_all(&project.root).expect("it is there");
    }
}
