//! A service for tests.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// A free port.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Serves an application on a free port until the test ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(loopback::serve(listener, app, std::future::pending()));
    address
}
