//! The transfers in progress that only somebody's help continues, and the code that blocks the worker.

use contract::Blocking;
use lab_client::{
    state::State,
    stuck::{self, Stuck},
    temporal::Server,
};

use super::finding::{Finding, note};
use supervisor::control::{self, Request};

/// So many transfers are looked at.
const LOOKED_AT: usize = 50;

pub(super) fn check(state: Option<&State>) -> Vec<Finding> {
    let Some(state) = state else { return Vec::new() };
    let status = control::ask(state, &Request::Status).unwrap_or_default();
    let mut findings: Vec<Finding> = Blocking::list(&status["blocking"])
        .iter()
        .map(|blocking| {
            note("worker", blocking.words(), "fix that line and save; see: cargo xtask lab logs worker")
        })
        .collect();
    // Another row reports a server that does not answer.
    let found = stuck::find(&Server::new(&state.endpoints()), LOOKED_AT).unwrap_or_default();
    findings.extend(found.stuck.iter().filter_map(held_up));
    findings
}

fn held_up(stuck: &Stuck) -> Option<Finding> {
    let way_out = stuck.way_out()?;
    let says = format!("{}: {}", stuck.run.workflow_id, stuck.words());
    Some(note("transfer", says, &way_out.to_string()))
}
