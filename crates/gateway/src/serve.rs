//! The two listeners: gRPC and the HTTP API.

use std::{io, time::Duration};

use axum::{Router, extract::State, middleware, routing::get};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{board, gateway::Gateway, health, http_api, proxy};

/// The number of gRPC clients connected at a time; more wait. A lab has a few.
const GRPC_CONNECTIONS: usize = 256;
/// What every HTTP/2 client sends first.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
/// A client that has not sent it within this time is disconnected.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that sends nothing for the interval is pinged, and disconnected if it does not respond within the timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check what a new client has sent.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Serves both until `shutdown` completes.
pub async fn serve(
    gateway: Gateway,
    grpc: TcpListener,
    http: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let mut app = Router::new()
        .route("/link", get(async |State(gateway): State<Gateway>| axum::Json(gateway.report().to_json())))
        .fallback(http_api::answer)
        .with_state(gateway.clone());
    let own = http.local_addr().ok();
    if let Some(own) = own.filter(|_| gateway.board) {
        app = app.merge(board::routes(&format!("http://{own}"), &gateway.link.service.namespace));
    }
    let public = own.map(|own| gateway.public.of_port(own.port())).unwrap_or_default();
    let app = app
        .layer(middleware::from_fn_with_state(public.clone(), loopback::same_origin))
        .layer(middleware::from_fn_with_state(public, loopback::known_host));
    let mut both = JoinSet::new();
    both.spawn(health::watch(gateway.link.clone()));
    both.spawn(serve_grpc(gateway, grpc));
    loopback::serve(http, app, shutdown).await;
}

async fn serve_grpc(gateway: Gateway, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < GRPC_CONNECTIONS => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors: wait until a connection ends.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                // A failure only costs speed.
                let _ = stream.set_nodelay(true);
                let gateway = gateway.clone();
                let service = service_fn(move |request| {
                    let gateway = gateway.clone();
                    async move { Ok::<_, std::convert::Infallible>(proxy::answer(gateway, request).await) }
                });
                connections.spawn(async move {
                    if !matches!(timeout(PREFACE_TIMEOUT, begins(&stream)).await, Ok(Ok(()))) {
                        return;
                    }
                    let mut server = auto::Builder::new(TokioExecutor::new()).http2_only();
                    // A worker polls with many requests at once.
                    let http2 = &mut server.http2();
                    http2.timer(TokioTimer::new()).max_concurrent_streams(1000);
                    http2.keep_alive_interval(KEEP_ALIVE_INTERVAL).keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
                    // A client that disconnects is no error.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }
    }
}

/// Waits until the client has sent as much as begins a connection, which is not read yet.
async fn begins(stream: &TcpStream) -> io::Result<()> {
    let mut seen = [0; PREFACE];
    loop {
        match stream.peek(&mut seen).await? {
            PREFACE => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            // What has arrived stays readable, so that waiting for more of it needs a pause.
            _ => sleep(POLL_INTERVAL).await,
        }
    }
}
