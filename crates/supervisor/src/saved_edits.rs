//! The learner's saved edits, for the page: comparing one with the current code, and restoring it at the current stage.

use anyhow::Result;
use checkout::{
    backups::{self, Backup},
    keep, modules,
    project::Project,
};
use lab::Stage;
use lab_client::{state::State, supervisor::versions};
use serde_json::{Value, json};

use crate::{
    control::{self, Request},
    preparation::rebuild_edit,
    stage_entry,
};

fn find(project: &Project, id: &str) -> Option<Backup> {
    backups::list(project).into_iter().find(|backup| backup.id == id)
}

/// The answer if there is no saved edit of this id.
fn missing(id: &str) -> Value {
    json!({ "id": id, "missing": true })
}

/// What restoring this saved edit would change in the current code.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn compare(project: &Project, id: &str) -> Result<Value> {
    let Some(saved) = find(project, id) else { return Ok(missing(id)) };
    Ok(json!({ "id": id, "diff": keep::diff_to_restored(project, &saved)? }))
}

/// Whether the lab runs versions of the worker in this stage, so that restored code becomes one only by `lab deploy`.
///
/// # Errors
/// The supervisor does not answer.
pub fn is_deployed_by_hand(state: &State, stage: &Stage) -> Result<bool> {
    Ok(stage.has_versions && !versions(&control::ask(state, &Request::Status)?).is_empty())
}

/// Saves the current code, restores this saved edit, and has the worker built. Code that does not compile is restored too; the page
/// shows the compiler's errors.
///
/// # Errors
/// A stage is being entered, a module cannot be replaced, or the worker does not start.
pub fn restore(project: &Project, state: &State, id: &str) -> Result<Value> {
    let _lock = stage_entry::lock(project)?;
    let Some(saved) = find(project, id) else { return Ok(missing(id)) };
    let saved = keep::restore(project, &saved)?;
    let stage = modules::current_stage(project);
    let build_failed = !is_deployed_by_hand(state, stage)? && rebuild_edit(project, state, true)?;
    Ok(json!({
        "id": id,
        "stage": stage.name,
        "saved": saved.as_ref().map(Backup::to_json),
        "build_failed": build_failed,
    }))
}
