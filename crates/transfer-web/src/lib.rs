//! The Money Transfer API and the lab's page: the transfers, with the guide beside them.
//!
//! **Architecture invariant:** everything shown comes from Temporal, the bank and the supervisor; this service has no state that a
//! restart would lose. Requests to them block, so they run on separate threads: those of `watch` for the open pages, and the
//! runtime's blocking threads for a request.

mod accounts;
mod api;
mod attempts;
mod events;
mod failure;
mod feed;
mod guide;
pub mod markdown;
mod orders;
mod page;
mod request;
mod row;
mod transfers;
mod watch;

use std::{future::Future, io, path::PathBuf};

use axum::Router;
use lab_client::Endpoints;
use tokio::net::TcpListener;

use watch::Watched;

/// The service. Clones share it.
#[derive(Clone)]
pub struct Web(Watched);

impl Web {
    /// The service for a lab with these endpoints. `lab` is the lab's folder; without it the page has no guide.
    pub fn new(endpoints: Endpoints, lab: Option<PathBuf>) -> Web {
        Web(Watched::new(endpoints, lab))
    }
}

/// All routes, for a loopback address: requests from another origin or with another Host are rejected.
pub fn app(web: &Web) -> Router {
    page::guarded(api::routes(web.0.clone()), true)
}

/// Serves requests until `shutdown` completes.
///
/// On a loopback address, requests whose Host header names another machine are rejected.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, web: Web, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let app = page::guarded(api::routes(web.0.clone()), is_loopback);
    let feed = web.0.feed.clone();
    web.0.start();
    loopback::serve(listener, app, async move {
        shutdown.await;
        // Otherwise the event streams would never end.
        feed.close();
    })
    .await;
    Ok(())
}
