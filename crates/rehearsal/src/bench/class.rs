//! `bench class`: the load of a class on a Temporal Service, by the number of learners.
//!
//! Each number of learners gets its own dev server, as a class has, and a rehearsal on it. Unlike in a class, the learners' labs
//! run on the same machine, so the service's figures are read from its process and its metrics.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Child, ChildStdin, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dev_server::{Cli, DevServer};
use lab::Stage;
use lab_client::{Endpoints, class, http, temporal::Server};
use serde_json::{Value, json};

use super::process_usage::{ProcessUsage, child_of};
use crate::class::{self as rehearse, Rehearsal, Rehearsed};
use checkout::project::{Project, make_private};
use supervisor::{
    executables::Executables,
    ports::{self, Ports},
    process,
};
use terminal::{stderrln, stdoutln};

/// How long the server may take to start.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How many times the board is requested.
const BOARDS: u32 = 20;
/// How often to check whether it is up.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Measures a class of this many learners who play these stages, `at_once` of them at a time.
///
/// # Errors
/// The server does not start, or the rehearsal is interrupted.
pub fn run(
    project: &Project,
    temporal_cli: &Cli,
    executables: &Executables,
    stages: Vec<&'static Stage>,
    learners: u16,
    at_once: u16,
) -> Result<Figures> {
    let service = Service::start(project, temporal_cli)?;
    let rehearsal = Rehearsal {
        name: rehearse::name(),
        stages,
        learners,
        at_once,
        words: vec!["--address".to_owned(), service.address.clone()],
        executables: executables.clone(),
        temporal_cli: temporal_cli.clone(),
    };
    let begin = Instant::now();
    let all = rehearse::all(project, &rehearsal, |one| {
        if let Some(failure) = &one.failure {
            stderrln!("{}: {failure}", one.learner);
        }
    })?;
    Figures::read(&service, &all, begin.elapsed())
}

/// A dev server with the settings of a class, which ends with this process.
struct Service {
    /// The shell that the server is tied to.
    shell: Child,
    _tie: Option<ChildStdin>,
    pid: u32,
    address: String,
    http: String,
    metrics: String,
    folder: PathBuf,
}

impl Service {
    fn start(project: &Project, temporal_cli: &Cli) -> Result<Service> {
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
        let mut service = Service {
            shell,
            _tie: tie,
            pid: 0,
            address: format!("127.0.0.1:{port}"),
            http: format!("http://127.0.0.1:{http}"),
            metrics: format!("http://127.0.0.1:{metrics}/metrics"),
            folder,
        };
        let begin = Instant::now();
        while !http::answers(&format!("{}/api/v1/namespaces/default", service.http)) {
            if begin.elapsed() > SERVER_TIMEOUT {
                bail!("the Temporal server did not start; see {}", service.folder.join("log").display());
            }
            thread::sleep(POLL_INTERVAL);
        }
        service.pid = child_of(service.shell.id(), temporal_cli.path()).unwrap_or_default();
        Ok(service)
    }

    /// Its resource usage so far, if known.
    fn usage(&self) -> Option<ProcessUsage> {
        ProcessUsage::of(self.pid)
    }

    /// How many requests it has handled, by its own metrics.
    fn requests(&self) -> Option<f64> {
        let text = http::get_text(&self.metrics).ok()?;
        let mine = text.lines().filter(|line| {
            line.starts_with("service_requests{") && line.contains("service_name=\"frontend\"")
        });
        Some(mine.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self._tie = None;
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The figures of one measurement.
pub struct Figures {
    learners: usize,
    failed: usize,
    seconds: f64,
    usage: Option<ProcessUsage>,
    requests: Option<f64>,
    /// From each saved fix until all goals were reached, sorted, in seconds.
    fixes: Vec<f64>,
    /// How long a request for the board takes, in milliseconds.
    board: f64,
    /// How many learners the board shows at the last stage with all goals reached.
    shown: usize,
    /// The actions of one learner, as Temporal Cloud would count them.
    actions: u64,
}

impl Figures {
    fn read(service: &Service, all: &[Rehearsed], took: Duration) -> Result<Figures> {
        let mut fixes: Vec<f64> = all.iter().flat_map(|one| &one.fixes).map(Duration::as_secs_f64).collect();
        fixes.sort_by(f64::total_cmp);
        let usage = service.usage();
        let requests = service.requests();
        let actions = match all.first() {
            Some(one) => actions_of(service, &one.learner)?,
            None => 0,
        };
        let server = Server::new(&Endpoints::own(&service.http, "", ""));
        let begin = Instant::now();
        for _ in 0..BOARDS {
            class::board(&server)?;
        }
        let board = begin.elapsed().as_secs_f64() * 1000.0 / f64::from(BOARDS);
        let shown = rehearse::finished_on_board(&server, all)?.len();
        Ok(Figures {
            board,
            shown,
            learners: all.len(),
            failed: all.iter().filter(|one| one.failure.is_some()).count(),
            seconds: took.as_secs_f64(),
            usage,
            requests,
            fixes,
            actions,
        })
    }

    /// Whether every learner has finished, and the board shows it.
    pub fn everybody_finished(&self) -> bool {
        self.failed == 0 && self.shown == self.learners
    }

    /// Prints the figures for a person.
    pub fn print(&self) {
        let of_one = |value: Option<f64>| value.map(|value| value / self.learners as f64);
        stdoutln!(
            "{} finished, {} failed, in {:.1} s",
            self.learners - self.failed,
            self.failed,
            self.seconds
        );
        let line = |what: &str, value: Option<f64>, unit: &str| match value {
            Some(value) => stdoutln!("  {what:<46} {value:>10.2} {unit}"),
            None => stdoutln!("  {what:<46} {:>10} {unit}", "?"),
        };
        let cpu = self.usage.map(|usage| usage.cpu);
        line("CPU time of the service", cpu, "s");
        line("  per learner", of_one(cpu), "s");
        line("peak memory of the service", self.usage.map(|usage| usage.peak_memory), "MB");
        line("requests to the service", self.requests, "");
        line("  per second", self.requests.map(|requests| requests / self.seconds), "");
        line("  per learner", of_one(self.requests), "");
        line("from a saved fix to all goals, median", self.fixes.get(self.fixes.len() / 2).copied(), "s");
        line("one request for the board", Some(self.board), "ms");
        line("  learners shown with all goals reached", Some(self.shown as f64), "");
        line("actions of one learner, as Temporal Cloud counts", Some(self.actions as f64), "");
    }

    /// The figures as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "learners": self.learners,
            "failed": self.failed,
            "seconds": self.seconds,
            "service_cpu_seconds": self.usage.map(|usage| usage.cpu),
            "service_memory_mb": self.usage.map(|usage| usage.peak_memory),
            "service_requests": self.requests,
            "fix_to_goals_seconds": self.fixes,
            "board_ms": self.board,
            "shown_on_board": self.shown,
            "actions_of_one": self.actions,
        })
    }
}

/// The actions that Temporal Cloud would count for a learner's Workflows, from their Event Histories.
fn actions_of(service: &Service, learner: &str) -> Result<u64> {
    let server = Server::new(&Endpoints::own(&service.http, "", ""));
    let query = format!("TaskQueue=\"{}\"", contract::task_queue(Some(learner)));
    let mut actions = 0;
    // A reset copies earlier events into the new run, where they must not be counted again.
    let mut seen = BTreeSet::new();
    for run in server.list(&query, usize::MAX)? {
        actions += 1;
        let history = server.history(&run)?;
        for event in history["events"].as_array().into_iter().flatten() {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            if seen.insert((run.workflow_id.clone(), text("eventTime"), text("eventType"))) {
                actions += actions_in(event);
            }
        }
    }
    Ok(actions)
}

/// How many actions an event counts as.
fn actions_in(event: &Value) -> u64 {
    match event["eventType"].as_str().unwrap_or_default() {
        // The number of the last attempt: the first one and each retry are an action.
        "EVENT_TYPE_ACTIVITY_TASK_STARTED" => {
            event["activityTaskStartedEventAttributes"]["attempt"].as_u64().unwrap_or(1)
        }
        "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
        | "EVENT_TYPE_MARKER_RECORDED"
        | "EVENT_TYPE_TIMER_STARTED"
        | "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"
        | "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_of_an_activity_is_an_action() {
        for (kind, attributes, actions) in [
            ("EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", json!({}), 0),
            ("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED", json!({}), 0),
            ("EVENT_TYPE_ACTIVITY_TASK_STARTED", json!({ "attempt": 4 }), 4),
            ("EVENT_TYPE_ACTIVITY_TASK_STARTED", json!({ "attempt": 1 }), 1),
            ("EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", json!({}), 1),
            ("EVENT_TYPE_MARKER_RECORDED", json!({}), 1),
            ("EVENT_TYPE_TIMER_STARTED", json!({}), 1),
        ] {
            let event = json!({ "eventType": kind, "activityTaskStartedEventAttributes": attributes });
            assert_eq!(actions_in(&event), actions, "{kind}");
        }
    }
}
