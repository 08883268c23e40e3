//! A service and its process, as the supervisor keeps them.

use std::{
    fs::File,
    mem,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use lab_client::time;
use serde_json::json;

use crate::{
    control::Reply,
    failing::Ends,
    log_copy::{Copier, Flood, Limited, Timed},
    services::{self, Service, Setup},
    versions::Version,
};

/// The first delay before a service that has died is started again; it doubles.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(200);

/// The state of a service, by its name in `lab status`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Stopped,
    Starting,
    Running,
    Restarting,
}

impl Life {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Life::Stopped => "stopped",
            Life::Starting => "starting",
            Life::Running => "running",
            Life::Restarting => "restarting",
        }
    }
}

/// A service and its process.
pub(crate) struct Supervised {
    pub(crate) service: &'static Service,
    /// The version that it runs, if it is one of several versions of the worker.
    pub(crate) version: Option<Version>,
    pub(crate) child: Option<Child>,
    /// What copies its output to its log; none of one that writes its log itself.
    pub(crate) copier: Option<Copier<Limited<Timed<File>>>>,
    /// What this process wrote beyond what its log takes, and how much of that was noticed.
    pub(crate) flood: Flood,
    pub(crate) left_out: u64,
    /// The length of its log when this process was started.
    pub(crate) log_start: u64,
    pub(crate) life: Life,
    /// Whether it restarts because of a command or a deployment, and not because its process ended.
    pub(crate) is_planned: bool,
    /// When it entered that state, since 1970.
    pub(crate) since: Duration,
    /// When its process was started.
    pub(crate) begun: Instant,
    /// When its next process is to be started, if it has none.
    pub(crate) due: Instant,
    pub(crate) delay: Duration,
    /// How often it ended by itself and was restarted.
    pub(crate) restarts: u32,
    /// How often in a row, and why.
    pub(crate) ends: Ends,
    /// Whether its program was built again because it could not be run, and did not run since.
    pub(crate) is_built_again: bool,
    /// Who waits until it runs, and since when.
    pub(crate) waiting: Vec<(Instant, Reply)>,
}

impl Supervised {
    pub(crate) fn new(service: &'static Service) -> Supervised {
        let now = Instant::now();
        Supervised {
            service,
            version: None,
            child: None,
            copier: None,
            flood: Flood::default(),
            left_out: 0,
            log_start: 0,
            life: Life::Starting,
            is_planned: true,
            since: time::now(),
            begun: now,
            due: now,
            delay: FIRST_DELAY,
            restarts: 0,
            ends: Ends::default(),
            is_built_again: false,
            waiting: Vec::new(),
        }
    }

    /// This version of the worker, which is the service in this row.
    pub(crate) fn of_version(service: &'static Service, version: Version) -> Supervised {
        Supervised { version: Some(version), ..Supervised::new(service) }
    }

    /// Its name in commands, files and messages.
    pub(crate) fn name(&self) -> &str {
        self.version.as_ref().map_or(self.service.name, |version| &version.service)
    }

    /// A command that runs it; `None` until cargo has built it.
    pub(crate) fn command(&self, setup: &Setup) -> Option<Command> {
        match &self.version {
            Some(version) => Some(version.command(setup)),
            None => self.service.command(setup),
        }
    }

    /// Its executable; `None` until cargo has built it.
    pub(crate) fn executable(&self, setup: &Setup) -> Option<PathBuf> {
        match &self.version {
            Some(version) => Some(version.program(&setup.project)),
            None => self.service.executable(setup),
        }
    }

    /// The readiness probe.
    pub(crate) fn is_ready(&self, setup: &Setup) -> bool {
        match &self.version {
            Some(version) => services::is_written(&setup.ready_file(&version.service)),
            None => (self.service.is_ready)(setup),
        }
    }

    /// Answers those who wait for it: it runs.
    pub(crate) fn answer_waiting(&mut self) {
        let answer =
            json!({ "ok": true, "version": self.version.as_ref().map(|version| version.kept.number) });
        for (_, reply) in mem::take(&mut self.waiting) {
            let _ = reply.send(Ok(answer.clone()));
        }
    }

    /// Answers those who wait for it that it does not come.
    pub(crate) fn disappoint_waiting(&mut self, why: &str) {
        for (_, reply) in mem::take(&mut self.waiting) {
            let _ = reply.send(Err(why.to_owned()));
        }
    }

    /// Notes that it restarts because somebody asked for that, or because the lab deploys.
    pub(crate) fn plan_restart(&mut self) {
        self.enter(Life::Restarting);
        self.is_planned = true;
    }

    pub(crate) fn enter(&mut self, life: Life) {
        if self.life != life {
            self.life = life;
            self.since = time::now();
        }
    }
}

/// Why a service has no process.
pub(crate) enum End {
    Exit(ExitStatus),
    NoStart(String),
}

impl End {
    /// The reason for someone who waits for the service.
    pub(crate) fn early(&self) -> String {
        match self {
            End::Exit(status) => format!("ended before it was ready ({})", describe(*status)),
            End::NoStart(error) => format!("could not be started ({error})"),
        }
    }
}

/// How a process ended, for a sentence.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}
