//! Real World Mode and outages are kept in the bank's memory, so a restart of the bank ends them. The lab says so.

use std::fs;

use checkout::project::Project;
use lab_client::{bank, time};
use serde_json::{Value, json};

/// The file in which the bank notes what is switched on.
pub(crate) const FILE: &str = "bank-faults.json";

/// What the bank's last restart ended.
pub(crate) struct EndedFaults {
    what: String,
    time: String,
}

impl EndedFaults {
    /// What was switched on in the bank that ran before. It is noted no longer.
    pub(crate) fn take(project: &Project) -> Option<EndedFaults> {
        let path = project.in_lab(FILE);
        let noted = fs::read(&path).ok()?;
        let _ = fs::remove_file(&path);
        let what = bank::switched_on(&serde_json::from_slice(&noted).ok()?)?;
        Some(EndedFaults { what, time: time::rfc3339_exact(time::now()) })
    }

    pub(crate) fn sentence(&self) -> String {
        format!("the restart of the bank ended {}", self.what)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "what": self.what, "time": self.time })
    }
}
