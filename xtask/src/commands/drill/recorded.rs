//! The drill that is recorded in the lab's folder.

use anyhow::{Context, Result, ensure};
use checkout::project::Project;
use lab_client::progress::Progress;

/// What is recorded of the drill that is in progress or ended last.
pub(super) fn recorded(project: &Project) -> Result<Progress> {
    let progress = Progress::read(&project.lab);
    ensure!(progress.stage.incident().is_some(), "no drill is in progress; to start one: cargo xtask drill");
    progress.drill.as_ref().with_context(|| {
        format!("the drill was not made ready; to start it again: {}", progress.command())
    })?;
    Ok(progress)
}
