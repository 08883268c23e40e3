//! `bench class`: how a Temporal Service bears a class, and how that grows with the learners.
//!
//! For each number of learners a dev server of its own, as a class has one, and a rehearsal on it. The learners' labs run on the
//! same machine, which a class's do not: so the service's own figures are read from its process and from its metrics.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dev_server::DevServer;
use lab_client::{Endpoints, class, http, temporal::Server};
use serde_json::{Value, json};

use crate::class::{self as rehearse, Rehearsal, Rehearsed};
use checkout::project::{Project, make_private};
use supervisor::{
    executables::Executables,
    ports::{self, Ports},
    process,
};
use terminal::{stderrln, stdoutln};

/// How long the server may take to answer.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// So many times the board is asked for.
const BOARDS: u32 = 20;
/// How often is looked whether it does.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Measures a class of so many learners, so many of them at a time.
///
/// # Errors
/// The server does not start, or the rehearsal is interrupted.
pub fn run(
    project: &Project,
    temporal_cli: &Path,
    executables: &Executables,
    learners: u16,
    at_once: u16,
) -> Result<Figures> {
    let service = Service::start(project, temporal_cli)?;
    let rehearsal = Rehearsal {
        name: rehearse::name(),
        learners,
        at_once,
        words: vec!["--address".to_owned(), service.address.clone()],
        executables: executables.clone(),
        temporal_cli: temporal_cli.to_owned(),
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
    fn start(project: &Project, temporal_cli: &Path) -> Result<Service> {
        let folder = project.in_lab("bench-class");
        let _ = fs::remove_dir_all(&folder);
        make_private(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let free = ports::choose(&Default::default(), &Ports::default(), |_| {})?;
        let (port, http, metrics) =
            (free.get(ports::TEMPORAL), free.get(ports::TEMPORAL_HTTP), free.get(ports::ACCOUNT_API));
        let mut command = dev_server::command(temporal_cli);
        let server = DevServer {
            port,
            ui_port: Some(free.get(ports::TEMPORAL_UI)),
            http_port: http,
            database: Some(dev_server::DATABASE),
            settings: dev_server::for_a_class(),
        };
        command.args(server.arguments()).args(["--metrics-port", &metrics.to_string()]);
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
        service.pid = child_of(service.shell.id(), temporal_cli).unwrap_or_default();
        Ok(service)
    }

    /// Its processor time so far, in seconds, where the system tells.
    fn cpu(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        // Linux counts in hundredths of a second, whatever the kernel's own clock does.
        Some((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The most memory that it had, in MB, where the system tells.
    fn memory(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    }

    /// How many requests it has answered, by its own count.
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

/// The process that the shell has started, by its executable.
fn child_of(shell: u32, executable: &Path) -> Option<u32> {
    let executable = fs::canonicalize(executable).ok()?;
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(shell) && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == executable)
    })
}

/// What was measured with so many learners.
pub struct Figures {
    learners: usize,
    failed: usize,
    seconds: f64,
    cpu: Option<f64>,
    memory: Option<f64>,
    requests: Option<f64>,
    /// From each saved mend until all goals were reached, sorted.
    mends: Vec<f64>,
    /// How long the board takes to be asked for, in milliseconds.
    board: f64,
    /// How many learners it shows at the last stage with all goals reached.
    shown: usize,
    /// Of one learner, what Temporal Cloud would count.
    actions: Actions,
}

impl Figures {
    fn read(service: &Service, all: &[Rehearsed], took: Duration) -> Result<Figures> {
        let mut mends: Vec<f64> = all.iter().flat_map(|one| &one.mends).map(Duration::as_secs_f64).collect();
        mends.sort_by(f64::total_cmp);
        let cpu = service.cpu();
        let requests = service.requests();
        let actions = match all.first() {
            Some(one) => Actions::of(service, &one.learner)?,
            None => Actions::default(),
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
            cpu,
            memory: service.memory(),
            requests,
            mends,
            actions,
        })
    }

    /// Whether everybody has finished, and the board shows it.
    pub fn everybody_finished(&self) -> bool {
        self.failed == 0 && self.shown == self.learners
    }

    /// Some lines for a person.
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
        line("the service's processor time", self.cpu, "s");
        line("  for each learner", of_one(self.cpu), "s");
        line("the most memory that it had", self.memory, "MB");
        line("requests that it answered", self.requests, "");
        line("  in a second", self.requests.map(|requests| requests / self.seconds), "");
        line("  for each learner", of_one(self.requests), "");
        line(
            "from a saved mend to all goals, in the middle",
            self.mends.get(self.mends.len() / 2).copied(),
            "s",
        );
        line("  at most", self.mends.last().copied(), "s");
        line("the board, each time", Some(self.board), "ms");
        line("  learners that it shows with everything reached", Some(self.shown as f64), "");
        line("actions of a learner, as Temporal Cloud counts", Some(self.actions.all() as f64), "");
        line("  of which Activities, with their retries", Some(self.actions.activities as f64), "");
        line("  Workflows and resets", Some(self.actions.workflows as f64), "");
        line(
            "  Search Attributes and markers",
            Some((self.actions.attributes + self.actions.markers) as f64),
            "",
        );
    }

    /// The same for a program.
    pub fn to_json(&self) -> Value {
        json!({
            "learners": self.learners,
            "failed": self.failed,
            "seconds": self.seconds,
            "service_cpu_seconds": self.cpu,
            "service_memory_mb": self.memory,
            "service_requests": self.requests,
            "mend_to_goals_seconds": self.mends,
            "board_ms": self.board,
            "shown_on_board": self.shown,
            "actions_of_one": self.actions.all(),
        })
    }
}

/// What Temporal Cloud would count of a learner's Workflows, by their Event Histories.
#[derive(Debug, Default, PartialEq)]
struct Actions {
    workflows: u64,
    activities: u64,
    attributes: u64,
    markers: u64,
    others: u64,
}

impl Actions {
    fn all(&self) -> u64 {
        self.workflows + self.activities + self.attributes + self.markers + self.others
    }

    fn of(service: &Service, learner: &str) -> Result<Actions> {
        let server = Server::new(&Endpoints::own(&service.http, "", ""));
        let query = format!("TaskQueue=\"{}\"", contract::task_queue(Some(learner)));
        let mut actions = Actions::default();
        // A reset copies the events before it into the new run, as they were: they were counted before.
        let mut seen = BTreeSet::new();
        for run in server.list(&query, usize::MAX)? {
            actions.workflows += 1;
            let history = server.history(&run)?;
            for event in history["events"].as_array().into_iter().flatten() {
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                if seen.insert((run.workflow_id.clone(), text("eventTime"), text("eventType"))) {
                    actions.count(event);
                }
            }
        }
        Ok(actions)
    }

    fn count(&mut self, event: &Value) {
        match event["eventType"].as_str().unwrap_or_default() {
            // With the attempt that ended it: the first one and each retry are an action.
            "EVENT_TYPE_ACTIVITY_TASK_STARTED" => {
                let attempt = &event["activityTaskStartedEventAttributes"]["attempt"];
                self.activities += attempt.as_u64().unwrap_or(1);
            }
            "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" => self.attributes += 1,
            "EVENT_TYPE_MARKER_RECORDED" => self.markers += 1,
            "EVENT_TYPE_TIMER_STARTED"
            | "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"
            | "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED" => self.others += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_of_an_activity_is_an_action() {
        let mut actions = Actions::default();
        for (kind, attributes) in [
            ("EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", json!({})),
            ("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED", json!({})),
            ("EVENT_TYPE_ACTIVITY_TASK_STARTED", json!({ "attempt": 4 })),
            ("EVENT_TYPE_ACTIVITY_TASK_STARTED", json!({ "attempt": 1 })),
            ("EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", json!({})),
            ("EVENT_TYPE_MARKER_RECORDED", json!({})),
            ("EVENT_TYPE_TIMER_STARTED", json!({})),
        ] {
            actions.count(&json!({ "eventType": kind, "activityTaskStartedEventAttributes": attributes }));
        }
        assert_eq!(actions, Actions { workflows: 0, activities: 5, attributes: 1, markers: 1, others: 1 });
    }
}
