//! Stands in for the bank, the page or the Temporal server: answers every request with a 200, and writes its ready
//! file. Also for the CLI that is asked for its version.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
    time::Duration,
};

fn main() {
    let name = env::var("STAND_IN").unwrap_or_else(|_| env!("CARGO_PKG_NAME").to_owned());
    let arguments: Vec<String> = env::args().collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        Some(arguments[at + 1].clone())
    };
    let ports = ["--port", "--ui-port", "--http-port"].into_iter().filter_map(value);
    let ports: Vec<u16> = ports.map(|port| port.parse().expect("a port")).collect();
    let listeners: Vec<_> =
        ports.iter().map(|&port| TcpListener::bind(("127.0.0.1", port)).expect("the port is free")).collect();
    // It listens, and does not answer.
    let hold = env::var_os("HOLD").map_or_else(|| "hold".into(), PathBuf::from);
    while hold.join(&name).exists() {
        // It may be let go in this moment.
        let _ = fs::write(hold.join(format!("{name}.here")), "");
        thread::sleep(Duration::from_millis(10));
    }
    if name == "version" {
        println!("temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)");
        return;
    }
    // Only the bank and the server keep books.
    if let Some(books) = value("--db").or_else(|| value("--db-filename")) {
        write(&books, "books").expect("the database can be written");
    }
    if let Some(ready) = value("--ready-file") {
        write(&ready, &format!("http://127.0.0.1:{}", ports[0])).expect("it can be written");
    }
    let mut stdout = std::io::stdout();
    // As of the real ones, a full disk is no end.
    let _ = writeln!(stdout, "stand-in on {}", ports[0]);
    thread::scope(|scope| {
        for listener in &listeners {
            scope.spawn(|| serve(listener));
        }
    });
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"status\":\"healthy\"}";
        let _ = stream.write_all(answer.as_bytes());
    }
}

/// Writes a file. Linux may say once that a memory disk is full while it is nearly empty, when several processes write at the same time.
fn write(path: &str, text: &str) -> io::Result<()> {
    for _ in 0..5 {
        if fs::write(path, text).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::write(path, text)
}
