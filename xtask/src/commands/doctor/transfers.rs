//! The transfers in progress that only somebody's help continues, and the code that blocks the worker.

use lab_client::{
    state::{State, TEMPORAL},
    stuck::{self, Stuck},
    supervisor::{blocking, is_running},
    temporal::Server,
};

use super::finding::{Finding, note};
use serde_json::Value;

/// How many transfers we check.
const LOOKED_AT: usize = 50;

/// `status` is what the supervisor of a running lab answers; null if it does not.
pub(super) fn check(state: Option<&State>, status: &Value) -> Vec<Finding> {
    let Some(state) = state else { return Vec::new() };
    let mut findings: Vec<Finding> = blocking(status)
        .iter()
        .map(|(service, blocking)| {
            note(
                "worker",
                blocking.words(),
                &format!("fix that line and save; see: cargo xtask lab logs {service}"),
            )
        })
        .collect();
    // Another finding reports a server that does not respond.
    if status.is_object() && !is_running(status, TEMPORAL) {
        return findings;
    }
    let found = stuck::find(&Server::new(&state.endpoints()), LOOKED_AT).unwrap_or_default();
    findings.extend(found.stuck.iter().filter_map(held_up));
    findings
}

fn held_up(stuck: &Stuck) -> Option<Finding> {
    let way_out = stuck.way_out()?;
    let says = format!("{}: {}", stuck.run.workflow_id, stuck.words());
    Some(note("transfer", says, &way_out.to_string()))
}
