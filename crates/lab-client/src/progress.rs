//! `stage.json` in the lab's folder: the stage that was entered last, when, with which transfers, the hints that were
//! shown, what a replay reported, and which stages are done.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::Path,
};

use lab::{STAGES, Stage};
use serde_json::{Value, json};

use crate::time;

/// The name of the file.
pub const FILE: &str = "stage.json";
/// The file that a command locks while it enters a stage, with the name of that stage.
pub const ENTERING: &str = "entering.lock";

/// How far a learner is at the stage that was entered last.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The stage.
    pub stage: &'static Stage,
    /// When it was entered, in the server's format; empty for as long as the lab exists.
    pub entered: String,
    /// The Workflow Ids of the transfers that it began with.
    pub transfers: Vec<String>,
    /// How many hints were shown.
    pub hints: usize,
    /// The transfers that `test --mine --replay` reported as broken, each with the reason.
    pub broken_replay: BTreeMap<String, String>,
    /// The names of the stages whose goals were all reached once.
    pub done: Vec<String>,
    /// The drill, if the stage is an incident that was made ready.
    pub drill: Option<Drill>,
    /// The seed of the drill, if the stage is an incident, also before it was made ready.
    pub seed: Option<u64>,
    /// The seeds of the drills that have ended here, each with when.
    pub ended_drills: Vec<(u64, String)>,
    /// The learner's code that is to be put back once the transfers of a stage are prepared.
    pub kept: Option<Kept>,
}

/// A drill: an incident in progress, or one that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// The seed of its traffic.
    pub seed: u64,
    /// The number of the ledger's last entry before it.
    pub last_entry: u64,
    /// When the learner ended it, in the server's format, and whether by giving up; none while it is in progress.
    pub ended: Option<(String, bool)>,
}

/// Code of the learner's that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id of its backup.
    pub backup: String,
    /// The name of the stage that is being entered.
    pub stage: String,
}

impl Progress {
    /// At this stage since now, with nothing done yet.
    pub fn begin(stage: &'static Stage) -> Progress {
        let entered = time::rfc3339_exact(time::now());
        Progress {
            stage,
            entered,
            transfers: Vec::new(),
            hints: 0,
            broken_replay: BTreeMap::new(),
            done: Vec::new(),
            drill: None,
            seed: None,
            ended_drills: Vec::new(),
            kept: None,
        }
    }

    /// Whether a drill is in progress.
    pub fn is_in_drill(&self) -> bool {
        self.drill.as_ref().is_some_and(|drill| drill.ended.is_none())
    }

    /// The command that enters the stage again, with the seed of a drill.
    pub fn command(&self) -> String {
        match self.seed {
            Some(seed) => self.stage.command_with_seed(seed),
            None => self.stage.command(),
        }
    }

    /// Whether the drill with this seed is in progress, or has ended since this moment.
    pub fn has_started_drill(&self, seed: u64, since: &str) -> bool {
        let is_later = |time: &str| time::parse_rfc3339(time) >= time::parse_rfc3339(since);
        self.drill.as_ref().is_some_and(|drill| drill.seed == seed)
            || self.ended_drills.iter().any(|(ended, time)| *ended == seed && is_later(time))
    }

    /// Fails while a drill is in progress, in which nobody can change how the bank behaves: it is another company's.
    ///
    /// # Errors
    /// A drill is in progress. The message says how to end it.
    pub fn allow_bank_change(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.is_in_drill(),
            "in a drill nobody can change how the bank behaves, so the code must get by with it; to end the drill: cargo xtask drill \
             give-up"
        );
        Ok(())
    }

    /// What was recorded last; the first stage if nothing was.
    pub fn read(lab: &Path) -> Progress {
        Progress::parse(&fs::read_to_string(lab.join(FILE)).unwrap_or_default())
    }

    /// The text of [`FILE`]; the first stage if it cannot be read.
    pub fn parse(text: &str) -> Progress {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let broken = value["broken_replay"].as_object().into_iter().flatten();
        let texts = |name: &str| {
            let texts = value[name].as_array().into_iter().flatten();
            texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        Progress {
            stage: value["stage"].as_str().and_then(lab::stage).unwrap_or(&STAGES[0]),
            entered: value["entered"].as_str().unwrap_or_default().to_owned(),
            transfers: texts("transfers"),
            hints: value["hints"].as_u64().and_then(|hints| usize::try_from(hints).ok()).unwrap_or_default(),
            broken_replay: broken
                .filter_map(|(id, why)| Some((id.clone(), why.as_str()?.to_owned())))
                .collect(),
            done: texts("done"),
            drill: Drill::from_json(&value["drill"]),
            seed: value["seed"].as_u64(),
            ended_drills: value["ended_drills"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| Some((one["seed"].as_u64()?, one["time"].as_str()?.to_owned())))
                .collect(),
            kept: Kept::from_json(&value["kept"]),
        }
    }

    /// What is recorded.
    pub fn to_json(&self) -> Value {
        json!({
            "stage": self.stage.name,
            "entered": self.entered,
            "transfers": self.transfers,
            "hints": self.hints,
            "broken_replay": self.broken_replay,
            "done": self.done,
            "drill": self.drill.as_ref().map(Drill::to_json),
            "seed": self.seed,
            "ended_drills": self
                .ended_drills
                .iter()
                .map(|(seed, time)| json!({ "seed": seed, "time": time }))
                .collect::<Vec<_>>(),
            "kept": self.kept.as_ref().map(Kept::to_json),
        })
    }

    /// Whether the goals of this stage were all reached once.
    pub fn is_done(&self, stage: &Stage) -> bool {
        self.done.iter().any(|done| done == stage.name)
    }
}

/// Whether a command is entering a stage or restoring an edit at this moment.
pub fn is_entering(lab: &Path) -> bool {
    let file = File::open(lab.join(ENTERING));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The stage that a command is entering at this moment, if any. On the way it may put the code of other stages in place.
pub fn entering(lab: &Path) -> Option<&'static Stage> {
    let name = is_entering(lab).then(|| fs::read_to_string(lab.join(ENTERING)))?.ok()?;
    lab::stage(name.trim())
}

impl Drill {
    fn from_json(value: &Value) -> Option<Drill> {
        let ended = &value["ended"];
        let time = ended["time"].as_str().map(str::to_owned);
        Some(Drill {
            seed: value["seed"].as_u64()?,
            last_entry: value["last_entry"].as_u64()?,
            ended: time.map(|time| (time, ended["gave_up"] == true)),
        })
    }

    fn to_json(&self) -> Value {
        let ended = self.ended.as_ref().map(|(time, gave_up)| json!({ "time": time, "gave_up": gave_up }));
        json!({ "seed": self.seed, "last_entry": self.last_entry, "ended": ended })
    }
}

impl Kept {
    fn from_json(value: &Value) -> Option<Kept> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Kept { backup: text("backup")?, stage: text("stage")? })
    }

    fn to_json(&self) -> Value {
        json!({ "backup": self.backup, "stage": self.stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_being_entered_while_its_command_holds_the_lock() {
        let lab = std::env::temp_dir().join(format!("lab-client-entering-{}", std::process::id()));
        fs::create_dir(&lab).expect("temporary folders can be made");
        assert_eq!(entering(&lab), None);
        fs::write(lab.join(ENTERING), STAGES[2].name).expect("it can be written");
        assert_eq!(entering(&lab), None, "a command that was killed holds no lock");
        let held = File::open(lab.join(ENTERING)).expect("it is there");
        held.lock().expect("nobody else has it");
        assert_eq!(entering(&lab), Some(&STAGES[2]));
        drop(held);
        assert_eq!(entering(&lab), None);
        fs::remove_dir_all(lab).expect("it is there");
    }

    #[test]
    fn progress_is_read_as_it_was_written_and_survives_a_damaged_file() {
        let lab = std::env::temp_dir().join(format!("lab-client-progress-{}", std::process::id()));
        fs::create_dir(&lab).expect("temporary folders can be made");
        let progress = Progress {
            transfers: vec!["a".to_owned()],
            hints: 2,
            broken_replay: [("a".to_owned(), "nondeterminism".to_owned())].into(),
            done: vec!["jerry".to_owned()],
            drill: Some(Drill {
                seed: 7,
                last_entry: 10,
                ended: Some(("2026-11-22T12:05:01Z".to_owned(), true)),
            }),
            seed: Some(7),
            ended_drills: vec![(3, "2026-11-22T12:05:01Z".to_owned())],
            kept: Some(Kept {
                backup: "20261122T120501Z-jerry".to_owned(),
                stage: "fix-workflow".to_owned(),
            }),
            ..Progress::begin(&STAGES[1])
        };
        fs::write(lab.join(FILE), progress.to_json().to_string()).expect("it can be written");
        assert_eq!(Progress::read(&lab), progress);
        fs::write(lab.join(FILE), "{").expect("it can be written");
        let begun = Progress::read(&lab);
        assert_eq!((begun.stage, begun.entered.as_str(), begun.hints), (&STAGES[0], "", 0));
        fs::remove_dir_all(lab).expect("it is there");
    }
}
