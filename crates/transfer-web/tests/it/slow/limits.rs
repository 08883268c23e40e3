//! Limits: large bodies, slow clients, many clients.

use std::net::SocketAddr;

use futures::future::join_all;
use serde_json::{Value, json};
use testbed::until;
use webtest::{Connection, SlowClients};

use crate::{
    stream::Stream,
    support::{Client, Lab, Service, nowhere},
};

/// A running transfer-web without a bank and a Temporal server. Dropping it ends it.
#[cfg(target_os = "linux")]
struct Program {
    child: std::process::Child,
    address: SocketAddr,
}

#[cfg(target_os = "linux")]
impl Program {
    fn start() -> Program {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};

        let nobody = nowhere().bank;
        let mut child = Command::new(env!("CARGO_BIN_EXE_transfer-web"))
            .args(["--port", "0", "--bank", &nobody, "--temporal-http", &nobody])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("transfer-web listens on http://").expect("its one line");
        Program { child, address: address.parse().expect("an address") }
    }

    /// The number of its open files.
    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it is alive").count()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Program {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_thousand_clients_nor_hundreds_of_slow_ones_take_it_down() {
    loopback::allow_files();
    let program = Program::start();
    let address = program.address;
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    assert_eq!(webtest::ask(address, "GET /", &[("Host", "localhost")], "").status, 200);
    let before = program.open_files();

    let heads = SlowClients::start(address, 200, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let begin = "POST /api/transfer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{\"";
    let bodies = SlowClients::start(address, 200, begin);
    // The slow clients hold 400 of the 1024 connections.
    for answer in webtest::ask_at_once(address, &vec![page.clone(); 600]) {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    assert!(heads.let_go().1.is_empty());
    assert!(bodies.let_go().1.iter().all(|answer| answer.status == 408));

    for answer in webtest::ask_at_once(address, &vec![page; 1000]) {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    until("every connection is closed", || async {
        let now = program.open_files();
        if now <= before { Ok(()) } else { Err(format!("{now} open files, and {before} before")) }
    })
    .await;
}

/// The routes with a body.
const WITH_BODY: [&str; 3] = ["/api/transfer", "/api/real-world-mode", "/api/outage"];

fn address(web: &Client) -> SocketAddr {
    web.host().parse().expect("an address")
}

#[tokio::test]
async fn a_body_may_have_sixteen_kibibytes_and_no_more() {
    let lab = Lab::start().await;
    let web = lab.web();
    let order = r#"{"from_account":"account_A","to_account":"account_B","amount":1}"#;
    for (path, body) in WITH_BODY.into_iter().zip([order, r#"{"enabled":true}"#, r#"{"deposits":true}"#]) {
        for (length, status) in [(16 * 1024, 200), (16 * 1024 + 1, 413), (4 * 1024 * 1024, 413)] {
            let body = format!("{body}{}", " ".repeat(length - body.len()));
            let request = web.request("POST", path).body(body);
            if length > 1024 * 1024 {
                // A body this large is not read to its end: a client that keeps sending may be disconnected before the response.
                let Ok(answer) = request.send().await else { continue };
                assert_eq!(answer.status(), status, "{path}");
                continue;
            }
            let answer = web.send(request).await;
            assert_eq!(answer.status, status, "{path} {length}: {}", answer.text);
            if status == 413 {
                assert_eq!(answer.error().1, "the body is larger than 16384 bytes");
            }
        }
    }
    assert_eq!(web.good("/api/workflows").await.as_array().map(Vec::len), Some(1));
    assert_eq!(web.good("/api/accounts").await["account_B"]["balance"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_arrives_times_out_and_blocks_nobody() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    let slow: Vec<_> = WITH_BODY
        .iter()
        .map(|path| {
            let mut connection = Connection::to(address(web));
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n{{", web.host());
            connection.send(&head);
            connection
        })
        .collect();
    assert_eq!(web.get("/").await.status, 200, "other requests get responses meanwhile");
    let answers = slow
        .into_iter()
        .map(|mut connection| tokio::task::spawn_blocking(move || connection.answer().expect("an answer")));
    for answer in join_all(answers).await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 408);
        assert_eq!(answer.body, r#"{"error":"the body took longer than 10 seconds"}"#);
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_mid_request_starts_nothing() {
    let lab = Lab::start().await;
    let web = lab.web();
    let order = r#"{"from_account":"account_A","to_account":"account_B","amount":1}"#;
    for part in ["", &order[..20], order] {
        let mut connection = Connection::to(address(web));
        let length = order.len() + 1;
        let head = format!(
            "POST /api/transfer HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
            web.host()
        );
        connection.send(&format!("{head}{part}"));
        connection.break_off();
        if let Some(answer) = connection.answer() {
            assert_eq!(answer.status, 400, "{}", answer.body);
        }
    }
    assert_eq!(web.good("/api/workflows").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_at_once_all_get_a_response() {
    // Both ends of each connection are in this process.
    loopback::allow_files();
    let lab = Lab::start().await;
    let web = lab.web();
    let first = web.start("account_A", "account_B", 1.0).await;
    let row = format!("/api/workflows/{first}");
    let clients = (0..1000).map(|at| {
        let row = &row;
        async move {
            let order = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
            match at % 25 {
                0 => web.post("/api/transfer", order).await,
                1 => web.get("/api/workflows").await,
                2 => web.get("/api/accounts/account_A/workflows").await,
                3..10 => web.get(row).await,
                10..15 => web.get("/api/accounts").await,
                _ => web.get("/").await,
            }
        }
    });
    for answer in join_all(clients).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(web.good("/api/workflows").await.as_array().map(Vec::len), Some(41));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_two_hundred_streams_at_most_and_one_that_ends_makes_room() {
    let service = Service::start(nowhere(), None).await;
    let web = &service.web;
    let opened = join_all((0..230).map(|_| Stream::open(web, ""))).await;
    let (mut streams, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!((streams.len(), refused.len()), (200, 30));
    assert!(refused.iter().all(|refused| refused.as_ref().err() == Some(&503)));
    let answer = web.get("/api/events").await;
    let error = "too many pages of this lab are open; close one and reload this one";
    assert_eq!(answer.error(), (503, error));
    // All other routes still work.
    assert_eq!(web.get("/").await.status, 200);
    assert_eq!(web.get("/openapi.json").await.status, 200);

    drop(streams.pop());
    until("room for one more", || async { Stream::open(web, "offset=1").await.map(|_| ()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_read_blocks_nobody() {
    let lab = Lab::start().await;
    let web = lab.web();
    // The client never reads its stream, so events wait in the system's buffers, and then in the service.
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::to(address(web));
        connection.send(&format!("GET /api/events?limit=50 HTTP/1.1\r\nHost: {}\r\n\r\n", web.host()));
        deaf.push(connection);
    }
    let mut stream = Stream::of(web, "limit=50").await;
    let mut total = 0;
    for _ in 0..10 {
        let batch: Value = web.post("/api/batch", json!({})).await.json;
        total += batch["started"].as_u64().expect("a number");
        stream.until("transfers", |event| event["total"] == total).await;
    }
    assert_eq!(total, 120);
    drop(deaf);
}
