//! A service and its process, as the supervisor keeps them.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use lab_client::time;

use crate::{
    control::Reply,
    failing::Ends,
    log_copy::{Copier, Flood, Limited, Timed},
    services::Service,
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
