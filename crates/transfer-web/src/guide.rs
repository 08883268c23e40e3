//! The guide beside the transfers: the stage's story, its tasks with this lab's values, its goals, its hints, and what to read; or the drill.

use std::collections::BTreeMap;

use lab::{Block, Condition, Facts, Report, STAGES, Stage, Task};
use lab_client::{
    progress::Progress,
    temporal::{Run, Server},
    time::parse_rfc3339,
};
use serde_json::{Value, json};

use crate::{drill, markdown, placeholders::Values};

/// The event for the current stage, or for the drill.
pub(crate) fn event(
    progress: &Progress,
    history: &Reached,
    report: &Value,
    tasks: &[Value],
    drill: Value,
    error: Option<String>,
) -> Value {
    let stage = progress.stage;
    let mut event = report.clone();
    // A goal of a drill is open again when it is missed again.
    if drill.is_null() {
        history.keep(progress, &mut event);
    }
    let fields = json!({
        "stage": stage.name,
        "of": STAGES.len(),
        "title": stage.title(),
        "entered": progress.entered,
        "progress": history.progress(progress),
        "incidents": drill::incidents(Some(progress)),
        "error": error,
    });
    // A drill's text says what is wrong.
    let text =
        if drill.is_null() { text_of(progress, tasks) } else { json!({ "number": null, "drill": drill }) };
    if let (Value::Object(event), Value::Object(fields), Value::Object(text)) = (&mut event, fields, text) {
        event.extend(fields.into_iter().chain(text));
    }
    event
}

/// What the text of a stage says, and how many of its hints are shown.
fn text_of(progress: &Progress, tasks: &[Value]) -> Value {
    let stage = progress.stage;
    let (story, sections) = lab::sections(stage.text.source);
    let is_read = |title: &str| title != "Do" && title != "Hints";
    let reading: Vec<Value> = sections
        .into_iter()
        .filter(|(title, _)| is_read(title))
        .map(|(title, body)| json!({ "title": title, "html": markdown::to_html(body).html }))
        .collect();
    let hints: Vec<String> = stage.text.hints().iter().map(|hint| markdown::to_html(hint).html).collect();
    json!({
        "number": stage.number(),
        "html": markdown::to_html(story).html,
        "complete_says": stage.text.complete(),
        "tasks": tasks,
        "reading": reading,
        "hints": hints,
        "hints_shown": progress.hints,
        "fixed_by": stage.fixed_by,
        "drill": null,
    })
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
    let goals = json["goals"].as_array_mut().into_iter().flatten().map(|goal| &mut goal["evidence"]);
    for evidence in goals.filter_map(Value::as_array_mut) {
        shorten(report, evidence);
        evidence.iter_mut().for_each(link);
    }
    if let Some(wrong) = json["wrong"].as_array_mut() {
        shorten(report, wrong);
        wrong.iter_mut().for_each(link);
    }
    json["next_stage"] = report.next_stage().map_or(Value::Null, |next| {
        json!({ "name": next.name, "title": next.title(), "command": format!("cargo xtask stage {}", next.name) })
    });
    json
}

/// Keeps one piece of evidence in a drill, which has hundreds of transfers.
fn shorten(report: &Report, evidence: &mut Vec<Value>) {
    if report.stage.incident().is_some() {
        evidence.truncate(1);
    }
}

/// The tasks of the stage, with this lab's values. `status` is the supervisor's.
pub(crate) fn tasks(
    report: &Report,
    facts: &Facts,
    server: &Server,
    status: &Value,
    is_entering: bool,
) -> Vec<Value> {
    let mut tasks: Vec<Value> =
        report.stage.text.tasks().iter().map(|task| task_json(task, report, facts, server, status)).collect();
    // Until the stage's transfers are prepared, its first task is not done.
    for task in tasks.iter_mut().filter(|task| is_entering && task["holds"] == true) {
        task["holds"] = json!(false);
    }
    tasks
}

/// A task: `goal` is the goal that completes it, and `holds` whether the condition does that completes it otherwise.
fn task_json(task: &Task, report: &Report, facts: &Facts, server: &Server, status: &Value) -> Value {
    let page = task.page.clone().unwrap_or_default();
    let condition = Condition::named(&page.until);
    let values = Values::of(&page.until, report, facts, server, status);
    json!({
        "title": task.title.replace('`', ""),
        "html": markdown::filled_to_html(&values.in_page(&page.text)),
        "terminal": terminal(task, &values),
        "about": values.workflow_id(),
        "goal": condition.is_none().then_some(page.until),
        "holds": condition.map(|condition| condition.holds(facts, status["watch"] != false)),
    })
}

/// The commands of a task's form for the terminal, without their output. One whose values are not known yet cannot be copied.
fn terminal(task: &Task, values: &Values) -> String {
    let mut html = String::new();
    for block in lab::blocks(&task.terminal) {
        let Block::Commands(commands) = block else {
            html.push_str("<p>Change the code and save.</p>\n");
            continue;
        };
        for command in commands {
            html.push_str(&match values.in_command(&command.typed) {
                Some(typed) => markdown::command(&typed, true),
                None => markdown::command(&command.typed, false),
            });
        }
    }
    html
}

/// The goals that were reached since the stage was entered. A goal stays reached on the page, whatever happens afterwards.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// The stage, and when it was entered.
    entry: (String, String),
    /// The evidence of each goal, by its name.
    goals: BTreeMap<String, Value>,
    /// Whether all were reached at once.
    all: bool,
    /// The most goals that were reached of each stage, by its name.
    most: BTreeMap<String, usize>,
}

impl Reached {
    /// Remembers what this report says.
    pub(crate) fn learn(&mut self, progress: &Progress, report: &Value) {
        let entry = entry_of(progress);
        if self.entry != entry {
            *self = Reached { entry, most: std::mem::take(&mut self.most), ..Reached::default() };
            self.most.remove(progress.stage.name);
        }
        for goal in report["goals"].as_array().into_iter().flatten().filter(|goal| goal["reached"] == true) {
            self.goals.insert(text(&goal["name"]), goal["evidence"].clone());
        }
        self.all |= report["reached"] == true;
        self.most.insert(progress.stage.name.to_owned(), self.goals.len());
    }

    /// Adds to a report which of its open goals were reached earlier, and whether the stage is complete.
    fn keep(&self, progress: &Progress, report: &mut Value) {
        if self.entry != entry_of(progress) {
            return;
        }
        for goal in
            report["goals"].as_array_mut().into_iter().flatten().filter(|goal| goal["reached"] != true)
        {
            if let Some(evidence) = self.goals.get(&text(&goal["name"])) {
                goal["earlier"] = json!(true);
                goal["evidence"] = evidence.clone();
            }
        }
        report["complete"] = json!(self.all && report["wrong"].as_array().is_none_or(Vec::is_empty));
    }

    /// How many goals of each stage are reached.
    fn progress(&self, progress: &Progress) -> Vec<Value> {
        let row = |stage: &Stage| {
            let of = stage.goals.len();
            let is_done = progress.is_done(stage);
            let known = self.most.get(stage.name).copied().unwrap_or_default();
            let reached = if is_done && stage != progress.stage { of } else { known };
            json!({
                "name": stage.name,
                "title": stage.title(),
                "number": stage.number(),
                "reached": reached,
                "of": of,
                "done": is_done || (stage == progress.stage && self.all),
            })
        };
        STAGES.iter().map(row).collect()
    }
}

/// The stage, and when it was entered.
fn entry_of(progress: &Progress) -> (String, String) {
    (progress.stage.name.to_owned(), progress.entered.clone())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use lab::{Evidence, Verdict};
    use lab_client::Endpoints;

    use super::*;

    fn report(reached: [bool; 2]) -> Value {
        let goal = |name: &str, reached: bool| json!({ "name": name, "reached": reached, "evidence": [name], "next": "more" });
        json!({
            "stage": "jerry",
            "goals": [goal("a", reached[0]), goal("b", reached[1])],
            "reached": reached == [true, true],
            "wrong": [],
        })
    }

    #[test]
    fn a_goal_stays_reached_until_the_stage_is_entered_again() {
        let mut history = Reached::default();
        let progress = Progress { entered: "1".to_owned(), ..Progress::begin(&STAGES[0]) };
        history.learn(&progress, &report([true, false]));
        let mut later = report([false, true]);
        history.learn(&progress, &later);
        history.keep(&progress, &mut later);
        assert_eq!(
            (&later["goals"][0]["earlier"], &later["goals"][0]["evidence"]),
            (&json!(true), &json!(["a"]))
        );
        assert_eq!((&later["goals"][1]["earlier"], &later["complete"]), (&Value::Null, &json!(false)));
        history.learn(&progress, &report([true, true]));
        history.keep(&progress, &mut later);
        assert_eq!(later["complete"], true);

        let again = Progress { entered: "2".to_owned(), ..progress };
        let mut fresh = report([false, false]);
        history.learn(&again, &fresh);
        history.keep(&again, &mut fresh);
        assert_eq!((&fresh["goals"][0]["earlier"], &fresh["complete"]), (&Value::Null, &json!(false)));
    }

    #[test]
    fn progress_counts_goals_and_not_the_stages_that_were_passed_over() {
        let mut history = Reached::default();
        history.learn(&Progress::begin(&STAGES[0]), &report([true, false]));
        let progress = Progress { done: vec![STAGES[1].name.to_owned()], ..Progress::begin(&STAGES[6]) };
        history.learn(&progress, &json!({ "goals": [] }));
        let rows = history.progress(&progress);
        let reached: Vec<_> = rows.iter().map(|row| row["reached"].as_u64().unwrap_or_default()).collect();
        let expected = [1, STAGES[1].goals.len() as u64].into_iter().chain([0].into_iter().cycle());
        assert_eq!(reached, expected.take(STAGES.len()).collect::<Vec<_>>());
        assert_eq!(
            (&rows[0]["done"], &rows[1]["done"], &rows[4]["done"]),
            (&json!(false), &json!(true), &json!(false))
        );
    }

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
