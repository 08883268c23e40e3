//! A web service with scripted responses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

/// A received request.
#[derive(Debug)]
pub struct Request {
    /// Its request line, such as `GET /path HTTP/1.1`, and its headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// Responds to every request with this status and body, one after the other, until the test's process ends. Each response closes its
/// connection.
///
/// # Panics
/// No port is free.
pub fn web_service(mut answer: impl FnMut(&Request) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (status, body) = answer(&read(BufReader::new(&stream)));
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            // The client may have disconnected.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

fn read(mut stream: impl BufRead) -> Request {
    let mut head = String::new();
    // The head ends with an empty line.
    while stream.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse::<u64>().ok()
    });
    let mut body = String::new();
    stream.take(length.unwrap_or_default()).read_to_string(&mut body).expect("a body");
    Request { head, body }
}
