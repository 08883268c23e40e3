//! The bank on a socket.

use std::future::Future;
use std::io;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{Bank, routes};

/// How long a connection may take to send a request's headers, its rest between two requests
/// included: so longer than the 90 seconds for which clients commonly keep an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(100);

/// How long requests under way have to finish when the bank shuts down.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be accepted, as when the process is out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `shutdown` is done; then finishes what is under way, for at most two
/// seconds, and closes the bank.
///
/// On a loopback address, requests that name the machine by another name are refused, as
/// [`app`](crate::app) has it.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, bank: Bank, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let app = if listener.local_addr()?.ip().is_loopback() {
        routes::app(bank.clone())
    } else {
        routes::open_to_all(bank.clone())
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    // Dropped at the end, it takes with it what did not finish in time.
    let mut connections = JoinSet::new();

    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // It only costs speed where it fails.
                let _ = stream.set_nodelay(true);
                let service = TowerToHyperService::new(app.clone());
                let connection = http.serve_connection(TokioIo::new(stream), service);
                connections.spawn(graceful.watch(connection));
            }
        }
    }

    drop(listener);
    bank.hurry();
    // What is late is cut off: its client sees a broken connection and asks again.
    let _ = tokio::time::timeout(SHUTDOWN_DEADLINE, graceful.shutdown()).await;
    bank.close().await;
    Ok(())
}
