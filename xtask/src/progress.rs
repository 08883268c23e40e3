//! `.lab/progress.json`: since when the learner is at a stage, the transfers it began with, the hints that were
//! shown.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::project::{Project, replace_file};

/// How far a learner is at the stage that was entered last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The stage's name.
    pub(crate) stage: String,
    /// When it was entered, in the server's format; empty for as long as the lab exists.
    pub(crate) entered: String,
    /// The Workflow Ids of the transfers that it began with.
    pub(crate) transfers: Vec<String>,
    /// How many hints were shown.
    pub(crate) hints: usize,
}

impl Progress {
    /// What was written down for this stage; nothing where it was another.
    pub(crate) fn read(project: &Project, stage: &str) -> Progress {
        let text = fs::read_to_string(project.in_lab("progress.json")).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let begun = Progress { stage: stage.to_owned(), ..Progress::default() };
        if value["stage"] != stage {
            return begun;
        }
        let transfers = value["transfers"].as_array().into_iter().flatten();
        Progress {
            entered: value["entered"].as_str().unwrap_or_default().to_owned(),
            transfers: transfers.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            hints: value["hints"].as_u64().and_then(|hints| usize::try_from(hints).ok()).unwrap_or_default(),
            ..begun
        }
    }

    /// Takes it away: the lab is as new.
    pub(crate) fn forget(project: &Project) {
        // Where there is none, there is nothing to forget.
        let _ = fs::remove_file(project.in_lab("progress.json"));
    }

    /// Writes it down, for this user alone.
    pub(crate) fn write(&self, project: &Project) -> Result<()> {
        project.make_lab()?;
        let value = json!({
            "stage": self.stage,
            "entered": self.entered,
            "transfers": self.transfers,
            "hints": self.hints,
        });
        let path = project.in_lab("progress.json");
        replace_file(&path, value.to_string().as_bytes(), 0o600)
            .with_context(|| format!("could not write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_of_one_stage_and_survives_a_damaged_file() {
        let root = std::env::temp_dir().join(format!("xtask-progress-{}", std::process::id()));
        let project = Project { lab: root.join(".lab"), root };
        let progress = Progress {
            stage: "jerry".to_owned(),
            entered: "2026-11-22T12:05:01Z".to_owned(),
            transfers: vec!["a".to_owned()],
            hints: 2,
        };
        progress.write(&project).expect("temporary files can be written");
        assert_eq!(Progress::read(&project, "jerry"), progress);
        assert_eq!(Progress::read(&project, "fix-workflow").hints, 0);
        fs::write(project.in_lab("progress.json"), "{").expect("it can be written");
        assert_eq!(Progress::read(&project, "jerry").transfers, Vec::<String>::new());
        fs::remove_dir_all(project.root).expect("it is there");
    }
}
