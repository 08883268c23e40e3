//! The learner's own code, set aside while a stage is prepared with the shipped code, and put back afterwards.
//!
//! A module is the learner's own if it differs from the one that the current stage began with. What is set aside is a backup
//! whose id `stage.json` has until it is put back, so whoever is interrupted in between types the same command again.

use std::{array, borrow::Cow};

use anyhow::{Context, Result};
use lab::{Stage, is_same_code};
use lab_client::progress::{Kept, Progress};

use crate::{
    backups::{self, Backup},
    live_files::{Contents, LIVE, file_name, live_paths, placed, read, read_all, sources},
    modules, progress,
    project::Project,
};

/// Whether the learner has changed a module since the current stage was entered.
///
/// # Errors
/// A module cannot be read.
pub fn has_edit(project: &Project) -> Result<bool> {
    let live = read_all(&live_paths(project))?;
    Ok(own(&live, modules::current_stage(project)).iter().any(Option::is_some))
}

/// Whether the modules of this stage would replace code of the learner's.
///
/// # Errors
/// A module cannot be read.
pub fn would_replace_edit(project: &Project, stage: &Stage) -> Result<bool> {
    let live = read_all(&live_paths(project))?;
    let own = own(&live, modules::current_stage(project));
    Ok(own
        .into_iter()
        .zip(sources(stage))
        .any(|(own, source)| own.is_some_and(|own| !is_same_code(own, source))))
}

/// Whether the learner's code stays by default: a fix is something that the learner may already have, but new code of Jerry's is what
/// its stage is about.
pub fn is_default(project: &Project, stage: &Stage) -> bool {
    stage.shows_diff || modules::current_stage(project) == stage
}

/// What the learner has changed in the code of the current stage: the lines of a unified diff.
///
/// # Errors
/// A module cannot be read.
pub fn edit(project: &Project) -> Result<Vec<String>> {
    let stage = modules::current_stage(project);
    let live = read_all(&live_paths(project))?;
    let mut lines = Vec::new();
    for ((path, own), source) in LIVE.iter().zip(own(&live, stage)).zip(sources(stage)) {
        let Some(own) = own else { continue };
        let headers =
            (&*format!("{path} as shipped with {}", stage.name), &*format!("{path} with your edit"));
        lines.extend(modules::unified(source, own, headers));
    }
    Ok(lines)
}

/// Whether a command that was interrupted has set code aside, to be put back once this stage is ready.
pub fn is_pending(project: &Project, stage: &Stage) -> bool {
    Progress::read(&project.lab).kept.is_some_and(|kept| kept.stage == stage.name)
        && backups::kept(project).is_some()
}

/// Saves the learner's own code to be [put back](put_back) once this stage is ready, and returns the backup; `None` where nothing was changed. Code that an
/// interrupted command has set aside is a part of it, where nothing newer is in place.
///
/// # Errors
/// It cannot be saved. Nothing was touched.
pub fn set_aside(project: &Project, target: &Stage) -> Result<Option<Backup>> {
    let lock = modules::begin(project)?;
    let stage = modules::current_stage(project);
    let live = read_all(&live_paths(project))?;
    let before = backups::kept(project);
    let set_aside = before.as_ref().map(contents).transpose()?;
    let mut whole = live.clone();
    for ((whole, live), before) in
        whole.iter_mut().zip(own(&live, stage)).zip(set_aside.iter().flat_map(|(_, own)| own))
    {
        if live.is_none() && before.is_some() {
            whole.clone_from(before);
        }
    }
    let backup = match before {
        Some(before) if own(&live, stage).iter().all(Option::is_none) => Some(before),
        Some(before) if set_aside.is_some_and(|(all, _)| all == whole) => Some(before),
        _ if own(&whole, stage).iter().all(Option::is_none) => None,
        _ => Some(backups::save(project, &whole).context("nothing was touched")?),
    };
    let kept =
        backup.as_ref().map(|backup| Kept { backup: backup.id.clone(), stage: target.name.to_owned() });
    progress::set_kept(project, &lock, kept)?;
    Ok(backup)
}

/// Puts the code back that was [set aside](set_aside), over the shipped code of this stage. What the learner has saved since
/// is newer and stays. Returns whether that is so.
///
/// # Errors
/// Another stage was entered in the meantime, or a module cannot be replaced.
pub fn put_back(project: &Project, stage: &Stage) -> Result<bool> {
    let lock = modules::begin(project)?;
    progress::require(project, &lock, stage)?;
    let Some(backup) = backups::kept(project) else { return Ok(false) };
    let live = read_all(&live_paths(project))?;
    let (_, kept) = contents(&backup)?;
    let newer = own(&live, stage).iter().zip(&kept).any(|(own, kept)| match (own, kept) {
        (Some(own), Some(kept)) => !is_same_code(own, kept),
        _ => false,
    });
    let mut modules = placed(stage, &live);
    for ((module, own), kept) in modules.iter_mut().zip(own(&live, stage)).zip(&kept) {
        if let Some(content) = own.or(kept.as_deref()) {
            *module = content;
        }
    }
    if let Some(later) = modules::place(project, modules)? {
        later.tell(project);
    }
    progress::set_kept(project, &lock, None)?;
    Ok(newer)
}

/// Forgets what was set aside: the shipped code is what the learner wants. The backup stays.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn forget(project: &Project) -> Result<()> {
    if Progress::read(&project.lab).kept.is_none() {
        return Ok(());
    }
    let lock = modules::begin(project)?;
    progress::set_kept(project, &lock, None)
}

/// Puts the learner's own code of a backup over the code of the current stage, whose progress stays. What is live is saved before.
///
/// # Errors
/// A file cannot be read, or a module cannot be replaced.
pub fn restore(project: &Project, backup: &Backup) -> Result<Option<Backup>> {
    let lock = modules::begin(project)?;
    let live = read_all(&live_paths(project))?;
    let [workflow, activities] = restored(project, &live, backup)?;
    modules::swap(project, [&workflow, &activities], || progress::set_kept(project, &lock, None))
}

/// Puts the modules of this stage over those of the current one, whose progress stays: they are its fix. What is live is saved before.
///
/// # Errors
/// A module cannot be replaced.
pub fn put_fix(project: &Project, fix: &Stage) -> Result<Option<Backup>> {
    let _lock = modules::begin(project)?;
    modules::swap(project, sources(fix), || Ok(()))
}

/// What [`restore`] would change in the modules in place: the lines of a unified diff.
///
/// # Errors
/// A file cannot be read.
pub fn diff_to_restored(project: &Project, backup: &Backup) -> Result<Vec<String>> {
    let live = read_all(&live_paths(project))?;
    let mut lines = Vec::new();
    for ((path, live), restored) in LIVE.iter().zip(&live).zip(restored(project, &live, backup)?) {
        let headers = (&*format!("{path} now"), &*format!("{path} of your saved edit"));
        lines.extend(modules::unified(live.as_deref().unwrap_or_default(), &restored, headers));
    }
    Ok(lines)
}

/// The modules with a backup restored. One that the learner had not changed is the current stage's: an earlier stage's would bring
/// its bug back.
fn restored<'a>(project: &Project, live: &'a Contents, backup: &Backup) -> Result<[Cow<'a, [u8]>; 2]> {
    let placed = placed(modules::current_stage(project), live);
    let (all, mut own) = contents(backup)?;
    Ok(array::from_fn(|at| match (own[at].take(), &all[at], &live[at]) {
        (Some(own), ..) => Cow::from(own),
        // It was deleted when the backup was made: what is there now stays.
        (None, None, Some(live)) => Cow::Borrowed(live.as_slice()),
        _ => Cow::Borrowed(placed[at]),
    }))
}

/// Of these contents, those that are not the code that the stage began with.
fn own<'a>(contents: &'a Contents, stage: &Stage) -> [Option<&'a [u8]>; 2] {
    let sources = sources(stage);
    array::from_fn(|at| contents[at].as_deref().filter(|content| !is_same_code(content, sources[at])))
}

/// What a backup holds, and what of it is the learner's own.
fn contents(backup: &Backup) -> Result<(Contents, Contents)> {
    let [workflow, activities] = LIVE.map(|path| read(&backup.folder.join(file_name(path))));
    let all = [workflow?, activities?];
    let stage = lab::stage(backup.stage());
    let own = match stage {
        Some(stage) => own(&all, stage).map(|own| own.map(<[u8]>::to_vec)),
        None => all.clone(),
    };
    Ok((all, own))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lab::STAGES;

    use super::*;
    use crate::fixture;

    fn live(project: &Project) -> [String; 2] {
        LIVE.map(|path| fs::read_to_string(project.root.join(path)).expect("both modules are there"))
    }

    fn write(project: &Project, path: &str, content: &str) {
        fs::write(project.root.join(path), content).expect("it can be written");
    }

    #[test]
    fn what_was_set_aside_is_put_back_and_the_other_module_is_the_stages() {
        let project = fixture::checkout("keep-back");
        assert!(set_aside(&project, &STAGES[1]).expect("it can be read").is_none(), "nothing was changed");
        write(&project, lab::LIVE_WORKFLOW, "mine");
        assert!(has_edit(&project).expect("it can be read"));
        set_aside(&project, &STAGES[1]).expect("it can be saved").expect("there is an edit");
        modules::enter(&project, &STAGES[2]).expect("it can be entered");
        assert!(!put_back(&project, &STAGES[2]).expect("it can be put back"));
        assert_eq!(live(&project), ["mine", STAGES[2].activities.source]);
        assert_eq!(Progress::read(&project.lab).kept, None);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_fix_that_is_the_shipped_one_to_the_byte_is_kept_as_well() {
        let project = fixture::checkout("keep-exact");
        let fixed = STAGES[1].workflow.source;
        write(&project, lab::LIVE_WORKFLOW, fixed);
        assert!(would_replace_edit(&project, &STAGES[0]).expect("it can be read"));
        assert!(!would_replace_edit(&project, &STAGES[1]).expect("it can be read"), "it is the same");
        set_aside(&project, &STAGES[1]).expect("it can be saved").expect("there is an edit");
        modules::enter(&project, &STAGES[0]).expect("it can be entered");
        put_back(&project, &STAGES[0]).expect("it can be put back");
        assert_eq!(live(&project)[0], fixed);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_command_that_was_interrupted_is_finished_by_the_same_one() {
        let project = fixture::checkout("keep-again");
        write(&project, lab::LIVE_WORKFLOW, "mine");
        write(&project, lab::LIVE_ACTIVITIES, "also mine");
        let first = set_aside(&project, &STAGES[1]).expect("it can be saved").expect("there is an edit");
        modules::enter(&project, &STAGES[1]).expect("it can be entered");
        // Killed here, or between the two modules: in either case nothing of it is lost.
        for interrupted in [None, Some(lab::LIVE_WORKFLOW)] {
            if let Some(path) = interrupted {
                write(&project, path, "mine");
            }
            let again = set_aside(&project, &STAGES[1]).expect("it can be saved").expect("it is pending");
            assert_eq!(again, first);
            modules::enter(&project, &STAGES[1]).expect("it can be entered");
        }
        put_back(&project, &STAGES[1]).expect("it can be put back");
        assert_eq!(live(&project), ["mine", "also mine"]);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn an_edit_is_restored_over_the_current_stage_whose_progress_stays() {
        let project = fixture::checkout("keep-restore");
        write(&project, lab::LIVE_ACTIVITIES, "mine");
        let backup = modules::enter(&project, &STAGES[1]).expect("it can be entered").expect("it is saved");
        let begun = progress::update(&project, |progress| {
            progress.entered = "2026-11-22T12:00:00Z".to_owned();
            progress.transfers = vec!["transfer-1".to_owned()];
        })
        .expect("it can be written");
        let lines = diff_to_restored(&project, &backup).expect("it can be read").join("\n");
        assert!(lines.contains("+mine") && !lines.contains(lab::LIVE_WORKFLOW), "{lines}");

        assert_eq!(restore(&project, &backup).expect("it can be restored"), None);
        assert_eq!(live(&project), [STAGES[1].workflow.source, "mine"], "the first stage's bug stays fixed");
        assert!(diff_to_restored(&project, &backup).expect("it can be read").is_empty());
        write(&project, lab::LIVE_WORKFLOW, "newer");
        let replaced = restore(&project, &backup).expect("it can be restored").expect("it is saved");
        restore(&project, &replaced).expect("it can be restored");
        assert_eq!(live(&project), ["newer", "mine"]);
        assert_eq!(Progress::read(&project.lab), begun);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn what_was_saved_since_is_newer_and_stays() {
        let project = fixture::checkout("keep-newer");
        write(&project, lab::LIVE_WORKFLOW, "mine");
        let backup = set_aside(&project, &STAGES[1]).expect("it can be saved").expect("there is an edit");
        modules::enter(&project, &STAGES[1]).expect("it can be entered");
        write(&project, lab::LIVE_WORKFLOW, "newer");
        assert!(put_back(&project, &STAGES[1]).expect("it can be put back"));
        assert_eq!(live(&project)[0], "newer");
        assert!(backups::list(&project).contains(&backup));
        let lines = edit(&project).expect("it can be read").join("\n");
        assert!(lines.contains("+newer") && lines.contains("as shipped with fix-workflow"), "{lines}");
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn an_edit_is_put_back_with_its_line_endings_and_they_make_nothing_an_edit_or_newer() {
        let project = fixture::checkout("keep-endings");
        let path = project.root.join(lab::LIVE_WORKFLOW);
        let edited = format!("// mine\n{}", STAGES[0].workflow.source);
        for (shipped, mine) in fixture::with_other_endings(STAGES[0].workflow.source)
            .iter()
            .zip(fixture::with_other_endings(&edited))
        {
            fs::write(&path, shipped).expect("it can be written");
            assert!(!has_edit(&project).expect("it can be read"));
            assert!(!would_replace_edit(&project, &STAGES[1]).expect("it can be read"));
            assert_eq!(edit(&project).expect("it can be read"), [""; 0]);
            assert_eq!(set_aside(&project, &STAGES[0]).expect("it can be read"), None);

            fs::write(&path, &mine).expect("it can be written");
            set_aside(&project, &STAGES[0]).expect("it can be saved").expect("there is an edit");
            modules::enter(&project, &STAGES[0]).expect("it can be entered");
            assert!(!put_back(&project, &STAGES[0]).expect("it can be put back"));
            assert_eq!(fs::read(&path).expect("it is there"), mine);
            let lines = edit(&project).expect("it can be read");
            assert_eq!(
                lines.iter().filter(|line| line.starts_with(['+', '-', '\\'])).count(),
                3,
                "{lines:#?}"
            );

            // The editor saves the same code with the endings of this system while the stage is entered.
            set_aside(&project, &STAGES[0]).expect("it can be saved").expect("there is an edit");
            fs::write(&path, &edited).expect("it can be written");
            assert!(!put_back(&project, &STAGES[0]).expect("it can be put back"), "it is not newer");
            modules::enter(&project, &STAGES[0]).expect("it can be entered");
        }
        fs::remove_dir_all(project.root).expect("it is there");
    }
}
