//! The drill, as the page and `/api/drill` show it. Until it has ended, nothing here says what is wrong.

use std::path::Path;

use lab::{Facts, INCIDENTS, Incident, Outcome, Report, SAFE, Status};
use lab_client::{drill_report::DrillReport, journal, progress::Progress};
use serde_json::{Value, json};

use crate::markdown::to_html;

/// The incidents, by what a ticket may say of them.
pub(crate) fn incidents(progress: Option<&Progress>) -> Vec<Value> {
    let incident = |Incident { stage, .. }: &Incident| {
        let done = progress.is_some_and(|progress| progress.is_done(stage));
        json!({ "name": stage.name, "title": stage.title(), "done": done })
    };
    INCIDENTS.iter().map(incident).collect()
}

/// What the histories and the ledger say about the drill; null at a stage.
pub(crate) fn judged(lab: &Path, progress: &Progress, report: &Report, facts: &Facts) -> Value {
    if progress.stage.incident().is_none() {
        return Value::Null;
    }
    let outcome = Outcome::of(facts);
    let running = facts.transfers.iter().filter(|one| one.last().status == Status::Running).count();
    let is_ended = progress.drill.as_ref().is_some_and(|drill| drill.ended.is_some());
    json!({
        "report": is_ended.then(|| report_json(lab, progress, facts)),
        "numbers": {
            "in_progress": running,
            "hit": outcome.hits.len(),
            "safe": outcome.safe.len().min(SAFE),
            "safe_of": SAFE,
            "closed": facts.transfers.len() - running,
        },
        "is_recovered": report.is_reached(),
    })
}

/// The report of a drill.
pub(crate) fn report_of(lab: &Path, progress: &Progress, facts: &Facts) -> DrillReport {
    DrillReport::of(progress, facts, &journal::read(lab))
}

/// The report, with the words that the page shows.
pub(crate) fn report_json(lab: &Path, progress: &Progress, facts: &Facts) -> Value {
    let report = report_of(lab, progress, facts);
    let mut json = report.to_json();
    json["headline"] = json!(report.headline());
    json["facts"] = json!(report.facts());
    json
}

/// The drill, as it is recorded and [judged]; null at a stage.
pub(crate) fn to_json(progress: &Progress, judged: &Value) -> Value {
    let mut json = judged.clone();
    let Value::Object(fields) = &mut json else { return Value::Null };
    let (stage, drill) = (progress.stage, progress.drill.as_ref());
    let ended = drill.and_then(|drill| drill.ended.as_ref());
    let (_, sections) = lab::sections(stage.text.source);
    let section = |wanted: &str| {
        let found = sections.iter().find(|(title, _)| *title == wanted);
        found.map(|(_, body)| to_html(body).html).unwrap_or_default()
    };
    let hints = stage.text.hints();
    let shown: Vec<String> = hints.iter().take(progress.hints).map(|hint| to_html(hint).html).collect();
    let recorded = json!({
        "incident": stage.name,
        "title": stage.title(),
        "ticket": section("Ticket"),
        "seed": drill.map(|drill| drill.seed),
        "started": progress.entered,
        "ended": ended.map(|(time, gave_up)| json!({ "time": time, "gave_up": gave_up })),
        "hints": shown,
        "hints_of": hints.len(),
        "explanation": ended.map(|_| section("Explanation")),
        "fixed_by": stage.fixed_by.filter(|_| ended.is_some()),
    });
    if let Value::Object(recorded) = recorded {
        fields.extend(recorded);
    }
    json
}
