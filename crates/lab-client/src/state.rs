//! `lab.json` and `ports.json` in the lab's folder: what a running lab has started, and where it listens.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::Endpoints;

/// The file that tells what a running lab has started.
pub const FILE: &str = "lab.json";
/// The file that tells which ports the last lab had.
pub const PORTS_FILE: &str = "ports.json";

/// The Temporal server's gRPC port.
pub const TEMPORAL: &str = "temporal";
/// The Temporal UI.
pub const TEMPORAL_UI: &str = "temporal-ui";
/// The Temporal server's HTTP API.
pub const TEMPORAL_HTTP: &str = "temporal-http";
/// The bank.
pub const ACCOUNT_API: &str = "account-api";
/// The page and its API.
pub const TRANSFER_WEB: &str = "transfer-web";
/// The worker that a learner edits. It has no port.
pub const WORKER: &str = "worker";

/// The names of all services, in the order of their start. The supervisor's table of services is held to it by a test.
pub const SERVICES: [&str; 4] = [TEMPORAL, ACCOUNT_API, WORKER, TRANSFER_WEB];
/// The names of all ports. The supervisor's table of ports is held to it by a test.
pub const PORTS: [&str; 5] = [TEMPORAL, TEMPORAL_UI, TEMPORAL_HTTP, ACCOUNT_API, TRANSFER_WEB];

/// A lab that runs, or ran until its supervisor was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The process that supervises.
    pub supervisor: Identity,
    /// Where it takes requests, on loopback.
    pub control_port: u16,
    /// What a request must bring.
    pub token: String,
    /// Whether everything was ready once.
    pub ready: bool,
    /// The ports of its services.
    pub ports: Ports,
    /// The Temporal Service that it uses in place of a server of its own.
    pub remote_service: Option<RemoteService>,
    /// What it has started, by name, and maybe a `build`: each leads a process group of its own.
    pub services: Vec<(String, Identity)>,
}

/// A Temporal Service that a lab uses in place of a server of its own, and what is the lab's there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteService {
    /// The profile of `temporal.toml` that it was asked for by; `None` where it was by an address.
    pub profile: Option<String>,
    /// `host:port`; empty until the profile was read.
    pub address: String,
    /// The namespace; empty until the profile was read.
    pub namespace: String,
    /// Whose lab this is, where several share the namespace.
    pub learner: Option<String>,
    /// The service's Temporal UI, as a URL without a path; empty where nobody knows of one.
    pub ui: String,
}

/// A process that can be told from a later one with the same id: by when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its process id; of a service also that of its group, which it leads.
    pub pid: u32,
    /// What the system says of its start, in the system's own words.
    pub started: String,
}

/// The ports of a lab, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(pub BTreeMap<String, u16>);

impl State {
    /// What stands in the file of this lab's folder, if there is one that can be read. Check it against living processes
    /// before believing it.
    pub fn read(lab: &Path) -> Option<State> {
        State::parse(&fs::read_to_string(lab.join(FILE)).ok()?)
    }

    /// What the text of [`FILE`] says.
    pub fn parse(text: &str) -> Option<State> {
        let value: Value = serde_json::from_str(text).ok()?;
        let service = |entry: &Value| Some((entry["name"].as_str()?.to_owned(), Identity::from_json(entry)?));
        Some(State {
            supervisor: Identity::from_json(&value["supervisor"])?,
            control_port: u16::try_from(value["control_port"].as_u64()?).ok()?,
            token: value["token"].as_str()?.to_owned(),
            ready: value["ready"].as_bool()?,
            ports: Ports::from_json(&value["ports"]),
            remote_service: RemoteService::from_json(&value["remote_service"]),
            services: value["services"].as_array()?.iter().filter_map(service).collect(),
        })
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> Value {
        let service = |(name, identity): &(String, Identity)| {
            let mut entry = identity.to_json();
            entry["name"] = json!(name);
            entry
        };
        json!({
            "supervisor": self.supervisor.to_json(),
            "control_port": self.control_port,
            "token": self.token,
            "ready": self.ready,
            "ports": self.ports.to_json(),
            "remote_service": self.remote_service.as_ref().map(RemoteService::to_json),
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
        })
    }
}

impl State {
    /// Where to ask the parts of the lab.
    pub fn endpoints(&self) -> Endpoints {
        endpoints(&self.ports, self.remote_service.as_ref())
    }

    /// Whose lab this is, where several share a namespace.
    pub fn learner(&self) -> Option<&str> {
        self.remote_service.as_ref()?.learner.as_deref()
    }
}

/// Where to ask the parts of a lab on these ports. A remote service is asked through the gateway, which has the ports that a
/// server of the lab's own would have.
pub fn endpoints(ports: &Ports, remote_service: Option<&RemoteService>) -> Endpoints {
    let own = Endpoints::own(&ports.url(TEMPORAL_HTTP), &ports.url(TEMPORAL_UI), &ports.url(ACCOUNT_API));
    match remote_service {
        None => own,
        Some(RemoteService { namespace, learner, ui, .. }) => Endpoints {
            temporal_ui: ui.clone(),
            namespace: namespace.clone(),
            learner: learner.clone(),
            ..own
        },
    }
}

impl RemoteService {
    /// As it stands in a file. There is no secret in it.
    pub fn to_json(&self) -> Value {
        json!({
            "profile": self.profile,
            "address": self.address,
            "namespace": self.namespace,
            "learner": self.learner,
            "ui": self.ui,
        })
    }

    /// What [`to_json`](RemoteService::to_json) wrote.
    pub fn from_json(value: &Value) -> Option<RemoteService> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(RemoteService {
            profile: text("profile"),
            address: text("address")?,
            namespace: text("namespace")?,
            learner: text("learner"),
            ui: text("ui")?,
        })
    }
}

impl Identity {
    /// As it stands in a file.
    pub fn to_json(&self) -> Value {
        json!({ "pid": self.pid, "pgid": self.pid, "started": self.started })
    }

    /// What [`to_json`](Identity::to_json) wrote. Never one whose signals would go to others: 0 is this process's own
    /// group, 1 is init, and what is larger than a process id can be would be cut to one.
    pub fn from_json(value: &Value) -> Option<Identity> {
        let pid = u32::try_from(value["pid"].as_u64()?)
            .ok()
            .filter(|&pid| pid > 1 && i32::try_from(pid).is_ok())?;
        Some(Identity { pid, started: value["started"].as_str()?.to_owned() })
    }
}

impl Ports {
    /// What the text of [`PORTS_FILE`] says; none where it cannot be read.
    pub fn parse(text: &str) -> Ports {
        Ports::from_json(&serde_json::from_str(text).unwrap_or_default())
    }

    /// The port of that name; zero, which nothing listens on, when there is none.
    pub fn get(&self, name: &str) -> u16 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// `host:port` of the port of that name.
    pub fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.get(name))
    }

    /// The URL of the port of that name.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.get(name))
    }

    /// As they stand in a file.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// What [`to_json`](Ports::to_json) wrote; unknown and impossible ones are left out.
    pub fn from_json(value: &Value) -> Ports {
        let port = |name: &str| Some((name.to_owned(), u16::try_from(value[name].as_u64()?).ok()?));
        Ports(PORTS.into_iter().filter_map(port).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let identity = |pid| Identity { pid, started: "4711 boot".to_owned() };
        let state = State {
            supervisor: identity(17),
            control_port: 40_000,
            token: "secret".to_owned(),
            ready: true,
            ports: Ports(BTreeMap::from([(TEMPORAL.to_owned(), 7233)])),
            remote_service: Some(RemoteService {
                profile: Some("class".to_owned()),
                address: "temporal.example:7233".to_owned(),
                namespace: "spring".to_owned(),
                learner: Some("ada".to_owned()),
                ui: String::new(),
            }),
            services: vec![(TEMPORAL.to_owned(), identity(18))],
        };
        assert_eq!(State::parse(&state.to_json().to_string()), Some(state));
    }

    #[test]
    fn no_number_in_a_file_lets_a_signal_go_to_others() {
        // Neither everybody (-1 after a wrap), nor this group (0), nor init.
        for pid in [0, 1, -1, i64::from(i32::MAX) + 1, i64::MAX] {
            assert_eq!(Identity::from_json(&json!({ "pid": pid, "started": "x" })), None);
        }
    }

    #[test]
    fn a_port_that_is_none_is_left_out() {
        let ports =
            Ports::parse(r#"{"temporal": 7233, "account-api": 65536, "transfer-web": -1, "other": 1}"#);
        assert_eq!(ports.to_json(), json!({ "temporal": 7233 }));
        for text in ["", "[]", "{\"temporal\":", "null"] {
            assert_eq!(Ports::parse(text), Ports::default(), "{text}");
        }
    }
}
