//! A web application on a socket.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How many connections [`serve`] has open at a time.
pub const CONNECTIONS: usize = 1024;

/// How long a connection may take to send a request's headers, its rest between two requests
/// included: so longer than the 90 seconds for which clients commonly keep an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(100);

/// How long requests under way have to finish when the service shuts down.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be accepted, as when the process is out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `shutdown` is done; then finishes what is under way, for at most two
/// seconds, and cuts off the rest. At most [`CONNECTIONS`] are open at a time; further ones wait.
///
/// What would not end by itself in these seconds, such as a stream of events, the service best ends
/// at the end of `shutdown`:
///
/// ```no_run
/// # async fn run(listener: tokio::net::TcpListener, app: axum::Router) -> anyhow::Result<()> {
/// let streams = tokio::sync::watch::Sender::new("go on");
/// let asked_to_end = loopback::shutdown_signal()?;
/// let shutdown = async {
///     asked_to_end.await;
///     streams.send_replace("end");
/// };
/// loopback::serve(listener, app, shutdown).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS, listener, app, shutdown).await;
}

/// As [`serve`], with at most this many connections at a time. With none, nobody is answered.
pub async fn serve_at_most(
    most: usize,
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    // Dropped at the end, it takes with it what did not finish in time.
    let mut connections = JoinSet::new();

    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Each that ends makes room, so this goes on where accepting has to wait.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < most => {
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
    // What is late is cut off: its client sees a broken connection and asks again.
    let _ = tokio::time::timeout(SHUTDOWN_DEADLINE, graceful.shutdown()).await;
}
