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

#[cfg(test)]
mod tests {
    use lab::{Evidence, Facts, Verdict};
    use lab_client::Endpoints;

    use super::*;

    #[test]
    fn a_transfer_that_a_reset_has_deleted_is_named_without_a_link() {
        let at = |time: &str| Evidence {
            workflow_id: "transfer-1".to_owned(),
            run_id: "run".to_owned(),
            event_id: Some(11),
            time: Some(time.to_owned()),
            what: "divided by zero".to_owned(),
        };
        let evidence = vec![at("2026-11-22T11:59:59Z"), at("2026-11-22T12:00:01Z")];
        let mut report = Report::of(&lab::STAGES[0], &Facts::default());
        report.verdicts[0] = Verdict::Reached(evidence);
        let server =
            Server::new(&Endpoints::own("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"));
        let opened = parse_rfc3339("2026-11-22T12:00:00Z").expect("a time");
        let evidence = report_json(&report, &server, opened)["goals"][0]["evidence"].take();
        assert_eq!(evidence[0]["what"], "divided by zero; a reset of the money deleted this transfer");
        assert_eq!(evidence[0]["ui_url"], Value::Null);
        assert!(
            evidence[1]["ui_url"].as_str().is_some_and(|link| link.contains("/transfer-1/run/")),
            "{evidence}"
        );
    }
}
