//! The class board, as JSON and as a page, for the instructor on this machine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lab_client::{
    Endpoints,
    class::{
        self, Polls,
        notices::{self, Announcement, ClassDrill, Notices},
    },
    temporal::Server,
    time,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// How long a response is cached for all open pages.
const CACHE_TIME: Duration = Duration::from_secs(1);

/// The Content Security Policy: the page may load its own files and fetch the board. Learners' input must not run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The content types of the pages and their scripts.
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The board, read through the gateway's own HTTP API.
#[derive(Clone)]
struct Board {
    server: Server,
    polls: Arc<Polls>,
    last: Arc<Mutex<Option<(Instant, class::Board)>>>,
}

/// The routes of the board. `http` is the URL of the gateway's HTTP API.
pub(crate) fn routes(http: &str, namespace: &str) -> Router {
    let endpoints = Endpoints { namespace: namespace.to_owned(), ..Endpoints::own(http, "", "") };
    let board = Board { server: Server::new(&endpoints), polls: Arc::default(), last: Arc::default() };
    Router::new()
        .route("/", get(async || page(HTML, include_str!("../board/board.html"))))
        .route("/wall", get(async || page(HTML, include_str!("../board/wall.html"))))
        .route("/board.css", get(async || page("text/css", include_str!("../board/board.css"))))
        .route("/board.js", get(async || page(SCRIPT, include_str!("../board/board.js"))))
        .route("/rows.js", get(async || page(SCRIPT, include_str!("../board/rows.js"))))
        .route("/wall.js", get(async || page(SCRIPT, include_str!("../board/wall.js"))))
        .route("/words.js", get(async || page(SCRIPT, include_str!("../board/words.js"))))
        .route("/board.json", get(answer))
        .route("/wall.json", get(wall))
        .route("/board/coming", post(come))
        .route("/board/announcement", post(announce))
        .route("/board/open", post(open))
        .route("/board/drill", post(drill))
        .with_state(board)
}

fn page(kind: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Another version of the gateway may serve other files.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content)
}

async fn answer(State(board): State<Board>) -> Response {
    match board.read().await {
        Ok(board) => Json(board.to_json()).into_response(),
        Err(why) => error_response(StatusCode::BAD_GATEWAY, &why),
    }
}

async fn wall(State(board): State<Board>) -> Response {
    match board.read().await {
        Ok(board) => Json(board.to_wall_json()).into_response(),
        Err(why) => error_response(StatusCode::BAD_GATEWAY, &why),
    }
}

/// Acknowledges the question of a learner on the board: `{"learner"}`.
async fn come(State(board): State<Board>, Json(order): Json<Value>) -> Response {
    let learner = text(&order, "learner");
    let rows = match board.read().await {
        Ok(board) => board.rows,
        Err(why) => return error_response(StatusCode::BAD_GATEWAY, &why),
    };
    let help = rows.into_iter().find(|row| row.report.learner == learner).and_then(|row| row.report.help);
    match help {
        Some(help) => board.change(move |notices| notices.come_to(&learner, &help)).await,
        None => error_response(StatusCode::NOT_FOUND, "this learner no longer asks for help"),
    }
}

/// Shows a line to every learner, or removes it: `{"text"}`.
async fn announce(State(board): State<Board>, Json(order): Json<Value>) -> Response {
    let announcement = Announcement::new(&text(&order, "text"), &time::rfc3339(time::unix_now()));
    board.change(move |notices| notices.announcement.clone_from(&announcement)).await
}

/// Opens the stages up to this one, or all of them: `{"stage"}`.
async fn open(State(board): State<Board>, Json(order): Json<Value>) -> Response {
    let stage = text(&order, "stage");
    let stage = (!stage.is_empty()).then_some(stage);
    if stage.as_ref().is_some_and(|name| lab::stage(name).is_none()) {
        return error_response(StatusCode::BAD_REQUEST, "there is no such stage");
    }
    board.change(move |notices| notices.open.clone_from(&stage)).await
}

/// Starts a drill for every learner, or ends it: `{"seed"}`, null to end it.
async fn drill(State(board): State<Board>, Json(order): Json<Value>) -> Response {
    let seed = order["seed"].as_u64();
    if seed.is_none() && !order["seed"].is_null() {
        return error_response(StatusCode::BAD_REQUEST, "a seed is a whole number, such as 7");
    }
    let drill = seed.map(|seed| ClassDrill { seed, since: time::rfc3339(time::unix_now()) });
    board.change(move |notices| notices.drill.clone_from(&drill)).await
}

fn text(order: &Value, name: &str) -> String {
    order[name].as_str().unwrap_or_default().to_owned()
}

impl Board {
    /// Changes the notices of the class.
    async fn change(&self, change: impl Fn(&mut Notices) + Send + 'static) -> Response {
        let changed = self.ask(|server| notices::change(server, change)).await;
        // The next reader sees the change.
        *self.last.lock().await = None;
        match changed {
            Ok(_) => Json(json!({})).into_response(),
            Err(why) => error_response(StatusCode::BAD_GATEWAY, &why),
        }
    }

    /// The board, at most a second old.
    async fn read(&self) -> Result<class::Board, String> {
        // Concurrent requests wait for this response, and share it.
        let mut last = self.last.lock().await;
        if let Some((_, board)) = last.as_ref().filter(|(asked, _)| asked.elapsed() < CACHE_TIME) {
            return Ok(board.clone());
        }
        let polls = Arc::clone(&self.polls);
        let board = self
            .ask(move |server| {
                let mut board = class::board_at(server, &polls, time::now())?;
                board.note(notices::read(server)?);
                Ok(board)
            })
            .await?;
        *last = Some((Instant::now(), board.clone()));
        Ok(board)
    }

    /// Asks the service with the client, which blocks.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Server) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let server = self.server.clone();
        match tokio::task::spawn_blocking(move || question(&server)).await {
            Ok(answer) => answer.map_err(|error| format!("{error:#}")),
            Err(_) => Err("the board failed; start it again: cargo xtask class board --page".to_owned()),
        }
    }
}

fn error_response(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "message": why }))).into_response()
}
