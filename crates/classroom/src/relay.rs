//! A TCP relay: accepts connections at one address and forwards them to another.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{SockRef, TcpKeepalive};

/// The stack size of a forwarding thread: there are many, and they call little.
const STACK: usize = 128 * 1024;
/// How long to wait after a failed accept, for example when no more files can be opened.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The limit of open files: a class has a few hundred connections with two files each. The default on macOS is 256.
const FILES: u64 = 4096;

/// The system probes a client that is silent for so long, and disconnects it after this many probes without a response: a laptop that has left
/// the room never closes its connection.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(30);
const KEEP_ALIVE_PROBES: u32 = 3;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Forwards the listener's connections for as long as this process runs.
pub(crate) fn start(listener: TcpListener, to: SocketAddr) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < FILES
    {
        // If this fails, fewer connections fit.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(FILES), hard);
    }
    thread::spawn(move || {
        for client in listener.incoming() {
            match client {
                // If no thread can be started, the connection is closed.
                Ok(client) => drop(beside(move || drop(forward(client, to)))),
                Err(_) => thread::sleep(RETRY_DELAY),
            }
        }
    });
}

/// Forwards one connection until both sides have closed it.
fn forward(client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let (client, server) = (Arc::new(client), Arc::new(TcpStream::connect(to)?));
    disconnect_when_dead(&client)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (asks, takes) = (client.clone(), server.clone());
    beside(move || {
        // The client has finished its request, but may still wait for the response.
        let _ = io::copy(&mut &*asks, &mut &*takes);
        let _ = takes.shutdown(Shutdown::Write);
    })?;
    let _ = io::copy(&mut &*server, &mut &*client);
    // Once the server has closed, nothing more can be sent to it; and a client that is gone may never close its side.
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
    Ok(())
}

/// Has the system end the connection when the client no longer responds.
fn disconnect_when_dead(client: &TcpStream) -> io::Result<()> {
    let client = SockRef::from(client);
    let asking = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_TIME)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_PROBES);
    client.set_tcp_keepalive(&asking)?;
    // The system sends no probes while it waits for a confirmation of what was sent.
    #[cfg(target_os = "linux")]
    client.set_tcp_user_timeout(Some(KEEP_ALIVE_TIME + KEEP_ALIVE_INTERVAL * KEEP_ALIVE_PROBES))?;
    Ok(())
}

fn beside(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// Both ends of a connection through a relay.
    fn connection() -> (TcpStream, TcpStream) {
        let (server, at) = listener();
        let (relay, relayed) = listener();
        start(relay, at);
        let client = TcpStream::connect(relayed).expect("it listens");
        (client, server.accept().expect("it is handed on").0)
    }

    #[test]
    fn bytes_are_forwarded_both_ways_also_after_the_client_has_finished_sending() {
        let (mut client, mut server) = connection();
        let asked = vec![7; 1_000_000];
        let asking = asked.clone();
        let (mut more, mut heard) = (client.try_clone().expect("it is open"), Vec::new());
        thread::spawn(move || {
            more.write_all(&asking).expect("it is read");
            more.shutdown(Shutdown::Write).expect("it is open");
        });
        server.read_to_end(&mut heard).expect("it comes to its end");
        assert!(heard == asked);
        server.write_all(b"all of it").expect("it is read");
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("it comes to its end");
        assert_eq!(answer, "all of it");
    }

    #[test]
    fn closing_one_side_closes_the_other() {
        let (mut client, server) = connection();
        drop(server);
        assert_eq!(client.read(&mut [0]).expect("it is told"), 0);
        let (client, mut server) = connection();
        drop(client);
        assert_eq!(server.read(&mut [0]).expect("it is told"), 0);
    }

    #[test]
    fn a_client_that_no_longer_responds_is_disconnected_within_a_minute() {
        let (client, server) = connection();
        disconnect_when_dead(&client).expect("it is open");
        let client = SockRef::from(&client);
        assert!(client.keepalive().expect("it is open"));
        let asked = client.tcp_keepalive_interval().expect("it is open")
            * client.tcp_keepalive_retries().expect("it is open");
        let silent = client.tcp_keepalive_time().expect("it is open") + asked;
        assert_eq!(silent, Duration::from_secs(60));
        #[cfg(target_os = "linux")]
        assert_eq!(client.tcp_user_timeout().expect("it is open"), Some(silent));
        drop(server);
    }

    #[test]
    fn if_nothing_listens_the_client_is_disconnected() {
        // Outside the range of ephemeral ports.
        let free = supervisor::ports::any_free().expect("there is a free port");
        let (relay, relayed) = listener();
        start(relay, SocketAddr::from(([127, 0, 0, 1], free)));
        let mut client = TcpStream::connect(relayed).expect("the relay listens");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a time");
        // By a normal close or a reset.
        let read = client.read(&mut [0]);
        assert!(
            matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        );
    }
}
