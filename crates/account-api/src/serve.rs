//! Serves the bank.

use std::future::Future;
use std::io;

use tokio::net::TcpListener;

use crate::bank::Bank;
use crate::routes;

/// Serves requests until `shutdown` completes; then finishes requests in progress for at most two seconds, and closes the bank. At
/// most [`loopback::CONNECTIONS`] are open at a time; further ones wait, and slow ones are disconnected by [`loopback::Limits`].
///
/// On a loopback address, requests whose Host names another machine are rejected; see [`app`](crate::app).
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, bank: Bank, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let app = if listener.local_addr()?.ip().is_loopback() {
        routes::app(bank.clone())
    } else {
        routes::open_to_all(bank.clone())
    };
    let shutdown = async {
        shutdown.await;
        // A pending timeout would not end in these two seconds.
        bank.hurry();
    };
    loopback::serve(listener, app, shutdown).await;
    bank.close().await;
    Ok(())
}
