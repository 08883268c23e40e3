//! The learner's saved edits, for the page: comparing one with the current code, and restoring it.

use anyhow::{Context, Result};
use checkout::{
    backups::{self, Backup},
    modules,
    project::Project,
};
use lab_client::state::State;
use serde_json::{Value, json};

use crate::preparation::rebuild;

fn find(project: &Project, id: &str) -> Result<Backup> {
    let found = backups::list(project).into_iter().find(|backup| backup.id == id);
    found.with_context(|| format!("there is no saved edit {id}; for a list, type: cargo xtask stage restore"))
}

/// How this saved edit differs from the current code.
///
/// # Errors
/// There is none of this id, or a file cannot be read.
pub(crate) fn compare(project: &Project, id: &str) -> Result<Value> {
    Ok(json!({ "id": id, "diff": modules::diff_to_backup(project, &find(project, id)?)? }))
}

/// Saves the current code, restores this saved edit, and has the worker built.
///
/// # Errors
/// There is none of this id, a module cannot be replaced, or the code does not compile.
pub(crate) fn restore(project: &Project, state: &State, id: &str) -> Result<Value> {
    let saved = modules::restore(project, &find(project, id)?)?;
    // Code that does not compile is restored too; the page shows the compiler's errors.
    let built = rebuild(project, state, true);
    Ok(json!({
        "id": id,
        "stage": modules::current_stage(project).name,
        "saved": saved.as_ref().map(Backup::to_json),
        "build_failed": built.is_err(),
    }))
}
