//! The end of a drill, for the command and the page: the learner finishes it once its incident is resolved, or gives up.

use anyhow::{Context, Result, ensure};
use checkout::{progress, project::Project};
use lab::Report;
use lab_client::{
    bank::Bank,
    facts::Reader,
    progress::{Drill, Progress},
    state::State,
    supervisor, time,
};

use crate::control::{self, Request};

/// Ends the drill if its incident is resolved, by the histories and the ledger. It has ended if the report's goals are all reached.
///
/// # Errors
/// There is no drill to end, or a part of the lab does not answer.
pub fn finish(project: &Project, state: &State) -> Result<Report> {
    let progress = in_progress(project)?;
    let status = control::ask(state, &Request::Status)?;
    let facts = Reader::new(&state.endpoints()).read(&progress, supervisor::services(&status))?;
    let report = Report::of(progress.stage, &facts);
    if report.is_reached() {
        end(project, state, &progress, false)?;
        progress::record_done(project, progress.stage)?;
    }
    Ok(report)
}

/// Ends the drill, whatever is open.
///
/// # Errors
/// There is no drill to end, or the bank does not answer.
pub fn give_up(project: &Project, state: &State) -> Result<()> {
    end(project, state, &in_progress(project)?, true)
}

/// What is recorded of the drill that has not ended.
///
/// # Errors
/// There is no drill, or it has ended. The message says how to start one.
pub fn in_progress(project: &Project) -> Result<Progress> {
    let progress = Progress::read(&project.lab);
    let drill =
        progress.drill.as_ref().context("no drill is in progress; to start one: cargo xtask drill")?;
    ensure!(drill.ended.is_none(), "the drill has ended; to start another: cargo xtask drill");
    Ok(progress)
}

fn end(project: &Project, state: &State, progress: &Progress, gave_up: bool) -> Result<()> {
    Bank::new(&state.endpoints()).restore_real_world_mode()?;
    let ended = (time::rfc3339_exact(time::now()), gave_up);
    progress::update_at(project, progress.stage, |progress| {
        progress.drill = progress.drill.take().map(|drill| Drill { ended: Some(ended), ..drill });
    })
}
