//! `test --mine`: the learner's tests, and a replay of the lab's transfers against the code as it is now.

mod outcome;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

use self::outcome::{Outcome, Replay, counts};
use checkout::{progress, project::Project};
use contract::replay::{NAMESPACE_VARIABLE, REPORT_VARIABLE, SERVER_VARIABLE, TASK_QUEUE_VARIABLE};
use supervisor::{attach, build, cargo, control, freshness, manifest::Unusable, ports, temporal_cli};
use terminal::{stderrln, stdoutln};

/// Runs all of the learner's tests, or only the replay.
pub(super) fn run(project: &Project, replay_only: bool, as_json: bool) -> Result<ExitCode> {
    let cli = temporal_cli::provide(project)?;
    let lab = match replay_only {
        true => Some(attach::attach_running(project)?),
        false => attach::attach(project)?,
    };
    project.make_lab()?;
    let report = project.in_lab("run").join("replay.json");
    // What an earlier round found is no answer to this one.
    let _ = fs::remove_file(&report);

    freshness::distrust_file_times(project);
    let mut command = cargo::call("test");
    // The packages of the first round of all tests, so that the features stay the same.
    command.args(build::other_packages()).args(["--test", "mine"]);
    command.args(["--", "--include-ignored"]).args(replay_only.then_some("replay::"));
    command.current_dir(&project.root).env(temporal_cli::CLI_VARIABLE, cli.path());
    // What the tests say is to be read, and a panic names its place anyway.
    command.env("RUST_BACKTRACE", "0");
    for name in [SERVER_VARIABLE, NAMESPACE_VARIABLE, TASK_QUEUE_VARIABLE, REPORT_VARIABLE] {
        command.env_remove(name);
    }
    if let Some(lab) = &lab {
        command.env(SERVER_VARIABLE, lab.ports.address(ports::TEMPORAL)).env(REPORT_VARIABLE, &report);
        command.env(NAMESPACE_VARIABLE, lab.endpoints().namespace);
        command.env(TASK_QUEUE_VARIABLE, contract::task_queue(lab.learner()));
        control::wait_for_build(lab, "the tests start");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not run cargo")?;
    let mut tests = None;
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.lines()) {
        let line = line.context("could not read the tests' output")?;
        tests = counts(&line).or(tests);
        // Standard output is the report's, where there is to be one.
        if as_json { stderrln!("{line}") } else { stdoutln!("{line}") }
    }
    let success = child.wait().context("could not wait for cargo")?.success();
    if !success
        && tests.is_none()
        && let Some(unusable) = Unusable::ask(project)
    {
        bail!("{unusable}");
    }

    let replay = Replay::read(&report);
    if let Some(replay) = replay.as_ref().filter(|replay| !replay.broken.is_empty()) {
        let broken = replay.broken.iter().map(|broken| (broken.workflow_id.clone(), broken.why.clone()));
        progress::update(project, |progress| progress.broken_replay = broken.collect())?;
    }
    let outcome = Outcome { success, tests, replay, lab: lab.is_some(), replay_only };
    match as_json {
        true => stdoutln!("{}", outcome.to_json()),
        false => stdoutln!("{}", outcome.sentence()),
    }
    Ok(ExitCode::from(u8::from(!outcome.is_ok())))
}
