//! Many clients at a time, and clients that are slow.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Answer, Connection};

/// How often a slow client sends a byte.
const PACE: Duration = Duration::from_millis(50);

/// Asks with all of these requests at a time, each on a connection of its own that stays open until all are answered. The
/// answers are in the order of the requests; `None` for one that the service has hung up on instead.
///
/// # Panics
/// There is no connection, or an answer takes longer than a minute.
pub fn ask_at_once(address: SocketAddr, requests: &[String]) -> Vec<Option<Answer>> {
    let mut connections: Vec<Connection> = requests.iter().map(|_| Connection::to(address)).collect();
    for (connection, request) in connections.iter_mut().zip(requests) {
        connection.send(request);
    }
    connections.iter_mut().map(Connection::answer).collect()
}

/// Connections that send a byte now and then (slow loris), and never come to an end. Dropped, they hang up.
pub struct SlowClients {
    connections: Vec<Connection>,
    since: Instant,
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl SlowClients {
    /// So many to this address, which all begin with this part of a request.
    ///
    /// # Panics
    /// There is no connection.
    pub fn start(address: SocketAddr, number: usize, begin: &str) -> SlowClients {
        SlowClients::go_on((0..number).map(|_| Connection::to(address)).collect(), begin)
    }

    /// These connections, which go on with this part of a request.
    ///
    /// # Panics
    /// The service has hung up.
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
                    // Those that were let go take no more.
                    let _ = stream.write_all(b"x");
                }
            }
        });
        SlowClients { connections, since, over, sender: Some(sender) }
    }

    /// Waits until the service has let go of all of them. Returns how long the last has held out, and what those were told
    /// that were told something before. Who sends on to a connection that has ended may miss what came of it.
    ///
    /// # Panics
    /// One is still there after a minute.
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
            // It only writes, so it does not panic. What it writes with is closed at its end.
            let _ = sender.join();
        }
    }
}
