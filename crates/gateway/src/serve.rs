//! The two listeners: gRPC and the HTTP API.

use axum::{Router, extract::State, middleware, routing::get};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{board, gateway::Gateway, health, http_api, proxy};

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
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors: wait until a connection ends.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
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
                    let mut server = auto::Builder::new(TokioExecutor::new()).http2_only();
                    // A worker polls with many requests at once.
                    server.http2().max_concurrent_streams(1000);
                    // A client that disconnects is no error.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }
    }
}
