//! Many concurrent clients, and slow clients.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Answer, Connection};

/// How often a slow client sends a byte.
const PACE: Duration = Duration::from_millis(50);

/// Sends all of these requests at once, each on its own connection that stays open until all have a response. The responses are in
/// the order of the requests; `None` where the service disconnected instead.
///
/// # Panics
/// A connection fails, or a response takes longer than a minute.
pub fn ask_at_once(address: SocketAddr, requests: &[String]) -> Vec<Option<Answer>> {
    let mut connections: Vec<Connection> = requests.iter().map(|_| Connection::to(address)).collect();
    for (connection, request) in connections.iter_mut().zip(requests) {
        connection.send(request);
    }
    connections.iter_mut().map(Connection::answer).collect()
}

/// Connections that send a byte now and then (slow loris) and never finish. Dropping them disconnects.
pub struct SlowClients {
    connections: Vec<Connection>,
    since: Instant,
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl SlowClients {
    /// This many connections, which all start with this part of a request.
    ///
    /// # Panics
    /// A connection fails.
    pub fn start(address: SocketAddr, number: usize, begin: &str) -> SlowClients {
        SlowClients::go_on((0..number).map(|_| Connection::to(address)).collect(), begin)
    }

    /// Existing connections, which continue with this part of a request.
    ///
    /// # Panics
    /// The service has disconnected.
    pub fn go_on(mut connections: Vec<Connection>, begin: &str) -> SlowClients {
        for connection in &mut connections {
            connection.send(begin);
        }
        let since = Instant::now();
        let over = Arc::<AtomicBool>::default();
        let mut writers: Vec<_> = connections.iter().map(Connection::writer).collect();
        let is_over = over.clone();
        let sender = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(PACE);
                for stream in &mut writers {
                    // Disconnected ones fail.
                    let _ = stream.write_all(b"x");
                }
            }
        });
        SlowClients { connections, since, over, sender: Some(sender) }
    }

    /// Waits until the service has disconnected all of them. Returns how long the last one lasted, and the responses received before. A
    /// client that sends to a closed connection may miss its response.
    ///
    /// # Panics
    /// One is still connected after a minute.
    pub fn let_go(mut self) -> (Duration, Vec<Answer>) {
        let mut told = Vec::new();
        for connection in &mut self.connections {
            while let Some(answer) = connection.answer() {
                told.push(answer);
            }
        }
        (self.since.elapsed(), told)
    }
}

impl Drop for SlowClients {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.connections.clear();
        if let Some(sender) = self.sender.take() {
            // The thread only writes, so it does not panic. Its handle is closed at its end.
            let _ = sender.join();
        }
    }
}
