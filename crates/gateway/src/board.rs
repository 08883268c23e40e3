//! The class board, as JSON and as a page, for the instructor on this machine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use lab_client::{Endpoints, class, temporal::Server};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// How long a response is cached for all open pages.
const CACHE_TIME: Duration = Duration::from_secs(1);

/// The Content Security Policy: the page may load its own two files and fetch the board. Learners' input must not run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The board, read through the gateway's own HTTP API.
#[derive(Clone)]
struct Board {
    server: Server,
    last: Arc<Mutex<Option<(Instant, Value)>>>,
}

/// The routes of the board. `http` is the URL of the gateway's HTTP API.
pub(crate) fn routes(http: &str, namespace: &str) -> Router {
    let endpoints = Endpoints { namespace: namespace.to_owned(), ..Endpoints::own(http, "", "") };
    let board = Board { server: Server::new(&endpoints), last: Arc::default() };
    Router::new()
        .route("/", get(async || page("text/html; charset=utf-8", include_str!("../board/board.html"))))
        .route("/board.css", get(async || page("text/css", include_str!("../board/board.css"))))
        .route("/board.js", get(async || page("text/javascript", include_str!("../board/board.js"))))
        .route("/board.json", get(answer))
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
    // Concurrent requests wait for this response, and share it.
    let mut last = board.last.lock().await;
    if let Some((_, answer)) = last.as_ref().filter(|(asked, _)| asked.elapsed() < CACHE_TIME) {
        return axum::Json(answer.clone()).into_response();
    }
    let server = board.server.clone();
    // The client blocks.
    let asked = tokio::task::spawn_blocking(move || class::board(&server)).await;
    match asked {
        Ok(Ok(rows)) => {
            let answer = rows.to_json();
            *last = Some((Instant::now(), answer.clone()));
            axum::Json(answer).into_response()
        }
        Ok(Err(error)) => error_response(&format!("{error:#}")),
        Err(_) => error_response("the board could not be read"),
    }
}

fn error_response(why: &str) -> Response {
    (StatusCode::BAD_GATEWAY, axum::Json(json!({ "message": why }))).into_response()
}
