//! The folder in which a bundle is made or unpacked.

use std::{
    fs,
    fs::{File, OpenOptions},
    path::PathBuf,
};

use anyhow::{Context, Result};
use checkout::project::{Project, make_private, open_private};

/// An empty folder in `.lab`, removed at the end. The next command removes what a killed one has left.
pub(super) struct Scratch {
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Waits until no other command uses it.
    pub(super) fn take(project: &Project) -> Result<Scratch> {
        project.make_lab()?;
        let lock = open_private(&project.in_lab("bundle.lock"), OpenOptions::new().write(true))
            .context("could not make the lock file of the bundle")?;
        lock.lock().context("could not lock the bundle's folder")?;
        let folder = project.in_lab("bundle");
        let _ = fs::remove_dir_all(&folder);
        make_private(&folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        Ok(Scratch { folder, _lock: lock })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
