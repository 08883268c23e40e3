//! `lab.json`: what a running lab has started, so that whoever comes next can end it.

use std::fs;

use anyhow::Result;
use lab_client::state::{FILE, State};

use crate::project::Project;

/// Records it, for this user alone.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn write(project: &Project, state: &State) -> Result<()> {
    project.write_json(FILE, &state.to_json())
}

/// Whether what is recorded is still this lab's.
pub fn is_recorded(project: &Project, state: &State) -> bool {
    State::read(&project.lab).is_some_and(|recorded| recorded.supervisor == state.supervisor)
}

/// Takes the record away: nothing runs any more.
pub fn remove(project: &Project) {
    let _ = fs::remove_file(project.in_lab(FILE));
}
