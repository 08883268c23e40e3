//! Clients that are slow, and many at a time: they take nothing from the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Router, routing::get, routing::post};
use loopback::{Failure, JsonText, Limits};
use tokio::sync::Notify;
use webtest::{Connection, SlowClients, ask, ask_at_once};

use crate::support::listener;

const QUICK: &str = "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Limits that a test can wait for.
const SHORT: Limits = Limits {
    connections: 1024,
    // Longer than a busy machine takes from a connection to its first request.
    head: Duration::from_secs(2),
    rest: Duration::from_secs(60),
    answer: Duration::from_millis(500),
};

/// A service within these limits. Its `/slow` waits for the notification.
async fn service(limits: Limits) -> (SocketAddr, Arc<Notify>) {
    // Both ends of each connection are this program's.
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
async fn clients_that_send_a_byte_now_and_then_are_let_go_after_the_time_for_a_head() {
    let (address, _) = service(SHORT).await;
    let silent: Vec<_> = (0..100).map(|_| Connection::to(address)).collect();
    let first = SlowClients::start(address, 300, "GET /quick HTTP/1.1\r\nHost: localhost\r\nX: ");
    // Who has asked before is no different.
    let known = (0..100).map(|_| {
        // At once: a new connection has no more time for a head than any other.
        let mut connection = Connection::to(address);
        connection.send(QUICK);
        assert_eq!(connection.answer().expect("an answer").body, "quick");
        connection
    });
    let later = SlowClients::go_on(known.collect(), "GET /quick HTTP/1.1\r\nX: ");
    is_answered_soon(address);

    for slow in [first, later] {
        let (time, told) = slow.let_go();
        // The time begins where the service takes the connection, which is a little before this one.
        let in_time = time > SHORT.head / 2 && time < SHORT.rest / 2;
        assert!(told.is_empty() && in_time, "{time:?}: {told:?}");
    }
    for mut silent in silent {
        assert!(silent.answer().is_none());
    }
    is_answered_soon(address);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_that_have_taken_every_connection_make_room_in_time() {
    let (address, _) = service(Limits { connections: 100, ..SHORT }).await;
    let slow = SlowClients::start(address, 250, "GET /quick HTTP/1.1\r\nX: ");
    is_answered_soon(address);
    drop(slow);
    is_answered_soon(address);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_come_a_byte_now_and_then_hold_up_nobody() {
    let (address, _) = service(Limits::default()).await;
    let begin = "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{";
    let slow = SlowClients::start(address, 300, begin);
    is_answered_soon(address);
    let (time, told) = slow.let_go();
    assert!(told.iter().all(|answer| answer.status == 408), "{told:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(30)).contains(&time), "{time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_rest_nor_an_answer_that_takes_its_time_is_cut_off() {
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
async fn a_client_that_does_not_take_its_answer_is_let_go() {
    let (address, _) = service(Limits { connections: 1, ..SHORT }).await;
    let mut deaf = Connection::to(address);
    deaf.send("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // There is room for one, so this waits until the other is gone.
    is_answered_soon(address);
    // Who takes it has it to the last byte.
    assert_eq!(ask(address, "GET /long", &[("Host", "localhost")], "").body.len(), 64 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_at_once_are_all_answered_and_leave_room_for_a_thousand_more() {
    let (address, _) = service(Limits { connections: 1000, ..Limits::default() }).await;
    for round in 0..3 {
        let answers = ask_at_once(address, &vec![QUICK.to_owned(); 1000]);
        let answered = answers.iter().flatten().filter(|answer| answer.body == "quick").count();
        assert_eq!(answered, 1000, "round {round}");
    }
}
