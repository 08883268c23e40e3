//! The Temporal Service that a class is measured on: a dev server of its own, or a cluster that runs already.

use std::{
    fs,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dev_server::{Cli, DevServer};
use lab_client::{Endpoints, http, state::RemoteService, temporal::Server};
use serde_json::{Value, json};

use super::process_usage::{ProcessUsage, child_of};
use crate::class::{self, Rehearsal, Rehearsed};
use checkout::project::{Project, make_private};
use supervisor::{
    gateway::Gateway,
    ports::{self, Ports},
    process,
};

/// How long the dev server may take to start.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often to check whether it is up.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The parts of a cluster, each by the name of the file with its process id.
const PARTS: [&str; 6] = ["frontend", "internal-frontend", "history", "matching", "worker", "postgresql"];
/// How many megabytes the databases of a cluster have, and how many statements they were sent.
const DATABASE: &str = "select (select sum(pg_database_size(datname)) / 1048576.0 from pg_database where datname like 'temporal%'), \
                        (select sum(calls) from pg_stat_statements)";

/// A Temporal Service.
pub enum Service {
    /// A dev server with the settings of a class, which ends with this.
    DevServer(Box<OwnServer>),
    /// A cluster.
    Cluster(Cluster),
}

/// A dev server that ends with this process.
pub struct OwnServer {
    /// The shell that the server is tied to.
    shell: Child,
    tie: Option<ChildStdin>,
    pid: u32,
    words: Vec<String>,
    http: String,
    metrics: String,
    folder: PathBuf,
}

/// A cluster that runs already. Its folder has in `pids` a file with the process id of each part, in `metrics` the address of each part's
/// metrics, and `sql`, which sends a statement to its database.
pub struct Cluster {
    /// Its folder.
    pub folder: PathBuf,
    /// The flags that select it for `lab start`.
    pub words: Vec<String>,
    /// The service that they select.
    pub remote_service: RemoteService,
}

impl Service {
    /// Starts a dev server.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(project: &Project, temporal_cli: &Cli) -> Result<Service> {
        Ok(Service::DevServer(Box::new(OwnServer::start(project, temporal_cli)?)))
    }

    /// The flags that select it for `lab start`.
    pub(super) fn words(&self) -> &[String] {
        match self {
            Service::DevServer(server) => &server.words,
            Service::Cluster(cluster) => &cluster.words,
        }
    }

    /// What each of its processes has used so far.
    pub(super) fn parts(&self) -> Vec<Part> {
        match self {
            Service::DevServer(server) => {
                vec![Part { name: "dev server", usage: ProcessUsage::of(server.pid) }]
            }
            Service::Cluster(cluster) => {
                let usage = |name| ProcessUsage::with_children(cluster.read("pids", name)?.parse().ok()?);
                PARTS.into_iter().map(|name| Part { name, usage: usage(name) }).collect()
            }
        }
    }

    /// How many requests its frontend has handled, by its metrics.
    pub(super) fn requests(&self) -> Option<f64> {
        let metrics = match self {
            Service::DevServer(server) => server.metrics.clone(),
            Service::Cluster(cluster) => cluster.read("metrics", "frontend")?,
        };
        let text = http::get_text(&metrics).ok()?;
        let of_frontend = text.lines().filter(|line| {
            line.starts_with("service_requests{") && line.contains("service_name=\"frontend\"")
        });
        Some(of_frontend.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Its database.
    pub(super) fn database(&self) -> Database {
        match self {
            Service::DevServer(server) => {
                let path = server.folder.join(dev_server::DATABASE);
                let bytes = fs::metadata(path).ok().map(|file| file.len() as f64);
                Database { megabytes: bytes.map(|bytes| bytes / 1_048_576.0), statements: None }
            }
            Service::Cluster(cluster) => cluster.database().unwrap_or_default(),
        }
    }

    /// What asks it.
    ///
    /// # Errors
    /// The gateway to it does not start.
    pub(super) fn server(&self, project: &Project) -> Result<Asked> {
        match self {
            Service::DevServer(server) => {
                Ok(Asked { server: Server::new(&Endpoints::own(&server.http, "", "")), _gateway: None })
            }
            Service::Cluster(cluster) => {
                let flags = ["--http-port".to_owned(), "0".to_owned()];
                let gateway = Gateway::start(project, &cluster.remote_service, &flags)?;
                Ok(Asked { server: Server::new(&gateway.endpoints()), _gateway: Some(gateway) })
            }
        }
    }

    /// Removes the learners of a rehearsal from its board, if it goes on after the measurement.
    ///
    /// # Errors
    /// The board cannot be read or cleaned up.
    pub(super) fn clear_board(
        &self,
        project: &Project,
        rehearsal: &Rehearsal,
        all: &mut [Rehearsed],
    ) -> Result<()> {
        match self {
            Service::DevServer(_) => Ok(()),
            Service::Cluster(cluster) => class::leave_board(project, &cluster.remote_service, rehearsal, all),
        }
    }
}

/// What asks a service, with the gateway to it if it needs one.
pub(super) struct Asked {
    pub(super) server: Server,
    _gateway: Option<Gateway>,
}

/// A process of a service, and what it has used.
pub(super) struct Part {
    pub(super) name: &'static str,
    usage: Option<ProcessUsage>,
}

impl Part {
    /// Its CPU time, in seconds.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.usage.map(|usage| usage.cpu)
    }

    /// Its memory, in MB: the most that it had.
    pub(super) fn memory(&self) -> Option<f64> {
        self.usage.map(|usage| usage.peak_memory)
    }

    /// The same without the CPU time that it had used before.
    pub(super) fn since(mut self, before: &[Part]) -> Part {
        let before = before.iter().find(|part| part.name == self.name).and_then(Part::cpu);
        if let Some(usage) = &mut self.usage {
            usage.cpu -= before.unwrap_or_default();
        }
        self
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "name": self.name, "cpu_seconds": self.cpu(), "memory_mb": self.memory() })
    }
}

/// A service's database; a figure is absent if it is unknown.
#[derive(Clone, Copy, Default)]
pub(super) struct Database {
    /// Its size.
    pub(super) megabytes: Option<f64>,
    /// How many statements it was sent.
    pub(super) statements: Option<f64>,
}

impl Database {
    /// What has been added since.
    pub(super) fn since(self, before: &Database) -> Database {
        let grown = |now: Option<f64>, before: Option<f64>| now.zip(before).map(|(now, before)| now - before);
        Database {
            megabytes: grown(self.megabytes, before.megabytes),
            statements: grown(self.statements, before.statements),
        }
    }
}

impl Cluster {
    /// The line in a file of its folder.
    fn read(&self, kind: &str, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(kind).join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    fn database(&self) -> Option<Database> {
        let answer = Command::new(self.folder.join("sql")).arg(DATABASE).output().ok()?;
        let text = String::from_utf8(answer.stdout).ok()?;
        let (megabytes, statements) = text.trim().split_once('|')?;
        Some(Database { megabytes: megabytes.parse().ok(), statements: statements.parse().ok() })
    }
}

impl OwnServer {
    fn start(project: &Project, temporal_cli: &Cli) -> Result<OwnServer> {
        let folder = project.in_lab("bench-class");
        let _ = fs::remove_dir_all(&folder);
        make_private(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let free = ports::choose(&Default::default(), &Ports::default(), |_| {})?;
        let (port, http, metrics) =
            (free.get(ports::TEMPORAL), free.get(ports::TEMPORAL_HTTP), free.get(ports::ACCOUNT_API));
        let mut command = temporal_cli.command();
        let server = DevServer {
            port,
            ui_port: Some(free.get(ports::TEMPORAL_UI)),
            http_port: http,
            database: Some(dev_server::DATABASE),
            settings: dev_server::for_a_class(),
        };
        command.args(server.arguments(temporal_cli)).args(["--metrics-port", &metrics.to_string()]);
        command.current_dir(&folder);
        let mut tied = process::tied(&command);
        let log = fs::File::create(folder.join("log")).context("could not write the server's log")?;
        tied.current_dir(&folder).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut shell = tied.spawn().context("could not start the Temporal server")?;
        let tie = shell.stdin.take();
        let mut server = OwnServer {
            shell,
            tie,
            pid: 0,
            words: vec!["--address".to_owned(), format!("127.0.0.1:{port}")],
            http: format!("http://127.0.0.1:{http}"),
            metrics: format!("http://127.0.0.1:{metrics}/metrics"),
            folder,
        };
        let begin = Instant::now();
        while !http::answers(&format!("{}/api/v1/namespaces/default", server.http)) {
            if begin.elapsed() > SERVER_TIMEOUT {
                bail!("the Temporal server did not start; see {}", server.folder.join("log").display());
            }
            thread::sleep(POLL_INTERVAL);
        }
        server.pid = child_of(server.shell.id(), temporal_cli.path()).unwrap_or_default();
        Ok(server)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.tie = None;
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_cluster_is_measured_by_its_folder() {
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        let metrics = webtest::web_service(|_| {
            let text = "service_requests{operation=\"StartWorkflowExecution\",service_name=\"frontend\"} 3\n\
                        service_requests{operation=\"CountWorkflowExecutions\",service_name=\"frontend\"} 4\n\
                        service_requests{operation=\"AddActivityTask\",service_name=\"history\"} 50\n";
            (200, text.to_owned())
        });
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("it is in the folder")).expect("it can be made");
            fs::write(&path, text).expect("it can be written");
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        };
        write("metrics/frontend", &format!("http://{metrics}/metrics\n"));
        write("sql", "#!/bin/sh\necho '12.5|300'\n");
        write("pids/history", &format!("{}\n", std::process::id()));
        let service = Service::Cluster(Cluster {
            folder: folder.path().to_owned(),
            words: Vec::new(),
            remote_service: RemoteService::default(),
        });
        assert_eq!(service.requests(), Some(7.0));
        let database = service.database();
        assert_eq!((database.megabytes, database.statements), (Some(12.5), Some(300.0)));
        let before = Database { megabytes: Some(10.0), statements: None };
        let grown = database.since(&before);
        assert_eq!((grown.megabytes, grown.statements), (Some(2.5), None));
        let parts = service.parts();
        assert_eq!(parts.len(), PARTS.len());
        for part in &parts {
            let is_known = cfg!(target_os = "linux") && part.name == "history";
            assert_eq!(
                (part.cpu().is_some(), part.memory().is_some()),
                (is_known, is_known),
                "{}",
                part.name
            );
        }
        let part = |cpu| Part { name: "history", usage: Some(ProcessUsage { cpu, peak_memory: 80.0 }) };
        let used = part(5.0).since(&[part(2.0)]);
        assert_eq!((used.cpu(), used.memory()), (Some(3.0), Some(80.0)));
    }
}
