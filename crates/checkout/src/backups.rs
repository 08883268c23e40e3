//! The backups of the live modules, in `.lab/backup`: each appears complete or not at all.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
};

use anyhow::{Context, Result};
use lab_client::{progress::Progress, time};
use serde_json::{Value, json};
use terminal::stderrln;

use crate::{
    live_files::{Contents, LIVE, file_name, is_shipped, read},
    project::{Project, make_private},
};

/// How the name of a backup begins while it is made.
const UNFINISHED: &str = ".new.";

/// What was saved, kept under its id in `.lab/backup`.
#[derive(Debug, PartialEq, Eq)]
pub struct Backup {
    /// When and at which stage: `20261122T120501Z-jerry`.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
}

impl Backup {
    /// Tells the learner where it is.
    pub fn tell(&self, project: &Project) {
        stderrln!("your changes are saved in {}", project.display(&self.folder));
        stderrln!("restore them with: cargo xtask stage restore {}", self.id);
    }

    /// Where it is, for a program.
    pub fn to_json(&self) -> Value {
        json!({ "id": self.id, "folder": self.folder })
    }

    /// Whether all that these files hold is in it, but for variants that the project has anyway.
    pub(crate) fn holds(&self, live: &Contents) -> bool {
        LIVE.iter().zip(live).all(|(path, content)| match content {
            Some(content) if !is_shipped(content) => {
                fs::read(self.folder.join(file_name(path))).is_ok_and(|saved| saved == *content)
            }
            _ => true,
        })
    }

    /// The stage it was saved at.
    pub fn stage(&self) -> &str {
        self.id.split_once('-').map_or("", |(_, stage)| stage.split('.').next().unwrap_or_default())
    }

    /// When it was saved, as RFC 3339 has it; `None` for a folder that somebody else has named.
    pub fn time(&self) -> Option<String> {
        time::from_compact(self.id.split('-').next()?)
    }

    /// The names of its files that are not the code of a variant that the project has anyway.
    pub fn changed(&self) -> Vec<&'static str> {
        let is_changed =
            |name: &&str| fs::read(self.folder.join(name)).is_ok_and(|content| !is_shipped(&content));
        LIVE.into_iter().map(file_name).filter(is_changed).collect()
    }
}

/// The backups, the oldest first.
pub fn list(project: &Project) -> Vec<Backup> {
    let Ok(entries) = fs::read_dir(project.in_lab("backup")) else { return Vec::new() };
    let mut backups: Vec<Backup> = entries
        .flatten()
        .map(|entry| Backup { id: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() })
        .filter(|backup| !backup.id.starts_with('.'))
        .collect();
    backups.sort_by(|a, b| a.id.cmp(&b.id));
    backups
}

/// The backup of the code that is set aside, if any is.
pub fn kept(project: &Project) -> Option<Backup> {
    let kept = Progress::read(&project.lab).kept?;
    list(project).into_iter().find(|backup| backup.id == kept.backup)
}

/// Removes what a [`save`] that was killed has left. To be called while nobody saves.
pub(crate) fn clear_unfinished(project: &Project) {
    for entry in fs::read_dir(project.in_lab("backup")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes a backup of what only these files hold: no variant, no live module, no backup.
pub(crate) fn save_lost(project: &Project, files: &[PathBuf; 2]) -> Result<Option<Backup>> {
    let mut lost = [None, None];
    for ((lost, path), file) in lost.iter_mut().zip(LIVE).zip(files) {
        // An empty one is an editor's that has not written to it yet.
        let Some(content) = read(file)?.filter(|content| !content.is_empty()) else { continue };
        let others = list(project).into_iter().map(|backup| backup.folder.join(file_name(path)));
        let mut others = others.chain([project.root.join(path)]);
        if !is_shipped(&content) && !others.any(|other| fs::read(other).is_ok_and(|other| other == content)) {
            *lost = Some(content);
        }
    }
    if lost == [None, None] { Ok(None) } else { save(project, &lost).map(Some) }
}

/// Writes both modules to a new backup, which appears complete or not at all.
pub(crate) fn save(project: &Project, live: &Contents) -> Result<Backup> {
    let all = project.in_lab("backup");
    let scratch = all.join(format!("{UNFINISHED}{}", std::process::id()));
    let write = || -> io::Result<Backup> {
        make_private(&scratch)?;
        for (path, content) in LIVE.iter().zip(live) {
            if let Some(content) = content {
                files::replace(&scratch.join(file_name(path)), content, 0o600)?;
            }
        }
        File::open(&scratch)?.sync_all()?;
        let name = format!("{}-{}", time::compact(time::unix_now()), Progress::read(&project.lab).stage.name);
        // Several in one second, or from two commands at once: a rename never replaces a full folder.
        for number in 1.. {
            let id = if number == 1 { name.clone() } else { format!("{name}.{number}") };
            let folder = all.join(&id);
            match fs::rename(&scratch, &folder) {
                Ok(()) => {
                    File::open(&all)?.sync_all()?;
                    return Ok(Backup { id, folder });
                }
                Err(_) if folder.exists() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the numbers do not end")
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_dir_all(&scratch);
    }
    written.with_context(|| format!("could not save your changes in {}", all.display()))
}
