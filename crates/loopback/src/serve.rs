//! Serves a web application on a listener.

use std::future::Future;
use std::time::Duration;

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::files::allowed_files;
use crate::local_only::one_host;
use crate::timeout_stream::{Requests, TimeoutStream};

/// The number of open connections of [`serve`], if the system allows it.
pub const CONNECTIONS: usize = 1024;

/// The limits for a service's clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The number of open connections. With zero, no request is served.
    pub connections: usize,
    /// How long a request's head may take, from its first byte to its last; also how long a new connection may take to send one.
    pub head: Duration,
    /// How long a connection may be idle between two requests.
    pub rest: Duration,
    /// How long a client may read nothing of a response.
    pub answer: Duration,
}

impl Default for Limits {
    /// The limits of [`serve`]: [`CONNECTIONS`], or half of the limit of open files if that is less, because requests need files too; ten
    /// seconds for a head; a hundred seconds idle, because clients commonly keep an idle connection for ninety; and thirty seconds without
    /// reading a response.
    fn default() -> Limits {
        let files = usize::try_from(allowed_files()).unwrap_or(usize::MAX);
        Limits {
            connections: CONNECTIONS.min(files / 2),
            head: Duration::from_secs(10),
            rest: Duration::from_secs(100),
            answer: Duration::from_secs(30),
        }
    }
}

/// How long requests in progress may take to finish at shutdown.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(2);

/// How long to wait after a failed accept, for example without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves requests until `shutdown` completes; then finishes requests in progress for at most two seconds, and disconnects the rest.
/// Requests of HTTP/1.1 without a Host, or with two, are rejected.
/// At most [`CONNECTIONS`] are open at a time, and further ones wait; slow clients are disconnected by the default [`Limits`].
///
/// A response that would not end in time, such as an event stream, should be ended at the end of `shutdown`:
///
/// ```no_run
/// # async fn run(listener: tokio::net::TcpListener, app: axum::Router) -> anyhow::Result<()> {
/// let streams = tokio::sync::watch::Sender::new("run");
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
    serve_within(Limits::default(), listener, app, shutdown).await;
}

/// Like [`serve`], with these limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    // This timer starts with the idle time before a head, so it is set to that; `TimeoutStream` limits the head itself.
    http.timer(TokioTimer::new()).header_read_timeout(limits.rest);
    let graceful = GracefulShutdown::new();
    let app = app.layer(middleware::from_fn(one_host));
    // Dropped at the end, which aborts what did not finish in time.
    let mut connections = JoinSet::new();

    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Keeps removing finished connections while accepting has to wait.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // A failure only costs speed.
                let _ = stream.set_nodelay(true);
                let requests = Requests::default();
                let stream = TimeoutStream::new(stream, limits.head, limits.answer, requests.clone());
                let app = TowerToHyperService::new(app.clone());
                let service = service_fn(move |request| {
                    let under_way = requests.begin();
                    let answer = app.call(request);
                    async move {
                        let answer = answer.await;
                        drop(under_way);
                        answer
                    }
                });
                let connection = http.serve_connection(TokioIo::new(stream), service);
                connections.spawn(graceful.watch(connection));
            }
        }
    }

    drop(listener);
    // Late requests are aborted: their clients see a broken connection and retry.
    let _ = tokio::time::timeout(SHUTDOWN_DEADLINE, graceful.shutdown()).await;
}
