//! A service to ask, and connections that send just what a test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

/// How long an answer may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A free port.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Puts an application on a free port, for as long as the test lives.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(loopback::serve(listener, app, std::future::pending()));
    address
}

/// A connection.
pub(crate) struct Connection(TcpStream);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        Connection(stream)
    }

    /// Sends a request, or a part of one.
    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("a connection");
    }

    /// Sends nothing more.
    pub(crate) fn break_off(&self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("a connection");
    }

    /// The next answer; `None` if the service hangs up instead.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.0.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(error) if is_late(&error) => panic!("no answer in {PATIENCE:?}"),
                _ => return None,
            }
        }
        let head = String::from_utf8(head).expect("ASCII").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.expect("a length").parse().expect("a number")];
        self.0.read_exact(&mut body).expect("the body");
        Some(Answer { status, head, body: String::from_utf8(body).expect("UTF-8") })
    }

    /// Whether there is neither an answer nor an end within this time.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).expect("a time limit");
        self.0.peek(&mut [0]).is_err_and(|error| is_late(&error))
    }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Asks once: with this request line, these headers and this body.
pub(crate) fn ask(address: SocketAddr, request_line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!("{request_line} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += body;
    let mut connection = Connection::to(address);
    connection.send(&request);
    connection.answer().expect("an answer")
}
