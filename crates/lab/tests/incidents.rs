//! The table of incidents: what a learner reads first gives nothing away, and a seed chooses the same incident on every machine.

use std::collections::BTreeSet;

use lab::{Block, INCIDENTS, Stage, incident, incident_of, sections, stage};

/// Words of the code or of Temporal that would lead to the cause.
const GIVE_AWAYS: [&str; 16] = [
    "activity",
    "workflow",
    "task",
    "queue",
    "retry",
    "retries",
    "policy",
    "timeout",
    "idempotency",
    "panic",
    "patch",
    "deterministic",
    "heartbeat",
    "hash",
    "attempt",
    "code of",
];

fn section<'a>(stage: &'a Stage, title: &str) -> &'a str {
    let (_, sections) = sections(stage.text.source);
    sections.into_iter().find(|(known, _)| *known == title).map_or("", |(_, body)| body)
}

#[test]
fn each_incident_has_its_row_its_text_and_its_fix() {
    assert_eq!(INCIDENTS.len(), 12);
    for row in INCIDENTS {
        let name = row.stage.name;
        assert_eq!(incident(name).map(|found| found.stage.name), Some(name), "no name twice");
        assert_eq!(row.stage.number(), None, "{name} is outside the course");
        assert!(row.stage.incident().is_some() && stage(name).is_some(), "{name}");
        let fix = row.stage.fixed_by.and_then(stage).expect(name);
        let is_same = |a: &Stage, b: &Stage| (&a.workflow, &a.activities) == (&b.workflow, &b.activities);
        assert!(!is_same(fix, &row.stage), "{name} is the code that {} fixes", fix.name);
        assert!(!fix.workflow.source.is_empty() && !fix.activities.source.is_empty(), "{name}");

        assert!(row.stage.title() != name && !row.stage.title().is_empty(), "{name}");
        assert!(!section(&row.stage, "Ticket").is_empty(), "{name}");
        assert_eq!(row.stage.text.hints().len(), 4, "{name}");
        let blocks = lab::blocks(section(&row.stage, "Explanation"));
        assert!(blocks.iter().any(|block| matches!(block, Block::Fix | Block::Write(..))), "{name}");
    }
}

/// They say what customers see, and neither where the bug is nor what it is.
#[test]
fn a_title_and_a_ticket_give_nothing_away() {
    for row in INCIDENTS {
        let name = row.stage.name;
        let read_first = format!("{} {}", row.stage.title(), section(&row.stage, "Ticket")).to_lowercase();
        for mark in ["`", "::", "()", ".rs", "crates/"] {
            assert!(!read_first.contains(mark), "{name}: {mark}");
        }
        let words: BTreeSet<&str> =
            read_first.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        for word in &words {
            assert!(!word.contains('_') || word.starts_with("account_"), "{name}: {word}");
        }
        for give_away in GIVE_AWAYS {
            assert!(!words.contains(give_away), "{name}: {give_away}");
        }
        for variant in [&row.stage.workflow, &row.stage.activities] {
            assert!(!read_first.contains(&variant.name.replace('_', " ")), "{name}: {}", variant.name);
        }
    }
}

#[test]
fn a_seed_chooses_the_same_incident_everywhere_and_every_one_is_chosen() {
    let names = |seeds: std::ops::Range<u64>| seeds.map(|seed| incident_of(seed).stage.name);
    let first = [
        "no-error-anywhere",
        "too-much-money",
        "charged-twice",
        "too-much-money",
        "waiting-customers",
        "yesterdays-transfers",
    ];
    assert_eq!(names(1..7).collect::<Vec<_>>(), first, "a class and a colleague have this seed's incident");
    let chosen: BTreeSet<&str> = names(0..100).collect();
    assert_eq!(chosen.len(), INCIDENTS.len(), "{chosen:?}");
}
