//! What a worker reports of the learner's code that blocks its thread, in a file for the program that started it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Code that blocks a thread of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocking {
    /// The transfer that it runs for.
    pub workflow_id: String,
    /// The Activity Type; none if it is the Workflow itself.
    pub activity: Option<String>,
    /// File, line and column, if they could be found out.
    pub place: Option<String>,
}

impl Blocking {
    /// The file for a worker's report, derived from its ready file.
    pub fn file_beside(ready_file: &Path) -> PathBuf {
        ready_file.with_extension("blocking.json")
    }

    /// What the worker with this process id reports in this file.
    pub fn read(file: &Path, pid: u64) -> Vec<Blocking> {
        let text = fs::read_to_string(file).unwrap_or_default();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        // Another worker, which was killed, may have left its report behind.
        if report["pid"] == pid { Blocking::list(&report["blocking"]) } else { Vec::new() }
    }

    /// The report of the worker with this process id, as JSON.
    pub fn report(pid: u32, blocking: &[Blocking]) -> Value {
        json!({ "pid": pid, "blocking": blocking.iter().map(Blocking::to_json).collect::<Vec<_>>() })
    }

    /// Those in a list in JSON, as in the status of a lab.
    pub fn list(json: &Value) -> Vec<Blocking> {
        json.as_array().into_iter().flatten().filter_map(Blocking::from_json).collect()
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({ "workflow_id": self.workflow_id, "activity": self.activity, "place": self.place })
    }

    fn from_json(json: &Value) -> Option<Blocking> {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Some(Blocking { workflow_id: text("workflow_id")?, activity: text("activity"), place: text("place") })
    }

    /// The same in a sentence without its full stop.
    pub fn words(&self) -> String {
        let place = self.place.as_ref().map_or(String::new(), |place| format!(" at {place}"));
        let id = &self.workflow_id;
        match &self.activity {
            None => format!("the worker runs and does not answer: your Workflow code blocks{place} ({id})"),
            Some(activity) => format!("your Activity {activity} blocks a thread of the worker{place} ({id})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_that_of_one_worker() {
        let blocking = Blocking {
            workflow_id: "transfer-1".to_owned(),
            activity: None,
            place: Some("crates/worker/src/workflow.rs:70:9".to_owned()),
        };
        let report = Blocking::report(7, std::slice::from_ref(&blocking));
        let file = std::env::temp_dir().join(format!("blocking-{}.json", std::process::id()));
        fs::write(&file, report.to_string()).expect("a temporary file");
        assert_eq!(Blocking::read(&file, 7).first(), Some(&blocking));
        assert_eq!(Blocking::read(&file, 8), [], "a worker that has ended");
        fs::write(&file, "{\"pid\":7,\"blocking\":[{}").expect("a temporary file");
        assert_eq!(Blocking::read(&file, 7), []);
        fs::remove_file(&file).expect("it is there");
        assert_eq!(Blocking::read(&file, 7), []);
        assert_eq!(
            blocking.words(),
            "the worker runs and does not answer: your Workflow code blocks at crates/worker/src/workflow.rs:70:9 (transfer-1)"
        );
    }
}
