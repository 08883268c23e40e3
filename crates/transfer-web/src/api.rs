//! The routes of the Money Transfer API, answered from Temporal and the bank.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use contract::{Transfer, TransferRequest};
use lab_client::{
    bank::Bank,
    http::{encode, get_json, put_json},
    progress::Progress,
    temporal::Server,
};
use loopback::{Failure, JsonText};
use serde_json::{Map, Value, json};

use crate::{
    accounts,
    drill_orders::{self, Act},
    events::events,
    failure::{bank_down, temporal_down},
    feed::Subject,
    help,
    history::{EarlierRuns, history},
    orders, page,
    request::{Name, number},
    transfers::Which,
    watch::Watched,
};

/// The OpenAPI description of all routes.
const OPENAPI: &str = include_str!("../openapi.json");

/// The largest number of transfers in a response.
const MOST: usize = 2_000;
/// How many histories are read before the lock is released.
const AT_ONCE: usize = 100;
/// How long the lock stays released, so that other requests can take it.
const YIELD: Duration = Duration::from_millis(1);

/// The response of a route.
type Answer = Result<Json<Value>, Failure>;

/// The routes of the API, with the paths of openapi.json.
fn api() -> [(&'static str, MethodRouter<Watched>); 22] {
    [
        ("/api/accounts", get(accounts)),
        ("/api/accounts/{account_id}/workflows", get(account_workflows)),
        ("/api/transfer", post(transfer)),
        ("/api/batch", post(batch)),
        ("/api/workflows", get(workflows)),
        ("/api/workflows/{workflow_id}", get(workflow)),
        ("/api/workflows/{workflow_id}/history", get(event_history)),
        ("/api/workflows/{workflow_id}/retry", post(retry)),
        ("/api/real-world-mode", get(real_world_mode).post(set_real_world_mode)),
        ("/api/outage", get(outage).post(set_outage)),
        ("/api/reset", post(reset)),
        ("/api/stage", get(stages).post(enter_stage)),
        ("/api/stage/{stage}", get(stage_question)),
        ("/api/drill", get(drill).post(act_in_drill)),
        ("/api/drill/report.html", get(drill_report)),
        ("/api/drill/{incident}", get(drill_question)),
        ("/api/saved-edits/{edit_id}", get(compare_edit).post(restore_edit)),
        ("/api/help", post(ask_for_help)),
        ("/api/help/done", post(take_help_back)),
        ("/api/without-temporal", post(without_temporal)),
        ("/api/events", get(events)),
        ("/openapi.json", get(openapi)),
    ]
}

/// All routes. `public_ui` is the URL at which a proxy forwards the Temporal UI.
pub(crate) fn routes(watched: Watched, public_ui: Option<String>) -> Router {
    let text = page::text(public_ui);
    let page = [
        ("/", get(async move || page::index(text))),
        ("/assets/{name}", get(page::asset)),
        ("/health", get(async || Json(json!({ "status": "healthy" })))),
    ];
    let router = loopback::router(api().into_iter().chain(page));
    router.layer(Extension(EarlierRuns::default())).with_state(watched)
}

/// Runs blocking work on a thread that may block.
async fn ask<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let error =
            "this request crashed in the service; for details, type: cargo xtask lab logs transfer-web";
        Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error))
    })
}

async fn accounts(State(watched): State<Watched>) -> Answer {
    ask(move || {
        let bank = &watched.endpoints.bank;
        let answer = get_json(&format!("{bank}/accounts")).map_err(|error| bank_down(&error))?;
        let accounts = answer["accounts"].as_array().into_iter().flatten().filter_map(|account| {
            let balance = json!({ "balance": account["balance"] });
            Some((account["account_number"].as_str()?.to_owned(), balance))
        });
        Ok(Json(Value::Object(accounts.collect())))
    })
    .await
}

/// The rows of these transfers, up to date.
fn rows(watched: &Watched, which: &Which) -> anyhow::Result<Vec<Value>> {
    let opened = watched.ask_opened();
    watched.transfers().sync()?;
    loop {
        let mut transfers = watched.transfers();
        if transfers.read_some(which, AT_ONCE, opened)? {
            transfers.read_running(which, opened)?;
            return Ok(transfers.rows(which, opened));
        }
        drop(transfers);
        std::thread::sleep(YIELD);
    }
}

async fn workflows(State(watched): State<Watched>, RawQuery(query): RawQuery) -> Answer {
    let limit = number(query.as_deref(), "limit", MOST)?.min(MOST);
    ask(move || {
        let rows = rows(&watched, &Which::Newest(limit)).map_err(|error| temporal_down(&error))?;
        Ok(Json(Value::Array(rows)))
    })
    .await
}

async fn workflow(State(watched): State<Watched>, Name(workflow_id): Name) -> Answer {
    ask(move || {
        let row = watched.transfers().one(&workflow_id).map_err(|error| temporal_down(&error))?;
        row.map(Json).ok_or_else(|| unknown(&workflow_id))
    })
    .await
}

async fn event_history(
    State(watched): State<Watched>,
    Extension(runs): Extension<EarlierRuns>,
    Name(workflow_id): Name,
) -> Answer {
    ask(move || {
        let history = history(&Server::new(&watched.endpoints), &workflow_id, &runs);
        let history = history.map_err(|error| temporal_down(&error))?;
        history.map(Json).ok_or_else(|| unknown(&workflow_id))
    })
    .await
}

fn unknown(workflow_id: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("no transfer has the Workflow Id {workflow_id}"))
}

async fn account_workflows(State(watched): State<Watched>, Name(account): Name) -> Answer {
    ask(move || {
        let bank = &watched.endpoints.bank;
        match get_json(&format!("{bank}/accounts/{}", encode(&account))).map_err(|error| bank_down(&error)) {
            // The history is in Temporal, so it does not need the bank.
            Ok(_) => {}
            Err(failure) if failure.status == StatusCode::SERVICE_UNAVAILABLE => {}
            Err(failure) => return Err(failure),
        }
        // A separate statement, which releases the lock at its end: `rows` takes it again.
        let which = watched.transfers().of_account(&account).map_err(|error| temporal_down(&error))?;
        let rows = rows(&watched, &which).map_err(|error| temporal_down(&error))?;
        Ok(Json(accounts::history(&account, rows)))
    })
    .await
}

async fn transfer(State(watched): State<Watched>, body: JsonText) -> Answer {
    let request: TransferRequest = body.parse()?;
    let transfer = request.validate().map_err(|refusal| Failure::bad_request(refusal.message))?;
    ask(move || {
        let Transfer { from_account, to_account, amount } = &transfer;
        watched.note(&format!("start a transfer of {amount} from {from_account} to {to_account}"));
        orders::start(&watched, &transfer).map(Json)
    })
    .await
}

async fn batch(State(watched): State<Watched>) -> Answer {
    ask(move || {
        watched.note("start the daily batch");
        orders::batch(&watched).map(Json)
    })
    .await
}

async fn retry(State(watched): State<Watched>, Name(workflow_id): Name) -> Answer {
    ask(move || {
        let row = watched.transfers().one(&workflow_id).map_err(|error| temporal_down(&error))?;
        let row = row.ok_or_else(|| unknown(&workflow_id))?;
        watched.note(&format!("retry {workflow_id}"));
        orders::retry(&watched, &row).map(Json)
    })
    .await
}

async fn real_world_mode(State(watched): State<Watched>) -> Answer {
    ask(move || from_bank(&watched, "real-world-mode")).await
}

async fn set_real_world_mode(State(watched): State<Watched>, body: JsonText) -> Answer {
    let change: Map<String, Value> = body.parse()?;
    ask(move || to_bank(&watched, "real-world-mode", change)).await
}

async fn outage(State(watched): State<Watched>) -> Answer {
    ask(move || from_bank(&watched, "outage")).await
}

async fn set_outage(State(watched): State<Watched>, body: JsonText) -> Answer {
    let change: Map<String, Value> = body.parse()?;
    ask(move || to_bank(&watched, "outage", change)).await
}

/// Forwards a GET to the bank.
fn from_bank(watched: &Watched, what: &str) -> Answer {
    let url = format!("{}/{what}", watched.endpoints.bank);
    get_json(&url).map(Json).map_err(|error| bank_down(&error))
}

/// Forwards a change to the bank, which validates it.
fn to_bank(watched: &Watched, what: &str, change: Map<String, Value>) -> Answer {
    if let Some(lab) = &watched.lab {
        let allowed = Progress::read(lab).allow_bank_change();
        allowed.map_err(|error| Failure::new(StatusCode::CONFLICT, error.to_string()))?;
    }
    let url = format!("{}/{what}", watched.endpoints.bank);
    let answer = put_json(&url, &Value::Object(change)).map_err(|error| bank_down(&error))?;
    // The page shows this response. If the bank is back to its last published state by the next look, the page needs that
    // event too.
    watched.feed.publish_again(Subject::Bank);
    Ok(Json(answer))
}

async fn reset(State(watched): State<Watched>) -> Answer {
    ask(move || {
        if watched.lab.as_deref().is_some_and(|lab| Progress::read(lab).drill.is_some()) {
            let error = "the drill and its report need the transfers and the ledger as they are; to leave the drill, enter a stage, for \
                         example with: cargo xtask stage jerry";
            return Err(Failure::new(StatusCode::CONFLICT, error));
        }
        orders::reset(&watched, &Bank::new(&watched.endpoints)).map(Json)
    })
    .await
}

async fn stages(State(watched): State<Watched>) -> Answer {
    let progress = watched.lab.as_deref().map(Progress::read);
    let stages = lab::STAGES.iter().map(|stage| {
        let done = progress.as_ref().is_some_and(|progress| progress.is_done(stage));
        json!({ "name": stage.name, "number": stage.number(), "title": stage.title(), "done": done })
    });
    let current = progress.as_ref().map(|progress| progress.stage.name);
    Ok(Json(json!({ "stage": current, "stages": stages.collect::<Vec<_>>() })))
}

/// The stage of this name. An incident is entered as a drill.
fn course_stage(name: &str) -> Option<&'static lab::Stage> {
    lab::STAGES.iter().find(|stage| stage.name == name)
}

async fn enter_stage(State(watched): State<Watched>, body: JsonText) -> Answer {
    let order: Map<String, Value> = body.parse()?;
    let name = order.get("name").and_then(Value::as_str).unwrap_or_default();
    let Some(stage) = course_stage(name) else {
        let names: Vec<&str> = lab::STAGES.iter().map(|stage| stage.name).collect();
        return Err(Failure::bad_request(format!("name must be one of {}", names.join(", "))));
    };
    let choice = |field: &str| match order.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(choice)) => Ok(*choice),
        Some(_) => Err(Failure::bad_request(format!("{field} must be true or false"))),
    };
    let (keep, clean) = (choice("keep")?, choice("clean")?);
    ask(move || orders::enter_stage(&watched, stage, keep, clean).map(Json)).await
}

async fn stage_question(State(watched): State<Watched>, Name(stage): Name) -> Answer {
    let Some(stage) = course_stage(&stage) else {
        let error = format!("there is no stage {stage}; see GET /api/stage");
        return Err(Failure::new(StatusCode::NOT_FOUND, error));
    };
    ask(move || orders::stage_question(&watched, stage).map(Json)).await
}

async fn drill(State(watched): State<Watched>) -> Answer {
    ask(move || drill_orders::get(&watched).map(Json)).await
}

async fn act_in_drill(State(watched): State<Watched>, body: JsonText) -> Answer {
    let act = Act::of(&body.parse()?)?;
    ask(move || drill_orders::act(&watched, act).map(Json)).await
}

async fn drill_report(State(watched): State<Watched>) -> Result<Response, Failure> {
    ask(move || drill_orders::report_html(&watched).map(page::report)).await
}

async fn drill_question(State(watched): State<Watched>, Name(incident): Name) -> Answer {
    ask(move || drill_orders::question(&watched, &incident).map(Json)).await
}

async fn compare_edit(State(watched): State<Watched>, Name(id): Name) -> Answer {
    ask(move || orders::saved_edit(&watched, "compare", &id).map(Json)).await
}

async fn restore_edit(State(watched): State<Watched>, Name(id): Name) -> Answer {
    ask(move || {
        watched.note(&format!("restore the edit {id}"));
        orders::saved_edit(&watched, "restore", &id).map(Json)
    })
    .await
}

async fn ask_for_help(State(watched): State<Watched>, body: JsonText) -> Answer {
    let text = help::question(&body.parse()?)?;
    ask(move || help::ask(&watched, Some(&text)).map(Json)).await
}

async fn take_help_back(State(watched): State<Watched>) -> Answer {
    ask(move || help::ask(&watched, None).map(Json)).await
}

async fn without_temporal(State(watched): State<Watched>) -> Answer {
    ask(move || orders::without_temporal(&watched).map(Json)).await
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_stage_is_described() {
        let openapi: Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
        let body = &openapi["paths"]["/api/stage"]["post"]["requestBody"]["content"]["application/json"];
        let names: Vec<&str> = lab::STAGES.iter().map(|stage| stage.name).collect();
        assert_eq!(body["schema"]["properties"]["name"]["enum"], json!(names));
    }

    #[test]
    fn every_route_is_described() {
        let openapi: Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
        let described = openapi["paths"].as_object().expect("paths").keys().map(String::as_str);
        let served = api().map(|(path, _)| path);
        assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(served));
    }
}
