//! `.lab/lab.json`: what a running lab has started, so that whoever comes next can end it.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    ports::Ports,
    process::Identity,
    project::{Project, replace_file},
};

/// A lab that runs, or ran until its supervisor was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The process that supervises.
    pub(crate) supervisor: Identity,
    /// Where it takes requests, on loopback.
    pub(crate) control_port: u16,
    /// What a request must bring.
    pub(crate) token: String,
    /// Whether everything was ready once.
    pub(crate) ready: bool,
    /// The ports of its services.
    pub(crate) ports: Ports,
    /// What it has started, by name, and maybe a `build`: each leads a process group of its own.
    pub(crate) services: Vec<(String, Identity)>,
}

impl State {
    /// What stands in the file, if there is one that can be read. Check it against living processes
    /// before believing it.
    pub(crate) fn read(project: &Project) -> Option<State> {
        let text = fs::read_to_string(project.in_lab("lab.json")).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let service = |entry: &Value| Some((entry["name"].as_str()?.to_owned(), Identity::from_json(entry)?));
        Some(State {
            supervisor: Identity::from_json(&value["supervisor"])?,
            control_port: u16::try_from(value["control_port"].as_u64()?).ok()?,
            token: value["token"].as_str()?.to_owned(),
            ready: value["ready"].as_bool()?,
            ports: Ports::from_json(&value["ports"]),
            services: value["services"].as_array()?.iter().filter_map(service).collect(),
        })
    }

    /// Writes the file, for this user alone.
    pub(crate) fn write(&self, project: &Project) -> Result<()> {
        let service = |(name, identity): &(String, Identity)| {
            let mut entry = identity.to_json();
            entry["name"] = json!(name);
            entry
        };
        let value = json!({
            "supervisor": self.supervisor.to_json(),
            "control_port": self.control_port,
            "token": self.token,
            "ready": self.ready,
            "ports": self.ports.to_json(),
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
        });
        let path = project.in_lab("lab.json");
        replace_file(&path, value.to_string().as_bytes(), 0o600)
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// Whether the file is this lab's still.
    pub(crate) fn is_recorded(&self, project: &Project) -> bool {
        State::read(project).is_some_and(|recorded| recorded.supervisor == self.supervisor)
    }

    /// Takes the file away: nothing runs any more.
    pub(crate) fn remove(project: &Project) {
        let _ = fs::remove_file(project.in_lab("lab.json"));
    }
}
