//! Stands in for the bank or the page: answers every request with a 200, and writes its ready file.

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpListener,
};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        Some(arguments[at + 1].clone())
    };
    let port: u16 = value("--port").expect("the flag is given").parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    // Only the bank keeps books.
    if let Some(books) = value("--db") {
        fs::write(books, "books").expect("the database can be written");
    }
    let ready = value("--ready-file").expect("the flag is given");
    fs::write(ready, format!("http://127.0.0.1:{port}")).expect("it can be written");
    println!("stand-in on {port}");
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"status\":\"healthy\"}";
        let _ = stream.write_all(answer.as_bytes());
    }
}
