//! The limit of connections, and how they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use loopback::Limits;
use tokio::sync::{Notify, oneshot};
use webtest::Connection;

use crate::support::listener;

const QUICK: &str = "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// An application with a slow route, which signals `under_way` and waits for `done`.
fn app(under_way: &Arc<Notify>, done: &Arc<Notify>) -> Router {
    let (under_way, done) = (under_way.clone(), done.clone());
    let slow = async move || {
        under_way.notify_one();
        done.notified().await;
        "slow"
    };
    Router::new().route("/quick", get(async || "quick")).route("/slow", get(slow))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_waits_until_another_ends() {
    let (listener, address) = listener().await;
    let app = app(&Arc::default(), &Arc::default());
    tokio::spawn(loopback::serve_within(
        Limits { connections: 2, ..Limits::default() },
        listener,
        app,
        std::future::pending(),
    ));
    let mut first = Connection::to(address);
    let mut second = Connection::to(address);
    for connection in [&mut first, &mut second] {
        connection.send(QUICK);
        assert_eq!(connection.answer().expect("an answer").body, "quick");
    }

    let mut third = Connection::to(address);
    third.send(QUICK);
    assert!(third.is_silent_for(Duration::from_millis(300)));
    // The open ones still get responses.
    second.send(QUICK);
    assert_eq!(second.answer().expect("an answer").body, "quick");
    assert!(third.is_silent_for(Duration::from_millis(100)));

    drop(first);
    assert_eq!(third.answer().expect("an answer").body, "quick");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shuts_down_even_at_the_limit_of_connections() {
    let (listener, address) = listener().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.expect("it is stopped") };
    let app = app(&Arc::default(), &Arc::default());
    let service = tokio::spawn(loopback::serve_within(
        Limits { connections: 1, ..Limits::default() },
        listener,
        app,
        shutdown,
    ));
    let mut only = Connection::to(address);
    only.send(QUICK);
    assert_eq!(only.answer().expect("an answer").body, "quick");
    let mut waiting = Connection::to(address);
    waiting.send(QUICK);
    assert!(waiting.is_silent_for(Duration::from_millis(100)));

    stop.send(()).expect("it runs");
    service.await.expect("no panic");
    assert!(only.answer().is_none() && waiting.answer().is_none());
    // A connection of another test may use the port for a moment.
    let begin = Instant::now();
    while std::net::TcpListener::bind(address).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the port is not free again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_progress_at_shutdown_get_a_response() {
    let (listener, address) = listener().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let (under_way, done) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let hurry = done.clone();
    let shutdown = async move {
        stopped.await.expect("it is stopped");
        // A service may end its requests early here.
        hurry.notify_one();
    };
    let service = tokio::spawn(loopback::serve(listener, app(&under_way, &done), shutdown));
    let mut connection = Connection::to(address);
    connection.send(SLOW);
    under_way.notified().await;

    stop.send(()).expect("it runs");
    assert_eq!(connection.answer().expect("an answer").body, "slow");
    assert!(connection.answer().is_none());
    service.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_do_not_finish_are_aborted_after_two_seconds() {
    let (listener, address) = listener().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.expect("it is stopped") };
    let under_way = Arc::<Notify>::default();
    let service = tokio::spawn(loopback::serve(listener, app(&under_way, &Arc::default()), shutdown));
    let mut slow = Connection::to(address);
    slow.send(SLOW);
    under_way.notified().await;
    let mut half = Connection::to(address);
    half.send("GET /quick HTTP/1.1\r\nHost: loc");

    let start = Instant::now();
    stop.send(()).expect("it runs");
    service.await.expect("no panic");
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(slow.answer().is_none() && half.answer().is_none());
}
