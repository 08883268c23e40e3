//! Raw connections: they send exactly what a test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a response may take on a slow machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection.
pub struct Connection(TcpStream);

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its status line and headers, in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Connection {
    /// A new connection to this address.
    ///
    /// # Panics
    /// Nothing listens there.
    pub fn to(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        Connection(stream)
    }

    /// Sends a request, or a part of one.
    ///
    /// # Panics
    /// The service has disconnected.
    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// The same, of any bytes.
    ///
    /// # Panics
    /// The service has disconnected.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("a connection");
    }

    /// A handle to write to the same connection.
    pub(crate) fn writer(&self) -> TcpStream {
        self.0.try_clone().expect("a file")
    }

    /// Closes the sending side.
    ///
    /// # Panics
    /// The service has disconnected.
    pub fn break_off(&self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("a connection");
    }

    /// The next response; `None` if the service disconnects instead.
    ///
    /// # Panics
    /// There is none within a minute, or it is not HTTP/1.1 with a length.
    pub fn answer(&mut self) -> Option<Answer> {
        self.0.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time limit");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(error) if is_late(&error) => panic!("no response in {ANSWER_TIMEOUT:?}"),
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

    /// Whether the service neither responds nor disconnects within this time.
    ///
    /// # Panics
    /// The system does not support timeouts.
    pub fn is_silent_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).expect("a time limit");
        self.0.peek(&mut [0]).is_err_and(|error| is_late(&error))
    }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Sends one request, with this request line, these headers and this body.
///
/// # Panics
/// There is no response.
pub fn ask(address: SocketAddr, request_line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
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
