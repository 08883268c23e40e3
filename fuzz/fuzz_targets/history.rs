//! What Temporal and the bank answer: whatever JSON it is, `check` and the page judge by it and say what is next.
//!
//! The input is an Event History, `{"events": […]}`, as `temporal workflow show -o json` prints it. Beside `events` it may have
//! what else was answered: `description` of the run, `entries` of the ledger, `executions` of a list, `services` of the
//! supervisor, and `other`, another such history of the same lab.

#![no_main]

use lab::{Facts, Report, Run, STAGES, Verdict};
use lab_client::{stuck, supervisor, temporal};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|json: &[u8]| {
    let Ok(answers) = serde_json::from_slice::<Value>(json) else { return };
    let list = |answers: &Value, name: &str| answers[name].as_array().cloned().unwrap_or_default();
    let run = |id: &str, answers: &Value| {
        let run = Run::new(id.to_owned(), list(answers, "events"), answers["description"].clone());
        ("transfer-1".to_owned(), run)
    };

    let services = supervisor::services(&answers);
    let runs = vec![run("run-1", &answers), run("run-2", &answers["other"])];
    let facts = Facts::new(runs, &list(&answers, "entries"), "2026-11-22T11:00:00Z".to_owned(), services);
    for stage in STAGES {
        let report = Report::of(stage, &facts);
        for verdict in &report.verdicts {
            match verdict {
                Verdict::Open(next) => assert!(!next.to_string().is_empty()),
                Verdict::Reached(evidence) => assert!(!evidence.is_empty()),
            }
        }
        assert!(report.wrong.iter().all(|wrong| !wrong.meaning.is_empty()));
        assert_eq!(report.to_json()["reached"], report.is_reached());
    }

    let which = temporal::Run { workflow_id: "transfer-1".to_owned(), run_id: "run-1".to_owned() };
    for stuck in stuck::of(&which, &answers["description"], || list(&answers, "events")) {
        assert_eq!(stuck.to_json()["workflow_id"], "transfer-1");
        assert!(!stuck.what().is_empty());
    }
    for listed in list(&answers, "executions").iter().filter_map(temporal::Listed::from_json) {
        assert!(listed.start.is_finite() && listed.close.is_none_or(f64::is_finite), "{listed:?}");
    }
});
