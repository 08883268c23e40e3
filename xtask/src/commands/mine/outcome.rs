//! What came of the learner's tests and of the replay, for a person and for programs.

use std::{fs, path::Path};

use contract::replay::MOST_COMPLETED;
use serde_json::{Value, json};
use terminal::shorten;

/// So many transfers are named in a sentence.
const NAMED: usize = 5;
/// What to do where nothing could be replayed.
const START_ONE: &str = "start one, then test again: cargo xtask transfer account_A account_B 10";

/// What came of a round.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Whether cargo and all tests succeeded.
    pub success: bool,
    /// How many tests passed and failed; none where they were not run.
    pub tests: Option<(u64, u64)>,
    /// The transfers of the lab; none where no lab runs, or where they were not replayed.
    pub replay: Option<Replay>,
    /// Whether a lab runs.
    pub lab: bool,
    /// Whether nothing but the replay was run.
    pub replay_only: bool,
}

/// What came of the replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Replay {
    /// Of the transfers in progress, without those that are pinned, how many were replayed.
    pub replayed: u64,
    /// The same with those that were not read, which may be pinned.
    pub in_progress: u64,
    pub broken: Vec<Broken>,
    pub pinned: Pinned,
    pub completed: Completed,
}

/// What came of the transfers in progress that are pinned to a Deployment Version, which do not run the change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pinned {
    /// How many were replayed.
    pub replayed: u64,
    /// Those that could not be moved to the change.
    pub broken: Vec<Broken>,
}

/// What came of the completed transfers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Completed {
    /// How many were replayed: those that the deployed code has run from their start to their end.
    pub replayed: u64,
    /// How many were left out since other code has run a part of them.
    pub other_build: u64,
    /// How many were left out since they were pinned to a Deployment Version.
    pub pinned: u64,
    /// How many were left out since there are newer ones enough.
    pub over_limit: u64,
    pub broken: Vec<Broken>,
}

/// A transfer that the code does not replay.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Broken {
    pub workflow_id: String,
    pub why: String,
}

/// How many tests passed and failed, in the line in which a test program says so.
pub(super) fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let part = rest.split(';').find(|part| part.trim().ends_with(word))?;
        part.trim().split(' ').next()?.parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

impl Replay {
    /// What the tests wrote, if they came so far.
    pub(super) fn read(report: &Path) -> Option<Replay> {
        let report: Value = serde_json::from_slice(&fs::read(report).ok()?).ok()?;
        let completed = &report["completed"];
        Some(Replay {
            replayed: report["replayed"].as_u64()?,
            in_progress: report["in_progress"].as_u64()?,
            broken: broken(&report["broken"])?,
            pinned: Pinned {
                replayed: report["pinned"]["replayed"].as_u64()?,
                broken: broken(&report["pinned"]["broken"])?,
            },
            completed: Completed {
                replayed: completed["replayed"].as_u64()?,
                other_build: completed["other_build"].as_u64()?,
                pinned: completed["pinned"].as_u64()?,
                over_limit: completed["over_limit"].as_u64()?,
                broken: broken(&completed["broken"])?,
            },
        })
    }

    fn is_empty(&self) -> bool {
        self.replayed + self.completed.replayed + self.pinned.replayed == 0
    }

    /// The transfers for which the change must not be deployed, and what to say of them. Where none is in progress, the completed
    /// ones show what happens to the next one.
    fn refusal(&self) -> Option<(&[Broken], String)> {
        let (broken, completed) = (&self.broken, &self.completed.broken);
        if !broken.is_empty() {
            let their = if broken.len() == 1 { "its" } else { "their" };
            let said = format!(
                "this change breaks {} in progress: {}; deployed, it makes {their} Workflow Tasks fail",
                transfers(broken.len() as u64),
                named(broken),
            );
            return Some((broken, said));
        }
        (self.replayed == 0 && !completed.is_empty()).then(|| {
            let said = format!(
                "this change does not replay {} of the deployed code: {}; one like that in progress would break",
                completed_transfers(completed.len() as u64),
                named(completed),
            );
            (&completed[..], said)
        })
    }

    /// What was replayed, where all that decides did replay.
    fn what(&self) -> String {
        let Replay { replayed, in_progress, pinned, completed, .. } = self;
        let ended = completed.replayed - completed.broken.len() as u64;
        let running = match *replayed {
            0 if *in_progress > 0 => {
                return format!("none of the first {} in progress will run it", transfers(pinned.replayed));
            }
            replayed if replayed < *in_progress => {
                format!("{replayed} of the {} in progress", transfers(in_progress + pinned.replayed))
            }
            0 if ended == 0 => return "no transfer in progress will run it".to_owned(),
            0 => return format!("none in progress, {} {}", completed_transfers(ended), replay(ended)),
            replayed => format!("{} in progress", transfers(replayed)),
        };
        match ended {
            0 => format!("{running} {}", replay(*replayed)),
            ended => format!("{running} and {ended} completed replay"),
        }
    }

    /// What was left out and why, and what does not decide; a line each.
    fn notes(&self) -> Vec<String> {
        let Completed { other_build, pinned, over_limit, broken, .. } = &self.completed;
        let mut notes = Vec::new();
        if self.pinned.replayed > 0 {
            notes.push(self.pinned.note());
        }
        let mut left_out = Vec::new();
        if *other_build > 0 {
            left_out.push(format!(
                "{} that other code ran, wholly or in part",
                completed_transfers(*other_build)
            ));
        }
        if *pinned > 0 {
            left_out.push(format!("{} that were pinned to a version", completed_transfers(*pinned)));
        }
        if *over_limit > 0 {
            let older = completed_transfers(*over_limit);
            left_out.push(format!("{older} older than the newest {MOST_COMPLETED}"));
        }
        if self.in_progress > self.replayed {
            let more = transfers(self.in_progress - self.replayed);
            let read = self.replayed + self.pinned.replayed;
            left_out.push(format!("{more} in progress beyond the first {read}"));
        }
        if !left_out.is_empty() {
            notes.push(format!("not replayed: {}", left_out.join(", ")));
        }
        if self.replayed > 0 && !broken.is_empty() {
            notes.push(format!(
                "note: {} of the deployed code {} not replay: {}; one like that in progress would break",
                completed_transfers(broken.len() as u64),
                if broken.len() == 1 { "does" } else { "do" },
                named(broken),
            ));
            notes.push(shorten(&broken[0].why, 200));
        }
        notes
    }
}

impl Pinned {
    /// That these do not run the change, and whether they could be moved to it.
    fn note(&self) -> String {
        let (are, they, their) = match self.replayed {
            1 => ("is", "it", "its version"),
            _ => ("are", "they", "their versions"),
        };
        let pinned = format!(
            "{} in progress {are} pinned to {their} and will not run your change",
            transfers(self.replayed)
        );
        match &self.broken[..] {
            [] => format!("{pinned}; {they} could be moved to it"),
            broken => format!("{pinned}; moved to it, {} would break: {}", broken.len(), named(broken)),
        }
    }
}

fn broken(list: &Value) -> Option<Vec<Broken>> {
    let one = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        Broken { workflow_id: text("workflow_id"), why: text("why") }
    };
    Some(list.as_array()?.iter().map(one).collect())
}

impl Outcome {
    /// Whether all tests passed. A replay by itself that replayed nothing has shown nothing, so it is none that passed.
    pub(super) fn is_ok(&self) -> bool {
        let passed = self.success && self.tests.is_some_and(|(passed, failed)| passed > 0 && failed == 0);
        passed && !(self.replay_only && self.replay.as_ref().is_none_or(Replay::is_empty))
    }

    /// What came of it all, in one line or a few.
    pub(super) fn sentence(&self) -> String {
        let Some((passed, failed)) = self.tests else {
            return "your change was not tested: it does not compile, or the tests could not be run"
                .to_owned();
        };
        let mut lines = vec![self.verdict(passed, failed)];
        if let Some(replay) = &self.replay {
            if let Some((reasons, _)) = replay.refusal() {
                lines.push(shorten(&reasons[0].why, 200));
            }
            lines.extend(replay.notes());
            if replay.is_empty() && failed == 0 {
                lines.push(START_ONE.to_owned());
            }
        }
        lines.join("\n  ")
    }

    fn verdict(&self, passed: u64, failed: u64) -> String {
        if let Some((_, said)) = self.replay.as_ref().and_then(Replay::refusal) {
            // The replay itself is one of the tests.
            let others = match failed {
                0 | 1 => String::new(),
                _ => format!("; {} too", fail(failed - 1, "more test", "more tests")),
            };
            return format!("{said}{others}");
        }
        if !self.success || failed > 0 || passed == 0 {
            let what = fail(failed, "test", "tests");
            return format!("your change is not fit to deploy: {what}, {passed} passed; see above why");
        }
        match self.replay.as_ref().filter(|replay| !replay.is_empty()) {
            Some(replay) if self.replay_only => {
                let nothing = if replay.replayed == 0 { "nothing" } else { "nothing in progress" };
                format!("your change breaks {nothing}: {}", replay.what())
            }
            Some(replay) => format!("your change is fit to deploy: {passed} tests passed, {}", replay.what()),
            None => {
                let why = match self.lab {
                    true => "no transfer is in progress, and the deployed code has completed none",
                    false => "no lab runs",
                };
                match self.replay_only {
                    true => format!("nothing was replayed, so this says nothing of your change: {why}"),
                    false => format!("{passed} tests passed, but nothing was replayed: {why}"),
                }
            }
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let (passed, failed) = self.tests.unwrap_or_default();
        let list = |broken: &[Broken]| -> Value {
            let one = |one: &Broken| json!({ "workflow_id": one.workflow_id, "why": one.why });
            broken.iter().map(one).collect()
        };
        let replay = self.replay.as_ref().map(|replay| {
            let Completed { replayed, other_build, pinned, over_limit, broken } = &replay.completed;
            json!({
                "replayed": replay.replayed,
                "in_progress": replay.in_progress,
                "broken": list(&replay.broken),
                "pinned": { "replayed": replay.pinned.replayed, "broken": list(&replay.pinned.broken) },
                "completed": {
                    "replayed": replayed,
                    "other_build": other_build,
                    "pinned": pinned,
                    "over_limit": over_limit,
                    "broken": list(broken),
                },
            })
        });
        json!({ "ok": self.is_ok(), "passed": passed, "failed": failed, "replay": replay })
    }
}

/// The Workflow Ids of the first few.
fn named(broken: &[Broken]) -> String {
    let ids: Vec<&str> = broken.iter().take(NAMED).map(|broken| &*broken.workflow_id).collect();
    match broken.len() - ids.len() {
        0 => ids.join(", "),
        more => format!("{} and {more} more", ids.join(", ")),
    }
}

/// `1 transfer`, `2 transfers`.
fn transfers(count: u64) -> String {
    format!("{count} transfer{}", if count == 1 { "" } else { "s" })
}

/// `1 completed transfer`, `2 completed transfers`.
fn completed_transfers(count: u64) -> String {
    format!("{count} completed transfer{}", if count == 1 { "" } else { "s" })
}

/// `replays` of one, `replay` of several.
fn replay(count: u64) -> &'static str {
    if count == 1 { "replays" } else { "replay" }
}

/// `1 test fails`, `2 tests fail`.
fn fail(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one} fails") } else { format!("{count} {many} fail") }
}

#[cfg(test)]
mod tests;
