//! A web application on a socket.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::files::allowed_files;
use crate::timeout_stream::{Requests, TimeoutStream};

/// How many connections [`serve`] has open at a time, where the system allows for as many.
pub const CONNECTIONS: usize = 1024;

/// What a service takes from its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections are open at a time. With none, nobody is answered.
    pub connections: usize,
    /// How long the head of a request may take, from its first byte to its last; and a new connection to send one.
    pub head: Duration,
    /// How long a client may keep a connection between two requests.
    pub rest: Duration,
    /// How long a client may take nothing of an answer that is there for it.
    pub answer: Duration,
}

impl Default for Limits {
    /// What [`serve`] has: [`CONNECTIONS`], or half of the files that the program may have open, if that is less, since
    /// what requests ask for needs files too; ten seconds for a head; a rest of a hundred, since clients commonly keep an
    /// idle connection for ninety; and thirty to take something of an answer.
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

/// How long requests under way have to finish when the service shuts down.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be accepted, as when the process is out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `shutdown` is done; then finishes what is under way, for at most two
/// seconds, and cuts off the rest. At most [`CONNECTIONS`] are open at a time, and further ones wait; a client
/// that is slow is let go, as [`Limits`] has it by default.
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
    serve_within(Limits::default(), listener, app, shutdown).await;
}

/// As [`serve`], with these limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    // Its time begins with the rest before a head, so it is that of the rest; of the head's own, `TimeoutStream` sees to it.
    http.timer(TokioTimer::new()).header_read_timeout(limits.rest);
    let graceful = GracefulShutdown::new();
    // Dropped at the end, it takes with it what did not finish in time.
    let mut connections = JoinSet::new();

    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Each that ends makes room, so this goes on where accepting has to wait.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // It only costs speed where it fails.
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
    // What is late is cut off: its client sees a broken connection and asks again.
    let _ = tokio::time::timeout(SHUTDOWN_DEADLINE, graceful.shutdown()).await;
}
