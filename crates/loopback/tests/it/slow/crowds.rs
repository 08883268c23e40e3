//! Slow clients and many clients: they do not block the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Router, routing::get, routing::post};
use loopback::{Failure, JsonText, Limits};
use tokio::sync::Notify;
use webtest::{Connection, SlowClients, ask, ask_at_once};

use crate::support::listener;

const QUICK: &str = "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Short limits for tests.
const SHORT: Limits = Limits {
    connections: 1024,
    // Longer than a client on a busy machine takes from its connection to its first request.
    head: Duration::from_secs(2),
    rest: Duration::from_secs(60),
    answer: Duration::from_millis(500),
};

/// A service with these limits. Its `/slow` waits for the notification.
async fn service(limits: Limits) -> (SocketAddr, Arc<Notify>) {
    // Both ends of each connection are in this process.
    loopback::allow_files();
    let done = Arc::<Notify>::default();
    let wait = done.clone();
    let slow = async move || {
        wait.notified().await;
        "slow"
    };
    let app = Router::new()
        .route("/quick", get(async || "quick"))
        .route("/slow", get(slow))
        .route("/long", get(async || "long".repeat(16 * 1024 * 1024)))
        .route("/body", post(async |_: JsonText| Failure::bad_request("a body came")));
    let (listener, address) = listener().await;
    tokio::spawn(loopback::serve_within(limits, listener, app, std::future::pending()));
    (address, done)
}

fn is_answered_soon(address: SocketAddr) {
    let start = Instant::now();
    assert_eq!(ask(address, "GET /quick", &[("Host", "localhost")], "").body, "quick");
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_byte_now_and_then_are_disconnected_after_the_timeout_for_a_head() {
    let (address, _) = service(SHORT).await;
    let silent: Vec<_> = (0..100).map(|_| Connection::to(address)).collect();
    let first = SlowClients::start(address, 300, "GET /quick HTTP/1.1\r\nHost: localhost\r\nX: ");
    // The same for clients that have sent a request before.
    let known = (0..100).map(|_| {
        // At once: a new connection has the same timeout for a head as any other.
        let mut connection = Connection::to(address);
        connection.send(QUICK);
        assert_eq!(connection.answer().expect("an answer").body, "quick");
        connection
    });
    let later = SlowClients::go_on(known.collect(), "GET /quick HTTP/1.1\r\nX: ");
    is_answered_soon(address);

    for slow in [first, later] {
        let (time, told) = slow.let_go();
        // The timeout starts when the service accepts the connection, a little before this clock.
        let in_time = time > SHORT.head / 2 && time < SHORT.rest / 2;
        assert!(told.is_empty() && in_time, "{time:?}: {told:?}");
    }
    for mut silent in silent {
        assert!(silent.answer().is_none());
    }
    is_answered_soon(address);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_on_every_connection_are_disconnected_in_time() {
    let (address, _) = service(Limits { connections: 100, ..SHORT }).await;
    let slow = SlowClients::start(address, 250, "GET /quick HTTP/1.1\r\nX: ");
    is_answered_soon(address);
    drop(slow);
    is_answered_soon(address);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_arrive_a_byte_now_and_then_block_nobody() {
    let (address, _) = service(Limits::default()).await;
    let begin = "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{";
    let slow = SlowClients::start(address, 300, begin);
    is_answered_soon(address);
    let (time, told) = slow.let_go();
    assert!(told.iter().all(|answer| answer.status == 408), "{told:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(30)).contains(&time), "{time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_an_idle_connection_nor_a_slow_response_is_aborted() {
    let (address, done) = service(SHORT).await;
    let mut resting = Connection::to(address);
    resting.send(QUICK);
    assert_eq!(resting.answer().expect("an answer").body, "quick");
    let mut waiting = Connection::to(address);
    waiting.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");

    assert!(resting.is_silent_for(SHORT.head * 3) && waiting.is_silent_for(Duration::from_millis(1)));
    resting.send(QUICK);
    assert_eq!(resting.answer().expect("an answer").body, "quick");
    done.notify_one();
    assert_eq!(waiting.answer().expect("an answer").body, "slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_has_an_end() {
    let (address, _) = service(Limits { rest: Duration::from_millis(500), ..SHORT }).await;
    let mut resting = Connection::to(address);
    resting.send(QUICK);
    assert_eq!(resting.answer().expect("an answer").body, "quick");
    assert!(resting.answer().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_its_response_is_disconnected() {
    let (address, _) = service(Limits { connections: 1, ..SHORT }).await;
    let mut deaf = Connection::to(address);
    deaf.send("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // Only one connection fits, so this waits until the other is gone.
    is_answered_soon(address);
    // A client that reads gets every byte.
    assert_eq!(ask(address, "GET /long", &[("Host", "localhost")], "").body.len(), 64 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_at_once_all_get_a_response_and_then_a_thousand_more_fit() {
    let (address, _) = service(Limits { connections: 1000, ..Limits::default() }).await;
    for round in 0..3 {
        let answers = ask_at_once(address, &vec![QUICK.to_owned(); 1000]);
        let answered = answers.iter().flatten().filter(|answer| answer.body == "quick").count();
        assert_eq!(answered, 1000, "round {round}");
    }
}
