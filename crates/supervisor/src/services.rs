//! The services of a lab, one a row, in the order of their start.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dev_server::{Cli, DevServer};
pub use lab_client::state::{ACCOUNT_API, TEMPORAL, TRANSFER_WEB, WORKER};
use lab_client::{
    Endpoints, OWN_NAMESPACE, http,
    kept_versions::is_worker,
    start_failure::StartFailure,
    state::{self, RemoteService},
};

use crate::{
    ended_faults,
    executables::Executables,
    ports::{self, Ports},
};
use checkout::project::Project;

/// The file of the bank's ledger.
pub(crate) const LEDGER: &str = "bank.db";

/// What a row may use to start its service.
pub struct Setup {
    /// Where things are.
    pub project: Project,
    /// The ports of this lab.
    pub ports: Ports,
    /// The Temporal CLI.
    pub temporal_cli: Cli,
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
    /// Its name in commands, files and messages; its log is `.lab/logs/NAME.log`.
    pub name: &'static str,
    /// What it runs.
    pub program: Program,
    /// The names of its ports in [`ports::PORTS`]; it listens at the first.
    pub ports: &'static [&'static str],
    /// Which of these to open in a browser or call over HTTP.
    pub url_port: Option<&'static str>,
    /// Its arguments.
    pub arguments: fn(&Setup) -> Vec<OsString>,
    /// The folder that it runs in.
    pub folder: fn(&Setup) -> &Path,
    /// What its environment has beside the lab's own.
    pub environment: fn(&Setup) -> Vec<(&'static str, OsString)>,
    /// The services that must be ready before it can start.
    pub after: &'static [&'static str],
    /// The readiness probe.
    pub is_ready: fn(&Setup) -> bool,
    /// Its grace period after TERM.
    pub grace: Duration,
}

/// What a service runs.
#[derive(Clone, Copy)]
pub enum Program {
    /// The binary of this name, from the package of the same name.
    Binary(&'static str),
    /// The Temporal CLI; or this binary, where the lab uses a remote Temporal Service.
    TemporalOr(&'static str),
}

impl Program {
    /// The binary that cargo builds for it in a lab with this remote Temporal Service, or with a server of its own.
    fn binary(self, remote_service: Option<&RemoteService>) -> Option<&'static str> {
        match self {
            Program::Binary(name) => Some(name),
            Program::TemporalOr(name) => remote_service.map(|_| name),
        }
    }
}

impl Service {
    /// Its executable; `None` until cargo has built it.
    pub fn executable(&self, setup: &Setup) -> Option<PathBuf> {
        match self.binary(setup) {
            Some(binary) => setup.executables.as_ref()?.get(binary),
            None => Some(setup.temporal_cli.path().to_owned()),
        }
    }

    /// A command that runs it without the user's own Temporal settings; `None` until cargo has built it.
    pub fn command(&self, setup: &Setup) -> Option<Command> {
        let Some(binary) = self.binary(setup) else {
            return Some(self.set_up(setup.temporal_cli.command(), setup));
        };
        let mut command = Command::new(self.executable(setup)?);
        // Only the gateway reads them: they name the service that it connects to.
        if binary != GATEWAY {
            dev_server::forget_settings(&mut command);
        }
        Some(self.set_up(command, setup))
    }

    fn set_up(&self, mut command: Command, setup: &Setup) -> Command {
        command.args((self.arguments)(setup)).current_dir((self.folder)(setup));
        command.envs((self.environment)(setup));
        command
    }

    /// The binary that cargo builds for it; `None` for the Temporal CLI.
    pub fn binary(&self, setup: &Setup) -> Option<&'static str> {
        self.program.binary(setup.remote_service.as_ref())
    }

    /// Whether it puts the time before its lines itself, as the Temporal server does.
    pub fn has_timed_log(&self, setup: &Setup) -> bool {
        self.binary(setup).is_none()
    }

    /// `host:port`, if it listens.
    pub fn address(&self, ports: &Ports) -> Option<String> {
        self.ports.first().map(|name| ports.address(name))
    }

    /// What to open in a browser or call over HTTP.
    pub fn url(&self, ports: &Ports) -> Option<String> {
        self.url_port.map(|name| ports.url(name))
    }
}

/// The binaries of all services. Not all binaries of their packages: each would link the SDK once more, at every edit.
pub fn all_binaries() -> Vec<&'static str> {
    let binary = |service: &Service| match service.program {
        Program::Binary(name) | Program::TemporalOr(name) => name,
    };
    SERVICES.iter().map(binary).collect()
}

/// The packages that cargo builds for a lab: each is named like its binary. Always all in one call: another selection could
/// choose other features of what they share, and build that again.
pub fn packages() -> Vec<&'static str> {
    all_binaries()
}

/// The binaries that this lab runs: only one with a remote Temporal Service needs the gateway.
pub fn binaries(remote_service: Option<&RemoteService>) -> Vec<&'static str> {
    SERVICES.iter().filter_map(|service| service.program.binary(remote_service)).collect()
}

/// The binaries without the Temporal SDK.
pub const WITHOUT_SDK: [&str; 2] = [ACCOUNT_API, TRANSFER_WEB];

/// The gateway to a remote Temporal Service.
pub const GATEWAY: &str = "gateway";

/// The services, one a row. `temporal` is the lab's own dev server, or the gateway to a remote Temporal Service. They are ended in reverse, so that a worker can still reach its server while it stops.
pub const SERVICES: &[Service] = &[
    Service {
        name: TEMPORAL,
        program: Program::TemporalOr(GATEWAY),
        ports: &[ports::TEMPORAL, ports::TEMPORAL_UI, ports::TEMPORAL_HTTP],
        url_port: Some(ports::TEMPORAL_UI),
        arguments: |setup| match &setup.remote_service {
            None => temporal_arguments(setup),
            Some(remote_service) => gateway_arguments(setup, remote_service),
        },
        folder: |setup| &setup.project.lab,
        environment: |_| Vec::new(),
        after: &[],
        is_ready: |setup| {
            // The port listens before the namespace exists, and without one a worker cannot start.
            let api = setup.ports.url(ports::TEMPORAL_HTTP);
            if setup.remote_service.is_some() {
                return http::answers(&format!("{api}/link"));
            }
            http::answers(&format!("{api}/api/v1/namespaces/default"))
                && http::answers(&setup.ports.url(ports::TEMPORAL_UI))
        },
        grace: Duration::from_secs(8),
    },
    Service {
        name: ACCOUNT_API,
        program: Program::Binary("account-api"),
        ports: &[ports::ACCOUNT_API],
        url_port: Some(ports::ACCOUNT_API),
        arguments: |setup| {
            vec![
                "--port".into(),
                setup.ports.get(ports::ACCOUNT_API).to_string().into(),
                "--db".into(),
                setup.project.in_lab(LEDGER).into(),
                "--ready-file".into(),
                setup.ready_file(ACCOUNT_API).into(),
                "--faults-file".into(),
                setup.project.in_lab(ended_faults::FILE).into(),
            ]
        },
        folder: |setup| &setup.project.root,
        environment: |_| Vec::new(),
        after: &[],
        is_ready: |setup| http::answers(&format!("{}/health", setup.ports.url(ports::ACCOUNT_API))),
        grace: Duration::from_secs(5),
    },
    Service {
        name: WORKER,
        program: Program::Binary("worker"),
        ports: &[],
        url_port: None,
        arguments: |setup| vec!["--ready-file".into(), setup.ready_file(WORKER).into()],
        folder: |setup| &setup.project.root,
        environment: |setup| worker_environment(&setup.ports, setup.remote_service.as_ref()),
        after: &[TEMPORAL],
        is_ready: |setup| is_written(&setup.ready_file(WORKER)),
        grace: Duration::from_secs(5),
    },
    Service {
        name: TRANSFER_WEB,
        program: Program::Binary("transfer-web"),
        ports: &[ports::TRANSFER_WEB],
        url_port: Some(ports::TRANSFER_WEB),
        arguments: transfer_web_arguments,
        folder: |setup| &setup.project.root,
        environment: |_| Vec::new(),
        // It needs no other service: the page says what is down.
        after: &[],
        is_ready: |setup| http::answers(&format!("{}/health", setup.ports.url(ports::TRANSFER_WEB))),
        grace: Duration::from_secs(5),
    },
];

/// The service of that name.
pub fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// The row of the worker, of which each version is one.
pub(crate) fn worker() -> &'static Service {
    find(WORKER).expect("the worker is one of the services")
}

/// Whether a service has written its ready file.
pub(crate) fn is_written(ready_file: &Path) -> bool {
    fs::metadata(ready_file).is_ok_and(|file| file.len() > 0)
}

/// The grace period after TERM of the service of that name, which may be a version of the worker.
pub fn grace(name: &str) -> Duration {
    find(if is_worker(name) { WORKER } else { name }).map_or(Duration::from_secs(5), |service| service.grace)
}

/// The names, for a message or a flag.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
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

/// The gateway listens where the lab's own server would. It reads the profile itself, so that no secret passes through
/// here.
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

/// The flags that name the service a gateway connects to, and the learner.
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

fn temporal_arguments(setup: &Setup) -> Vec<OsString> {
    let port = |name| setup.ports.get(name);
    let server = DevServer {
        port: port(ports::TEMPORAL),
        ui_port: Some(port(ports::TEMPORAL_UI)),
        http_port: port(ports::TEMPORAL_HTTP),
        database: Some(dev_server::DATABASE),
        settings: Vec::new(),
    };
    server.arguments(&setup.temporal_cli)
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

/// What a learner is told where the lab cannot set the backoff of Workflow Tasks.
pub const OWN_RETRIES_NOTE: &str = "after each failed Workflow Task this service waits longer, up to 10 min; a new transfer shows a fix at once";

/// What a learner is told about `history.workflowTaskRetryMaxInterval` of [`dev_server::SETTINGS`].
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

    #[test]
    fn the_names_are_those_that_the_page_knows() {
        assert!(names().eq(state::SERVICES));
    }

    #[test]
    fn each_port_is_that_of_one_service() {
        let of_services: Vec<_> = SERVICES.iter().flat_map(|service| service.ports).copied().collect();
        let rows: Vec<_> = ports::PORTS.iter().map(|row| row.name).collect();
        assert_eq!(of_services, rows);
        assert_eq!(rows, state::PORTS, "the ports that a lab writes into its files");
    }

    #[test]
    fn cargo_build_without_a_selection_builds_what_the_services_run() {
        let manifest = include_str!("../../../Cargo.toml");
        let line = manifest.lines().find_map(|line| line.strip_prefix("default-members = ")).expect("a line");
        let mut members: Vec<_> =
            line.trim_matches(['[', ']']).split(", ").map(|it| it.trim_matches('"')).collect();
        let mut packages: Vec<_> = packages().iter().map(|name| format!("crates/{name}")).collect();
        packages.push("xtask".to_owned());
        members.sort_unstable();
        packages.sort_unstable();
        assert_eq!(members, packages);
    }

    #[test]
    fn only_a_lab_with_a_remote_service_builds_the_gateway() {
        assert!(!binaries(None).contains(&GATEWAY) && binaries(None).len() + 1 == all_binaries().len());
        assert_eq!(binaries(Some(&RemoteService::default())), all_binaries());
    }
}
