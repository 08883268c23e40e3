//! `bench`: measures the figures that the docs and texts quote. It asserts nothing.
//!
//! It measures a copy of the checkout in `.lab/bench`, with a separate lab on separate ports, and only reads the learner's
//! files. The copy and its lab are removed at the end, also after Ctrl-C; those of a killed measurement are removed by the
//! next one.

mod bank_load;
pub mod class;
mod measured_lab;
mod page;
mod process_usage;
pub mod service;
mod timing;

use std::{
    fs::{self, File},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use checkout::project::{Project, make_private};
use lab_client::{
    stuck::{self, Stuck},
    temporal::{Run, Server},
    time,
};
use serde_json::Value;
use supervisor::{attach, ports, services::TEMPORAL, signals, temporal_cli};
use terminal::stderrln;

pub use self::measured_lab::Compile;
use self::{
    bank_load::CLIENTS,
    measured_lab::{IN_FLIGHT, MeasuredLab},
    timing::{median, timed, until},
};

/// How many transfers are measured alone.
const ALONE: usize = 20;
/// How many transfers get stuck on the bugs.
const STUCK: usize = 5;
/// How many edits are measured.
const EDITS: usize = 3;

/// A measured figure.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// The value.
    pub value: f64,
    /// The unit, such as `ms`.
    pub unit: &'static str,
    /// The goal, in words.
    pub goal: &'static str,
}

/// Measures with this many transfers.
///
/// # Errors
/// Another measurement is running, or a command of the lab fails.
pub fn run(project: &Project, transfers: usize, compile: Compile) -> Result<Vec<Figure>> {
    if attach::attach(project)?.is_some() {
        stderrln!("a lab is running, which makes these figures worse; stop it first: cargo xtask lab stop");
    }
    let folder = project.root.join(".lab/bench");
    make_private(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let lock = File::open(&folder).with_context(|| format!("could not open {}", folder.display()))?;
    if !files::lock_within(&lock, Duration::ZERO).unwrap_or_default() {
        bail!("another measurement is running; try again when it is done");
    }
    let lab = MeasuredLab::at(folder.join("checkout"), temporal_cli::provide(project)?)?;
    let mut interrupted = Some(lab.clone());
    signals::listen(move || {
        if let Some(lab) = interrupted.take() {
            lab.interrupt(|cleared| {
                match cleared {
                    Ok(()) => stderrln!("interrupted; everything it started has ended"),
                    Err(error) => stderrln!("error: {error:#}"),
                }
                process::exit(1);
            });
        }
    })?;

    lab.clear()?;
    let measured = lab.copy(project, compile).and_then(|()| measure(&lab, transfers, compile));
    let cleared = lab.clear();
    let figures = measured?;
    cleared.map(|()| figures)
}

fn measure(lab: &MeasuredLab, transfers: usize, compile: Compile) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut add = |what: &str, value, unit, goal| {
        stderrln!("{what}: {value:.3} {unit}");
        figures.push(Figure { what: what.to_owned(), value, unit, goal });
    };
    if compile != Compile::Nothing {
        add("cargo xtask --help from clean", timed(|| lab.compile())?, "s", "under 10");
    }
    if compile == Compile::Everything {
        add("clean build and first start", timed(|| lab.first_start())?, "s", "under 200");
        lab.xtask(&["lab", "stop"])?;
        add("size of target/ after it", lab.size_of_target()?, "GB", "under 1");
    }

    stderrln!("starting a lab for the measurements");
    lab.xtask(&["stage", "reset-workflows", "--bare"])?;
    lab.start_as_shipped(&["--fresh"])?;
    let batch = Batch::measure(lab, transfers)?;
    add("one transfer alone, no Workflow cache", batch.alone, "s", "");
    add(&format!("transfers, {IN_FLIGHT} in flight, no Workflow cache"), batch.rate, "/s", "");
    add(&format!("the median of them, {IN_FLIGHT} in flight, no Workflow cache"), batch.median, "s", "");
    add("95% of them take no longer than", batch.percentile_95, "s", "under twice the median");
    let mut starts = Vec::new();
    for _ in 0..3 {
        lab.xtask(&["lab", "stop"])?;
        starts.push(timed(|| lab.start(&[]))?);
    }
    add("lab start --detach to ready, everything built", median(&mut starts), "s", "under 1.5");

    let server = lab.server()?;
    let cpu = lab.cpu(TEMPORAL);
    let batch = Batch::measure(lab, transfers)?;
    let cpu = lab.cpu(TEMPORAL) - cpu;
    add("one transfer alone", batch.alone, "s", "under 0.15");
    add(&format!("transfers, {IN_FLIGHT} in flight"), batch.rate, "/s", "over 20.8");
    add(&format!("the median of them, {IN_FLIGHT} in flight"), batch.median, "s", "");
    add("95% of them take no longer than", batch.percentile_95, "s", "under twice the median");
    add("CPU of temporal per transfer", cpu * 1000.0 / (ALONE + transfers) as f64, "ms", "");
    page::measure(lab, |what, percent, goal| add(&what, percent, "%", goal))?;
    let movements = bank_load::movements_a_second(lab.ports()?.get(ports::ACCOUNT_API))?;
    add(&format!("deposits and withdrawals, {CLIENTS} clients"), movements, "/s", "over 5000");

    let edit = Edit::measure(lab)?;
    add("edit of workflow.rs to the new worker polling", edit.whole, "s", "under 3.5");
    for (step, took) in edit.steps {
        add(step, took, "s", "");
    }
    let runs = stuck_transfers(lab, &server)?;
    let moving = after_the_workflow_fix(lab, &server, &runs)?;
    add("fixed worker polls to a stuck transfer continuing", moving, "s", "under 1.5");
    let done = after_a_retry(lab, &server, &runs)?;
    add("retry to a transfer stuck on the activity bug completed", done, "s", "under 0.5");
    Ok(figures)
}

/// How long transfers take, alone and in a batch with [`IN_FLIGHT`] in progress at a time.
struct Batch {
    /// The median of those that ran alone, in seconds.
    alone: f64,
    /// How many of the batch complete in a second.
    rate: f64,
    /// The median of the batch, in seconds.
    median: f64,
    /// The 95th percentile of the batch, in seconds.
    percentile_95: f64,
}

impl Batch {
    fn measure(lab: &MeasuredLab, transfers: usize) -> Result<Batch> {
        let server = lab.server()?;
        let mut alone = Vec::new();
        for _ in 0..ALONE {
            alone.push(timed(|| lab.transfer(&server))?);
        }
        let begin = Instant::now();
        let mut each = lab.transfers(&server, transfers)?;
        let rate = transfers as f64 / begin.elapsed().as_secs_f64();
        each.sort_by(f64::total_cmp);
        let percentile_95 = each.get(each.len() * 95 / 100).copied().unwrap_or(f64::NAN);
        Ok(Batch { alone: median(&mut alone), rate, median: median(&mut each), percentile_95 })
    }
}

/// The time from an edit of the live Workflow until the new worker polls: the medians of several edits.
struct Edit {
    whole: f64,
    steps: [(&'static str, f64); 4],
}

impl Edit {
    fn measure(lab: &MeasuredLab) -> Result<Edit> {
        let source = lab.workflow_module();
        let text = fs::read_to_string(&source).context("could not read the workflow module")?;
        let mut wholes = Vec::new();
        let mut steps = [
            ("  of it: the watch notices the edit", Vec::new()),
            ("  of it: cargo", Vec::new()),
            ("  of it: the old worker stops", Vec::new()),
            ("  of it: the new worker starts and polls", Vec::new()),
        ];
        for edit in 0..EDITS {
            let saved = time::now().as_secs_f64();
            fs::write(&source, format!("{text}// Line {edit} for the measurement.\n"))?;
            let mut times = [saved; 5];
            until("the edited worker polls", || {
                let Ok(status) = lab.status() else { return false };
                for (at, step) in ["noticed", "built", "stopped", "polls"].iter().enumerate() {
                    times[at + 1] = status["deployment"][step].as_f64().unwrap_or_default();
                }
                times.is_sorted()
            })?;
            wholes.push(times[4] - saved);
            for (at, (_, took)) in steps.iter_mut().enumerate() {
                took.push(times[at + 1] - times[at]);
            }
        }
        let steps = steps.map(|(step, mut took)| (step, median(&mut took)));
        Ok(Edit { whole: median(&mut wholes), steps })
    }
}

/// Starts transfers that get stuck on the bug in the Workflow.
fn stuck_transfers(lab: &MeasuredLab, server: &Server) -> Result<Vec<Run>> {
    lab.xtask(&["stage", "jerry", "--bare"])?;
    let runs = (0..STUCK).map(|_| lab.begin(server)).collect::<Result<Vec<Run>>>()?;
    until("the workflow bug shows", || attempts(server, &runs).iter().all(|&attempt| attempt > 3))?;
    Ok(runs)
}

/// The time from the fixed worker's poll until the transfers continue to the bug in the Activity.
fn after_the_workflow_fix(lab: &MeasuredLab, server: &Server, runs: &[Run]) -> Result<f64> {
    lab.xtask(&["stage", "fix-workflow", "--bare"])?;
    until("the activity bug shows", || {
        runs.iter().all(|run| {
            stuck::look(server, run).unwrap_or_default().iter().any(|stuck| stuck.activity.is_some())
        })
    })?;
    let ready = lab.ready_since()?;
    let mut moved = Vec::new();
    for run in runs {
        let events = server.last_events(run)?;
        let completed = |event: &&Value| event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED";
        // The first Workflow Task of the fixed worker: the oldest one completed after it was ready.
        let times = events.iter().filter(completed).filter_map(|event| time_of(&event["eventTime"]));
        moved.extend(times.filter(|&at| at > ready).reduce(f64::min).map(|at| at - ready));
    }
    Ok(median(&mut moved))
}

/// The time from `retry` until the transfers with the fixed Activity complete.
fn after_a_retry(lab: &MeasuredLab, server: &Server, runs: &[Run]) -> Result<f64> {
    until("the activity bug is retried", || attempts(server, runs).iter().all(|&attempt| attempt > 4))?;
    lab.xtask(&["stage", "reset-workflows", "--bare"])?;
    let begin = time::now().as_secs_f64();
    lab.xtask(&["retry"])?;
    let mut done = Vec::new();
    for run in runs {
        server.wait_closed(run)?;
        let closed = server.describe(run)?;
        done.extend(time_of(&closed["workflowExecutionInfo"]["closeTime"]).map(|at| at - begin));
    }
    Ok(median(&mut done))
}

/// The current attempts of these stuck transfers.
fn attempts(server: &Server, runs: &[Run]) -> Vec<u64> {
    let attempt =
        |run| stuck::look(server, run).unwrap_or_default().first().map_or(0, |stuck: &Stuck| stuck.attempt);
    runs.iter().map(attempt).collect()
}

fn time_of(value: &Value) -> Option<f64> {
    time::parse_rfc3339(value.as_str()?)
}
