//! How many deposits and withdrawals the bank handles for many concurrent clients.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The number of concurrent clients.
pub(super) const CLIENTS: usize = 50;
/// How long they send requests.
const DURATION: Duration = Duration::from_secs(3);

/// Deposits and withdrawals per second that the bank at this port handles.
pub(super) fn movements_a_second(port: u16) -> Result<f64> {
    let answered = AtomicUsize::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let answered = &answered;
                scope.spawn(move || client(port, number, begin, answered))
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client of the bank panicked")))
    })?;
    Ok(answered.into_inner() as f64 / begin.elapsed().as_secs_f64())
}

/// Deposits and withdraws a cent in turn over one connection until the time is up.
fn client(port: u16, number: usize, begin: Instant, answered: &AtomicUsize) -> Result<()> {
    let account = char::from(b'A' + (number % 10) as u8);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("could not connect to the bank")?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for turn in 0_u64.. {
        if begin.elapsed() >= DURATION {
            break;
        }
        let verb = if turn % 2 == 0 { "deposit" } else { "withdraw" };
        let body = r#"{"amount":0.01}"#;
        let request = format!(
            "POST /accounts/account_{account}/{verb} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Content-Type: application/json\r\nIdempotency-Key: \"{number}-{turn}-{}\"\r\n\
             Content-Length: {}\r\n\r\n{body}",
            process::id(),
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        reader.read_line(&mut status)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        if !status.contains(" 200 ") {
            bail!("the bank responded {}: {}", status.trim(), String::from_utf8_lossy(&answer));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
