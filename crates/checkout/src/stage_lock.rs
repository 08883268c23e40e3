//! The lock of everything that changes the live modules or `stage.json`.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::project::{Project, make_private, open_private};

/// How long another command may hold the lock before this one gives up on it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The lock of this checkout, whichever lab it is taken for; held until it is dropped.
pub struct StageLock {
    _file: File,
}

impl StageLock {
    /// Waits for the lock, and takes it.
    ///
    /// # Errors
    /// Another command holds it for too long, or the checkout cannot be written to. Nothing was touched.
    pub fn take(project: &Project) -> Result<StageLock> {
        let folder = project.root.join(".lab");
        let path = folder.join("stage.lock");
        let mut file = make_private(&folder)
            .and_then(|()| open_private(&path, OpenOptions::new().write(true)))
            .with_context(|| format!("could not write {}; nothing was touched", path.display()))?;
        let is_ours = files::lock_within(&file, LOCK_TIMEOUT)
            .with_context(|| format!("could not lock {}", path.display()))?;
        if !is_ours {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "another command (pid {}) changes the modules; nothing was touched; wait for it and try again",
                holder.trim()
            );
        }
        // Only for the sentence above.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(StageLock { _file: file })
    }
}
