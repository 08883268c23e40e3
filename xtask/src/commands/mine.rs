//! `test --mine`: the learner's tests, and a replay of the transfers under way against the code as it is now.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use checkout::{progress, project::Project};
use supervisor::{attach, build, ports, temporal_cli};
use terminal::{shorten, stderrln, stdoutln};

/// Names the server whose transfers the tests replay. Without it they replay none.
const SERVER_VARIABLE: &str = "BUGLAB_REPLAY_SERVER";
/// Names the namespace of those transfers.
const NAMESPACE_VARIABLE: &str = "BUGLAB_REPLAY_NAMESPACE";
/// Names the file that the tests write what they replayed to.
const REPORT_VARIABLE: &str = "BUGLAB_REPLAY_REPORT";
/// So many broken transfers are named in the sentence at the end.
const NAMED: usize = 5;

/// What came of a round.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// Whether cargo and all tests succeeded.
    success: bool,
    /// How many tests passed and failed; none where they were not run.
    tests: Option<(u64, u64)>,
    /// The transfers of the lab; none where no lab runs, or where they were not replayed.
    replay: Option<Replay>,
    /// Whether a lab runs.
    lab: bool,
    /// Whether nothing but the replay was run.
    replay_only: bool,
}

/// What came of the replay.
#[derive(Debug, Default, PartialEq)]
struct Replay {
    replayed: u64,
    under_way: u64,
    /// Workflow Id and reason.
    broken: Vec<(String, String)>,
}

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

    let mut command = build::cargo("test");
    // The packages of the first round of all tests, so that the features stay the same.
    command.args(build::other_packages()).args(["--test", "mine"]);
    command.args(["--", "--include-ignored"]).args(replay_only.then_some("replay::"));
    command.current_dir(&project.root).env(temporal_cli::CLI_VARIABLE, &cli);
    // What the tests say is to be read, and a panic names its place anyway.
    command.env("RUST_BACKTRACE", "0");
    for name in [SERVER_VARIABLE, NAMESPACE_VARIABLE, REPORT_VARIABLE] {
        command.env_remove(name);
    }
    if let Some(lab) = &lab {
        command.env(SERVER_VARIABLE, lab.ports.address(ports::TEMPORAL)).env(REPORT_VARIABLE, &report);
        command.env(NAMESPACE_VARIABLE, lab.endpoints().namespace);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not run cargo")?;
    let mut tests = None;
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.lines()) {
        let line = line.context("could not read what the tests say")?;
        tests = counts(&line).or(tests);
        // Standard output is the report's, where there is to be one.
        if as_json { stderrln!("{line}") } else { stdoutln!("{line}") }
    }
    let success = child.wait().context("could not wait for cargo")?.success();

    let replay = Replay::read(&report);
    if let Some(replay) = replay.as_ref().filter(|replay| !replay.broken.is_empty()) {
        progress::update(project, |progress| {
            progress.broken_replay = replay.broken.iter().cloned().collect()
        })?;
    }
    let outcome = Outcome { success, tests, replay, lab: lab.is_some(), replay_only };
    match as_json {
        true => stdoutln!("{}", outcome.to_json()),
        false => stdoutln!("{}", outcome.sentence()),
    }
    Ok(ExitCode::from(u8::from(!outcome.is_ok())))
}

/// How many tests passed and failed, in the line in which a test program says so.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let part = rest.split(';').find(|part| part.trim().ends_with(word))?;
        part.trim().split(' ').next()?.parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

impl Replay {
    /// What the tests wrote, if they came so far.
    fn read(report: &Path) -> Option<Replay> {
        let report: Value = serde_json::from_slice(&fs::read(report).ok()?).ok()?;
        let broken = report["broken"].as_array()?.iter().map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            (text("workflow_id"), text("why"))
        });
        Some(Replay {
            replayed: report["replayed"].as_u64()?,
            under_way: report["under_way"].as_u64()?,
            broken: broken.collect(),
        })
    }
}

impl Outcome {
    fn is_ok(&self) -> bool {
        self.success && self.tests.is_some_and(|(passed, failed)| passed > 0 && failed == 0)
    }

    /// What came of it all, in one line or a few.
    fn sentence(&self) -> String {
        let Some((passed, failed)) = self.tests else {
            return "your change was not tested: it does not compile, or the tests could not be run"
                .to_owned();
        };
        if let Some(Replay { broken, .. }) = self.replay.as_ref().filter(|replay| !replay.broken.is_empty()) {
            let ids: Vec<&str> = broken.iter().take(NAMED).map(|(id, _)| id.as_str()).collect();
            let more = match broken.len() - ids.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let their = if broken.len() == 1 { "its" } else { "their" };
            // The replay itself is one of the tests.
            let others = match failed {
                0 | 1 => String::new(),
                _ => format!("; {} too", fail(failed - 1, "more test", "more tests")),
            };
            let why = shorten(&broken[0].1, 200);
            return format!(
                "this change breaks {} under way: {}{more}; deployed, it makes {their} Workflow Tasks \
                 fail{others}\n  {why}",
                transfers(broken.len() as u64),
                ids.join(", "),
            );
        }
        if !self.is_ok() {
            let what = fail(failed, "test", "tests");
            return format!("your change is not fit to deploy: {what}, {passed} passed; see above why");
        }
        let replayed = match &self.replay {
            Some(Replay { under_way: 0, .. }) => "no transfer is under way".to_owned(),
            Some(Replay { replayed, under_way, .. }) if replayed < under_way => {
                format!("{replayed} of the {} under way replay", transfers(*under_way))
            }
            Some(Replay { replayed: 1, .. }) => "1 transfer under way replays".to_owned(),
            Some(Replay { replayed, .. }) => format!("{} under way replay", transfers(*replayed)),
            None if self.lab => "the transfers under way were not replayed".to_owned(),
            None => "no lab runs, so there are no transfers under way to replay".to_owned(),
        };
        match self.replay_only {
            true => format!("your change breaks nothing that is under way: {replayed}"),
            false => format!("your change is fit to deploy: {passed} tests passed, {replayed}"),
        }
    }

    fn to_json(&self) -> Value {
        let (passed, failed) = self.tests.unwrap_or_default();
        let replay = self.replay.as_ref().map(|replay| {
            let broken: Vec<_> =
                replay.broken.iter().map(|(id, why)| json!({ "workflow_id": id, "why": why })).collect();
            json!({ "replayed": replay.replayed, "under_way": replay.under_way, "broken": broken })
        });
        json!({ "ok": self.is_ok(), "passed": passed, "failed": failed, "replay": replay })
    }
}

/// `1 transfer`, `2 transfers`.
fn transfers(count: u64) -> String {
    format!("{count} transfer{}", if count == 1 { "" } else { "s" })
}

/// `1 test fails`, `2 tests fail`.
fn fail(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one} fails") } else { format!("{count} {many} fail") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read_from_the_line_that_has_them() {
        let line =
            "test result: FAILED. 4 passed; 8 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s";
        assert_eq!(counts(line), Some((4, 8)));
        let line =
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s";
        assert_eq!(counts(line), Some((12, 0)));
        for line in ["", "running 12 tests", "test result: ok. nonsense", "test a ... ok"] {
            assert_eq!(counts(line), None, "{line}");
        }
    }

    fn outcome(passed: u64, failed: u64, replay: Option<(u64, u64, &[&str])>) -> Outcome {
        let replay = replay.map(|(replayed, under_way, broken)| {
            let broken = broken.iter().map(|id| ((*id).to_owned(), "divide by zero".to_owned())).collect();
            Replay { replayed, under_way, broken }
        });
        let lab = replay.is_some();
        Outcome { success: failed == 0, tests: Some((passed, failed)), replay, lab, replay_only: false }
    }

    #[test]
    fn the_last_line_says_whether_the_change_is_ok_to_deploy() {
        for (outcome, ok, sentence) in [
            (
                outcome(12, 0, Some((3, 3, &[]))),
                true,
                "your change is fit to deploy: 12 tests passed, 3 transfers under way replay",
            ),
            (
                Outcome { replay_only: true, ..outcome(1, 0, Some((1, 1, &[]))) },
                true,
                "your change breaks nothing that is under way: 1 transfer under way replays",
            ),
            (
                outcome(12, 0, Some((0, 0, &[]))),
                true,
                "your change is fit to deploy: 12 tests passed, no transfer is under way",
            ),
            (
                outcome(12, 0, Some((500, 812, &[]))),
                true,
                "your change is fit to deploy: 12 tests passed, 500 of the 812 transfers under way replay",
            ),
            (
                outcome(12, 0, None),
                true,
                "your change is fit to deploy: 12 tests passed, no lab runs, so there are no transfers under \
                 way to replay",
            ),
            (
                outcome(8, 4, Some((2, 2, &[]))),
                false,
                "your change is not fit to deploy: 4 tests fail, 8 passed; see above why",
            ),
            (
                outcome(11, 1, Some((2, 2, &["a"]))),
                false,
                "this change breaks 1 transfer under way: a; deployed, it makes its Workflow Tasks fail\n  \
                 divide by zero",
            ),
            (
                outcome(9, 3, Some((9, 9, &["a", "b", "c", "d", "e", "f", "g"]))),
                false,
                "this change breaks 7 transfers under way: a, b, c, d, e and 2 more; deployed, it makes their \
                 Workflow Tasks fail; 2 more tests fail too\n  divide by zero",
            ),
        ] {
            assert_eq!((outcome.is_ok(), outcome.sentence().as_str()), (ok, sentence));
            assert_eq!(outcome.to_json()["ok"], ok);
        }
    }

    #[test]
    fn what_was_not_tested_is_not_fit() {
        let outcome = Outcome { success: false, lab: true, ..Outcome::default() };
        assert!(!outcome.is_ok() && outcome.sentence().contains("was not tested"));
        // A filter that fits no test.
        let outcome = Outcome { success: true, tests: Some((0, 0)), ..Outcome::default() };
        assert!(!outcome.is_ok());
    }
}
