//! Connections that are taken at one address and handed on to another, byte by byte.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a thread that hands bytes on needs: they are many, and call nothing.
const STACK: usize = 128 * 1024;
/// How long to wait for room where there is none for another connection, such as for want of open files.
const ROOM: Duration = Duration::from_millis(100);

/// So many files may be open: two for each connection, and a room has a few hundred. macOS allows 256 by itself.
const FILES: u64 = 4096;

/// Hands on what connects to the listener, for as long as this process runs.
pub(super) fn start(listener: TcpListener, to: SocketAddr) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < FILES
    {
        // Where it cannot be, there is room for fewer.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(FILES), hard);
    }
    thread::spawn(move || {
        for client in listener.incoming() {
            match client {
                // Where there is no thread for it, it is closed.
                Ok(client) => drop(beside(move || drop(hand_on(client, to)))),
                Err(_) => thread::sleep(ROOM),
            }
        }
    });
}

/// Until both sides have said all.
fn hand_on(client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let (client, server) = (Arc::new(client), Arc::new(TcpStream::connect(to)?));
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (asks, takes) = (client.clone(), server.clone());
    beside(move || {
        // A client that has asked all may still wait for the answer.
        let _ = io::copy(&mut &*asks, &mut &*takes);
        let _ = takes.shutdown(Shutdown::Write);
    })?;
    let _ = io::copy(&mut &*server, &mut &*client);
    // A server that has ended has nothing more to hear either; and a client that is gone does not say so.
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
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

    /// Through a relay: both ends of a connection.
    fn connection() -> (TcpStream, TcpStream) {
        let (server, at) = listener();
        let (relay, relayed) = listener();
        start(relay, at);
        let client = TcpStream::connect(relayed).expect("it listens");
        (client, server.accept().expect("it is handed on").0)
    }

    #[test]
    fn bytes_go_both_ways_and_a_client_that_has_asked_all_gets_its_answer() {
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
    fn a_side_that_goes_takes_the_other_along() {
        let (mut client, server) = connection();
        drop(server);
        assert_eq!(client.read(&mut [0]).expect("it is told"), 0);
        let (client, mut server) = connection();
        drop(client);
        assert_eq!(server.read(&mut [0]).expect("it is told"), 0);
    }

    #[test]
    fn where_nobody_listens_the_client_is_told() {
        // Of those that the system gives nobody by itself.
        let free = supervisor::ports::any_free().expect("there is a free port");
        let (relay, relayed) = listener();
        start(relay, SocketAddr::from(([127, 0, 0, 1], free)));
        let mut client = TcpStream::connect(relayed).expect("the relay listens");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a time");
        // By an end or by a reset.
        let read = client.read(&mut [0]);
        assert!(
            matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        );
    }
}
