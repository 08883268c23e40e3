//! The two live modules: exchanging them for another stage's without ever losing what a learner wrote.

use std::{borrow::Cow, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use anyhow::{Context, Result};
use lab::Stage;
use lab_client::progress::Progress;
use terminal::stderrln;

use crate::{
    backups::{self, Backup, save, save_lost},
    exchange::exchange,
    live_files::{LIVE, file_name, is_edited, live_paths, placed, read, read_all, sources},
    progress,
    project::{Project, close_if_there, make_private},
    stage_lock::StageLock,
};

/// Where, in the lab's folder, the files are that were replaced last.
const REPLACED: &str = "backup/.replaced";

/// The stage that was entered last.
pub fn current_stage(project: &Project) -> &'static Stage {
    Progress::read(&project.lab).stage
}

/// Enters a stage: saves what the learner changed, then puts the stage's modules in place.
pub fn enter(project: &Project, stage: &'static Stage) -> Result<Option<Backup>> {
    let lock = begin(project)?;
    let live = read_all(&live_paths(project))?;
    swap(project, placed(stage, &live), || progress::begin(project, &lock, stage))
}

/// Whether the stage was entered last, and its code is in place as shipped.
pub fn is_in_place(project: &Project, stage: &Stage) -> bool {
    let live = read_all(&live_paths(project)).unwrap_or_default();
    current_stage(project) == stage
        && live
            .iter()
            .zip([&stage.workflow, &stage.activities])
            .all(|(live, shipped)| live.as_ref().is_some_and(|live| shipped.is_code_of(live)))
}

/// Live modules that are gone, or that are another stage's although nobody would write that as a fix, as after `git stash`,
/// `git checkout` or `git clean`. A learner's edit does not count. In a drill, any code may be the fix, also that of a stage.
pub fn misplaced(project: &Project) -> Vec<String> {
    let progress = Progress::read(&project.lab);
    let stage = progress.stage;
    let is_drill = stage.incident().is_some();
    let fixes = std::iter::successors(Some(stage), |stage| lab::stage(stage.fixed_by?));
    let expected: Vec<_> = fixes.map(sources).collect();
    let live = read_all(&live_paths(project)).unwrap_or_default();
    let why = |at: usize| {
        let Some(content) = &live[at] else { return Some("is gone".to_owned()) };
        let is_in = |sources: &[&[u8]; 2]| lab::is_same_code(sources[at], content);
        let is_expected = expected.iter().any(is_in);
        let other = lab::STAGES.iter().find(|other| is_in(&sources(other)))?;
        (!is_expected && !is_drill).then(|| format!("has the code of the stage {}", other.name))
    };
    let remedy = match is_drill {
        true => format!("to start the drill again: {}", progress.command()),
        false => format!("to install the stage's code: {} --bare", stage.command()),
    };
    let sentence = |at: usize| {
        Some(format!(
            "{} {}, but the lab is at {}; if git stash took your edit: git stash pop; {remedy}",
            LIVE[at],
            why(at)?,
            stage.name
        ))
    };
    (0..LIVE.len()).filter_map(sentence).collect()
}

/// How the stage's modules differ from those in place: the lines of a unified diff.
pub fn diff(project: &Project, stage: &Stage) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for ((path, live), source) in
        LIVE.iter().zip(read_all(&live_paths(project))?).zip([&stage.workflow, &stage.activities])
    {
        let headers = (*path, &*format!("{path} of {}", stage.name));
        lines.extend(unified(&live.unwrap_or_default(), source.source.as_bytes(), headers));
    }
    Ok(lines)
}

/// The lines of a unified diff between the code of two files, under these two headers. Line endings are no difference.
pub(crate) fn unified(before: &[u8], after: &[u8], headers: (&str, &str)) -> Vec<String> {
    let [before, after] = [before, after].map(|file| String::from_utf8_lossy(&lab::code(file)).into_owned());
    let diff = similar::TextDiff::from_lines(&before, &after);
    diff.unified_diff().header(headers.0, headers.1).to_string().lines().map(str::to_owned).collect()
}

/// Brings a backup back, and with it the stage that it was made at; what is live is saved before.
pub fn restore(project: &Project, backup: &Backup) -> Result<Option<Backup>> {
    let lock = begin(project)?;
    let stage = lab::stage(backup.stage()).unwrap_or(current_stage(project));
    let live = read_all(&live_paths(project))?;
    let mut modules = Vec::new();
    for ((path, live), shipped) in LIVE.iter().zip(&live).zip(sources(stage)) {
        let path = backup.folder.join(file_name(path));
        modules.push(match read(&path)? {
            Some(saved) => Cow::Owned(saved),
            // It was deleted when the backup was made: what is there now stays.
            None => live.as_deref().map_or(Cow::Borrowed(shipped), Cow::Borrowed),
        });
    }
    let saved = swap(project, [&modules[0], &modules[1]], || progress::begin(project, &lock, stage))?;
    progress::set_kept(project, &lock, None)?;
    Ok(saved)
}

/// Makes backups of what only this program's own files hold yet, so that [`backups::list`] has everything.
pub fn complete(project: &Project) -> Result<()> {
    begin(project).map(drop)
}

/// Takes the lock, and sees to what the command before has left: for longer than that ran, an editor may
/// have written to the files that it replaced; and it may have been killed.
pub(crate) fn begin(project: &Project) -> Result<StageLock> {
    let lock = StageLock::take(project)?;
    project.make_lab()?;
    let beside = [beside(project, "new"), beside(project, "old")];
    beside.iter().flatten().for_each(|path| files::clear_scratch(path));
    files::clear_scratch(&project.in_lab("stage.json"));
    backups::clear_unfinished(project);
    for files in [&beside[0], &beside[1], &replaced(project)] {
        if let Some(backup) = save_lost(project, files).context("nothing was touched")? {
            stderrln!(
                "what was written while another command replaced it is saved in {}; bring it back with: \
                 cargo xtask stage restore {}",
                project.display(&backup.folder),
                backup.id
            );
        }
        for file in files {
            let _ = fs::remove_file(file);
        }
    }
    Ok(lock)
}

/// Puts these modules in place of the live ones, after a backup if those were edited, and records it. The caller holds the lock.
///
/// The order is backup, then one file after the other, each in one step: a crash in between leaves old
/// or new files, and the backup.
pub(crate) fn swap(
    project: &Project,
    modules: [&[u8]; 2],
    record: impl FnOnce() -> Result<()>,
) -> Result<Option<Backup>> {
    let live = read_all(&live_paths(project))?;
    let unchanged = live.iter().zip(modules).all(|(live, module)| live.as_deref() == Some(module));
    let kept = backups::kept(project).filter(|backup| backup.holds(&live));
    let backup = if unchanged || !is_edited(&live) || kept.is_some() {
        None
    } else {
        Some(save(project, &live).context("nothing was touched")?)
    };
    let rest = match backup.as_ref().or(kept.as_ref()) {
        None => "nothing is lost".to_owned(),
        Some(backup) => format!(
            "your changes are saved in {}; restore them with: cargo xtask stage restore {}",
            project.display(&backup.folder),
            backup.id
        ),
    };
    let placed = place(project, modules).and_then(|later| record().map(|()| later));
    let later = placed.context(rest)?;
    if let (Some(_), Some(backup)) = (&later, &backup) {
        backup.tell(project);
    }
    Ok(later.or(backup))
}

/// Puts these modules in place. What an editor has saved since the backup gets a backup of its own.
pub(crate) fn place(project: &Project, modules: [&[u8]; 2]) -> Result<Option<Backup>> {
    let (live, new) = (live_paths(project), beside(project, "new"));
    // A file that is right already is left alone, as cargo goes by its time.
    let mut places: Vec<_> = live.iter().zip(&new).zip(modules).collect();
    places.retain(|((live, _), module)| fs::read(live).ok().as_deref() != Some(*module));
    // All are written before one is put in place: where the disk is full, nothing is.
    let written = places.iter().try_for_each(|((live, new), module)| {
        let mode = fs::metadata(live).map_or(0o644, |file| file.permissions().mode() & 0o777);
        files::replace(new, module, mode).with_context(|| format!("could not write {}", live.display()))
    });
    if written.is_err() {
        for new in &new {
            let _ = fs::remove_file(new);
        }
    }
    written?;
    let placed = places.iter().try_for_each(|((live, new), _)| {
        exchange(live, new).with_context(|| format!("could not replace {}", live.display()))
    });
    // From here on the new names are those of the old files.
    let beside = || format!("what was saved just now is in {} and beside it", new[0].display());
    let later = save_lost(project, &new).with_context(beside)?;
    let _ = make_private(&project.in_lab(REPLACED));
    for (old, kept) in new.iter().zip(replaced(project)) {
        // On another disk they cannot be kept. Then only an editor that takes this long would lose something.
        if fs::rename(old, &kept).and_then(|()| close_if_there(&kept)).is_err() {
            let _ = fs::remove_file(old);
        }
    }
    placed.map(|()| later)
}

/// A file beside each live module, and so on the same disk.
fn beside(project: &Project, name: &str) -> [PathBuf; 2] {
    LIVE.map(|path| project.root.join(path).with_file_name(format!(".{}.{name}", file_name(path))))
}

/// Where the files that the last command has replaced are until the next one.
fn replaced(project: &Project) -> [PathBuf; 2] {
    LIVE.map(|path| project.in_lab(REPLACED).join(file_name(path)))
}

#[cfg(test)]
mod tests {
    use backups::list;
    use lab::STAGES;

    use super::*;
    use crate::fixture;

    fn live(project: &Project) -> [Vec<u8>; 2] {
        LIVE.map(|path| fs::read(project.root.join(path)).expect("both modules are there"))
    }

    #[test]
    fn a_shipped_variant_needs_no_backup() {
        let project = fixture::checkout("backup-shipped");
        for stage in STAGES {
            assert_eq!(enter(&project, stage).expect("it can be entered"), None);
            assert_eq!(current_stage(&project).name, stage.name);
            assert_eq!(
                live(&project),
                [stage.workflow.source.as_bytes(), stage.activities.source.as_bytes()]
            );
        }
        assert!(list(&project).is_empty());
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn modules_of_another_stage_are_told_from_edits_and_fixes() {
        let project = fixture::checkout("misplaced");
        for stage in STAGES {
            enter(&project, stage).expect("it can be entered");
            assert!(misplaced(&project).is_empty(), "{}", stage.name);
            // What the stage teaches to write.
            for fix in std::iter::successors(Some(stage), |stage| lab::stage(stage.fixed_by?)) {
                for (path, source) in LIVE.iter().zip(sources(fix)) {
                    fs::write(project.root.join(path), source).expect("it can be written");
                }
                assert!(misplaced(&project).is_empty(), "{} with {}", stage.name, fix.name);
            }
        }
        enter(&project, &STAGES[2]).expect("it can be entered");
        fs::write(project.root.join(lab::LIVE_WORKFLOW), "// mine").expect("it can be written");
        assert!(misplaced(&project).is_empty());
        // As `git checkout -- crates/worker/src` does.
        for (path, source) in LIVE.iter().zip(sources(&STAGES[0])) {
            fs::write(project.root.join(path), source).expect("it can be written");
        }
        let said = misplaced(&project);
        assert!(
            said.len() == 2 && said.iter().all(|said| said.contains("the code of the stage jerry, but")),
            "{said:?}"
        );
        // Line endings do not hide it.
        let with_crlf = STAGES[0].workflow.source.replace('\n', "\r\n");
        fs::write(project.root.join(lab::LIVE_WORKFLOW), with_crlf).expect("it can be written");
        assert_eq!(misplaced(&project), said);
        fs::remove_file(project.root.join(lab::LIVE_ACTIVITIES)).expect("it is there");
        assert!(misplaced(&project)[1].contains("activities.rs is gone"));
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn an_edit_is_saved_byte_for_byte_and_can_be_brought_back() {
        let project = fixture::checkout("backup-edit");
        let edit = b"// m\xC3\xA4h\r\n\x00\xFF no newline at the end".to_vec();
        fs::write(project.root.join(lab::LIVE_ACTIVITIES), &edit).expect("it can be written");
        let before = live(&project);
        let backup = enter(&project, &STAGES[1]).expect("it can be entered").expect("an edit is saved");
        assert!(backup.id.ends_with("-jerry"), "{}", backup.id);
        assert_eq!(fs::read(backup.folder.join("activities.rs")).expect("it was saved"), edit);
        assert_eq!(restore(&project, &backup).expect("it can be brought back"), None);
        assert_eq!(live(&project), before);
        assert_eq!(current_stage(&project).name, "jerry");
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn other_line_endings_are_no_edit_and_stay_until_the_code_changes() {
        let project = fixture::checkout("backup-endings");
        let path = project.root.join(lab::LIVE_WORKFLOW);
        for file in fixture::with_other_endings(STAGES[0].workflow.source) {
            enter(&project, &STAGES[0]).expect("it can be entered");
            fs::write(&path, &file).expect("it can be written");
            assert!(is_in_place(&project, &STAGES[0]));
            assert_eq!(diff(&project, &STAGES[0]).expect("it can be read"), [""; 0]);
            assert_eq!(enter(&project, &STAGES[0]).expect("it can be entered"), None);
            assert_eq!(live(&project)[0], file, "nothing was to be replaced");
            assert_eq!(enter(&project, &STAGES[1]).expect("it can be entered"), None);
            assert_eq!(live(&project)[0], STAGES[1].workflow.source.as_bytes());
        }
        assert!(list(&project).is_empty());
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn an_edit_with_other_line_endings_is_shown_alone_and_saved_byte_for_byte() {
        let project = fixture::checkout("backup-endings-edit");
        let path = project.root.join(lab::LIVE_ACTIVITIES);
        let edited = STAGES[0].activities.source.replacen("\n", "\n// mine\n", 1);
        for file in fixture::with_other_endings(&edited) {
            fs::write(&path, &file).expect("it can be written");
            let shown = diff(&project, &STAGES[0]).expect("it can be read");
            let is_change = |line: &&String| line.starts_with(['+', '-', '\\']);
            let changes: Vec<&str> = shown.iter().filter(is_change).map(String::as_str).collect();
            assert_eq!(changes[2..], ["-// mine"], "{shown:#?}");
            let backup = enter(&project, &STAGES[0]).expect("it can be entered").expect("an edit is saved");
            assert_eq!(fs::read(backup.folder.join("activities.rs")).expect("it was saved"), file);
            assert_eq!(backup.changed(), ["activities.rs"]);
            restore(&project, &backup).expect("it can be brought back");
            assert_eq!(live(&project)[1], file);
            enter(&project, &STAGES[0]).expect("it can be entered");
        }
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn backups_of_one_second_do_not_replace_each_other() {
        let project = fixture::checkout("backup-second");
        for edit in ["one", "two", "three"] {
            fs::write(project.root.join(lab::LIVE_WORKFLOW), edit).expect("it can be written");
            enter(&project, &STAGES[0]).expect("it can be entered").expect("an edit is saved");
        }
        let backups = list(&project);
        assert_eq!(backups.len(), 3);
        for (backup, edit) in backups.iter().zip(["one", "two", "three"]) {
            assert_eq!(fs::read_to_string(backup.folder.join("workflow.rs")).expect("it was saved"), edit);
            assert_eq!(backup.stage(), "jerry");
        }
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_deleted_module_is_put_back() {
        let project = fixture::checkout("backup-deleted");
        fs::remove_file(project.root.join(lab::LIVE_WORKFLOW)).expect("it is there");
        assert_eq!(enter(&project, &STAGES[0]).expect("it can be entered"), None);
        assert_eq!(live(&project)[0], STAGES[0].workflow.source.as_bytes());
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_save_between_the_reading_and_the_renaming_is_saved_too() {
        let project = fixture::checkout("backup-late");
        for (path, late) in LIVE.iter().zip(["in place", "by a rename"]) {
            files::replace(&project.root.join(path), late.as_bytes(), 0o644).expect("it can be written");
        }
        let backup = place(&project, sources(&STAGES[1])).expect("they can be replaced");
        let backup = backup.expect("there is a backup of the late save");
        assert_eq!(fs::read_to_string(backup.folder.join("workflow.rs")).expect("it was saved"), "in place");
        assert_eq!(
            fs::read_to_string(backup.folder.join("activities.rs")).expect("it was saved"),
            "by a rename"
        );
        assert_eq!(live(&project)[0], STAGES[1].workflow.source.as_bytes());
        let beside = fs::read_dir(project.root.join("crates/worker/src")).expect("it is there").count();
        assert_eq!(beside, 2, "nothing is left beside the modules");
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn what_a_killed_command_left_beside_the_modules_is_saved_if_it_is_nowhere_else() {
        let project = fixture::checkout("backup-left");
        let [[new, _], [_, old]] = [beside(&project, "new"), beside(&project, "old")];
        fs::write(&new, STAGES[1].workflow.source).expect("it can be written");
        fs::write(&old, "mine").expect("it can be written");
        complete(&project).expect("it can be saved");
        complete(&project).expect("there is nothing left to do");
        let [backup] = &list(&project)[..] else { panic!("one backup is enough") };
        assert_eq!(fs::read_to_string(backup.folder.join("activities.rs")).expect("it was saved"), "mine");
        assert!(!backup.folder.join("workflow.rs").exists(), "the project has that one anyway");
        assert!(!new.exists() && !old.exists());
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn commands_at_once_take_turns_and_a_hanging_one_is_named() {
        let project = fixture::checkout("backup-turns");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (project, stage) = (&project, &STAGES[number % STAGES.len()]);
                scope.spawn(move || enter(project, stage).expect("it gets its turn"));
            }
        });
        let stage = current_stage(&project);
        assert_eq!(live(&project), sources(stage));
        let held = StageLock::take(&project).expect("nobody holds it");
        let error = enter(&project, &STAGES[1]).expect_err("it is held").to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(held);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_backup_without_a_module_that_was_deleted_can_be_brought_back() {
        let project = fixture::checkout("backup-partial");
        let [workflow, activities] = LIVE.map(|path| project.root.join(path));
        fs::write(&activities, "mine").expect("it can be written");
        fs::remove_file(&workflow).expect("it is there");
        let backup = enter(&project, &STAGES[1]).expect("it can be entered").expect("an edit is saved");
        restore(&project, &backup).expect("it can be brought back");
        assert_eq!(live(&project), [STAGES[1].workflow.source.as_bytes(), b"mine"]);

        fs::remove_file(&workflow).expect("it is there");
        restore(&project, &backup).expect("it can be brought back");
        assert_eq!(live(&project), [STAGES[0].workflow.source.as_bytes(), b"mine"]);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_module_that_cannot_be_put_in_place_is_an_error_that_names_the_backup() {
        let project = fixture::checkout("backup-stuck");
        let path = project.root.join(lab::LIVE_ACTIVITIES);
        fs::write(&path, "mine").expect("it can be written");
        // In the way of the file that would be renamed.
        let in_the_way = path.with_file_name(format!("..activities.rs.new.{}", std::process::id()));
        fs::create_dir(&in_the_way).expect("it can be made");
        let error = format!("{:#}", enter(&project, &STAGES[1]).expect_err("there is no way"));
        let backup = list(&project).pop().expect("an edit is saved");
        assert!(error.contains(&format!("cargo xtask stage restore {}", backup.id)), "{error}");
        assert_eq!(live(&project)[1], b"mine");
        fs::remove_dir_all(project.root).expect("it is there");
    }
}
