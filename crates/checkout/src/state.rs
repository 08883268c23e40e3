//! Writing down in the lab's folder what a running lab has started, so that whoever comes next can end it.

use std::fs;

use anyhow::{Context, Result};
use lab_client::state::FILE;
pub use lab_client::state::State;

use crate::project::Project;

/// Writes it down, for this user alone.
pub fn write(project: &Project, state: &State) -> Result<()> {
    let path = project.in_lab(FILE);
    files::replace(&path, state.to_json().to_string().as_bytes(), 0o600)
        .with_context(|| format!("could not write {}", path.display()))
}

/// Whether what is written down is this lab's still.
pub fn is_recorded(project: &Project, state: &State) -> bool {
    State::read(&project.lab).is_some_and(|recorded| recorded.supervisor == state.supervisor)
}

/// Takes the file away: nothing runs any more.
pub fn remove(project: &Project) {
    let _ = fs::remove_file(project.in_lab(FILE));
}
