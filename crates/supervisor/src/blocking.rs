//! The learner's code that blocks a worker, as the worker reports it.

use checkout::project::Project;
use contract::Blocking;
use lab_client::kept_versions::is_worker;
use serde_json::{Value, json};

/// What the workers in this status report, for the status.
pub(crate) fn of(status: &Value, project: &Project) -> Value {
    let services = status["services"].as_array().into_iter().flatten();
    let blocking = services.filter_map(|service| {
        let name = service["name"].as_str().filter(|name| is_worker(name))?;
        let file = Blocking::file_beside(&project.ready_file(name));
        let of_service = |blocking: &Blocking| {
            let mut json = blocking.to_json();
            json["service"] = json!(name);
            json
        };
        Some(Blocking::read(&file, service["pid"].as_u64()?).iter().map(of_service).collect::<Vec<_>>())
    });
    json!(blocking.flatten().collect::<Vec<_>>())
}
