//! The two live modules: changing them for another stage's without ever losing what a learner wrote.

use std::{
    borrow::Cow,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab::{STAGES, Stage};
use serde_json::{Value, json};

use crate::{
    project::{Project, make_private, replace_file},
    time,
};

/// The live modules, relative to the project's folder.
const LIVE: [&str; 2] = [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES];
/// How long another command may take to change them before this one gives up on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the live modules hold; one that was deleted holds nothing.
type Contents = [Option<Vec<u8>>; 2];

/// The stage that was entered last.
pub(crate) fn current_stage(project: &Project) -> &'static Stage {
    let text = fs::read_to_string(project.in_lab("stage.json")).unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    value["stage"].as_str().and_then(lab::stage).unwrap_or(&STAGES[0])
}

fn set_stage(project: &Project, name: &str) -> Result<()> {
    let path = project.in_lab("stage.json");
    replace_file(&path, json!({ "stage": name }).to_string().as_bytes(), 0o600)
        .with_context(|| format!("could not write {}", path.display()))
}

/// What was saved, kept under its id in `.lab/backup`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Backup {
    /// When and at which stage: `20261122T120501Z-jerry`.
    pub(crate) id: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
}

impl Backup {
    /// The stage it was saved at.
    fn stage(&self) -> &str {
        self.id.split_once('-').map_or("", |(_, stage)| stage.split('.').next().unwrap_or_default())
    }
}

/// The backups, the newest last.
pub(crate) fn list(project: &Project) -> Vec<Backup> {
    let Ok(entries) = fs::read_dir(project.in_lab("backup")) else { return Vec::new() };
    let mut backups: Vec<Backup> = entries
        .flatten()
        .map(|entry| Backup { id: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() })
        .filter(|backup| !backup.id.starts_with('.'))
        .collect();
    backups.sort_by(|a, b| a.id.cmp(&b.id));
    backups
}

/// Enters a stage: saves what the learner changed, then puts the stage's modules in place.
pub(crate) fn enter(project: &Project, stage: &Stage) -> Result<Option<Backup>> {
    let _lock = lock(project)?;
    swap(project, stage.name, sources(stage))
}

/// Whether the stage was entered last, and its modules are in place as shipped.
pub(crate) fn is_in_place(project: &Project, stage: &Stage) -> bool {
    let live = read_live(project).unwrap_or_default();
    current_stage(project) == stage
        && live.iter().zip(sources(stage)).all(|(live, source)| live.as_deref() == Some(source))
}

/// How the stage's modules differ from those in place: the lines of a unified diff.
pub(crate) fn diff(project: &Project, stage: &Stage) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for ((path, live), source) in
        LIVE.iter().zip(read_live(project)?).zip([&stage.workflow, &stage.activities])
    {
        let live = live.unwrap_or_default();
        let live = String::from_utf8_lossy(&live);
        let diff = similar::TextDiff::from_lines(&*live, source.source);
        let unified = diff.unified_diff().header(path, &format!("{path} of {}", stage.name)).to_string();
        lines.extend(unified.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Brings a backup back; what is live is saved before.
pub(crate) fn restore(project: &Project, backup: &Backup) -> Result<Option<Backup>> {
    let _lock = lock(project)?;
    let stage = lab::stage(backup.stage()).unwrap_or(current_stage(project));
    let live = read_live(project)?;
    let mut modules = Vec::new();
    for ((path, live), shipped) in LIVE.iter().zip(&live).zip(sources(stage)) {
        let path = backup.folder.join(file_name(path));
        modules.push(match read(&path)? {
            Some(saved) => Cow::Owned(saved),
            // It was deleted when the backup was made: what is there now stays.
            None => live.as_deref().map_or(Cow::Borrowed(shipped), Cow::Borrowed),
        });
    }
    swap(project, stage.name, [&modules[0], &modules[1]])
}

/// The modules of a stage, as shipped.
fn sources(stage: &Stage) -> [&'static [u8]; 2] {
    [stage.workflow.source.as_bytes(), stage.activities.source.as_bytes()]
}

/// Takes the lock of all commands that change the live modules: of this checkout, whichever lab they are for.
fn lock(project: &Project) -> Result<File> {
    let folder = project.root.join(".lab");
    let path = folder.join("stage.lock");
    let mut file = make_private(&folder)
        .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path))
        .with_context(|| format!("could not write {}; nothing was touched", path.display()))?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("could not lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                bail!(
                    "another command (pid {}) changes the modules; nothing was touched; wait for it and try again",
                    holder.trim()
                );
            }
        }
    }
    // Only for the sentence above.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Puts these modules in place of the live ones, after a backup if those were edited.
///
/// The order is backup, then one file after the other, each by a rename: a crash in between leaves old
/// or new files, and the backup.
fn swap(project: &Project, stage: &str, modules: [&[u8]; 2]) -> Result<Option<Backup>> {
    project.make_lab()?;
    let live = read_live(project)?;
    let unchanged = live.iter().zip(modules).all(|(live, module)| live.as_deref() == Some(module));
    let backup = if unchanged || !is_edited(&live) { None } else { Some(save(project, &live)?) };
    let rest = match &backup {
        None => "nothing is lost".to_owned(),
        Some(backup) => format!(
            "your changes are saved in {}; bring them back with: cargo xtask stage restore {}",
            project.display(&backup.folder),
            backup.id
        ),
    };
    let later = place(project, &live, modules).context(rest)?;
    set_stage(project, stage)?;
    Ok(later.or(backup))
}

/// Puts these modules in place. What has been saved since `known` was read gets a backup of its own.
fn place(project: &Project, known: &Contents, modules: [&[u8]; 2]) -> Result<Option<Backup>> {
    let paths = LIVE.map(|path| project.root.join(path));
    let asides = LIVE.map(|path| {
        let aside = format!(".{}.before.{}", file_name(path), std::process::id());
        project.root.join(path).with_file_name(aside)
    });
    let mut places = paths.iter().zip(&asides).zip(modules);
    let placed = places.try_for_each(|((path, aside), module)| replace(path, aside, module));
    let replaced = [read(&asides[0])?, read(&asides[1])?];
    let later = replaced.iter().zip(known).any(|(replaced, known)| replaced.is_some() && replaced != known);
    let backup = if later && is_edited(&replaced) {
        let beside = || format!("what was saved just now is in {} and beside it", asides[0].display());
        Some(save(project, &replaced).with_context(beside)?)
    } else {
        None
    };
    for aside in &asides {
        let _ = fs::remove_file(aside);
    }
    placed.map(|()| backup)
}

/// Puts a module in place. The old file goes on under the other name, with what an editor writes to it
/// in the meantime.
fn replace(path: &Path, aside: &Path, module: &[u8]) -> Result<()> {
    let mode = fs::metadata(path).map_or(0o644, |file| file.permissions().mode() & 0o777);
    let _ = fs::remove_file(aside);
    // Where a disk has no links, there is no file for a moment, and never a lost one.
    let moved = match fs::hard_link(path, aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fs::rename(path, aside).with_context(|| format!("could not rename {}", path.display()))?;
            true
        }
        _ => false,
    };
    let replaced = replace_file(path, module, mode);
    if replaced.is_err() && moved {
        let _ = fs::rename(aside, path);
    }
    replaced.with_context(|| format!("could not write {}", path.display()))
}

/// The live modules.
fn read_live(project: &Project) -> Result<Contents> {
    Ok([read(&project.root.join(LIVE[0]))?, read(&project.root.join(LIVE[1]))?])
}

/// The content of a file, if there is one.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

/// Whether one of them is not, byte for byte, a variant that the project has anyway.
fn is_edited(live: &Contents) -> bool {
    let known = |content: &[u8]| {
        STAGES.iter().any(|stage| {
            [&stage.workflow, &stage.activities].iter().any(|variant| variant.source.as_bytes() == content)
        })
    };
    live.iter().flatten().any(|content| !known(content))
}

/// Writes both modules to a new backup, which appears complete or not at all.
fn save(project: &Project, live: &Contents) -> Result<Backup> {
    let all = project.in_lab("backup");
    let write = || -> io::Result<Backup> {
        let scratch = all.join(format!(".new.{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch)?;
        for (path, content) in LIVE.iter().zip(live) {
            if let Some(content) = content {
                replace_file(&scratch.join(file_name(path)), content, 0o600)?;
            }
        }
        let name = format!("{}-{}", time::compact(time::unix_now()), current_stage(project).name);
        // Several in one second, or from two commands at once: a rename never replaces a full folder.
        for number in 1.. {
            let id = if number == 1 { name.clone() } else { format!("{name}.{number}") };
            let folder = all.join(&id);
            match fs::rename(&scratch, &folder) {
                Ok(()) => {
                    fs::File::open(&all)?.sync_all()?;
                    return Ok(Backup { id, folder });
                }
                Err(_) if folder.exists() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the numbers do not end")
    };
    write().with_context(|| format!("could not save your changes in {}; nothing was touched", all.display()))
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(name: &str) -> Project {
        let root = std::env::temp_dir().join(format!("xtask-backup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("crates/worker/src")).expect("temporary files can be written");
        let project = Project { lab: root.join(".lab"), root };
        enter(&project, &STAGES[0]).expect("there is nothing in the way");
        project
    }

    fn live(project: &Project) -> [Vec<u8>; 2] {
        LIVE.map(|path| fs::read(project.root.join(path)).expect("both modules are there"))
    }

    #[test]
    fn a_shipped_variant_needs_no_backup() {
        let project = checkout("shipped");
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
    fn an_edit_is_saved_byte_for_byte_and_can_be_brought_back() {
        let project = checkout("edit");
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
    fn backups_of_one_second_do_not_replace_each_other() {
        let project = checkout("second");
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
        let project = checkout("deleted");
        fs::remove_file(project.root.join(lab::LIVE_WORKFLOW)).expect("it is there");
        assert_eq!(enter(&project, &STAGES[0]).expect("it can be entered"), None);
        assert_eq!(live(&project)[0], STAGES[0].workflow.source.as_bytes());
        fs::remove_dir_all(project.root).expect("it is there");
    }
    #[test]
    fn a_save_between_the_reading_and_the_renaming_is_saved_too() {
        let project = checkout("late");
        let known = read_live(&project).expect("they can be read");
        for (path, late) in LIVE.iter().zip(["in place", "by a rename"]) {
            replace_file(&project.root.join(path), late.as_bytes(), 0o644).expect("it can be written");
        }
        let backup = place(&project, &known, sources(&STAGES[1])).expect("they can be replaced");
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
    fn commands_at_once_take_turns_and_a_hanging_one_is_named() {
        let project = checkout("turns");
        thread::scope(|scope| {
            for number in 0..8 {
                let (project, stage) = (&project, &STAGES[number % STAGES.len()]);
                scope.spawn(move || enter(project, stage).expect("it gets its turn"));
            }
        });
        let stage = current_stage(&project);
        assert_eq!(live(&project), sources(stage));
        let held = lock(&project).expect("nobody holds it");
        let error = enter(&project, &STAGES[1]).expect_err("it is held").to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(held);
        fs::remove_dir_all(project.root).expect("it is there");
    }

    #[test]
    fn a_backup_without_a_module_that_was_deleted_can_be_brought_back() {
        let project = checkout("partial");
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
        let project = checkout("stuck");
        let path = project.root.join(lab::LIVE_ACTIVITIES);
        fs::write(&path, "mine").expect("it can be written");
        // In the way of the file that would be renamed.
        let in_the_way = path.with_file_name(format!(".activities.rs.{}", std::process::id()));
        fs::create_dir(&in_the_way).expect("it can be made");
        let error = format!("{:#}", enter(&project, &STAGES[1]).expect_err("there is no way"));
        let backup = list(&project).pop().expect("an edit is saved");
        assert!(error.contains(&format!("cargo xtask stage restore {}", backup.id)), "{error}");
        assert_eq!(live(&project)[1], b"mine");
        fs::remove_dir_all(project.root).expect("it is there");
    }
}
