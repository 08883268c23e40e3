//! Writing down in the lab's folder how far a learner is.

use anyhow::{Context, Result};
use lab_client::progress::{FILE, Progress};

use crate::project::Project;

/// Writes it down, for this user alone.
pub fn write(project: &Project, progress: &Progress) -> Result<()> {
    project.make_lab()?;
    let path = project.in_lab(FILE);
    files::replace(&path, progress.to_json().to_string().as_bytes(), 0o600)
        .with_context(|| format!("could not write {}", path.display()))
}
