//! `.lab/stage.json`: the stage that was entered last, since when, with which transfers, and the hints that were shown.

use std::fs;

use anyhow::{Context, Result};
use lab::{STAGES, Stage};
use serde_json::{Value, json};

use crate::{
    project::{Project, replace_file},
    time,
};

/// How far a learner is at the stage that was entered last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    /// The stage.
    pub(crate) stage: &'static Stage,
    /// When it was entered, in the server's format; empty for as long as the lab exists.
    pub(crate) entered: String,
    /// The Workflow Ids of the transfers that it began with.
    pub(crate) transfers: Vec<String>,
    /// How many hints were shown.
    pub(crate) hints: usize,
}

impl Progress {
    /// At this stage since now, with nothing done.
    pub(crate) fn begin(stage: &'static Stage) -> Progress {
        let entered = time::rfc3339_exact(time::now());
        Progress { stage, entered, transfers: Vec::new(), hints: 0 }
    }

    /// What was written down last; the first stage, where nothing was.
    pub(crate) fn read(project: &Project) -> Progress {
        let text = fs::read_to_string(project.in_lab("stage.json")).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let transfers = value["transfers"].as_array().into_iter().flatten();
        Progress {
            stage: value["stage"].as_str().and_then(lab::stage).unwrap_or(&STAGES[0]),
            entered: value["entered"].as_str().unwrap_or_default().to_owned(),
            transfers: transfers.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            hints: value["hints"].as_u64().and_then(|hints| usize::try_from(hints).ok()).unwrap_or_default(),
        }
    }

    /// Writes it down, for this user alone.
    pub(crate) fn write(&self, project: &Project) -> Result<()> {
        project.make_lab()?;
        let value = json!({
            "stage": self.stage.name,
            "entered": self.entered,
            "transfers": self.transfers,
            "hints": self.hints,
        });
        let path = project.in_lab("stage.json");
        replace_file(&path, value.to_string().as_bytes(), 0o600)
            .with_context(|| format!("could not write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written_and_survives_a_damaged_file() {
        let root = std::env::temp_dir().join(format!("xtask-progress-{}", std::process::id()));
        let project = Project { lab: root.join(".lab"), root };
        let progress = Progress { transfers: vec!["a".to_owned()], hints: 2, ..Progress::begin(&STAGES[1]) };
        progress.write(&project).expect("temporary files can be written");
        assert_eq!(Progress::read(&project), progress);
        fs::write(project.in_lab("stage.json"), "{").expect("it can be written");
        let begun = Progress::read(&project);
        assert_eq!((begun.stage, begun.entered.as_str(), begun.hints), (&STAGES[0], "", 0));
        fs::remove_dir_all(project.root).expect("it is there");
    }
}
