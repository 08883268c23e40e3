//! `bench class`: the load of a class on a Temporal Service, by the number of learners.
//!
//! Each measurement is a rehearsal on a [`Service`]. Unlike in a class, the learners' labs run on the same machine, so the service's
//! figures are read from its processes, its metrics and its database.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use dev_server::Cli;
use lab::Stage;
use lab_client::{class, temporal::Server};
use serde_json::{Value, json};

use super::service::{Database, Part, Service};
use crate::class::{self as rehearse, Rehearsal, Rehearsed};
use checkout::project::Project;
use supervisor::executables::Executables;
use terminal::{stderrln, stdoutln};

/// How many times the board is requested.
const BOARDS: u32 = 20;

/// The course that is measured, and what it is played with.
pub struct Course {
    /// The stages that each learner plays.
    pub stages: Vec<&'static Stage>,
    /// The Temporal CLI.
    pub temporal_cli: Cli,
    /// The executables of a lab.
    pub executables: Executables,
}

/// Measures a class of this many learners on this service, `at_once` of them at a time.
///
/// # Errors
/// The rehearsal is interrupted, or the service does not answer afterwards.
pub fn run(
    project: &Project,
    course: &Course,
    service: &Service,
    learners: u16,
    at_once: u16,
) -> Result<Figures> {
    let rehearsal = Rehearsal {
        name: rehearse::name(),
        stages: course.stages.clone(),
        learners,
        at_once,
        words: service.words().to_vec(),
        executables: course.executables.clone(),
        temporal_cli: course.temporal_cli.clone(),
    };
    let before = (service.parts(), service.requests(), service.database());
    let begin = Instant::now();
    let mut all = rehearse::all(project, &rehearsal, |one| {
        if let Some(failure) = &one.failure {
            stderrln!("{}: {failure}", one.learner);
        }
    })?;
    let took = begin.elapsed();
    let (parts, requests, database) = (service.parts(), service.requests(), service.database());
    let figures = service.server(project).and_then(|running| Figures::read(&running.server, &all, took));
    service.clear_board(project, &rehearsal, &mut all)?;
    let mut figures = figures?;
    figures.parts = parts.into_iter().map(|part| part.since(&before.0)).collect();
    figures.requests = requests.zip(before.1).map(|(now, before)| now - before);
    figures.database = database.since(&before.2);
    Ok(figures)
}

/// The figures of one measurement.
#[derive(Default)]
pub struct Figures {
    learners: usize,
    failed: usize,
    seconds: f64,
    /// What each part of the service has used.
    parts: Vec<Part>,
    requests: Option<f64>,
    database: Database,
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
    /// The figures that the service reports after a rehearsal that took this long.
    fn read(server: &Server, all: &[Rehearsed], took: Duration) -> Result<Figures> {
        let mut fixes: Vec<f64> = all.iter().flat_map(|one| &one.fixes).map(Duration::as_secs_f64).collect();
        fixes.sort_by(f64::total_cmp);
        let actions = match all.first() {
            Some(one) => actions_of(server, &one.learner)?,
            None => 0,
        };
        let begin = Instant::now();
        for _ in 0..BOARDS {
            class::board(server)?;
        }
        let board = begin.elapsed().as_secs_f64() * 1000.0 / f64::from(BOARDS);
        let shown = rehearse::finished_on_board(server, all)?.len();
        Ok(Figures {
            board,
            shown,
            learners: all.len(),
            failed: all.iter().filter(|one| one.failure.is_some()).count(),
            seconds: took.as_secs_f64(),
            fixes,
            actions,
            ..Figures::default()
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
        let sum = |of: fn(&Part) -> Option<f64>| self.parts.iter().map(of).sum::<Option<f64>>();
        let each = |of: fn(&Part) -> Option<f64>, unit: &str| {
            for part in self.parts.iter().filter(|_| self.parts.len() > 1) {
                line(&format!("  {}", part.name), of(part), unit);
            }
        };
        line("CPU time of the service", sum(Part::cpu), "s");
        each(Part::cpu, "s");
        line("  per learner", of_one(sum(Part::cpu)), "s");
        line("memory of the service", sum(Part::memory), "MB");
        each(Part::memory, "MB");
        line("growth of the database", self.database.megabytes, "MB");
        line("statements to the database", self.database.statements, "");
        line("  per learner", of_one(self.database.statements), "");
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
            "parts": self.parts.iter().map(Part::to_json).collect::<Vec<_>>(),
            "service_cpu_seconds": self.parts.iter().map(Part::cpu).sum::<Option<f64>>(),
            "service_memory_mb": self.parts.iter().map(Part::memory).sum::<Option<f64>>(),
            "service_requests": self.requests,
            "database_mb": self.database.megabytes,
            "database_statements": self.database.statements,
            "fix_to_goals_seconds": self.fixes,
            "board_ms": self.board,
            "shown_on_board": self.shown,
            "actions_of_one": self.actions,
        })
    }
}

/// The actions that Temporal Cloud would count for a learner's Workflows, from their Event Histories.
fn actions_of(server: &Server, learner: &str) -> Result<u64> {
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
