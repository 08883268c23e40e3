//! The services of a lab, one a row, in the order of their start.

use std::{
    ffi::OsString,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use lab_client::{
    Endpoints, OWN_NAMESPACE, http,
    start_failure::StartFailure,
    state::{self, RemoteService},
};

use crate::{
    build::Executables,
    ports::{self, Ports},
};
use checkout::project::Project;

/// What a row may use to say how its service is started.
pub struct Setup {
    /// Where things are.
    pub project: Project,
    /// The ports of this lab.
    pub ports: Ports,
    /// The Temporal CLI.
    pub temporal_cli: PathBuf,
    /// The Temporal Service that this lab uses in place of a server of its own.
    pub remote_service: Option<RemoteService>,
    /// What cargo has built, once it has.
    pub executables: Option<Executables>,
}

impl Setup {
    /// The file that a service writes when it is ready.
    pub fn ready_file(&self, service: &str) -> PathBuf {
        self.project.ready_file(service)
    }
}

impl Setup {
    /// Whether what the lab needs to know of its Temporal Service is known: of a remote one the gateway tells it.
    pub fn knows_its_namespace(&self) -> bool {
        self.remote_service.as_ref().is_none_or(|remote_service| !remote_service.namespace.is_empty())
    }

    /// Where the parts of this lab answer.
    pub fn endpoints(&self) -> Endpoints {
        state::endpoints(&self.ports, self.remote_service.as_ref())
    }
}

/// How a service is started, found ready and ended.
pub struct Service {
    /// Its name in commands, files and messages.
    pub name: &'static str,
    /// Its executable; `None` until cargo has built it.
    pub program: fn(&Setup) -> Option<PathBuf>,
    /// Its arguments.
    pub arguments: fn(&Setup) -> Vec<OsString>,
    /// The folder that it runs in.
    pub folder: fn(&Setup) -> &Path,
    /// What its environment has beside the lab's own.
    pub environment: fn(&Setup) -> Vec<(&'static str, OsString)>,
    /// The services that must be ready before it can start.
    pub after: &'static [&'static str],
    /// Whether it does its work by now.
    pub is_ready: fn(&Setup) -> bool,
    /// `host:port`, if it listens.
    pub address: fn(&Ports) -> Option<String>,
    /// What to open in a browser or call over HTTP.
    pub url: fn(&Ports) -> Option<String>,
    /// How long it has to end after TERM.
    pub grace: Duration,
}

/// The Temporal server.
pub const TEMPORAL: &str = "temporal";
/// The bank.
pub const ACCOUNT_API: &str = "account-api";
/// The worker that a learner edits.
pub const WORKER: &str = "worker";

/// The page and its API.
pub const TRANSFER_WEB: &str = "transfer-web";

/// The packages that cargo builds for a lab. Always all in one call: another selection could choose
/// other features of what they share, and build that again.
pub const PACKAGES: &[&str] = &["account-api", "gateway", "transfer-web", "worker"];

/// Their executables that the services run. Not all: each is the SDK linked once more, at every edit.
pub const BINARIES: &[&str] = &["account-api", "transfer-web", "worker", GATEWAY];

/// Those that this lab runs: only one with a remote Temporal Service needs a way to it.
pub fn binaries(remote_service: Option<&RemoteService>) -> &'static [&'static str] {
    if remote_service.is_some() { BINARIES } else { &BINARIES[..3] }
}

/// The gateway to a remote Temporal Service.
pub const GATEWAY: &str = "gateway";

/// The services, one a row. They are ended in reverse, so that a worker leaves while its server listens.
pub const SERVICES: &[Service] = &[
    Service {
        name: TEMPORAL,
        program: |setup| match &setup.remote_service {
            None => Some(setup.temporal_cli.clone()),
            Some(_) => setup.executables.as_ref()?.get(GATEWAY),
        },
        arguments: |setup| match &setup.remote_service {
            None => temporal_arguments(setup),
            Some(remote_service) => gateway_arguments(setup, remote_service),
        },
        folder: |setup| &setup.project.lab,
        environment: |_| Vec::new(),
        after: &[],
        is_ready: |setup| {
            // The port listens before the namespace is there, and without one a worker cannot start.
            let api = setup.ports.url(ports::TEMPORAL_HTTP);
            if setup.remote_service.is_some() {
                return http::answers(&format!("{api}/link"));
            }
            http::answers(&format!("{api}/api/v1/namespaces/default"))
                && http::answers(&setup.ports.url(ports::TEMPORAL_UI))
        },
        address: |ports| Some(ports.address(ports::TEMPORAL)),
        url: |ports| Some(ports.url(ports::TEMPORAL_UI)),
        grace: Duration::from_secs(8),
    },
    Service {
        name: ACCOUNT_API,
        program: |setup| setup.executables.as_ref()?.get("account-api"),
        arguments: |setup| {
            vec![
                "--port".into(),
                setup.ports.get(ports::ACCOUNT_API).to_string().into(),
                "--db".into(),
                setup.project.in_lab("bank.db").into(),
                "--ready-file".into(),
                setup.ready_file(ACCOUNT_API).into(),
            ]
        },
        folder: |setup| &setup.project.root,
        environment: |_| Vec::new(),
        after: &[],
        is_ready: |setup| http::answers(&format!("{}/health", setup.ports.url(ports::ACCOUNT_API))),
        address: |ports| Some(ports.address(ports::ACCOUNT_API)),
        url: |ports| Some(ports.url(ports::ACCOUNT_API)),
        grace: Duration::from_secs(5),
    },
    Service {
        name: WORKER,
        program: |setup| setup.executables.as_ref()?.get("worker"),
        arguments: |setup| vec!["--ready-file".into(), setup.ready_file(WORKER).into()],
        folder: |setup| &setup.project.root,
        environment: |setup| worker_environment(&setup.ports, setup.remote_service.as_ref()),
        after: &[TEMPORAL],
        is_ready: |setup| fs::metadata(setup.ready_file(WORKER)).is_ok_and(|file| file.len() > 0),
        address: |_| None,
        url: |_| None,
        grace: Duration::from_secs(5),
    },
    Service {
        name: TRANSFER_WEB,
        program: |setup| setup.executables.as_ref()?.get("transfer-web"),
        arguments: transfer_web_arguments,
        folder: |setup| &setup.project.root,
        environment: |_| Vec::new(),
        // It waits for nobody: a page that is open tells what is down.
        after: &[],
        is_ready: |setup| http::answers(&format!("{}/health", setup.ports.url(ports::TRANSFER_WEB))),
        address: |ports| Some(ports.address(ports::TRANSFER_WEB)),
        url: |ports| Some(ports.url(ports::TRANSFER_WEB)),
        grace: Duration::from_secs(5),
    },
];

/// The service of that name.
pub fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// How long the service of that name has to end after TERM.
pub fn grace(name: &str) -> Duration {
    find(name).map_or(Duration::from_secs(5), |service| service.grace)
}

/// The names, for a message or a flag.
pub fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

/// What a worker, or `run_workflow`, needs to find the lab's server and bank.
pub fn worker_environment(
    ports: &Ports,
    remote_service: Option<&RemoteService>,
) -> Vec<(&'static str, OsString)> {
    let namespace = remote_service.map_or(OWN_NAMESPACE, |remote_service| &remote_service.namespace);
    let learner = remote_service.and_then(|remote_service| remote_service.learner.as_deref());
    vec![
        ("TEMPORAL_ADDRESS", ports.address(ports::TEMPORAL).into()),
        ("TEMPORAL_NAMESPACE", namespace.into()),
        (contract::TASK_QUEUE_VARIABLE, contract::task_queue(learner).into()),
        (contract::BANK_URL_VARIABLE, ports.url(ports::ACCOUNT_API).into()),
    ]
}

/// The gateway listens where a server of the lab's own would. It reads the profile by itself, so that no secret of it comes
/// through here.
fn gateway_arguments(setup: &Setup, remote_service: &RemoteService) -> Vec<OsString> {
    let port = |name| setup.ports.get(name).to_string().into();
    let mut flags: Vec<(&str, OsString)> = vec![
        ("--port", port(ports::TEMPORAL)),
        ("--http-port", port(ports::TEMPORAL_HTTP)),
        ("--ready-file", setup.ready_file(TEMPORAL).into()),
        ("--failure-file", StartFailure::file_beside(&setup.ready_file(TEMPORAL)).into()),
    ];
    flags.extend(flags_of(remote_service));
    flags.into_iter().flat_map(|(flag, value)| [flag.into(), value]).collect()
}

/// What tells a gateway which service it leads to, and for whom.
pub fn flags_of(remote_service: &RemoteService) -> Vec<(&'static str, OsString)> {
    let mut flags: Vec<(&str, OsString)> = match &remote_service.profile {
        Some(profile) => vec![("--profile", profile.into())],
        None => vec![("--address", remote_service.address.clone().into())],
    };
    if remote_service.profile.is_none() && !remote_service.namespace.is_empty() {
        flags.push(("--namespace", remote_service.namespace.clone().into()));
    }
    if let Some(learner) = &remote_service.learner {
        flags.push(("--learner", learner.into()));
    }
    flags
}

/// A dev server of the Temporal CLI: a lab's own, or that of a class.
pub struct DevServer {
    /// Its gRPC port, on 127.0.0.1 as the others.
    pub port: u16,
    /// The port of its UI.
    pub ui_port: u16,
    /// The port of its HTTP API.
    pub http_port: u16,
    /// What else is to be set in its dynamic configuration, such as `frontend.x=1`.
    pub settings: Vec<String>,
}

impl DevServer {
    /// Its database, in the folder that it is started in. It is named relative to that: the server makes a URL of the name, in which
    /// a path may hold what means something else.
    pub const DATABASE: &str = "temporal.db";

    /// Its arguments.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["server", "start-dev"].map(Into::into).into();
        let flags = [
            ("--ip", Ipv4Addr::LOCALHOST.to_string()),
            ("--port", self.port.to_string()),
            ("--ui-port", self.ui_port.to_string()),
            ("--http-port", self.http_port.to_string()),
            ("--db-filename", DevServer::DATABASE.to_owned()),
            // Its warnings are about its own connections, at every stop.
            ("--log-level", "error".to_owned()),
        ];
        for (flag, value) in flags {
            arguments.extend([flag.into(), value.into()]);
        }
        arguments.push("--ui-disable-news-fetch".into());
        for attribute in contract::SEARCH_ATTRIBUTES {
            arguments.extend(["--search-attribute".into(), format!("{attribute}=Keyword").into()]);
        }
        let settings = SHORT_RETRIES.into_iter().chain([QUICK_TASKS, QUICK_TIMERS]).map(str::to_owned);
        let hosts = own_hosts(self.http_port);
        for value in settings.chain([hosts]).chain(self.settings.iter().cloned()) {
            arguments.extend(["--dynamic-config-value".into(), value.into()]);
        }
        for pragma in SQLITE {
            arguments.extend(["--sqlite-pragma".into(), pragma.into()]);
        }
        arguments
    }
}

fn temporal_arguments(setup: &Setup) -> Vec<OsString> {
    let port = |name| setup.ports.get(name);
    let server = DevServer {
        port: port(ports::TEMPORAL),
        ui_port: port(ports::TEMPORAL_UI),
        http_port: port(ports::TEMPORAL_HTTP),
        settings: Vec::new(),
    };
    server.arguments()
}

fn transfer_web_arguments(setup: &Setup) -> Vec<OsString> {
    let Endpoints { temporal_http, temporal_ui, bank, namespace, learner } = setup.endpoints();
    let mut flags: Vec<(&str, OsString)> = vec![
        ("--port", setup.ports.get(ports::TRANSFER_WEB).to_string().into()),
        ("--temporal-http", temporal_http.into()),
        ("--temporal-ui", temporal_ui.into()),
        ("--bank", bank.into()),
        ("--namespace", namespace.into()),
        ("--lab", setup.project.lab.clone().into()),
        ("--ready-file", setup.ready_file(TRANSFER_WEB).into()),
    ];
    if let Some(learner) = learner {
        flags.push(("--learner", learner.into()));
    }
    flags.into_iter().flat_map(|(flag, value)| [flag.into(), value]).collect()
}

/// A failed Workflow Task is tried again after a second or two, so that a learner's fix shows at once.
const SHORT_RETRIES: [&str; 2] =
    [r#"history.workflowTaskRetryMaxInterval="1s""#, r#"history.defaultWorkflowTaskTimeout="2s""#];

/// How the server's database is kept. A killed server loses nothing by this, since the system has what it wrote. A power cut
/// may damage the file, which a lab can bear: it starts anew. It saves half of the time of a first start.
const SQLITE: [&str; 2] = ["journal_mode=wal", "synchronous=off"];

/// What a class needs besides. So many batches a namespace may run at a time: by default it is one, and the others would wait. And so
/// many lists and counts it is answered in a second: by default it is 10, which a few learners with their pages open use up.
pub const FOR_A_CLASS: [&str; 2] =
    ["frontend.MaxConcurrentBatchOperationPerNamespace=100", "frontend.namespaceRPS.visibility=1000"];

/// A shard looks for new tasks this often a second at most. The server's default is 20, for a service of many
/// shards: here it would make the five Workflow Tasks of a lone transfer wait for a quarter of a second. Much
/// more often only costs: then fewer tasks are found at once.
const QUICK_TASKS: &str = "history.transferProcessorMaxPollRPS=50";

/// What is to happen at once, such as an Activity that `retry` unpauses, is put into the queue of timers, which
/// are read so far ahead. By the server's default, of a second, it would wait for that long.
const QUICK_TIMERS: &str = r#"history.timerProcessorMaxTimeShift="50ms""#;

/// The names by which the server's HTTP API lets itself be called. By default it takes any, and so a web page whose
/// name was made to point at this machine.
fn own_hosts(port: u16) -> String {
    format!(r#"frontend.httpAllowedHosts=["127.0.0.1:{port}","localhost:{port}"]"#)
}

/// What a learner is told where [`SHORT_RETRIES`] are not the lab's to set.
pub const OWN_RETRIES_NOTE: &str = "after each failed Workflow Task this service waits longer, up to 10 min; a new transfer shows a fix at once";

/// What a learner is told about [`SHORT_RETRIES`].
pub const SHORT_RETRIES_NOTE: &str = "a failed Workflow Task is retried every 2 s here, so that a fix shows at once; production waits up to 10 min";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_starts_after_comes_before_it() {
        for (at, service) in SERVICES.iter().enumerate() {
            for before in service.after {
                assert!(SERVICES[..at].iter().any(|other| other.name == *before), "{}", service.name);
            }
        }
    }
}
