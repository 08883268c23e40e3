//! The two live modules: changing them for another stage's without ever losing what a learner wrote.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use lab::{STAGES, Stage};
use serde_json::{Value, json};

use crate::{
    project::{Project, replace_file},
    time,
};

/// The live modules, relative to the project's folder.
const LIVE: [&str; 2] = [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES];
/// How often a swap begins anew because the learner has saved in the middle of it.
const ATTEMPTS: usize = 20;

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
    let modules = [stage.workflow.source.as_bytes(), stage.activities.source.as_bytes()];
    swap(project, stage.name, modules)
}

/// Brings a backup back; what is live is saved before.
pub(crate) fn restore(project: &Project, backup: &Backup) -> Result<Option<Backup>> {
    let read = |live: &str| {
        let path = backup.folder.join(file_name(live));
        fs::read(&path).with_context(|| format!("could not read {}", path.display()))
    };
    let modules = [read(LIVE[0])?, read(LIVE[1])?];
    let stage = lab::stage(backup.stage()).map_or(current_stage(project).name, |stage| stage.name);
    swap(project, stage, [&modules[0], &modules[1]])
}

/// Puts these modules in place of the live ones, after a backup if those were edited.
///
/// The order is backup, then one file after the other, each by a rename: a crash in between leaves old
/// or new files, and the backup.
fn swap(project: &Project, stage: &str, modules: [&[u8]; 2]) -> Result<Option<Backup>> {
    project.make_lab()?;
    for _ in 0..ATTEMPTS {
        let live = read_live(project)?;
        let unchanged = live.iter().zip(modules).all(|(live, module)| live.as_deref() == Some(module));
        let backup = if unchanged || !is_edited(&live) { None } else { Some(save(project, &live)?) };
        // A save by the learner between the reading and the renaming: begin anew, with it in a backup.
        if read_live(project)? != live {
            continue;
        }
        for (path, module) in LIVE.iter().zip(modules) {
            let path = project.root.join(path);
            let mode = fs::metadata(&path).map_or(0o644, |file| file.permissions().mode() & 0o777);
            replace_file(&path, module, mode)
                .with_context(|| format!("could not write {}; nothing is lost", path.display()))?;
        }
        set_stage(project, stage)?;
        return Ok(backup);
    }
    bail!("the modules of the worker change all the time; close what writes them and try again")
}

/// The live modules; one that was deleted is none.
fn read_live(project: &Project) -> Result<[Option<Vec<u8>>; 2]> {
    let read = |path: &str| match fs::read(project.root.join(path)) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {path}")),
    };
    Ok([read(LIVE[0])?, read(LIVE[1])?])
}

/// Whether one of them is not, byte for byte, a variant that the project has anyway.
fn is_edited(live: &[Option<Vec<u8>>; 2]) -> bool {
    let known = |content: &[u8]| {
        STAGES.iter().any(|stage| {
            [&stage.workflow, &stage.activities].iter().any(|variant| variant.source.as_bytes() == content)
        })
    };
    live.iter().flatten().any(|content| !known(content))
}

/// Writes both modules to a new backup, which appears complete or not at all.
fn save(project: &Project, live: &[Option<Vec<u8>>; 2]) -> Result<Backup> {
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
}
