//! `lab.json` and `ports.json` in the lab's folder: the processes and ports of a running lab.

use std::{collections::BTreeMap, fs, path::Path};

use contract::PublicHosts;
use serde_json::{Value, json};

use crate::Endpoints;

/// The file with the state of a running lab.
pub const FILE: &str = "lab.json";
/// The file with the ports of the last lab.
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
/// The worker, which has no port.
pub const WORKER: &str = "worker";

/// The names of all services, in start order. A test compares it with the supervisor's table of services.
pub const SERVICES: [&str; 4] = [TEMPORAL, ACCOUNT_API, WORKER, TRANSFER_WEB];
/// The names of all ports. A test compares it with the supervisor's table of ports.
pub const PORTS: [&str; 5] = [TEMPORAL, TEMPORAL_UI, TEMPORAL_HTTP, ACCOUNT_API, TRANSFER_WEB];

/// The state of a lab that runs, or ran until its supervisor was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The supervisor's process.
    pub supervisor: Identity,
    /// The supervisor's port for requests, on loopback.
    pub control_port: u16,
    /// The token that a request must contain.
    pub token: String,
    /// Whether all services have been ready.
    pub ready: bool,
    /// The ports of its services.
    pub ports: Ports,
    /// The remote Temporal Service that it uses instead of its own server.
    pub remote_service: Option<RemoteService>,
    /// The names at which a proxy forwards its ports.
    pub public_hosts: PublicHosts,
    /// Its processes by name, and possibly a `build`; each leads its own process group.
    pub services: Vec<(String, Identity)>,
}

/// A remote Temporal Service that a lab uses instead of its own server, with the lab's namespace and learner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteService {
    /// The profile in `temporal.toml`; `None` if it was selected by address.
    pub profile: Option<String>,
    /// `host:port`; empty until the profile has been read.
    pub address: String,
    /// The namespace; empty until the profile has been read.
    pub namespace: String,
    /// Whose lab this is, where several share the namespace.
    pub learner: Option<String>,
    /// The URL of the service's Temporal UI, without a path; empty if unknown.
    pub ui: String,
}

/// The identity of a process: its id and its start time, which distinguishes it from a later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its process id; for a service also the id of its process group.
    pub pid: u32,
    /// Its start time, in the system's own format.
    pub started: String,
}

/// The ports of a lab, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(pub BTreeMap<String, u16>);

impl State {
    /// Reads the file of a lab's folder, if there is a valid one. Check it against running processes before relying on it.
    pub fn read(lab: &Path) -> Option<State> {
        State::parse(&fs::read_to_string(lab.join(FILE)).ok()?)
    }

    /// Parses the text of [`FILE`].
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
            public_hosts: value["public_hosts"].as_str().unwrap_or_default().parse().unwrap_or_default(),
            services: value["services"].as_array()?.iter().filter_map(service).collect(),
        })
    }

    /// The JSON for the file.
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
            "public_hosts": self.public_hosts.to_string(),
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
        })
    }
}

impl State {
    /// The endpoints of the lab.
    pub fn endpoints(&self) -> Endpoints {
        endpoints(&self.ports, self.remote_service.as_ref())
    }

    /// The URL at which a proxy forwards the page or the lab's own Temporal UI, by the name of the port, if one does. The other
    /// services accept no names but those of this machine.
    pub fn public_url(&self, port: &str) -> Option<String> {
        let number = self.ports.get(port);
        match port {
            TRANSFER_WEB => self.public_hosts.of_page(number).url(),
            TEMPORAL_UI if self.remote_service.is_none() => self.public_hosts.of_port(number).url(),
            _ => None,
        }
    }

    /// Whose lab this is, where several share a namespace.
    pub fn learner(&self) -> Option<&str> {
        self.remote_service.as_ref()?.learner.as_deref()
    }
}

/// The endpoints of a lab on these ports. A remote service is reached through the gateway, which has the ports of the lab's own
/// server.
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
    /// The JSON for a file. It contains no secrets.
    pub fn to_json(&self) -> Value {
        json!({
            "profile": self.profile,
            "address": self.address,
            "namespace": self.namespace,
            "learner": self.learner,
            "ui": self.ui,
        })
    }

    /// Reads the JSON of [`to_json`](RemoteService::to_json).
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
    /// The JSON for a file.
    pub fn to_json(&self) -> Value {
        json!({ "pid": self.pid, "pgid": self.pid, "started": self.started })
    }

    /// Reads the JSON of [`to_json`](Identity::to_json). Rejects ids whose signals would reach other processes: 0 is this process's own
    /// group, 1 is init, and larger numbers than a process id would be truncated.
    pub fn from_json(value: &Value) -> Option<Identity> {
        let pid = u32::try_from(value["pid"].as_u64()?)
            .ok()
            .filter(|&pid| pid > 1 && i32::try_from(pid).is_ok())?;
        Some(Identity { pid, started: value["started"].as_str()?.to_owned() })
    }
}

impl Ports {
    /// Parses the text of [`PORTS_FILE`]; no ports if it is invalid.
    pub fn parse(text: &str) -> Ports {
        Ports::from_json(&serde_json::from_str(text).unwrap_or_default())
    }

    /// A port by name; zero, which nothing listens on, if there is none.
    pub fn get(&self, name: &str) -> u16 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// `host:port` of a port.
    pub fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.get(name))
    }

    /// The URL of a port.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.get(name))
    }

    /// The JSON for a file.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// Reads the JSON of [`to_json`](Ports::to_json); unknown and invalid ports are left out.
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
            public_hosts: "x-5051.app.example, 8233=http://ui.example:8080".parse().expect("names"),
            services: vec![(TEMPORAL.to_owned(), identity(18))],
        };
        assert_eq!(State::parse(&state.to_json().to_string()), Some(state));
    }

    #[test]
    fn no_id_in_a_file_can_direct_a_signal_at_other_processes() {
        // Neither everybody (-1 after a wrap), nor this group (0), nor init.
        for pid in [0, 1, -1, i64::from(i32::MAX) + 1, i64::MAX] {
            assert_eq!(Identity::from_json(&json!({ "pid": pid, "started": "x" })), None);
        }
    }

    #[test]
    fn an_invalid_port_is_left_out() {
        let ports =
            Ports::parse(r#"{"temporal": 7233, "account-api": 65536, "transfer-web": -1, "other": 1}"#);
        assert_eq!(ports.to_json(), json!({ "temporal": 7233 }));
        for text in ["", "[]", "{\"temporal\":", "null"] {
            assert_eq!(Ports::parse(text), Ports::default(), "{text}");
        }
    }
}
