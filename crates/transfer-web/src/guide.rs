//! The guide beside the transfers: the stage's text, its goals and its hints.

use lab::{Report, Stage};
use lab_client::{
    temporal::{Run, Server},
    time::parse_rfc3339,
};
use serde_json::{Value, json};

use crate::markdown;

/// The event for the current stage.
pub(crate) fn event(stage: &Stage, hints_shown: usize, report: &Value, error: Option<String>) -> Value {
    let text = markdown::to_html(stage.text.source);
    let hints: Vec<String> = stage.text.hints().iter().map(|hint| markdown::to_html(hint).html).collect();
    let mut event = report.clone();
    let fields = json!({
        "stage": stage.name,
        "number": stage.number(),
        "of": lab::STAGES.len(),
        "title": text.title,
        "html": text.html,
        "hints": hints,
        "hints_shown": hints_shown,
        "fixed_by": stage.fixed_by,
        "error": error,
    });
    if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
        event.extend(fields);
    }
    event
}

/// A report as in `check --json`, with links into the Temporal UI and the next stage's title and command. What is older than the
/// bank's ledger, which was opened at this time, was deleted by a reset of the money.
pub(crate) fn report_json(report: &Report, server: &Server, opened: f64) -> Value {
    let mut json = report.to_json();
    let link = |evidence: &mut Value| {
        let text = |name: &str| evidence[name].as_str().unwrap_or_default().to_owned();
        if evidence["time"].as_str().and_then(parse_rfc3339).is_some_and(|time| time < opened) {
            evidence["what"] = json!(format!("{}; a reset of the money deleted this transfer", text("what")));
            return;
        }
        let run = Run { workflow_id: text("workflow_id"), run_id: text("run_id") };
        evidence["ui_url"] = json!(server.ui_link(&run));
    };
    for goal in json["goals"].as_array_mut().into_iter().flatten() {
        goal["evidence"].as_array_mut().into_iter().flatten().for_each(link);
    }
    json["wrong"].as_array_mut().into_iter().flatten().for_each(link);
    json["next_stage"] = report.next_stage().map_or(Value::Null, |next| {
        let title = markdown::to_html(next.text.source).title;
        json!({ "name": next.name, "title": title, "command": format!("cargo xtask stage {}", next.name) })
    });
    json
}
