//! `stage.json`: the stage that was entered last, and how far its learner is. Nothing else writes it.
//!
//! Every change is made under the lock that the live modules are exchanged under, so the file never names another stage than the one
//! whose modules this lab has put in place last. Several labs on one checkout share the modules, and each has a file of its own.

use anyhow::{Result, bail};
use lab::Stage;
use lab_client::progress::{FILE, Progress};

use crate::{project::Project, stage_lock::StageLock};

/// Changes what is recorded, and returns it. The stage stays the one that was entered last.
///
/// # Errors
/// The lab's folder cannot be written to, or another command holds the lock for too long.
pub fn update(project: &Project, change: impl FnOnce(&mut Progress)) -> Result<Progress> {
    let _lock = StageLock::take(project)?;
    let mut progress = Progress::read(&project.lab);
    let stage = progress.stage;
    change(&mut progress);
    progress.stage = stage;
    write(project, &progress)?;
    Ok(progress)
}

/// As [`update`], for whoever has entered this stage.
///
/// # Errors
/// Another stage was entered in the meantime; nothing is changed then.
pub fn update_at(project: &Project, stage: &Stage, change: impl FnOnce(&mut Progress)) -> Result<()> {
    let _lock = StageLock::take(project)?;
    let mut progress = Progress::read(&project.lab);
    if progress.stage != stage {
        bail!(
            "another command has entered the stage {} in the meantime; to enter this one: cargo xtask stage {}",
            progress.stage.name,
            stage.name
        );
    }
    change(&mut progress);
    write(project, &progress)
}

/// Records that the stage was entered just now. Its modules were put in place under the same lock.
pub(crate) fn begin(project: &Project, _lock: &StageLock, stage: &'static Stage) -> Result<()> {
    write(project, &Progress::begin(stage))
}

fn write(project: &Project, progress: &Progress) -> Result<()> {
    project.make_lab()?;
    project.write_json(FILE, &progress.to_json())
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use lab::STAGES;

    use super::*;
    use crate::{backups, modules};

    /// What anybody does to the state of a lab, at any moment.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        /// `stage NAME`, or the page: the modules, then the transfers.
        Enter(&'static Stage),
        /// `stage restore`.
        Restore,
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
            Act::Restore => {
                if let Some(backup) = backups::list(project).first() {
                    modules::restore(project, backup)?;
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
        let root = std::env::temp_dir().join(format!("checkout-progress-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("crates/worker/src")).expect("temporary files can be written");
        let project = Project { lab: root.join(".lab"), root };
        modules::enter(&project, &STAGES[0]).expect("there is nothing in the way");
        // An edit that was saved: there is something to restore.
        fs::write(project.root.join(lab::LIVE_WORKFLOW), "// mine").expect("it can be written");
        modules::enter(&project, &STAGES[1]).expect("it is saved");

        thread::scope(|scope| {
            for worker in 0..4 {
                let project = &project;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(worker);
                    for number in 0..20 {
                        let what = match random.u8(..8) {
                            0..4 => Act::Enter(&STAGES[random.usize(..STAGES.len())]),
                            4 => Act::Restore,
                            5 | 6 => Act::Hint,
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
}
