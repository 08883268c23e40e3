//! The learner's code that blocks the worker, as the worker reports it.

use contract::Blocking;
use serde_json::{Value, json};

use crate::services::WORKER;
use checkout::project::Project;

/// What the worker in this status reports, for the status.
pub(crate) fn of(status: &Value, project: &Project) -> Value {
    let services = status["services"].as_array().into_iter().flatten();
    let pid = services.filter(|service| service["name"] == WORKER).find_map(|worker| worker["pid"].as_u64());
    let file = Blocking::file_beside(&project.ready_file(WORKER));
    let blocking = pid.map(|pid| Blocking::read(&file, pid)).unwrap_or_default();
    json!(blocking.iter().map(Blocking::to_json).collect::<Vec<_>>())
}
