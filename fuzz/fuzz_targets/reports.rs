//! Reports of learners, which anybody who reaches the service may have written: the board has each learner once, and nothing that a
//! terminal or a page would obey.

#![no_main]

use lab_client::class::{Board, Held, Report, clean};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// No line of a report is longer, in characters.
const LONGEST: usize = 300;

fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let mut reports = Vec::new();
    for memo in value.as_array().into_iter().flatten() {
        let report = Report::from_json(memo);
        assert_eq!(Report::from_json(&report.to_json()), report);
        assert!(!report.is_news_after(&report));
        reports.push(Held {
            run_id: String::new(),
            report,
            taken: memo["taken"].as_f64().unwrap_or_default(),
        });
    }
    let (number, now) = (reports.len(), 1_795_354_341.0);
    let board = Board::of(reports, now);
    assert!(board.rows.len() <= number && board.asking() <= board.rows.len());
    for (at, row) in board.rows.iter().enumerate() {
        let name = &row.report.learner;
        assert!(
            board.rows[..at].iter().all(|other| other.report.learner != *name),
            "{name:?} is there twice"
        );
        assert!(row.seen >= 0.0 && row.reached() <= row.report.goals.len());
    }
    for row in board.to_json()["learners"].as_array().expect("there is a list") {
        is_plain(row);
    }
});

/// Holds every text in it to one short line.
fn is_plain(value: &Value) {
    match value {
        Value::String(text) => {
            assert_eq!(clean(text, LONGEST), *text);
        }
        Value::Array(values) => values.iter().for_each(is_plain),
        Value::Object(fields) => fields.values().for_each(is_plain),
        _ => {}
    }
}
