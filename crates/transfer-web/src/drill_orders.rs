//! What is asked of a drill over `/api/drill`: to start one, to show it or a hint, and to end it.

use std::path::Path;

use axum::http::StatusCode;
use lab::{Facts, Incident, Report};
use lab_client::{progress::Progress, temporal::Server};
use loopback::Failure;
use serde_json::{Map, Value, json};

use crate::{
    drill::{incidents, judged, report_json, report_of, to_json},
    guide,
    orders::supervise,
    watch::Watched,
};

/// What is asked of a drill.
pub(crate) enum Act {
    /// Start one of this incident, with traffic of this seed.
    Start { incident: &'static Incident, seed: u64, clean: bool },
    /// Show one more hint.
    Hint,
    /// End it.
    End { gives_up: bool },
}

impl Act {
    /// What is asked in this body.
    pub(crate) fn of(order: &Map<String, Value>) -> Result<Act, Failure> {
        let wanted = |name: &str| order.get(name) == Some(&Value::Bool(true));
        let named = |name: &str| order.get(name).filter(|value| !value.is_null());
        match (named("start"), named("seed"), wanted("hint"), wanted("finish"), wanted("give_up")) {
            (None, None, true, false, false) => Ok(Act::Hint),
            (None, None, false, true, false) => Ok(Act::End { gives_up: false }),
            (None, None, false, false, true) => Ok(Act::End { gives_up: true }),
            (start, seed, false, false, false) if start.or(seed).is_some() => {
                let incident = start.map(|name| find(name.as_str().unwrap_or_default())).transpose()?;
                let seed = seed.map(|seed| seed.as_u64().ok_or_else(bad_seed)).transpose()?;
                let seed = seed.or(incident.map(Incident::seed)).unwrap_or_default();
                let incident = incident.unwrap_or_else(|| lab::incident_of(seed));
                Ok(Act::Start { incident, seed, clean: wanted("clean") })
            }
            _ => Err(Failure::bad_request(
                "the body must have one of start (an incident's name), seed (a number), hint, finish and give_up (true)",
            )),
        }
    }
}

fn bad_seed() -> Failure {
    Failure::bad_request("seed must be a whole number of zero or more")
}

fn find(name: &str) -> Result<&'static Incident, Failure> {
    lab::incident(name).ok_or_else(|| {
        Failure::bad_request(format!("there is no incident {name}; GET /api/drill lists them"))
    })
}

/// The response of `GET /api/drill`.
pub(crate) fn get(watched: &Watched) -> Result<Value, Failure> {
    let progress = watched.lab.as_deref().map(Progress::read);
    Ok(json!({ "drill": current(watched)?, "incidents": incidents(progress.as_ref()) }))
}

/// The drill with its goals, by what the server and the bank say now; null at a stage.
fn current(watched: &Watched) -> Result<Value, Failure> {
    let Some((lab, progress)) = on_call(watched) else { return Ok(Value::Null) };
    let facts = read(watched, &progress)?;
    let report = Report::of(progress.stage, &facts);
    let mut drill = to_json(&progress, &judged(lab, &progress, &report, &facts));
    drill["report"] = report_json(lab, &progress, &facts);
    let mut report = guide::report_json(&report, &Server::new(&watched.endpoints), watched.opened());
    for field in ["goals", "wrong"] {
        drill[field] = report[field].take();
    }
    Ok(drill)
}

/// The lab's folder and what is recorded of its drill, unless it is at a stage.
fn on_call(watched: &Watched) -> Option<(&Path, Progress)> {
    let lab = watched.lab.as_deref()?;
    Some((lab, Progress::read(lab))).filter(|(_, progress)| progress.stage.incident().is_some())
}

fn read(watched: &Watched, progress: &Progress) -> Result<Facts, Failure> {
    watched.reader().read(progress, Vec::new()).map_err(|error| {
        let error = format!("the drill cannot be evaluated right now: {error:#}");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
    })
}

/// The report as an HTML file.
pub(crate) fn report_html(watched: &Watched) -> Result<String, Failure> {
    let Some((lab, progress)) = on_call(watched) else {
        return Err(conflict("no drill was started, so there is no report"));
    };
    Ok(report_of(lab, &progress, &read(watched, &progress)?).html())
}

/// The response of `POST /api/drill`: how the drill was entered, if it was, and the drill.
pub(crate) fn act(watched: &Watched, act: Act) -> Result<Value, Failure> {
    let supervise = |request: Value, command: &str, what: &str| {
        supervise(watched, request, &format!("cargo xtask drill {command}"), what)
    };
    let entered = match act {
        Act::Start { incident, seed, clean } => {
            let name = incident.stage.name;
            let request = json!({ "request": "enter", "stage": name, "clean": clean, "seed": seed });
            supervise(request, name, "start the drill")?
        }
        Act::Hint => {
            let Progress { stage, hints, .. } = in_progress(watched)?;
            if hints >= stage.text.hints().len() {
                return Err(conflict("all hints are shown"));
            }
            watched.note("show a hint");
            supervise(json!({ "request": "hint" }), "hint", "show a hint")?;
            Value::Null
        }
        Act::End { gives_up } => {
            in_progress(watched)?;
            let request = json!({ "request": "end-drill", "gives_up": gives_up });
            let answer = supervise(request, if gives_up { "give-up" } else { "finish" }, "end the drill")?;
            if answer["ended"] != true {
                return Err(conflict(&still_open(&answer["report"])));
            }
            Value::Null
        }
    };
    // It is done, also if Temporal does not answer now.
    Ok(json!({ "entered": entered, "drill": current(watched).unwrap_or_default() }))
}

/// What starting a drill of this incident, or of the one that this seed chooses, would replace and leave over.
pub(crate) fn question(watched: &Watched, which: &str) -> Result<Value, Failure> {
    let incident = which.parse().map(lab::incident_of).ok().or_else(|| lab::incident(which));
    let Some(Incident { stage, .. }) = incident else {
        let error = format!("there is no incident {which}; see GET /api/drill");
        return Err(Failure::new(StatusCode::NOT_FOUND, error));
    };
    let terminal = format!("cargo xtask drill {which}");
    let request = json!({ "request": "question", "stage": stage.name });
    supervise(watched, request, &terminal, "compare your code with the drill's")
}

fn conflict(why: &str) -> Failure {
    Failure::new(StatusCode::CONFLICT, why)
}

/// What is recorded of the drill that has not ended.
fn in_progress(watched: &Watched) -> Result<Progress, Failure> {
    let progress = watched.lab.as_deref().map(Progress::read);
    progress.filter(Progress::is_in_drill).ok_or_else(|| conflict("no drill is in progress; start one first"))
}

/// Why a drill did not end, from a report.
fn still_open(report: &Value) -> String {
    let goals = report["goals"].as_array().into_iter().flatten().filter(|goal| goal["reached"] != true);
    let wrong = report["wrong"].as_array().into_iter().flatten().take(3);
    let open: Vec<&str> = goals
        .map(|goal| &goal["goal"])
        .chain(wrong.map(|wrong| &wrong["what"]))
        .filter_map(Value::as_str)
        .collect();
    format!("the incident is not resolved yet; still open: {}", open.join("; "))
}
