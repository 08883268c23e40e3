//! The Money Transfer API and the lab's page: transfers to play with, and the guide beside them.
//!
//! **Architecture invariant:** what is shown comes from Temporal, the bank and the supervisor; nothing is kept here that a
//! restart would lose. Questions to them block, so they are asked on threads of their own: those of `watch` for the open pages, and
//! the runtime's blocking ones for a request.

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

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Web(Watched);

impl Web {
    /// The service for the parts of a lab that answer there. `lab` is the lab's folder: without one there is an API and a page,
    /// and no guide.
    pub fn new(endpoints: Endpoints, lab: Option<PathBuf>) -> Web {
        Web(Watched::new(endpoints, lab))
    }
}

/// All routes, for this machine: what comes from another origin or names another host is refused.
pub fn app(web: &Web) -> Router {
    page::guarded(api::routes(web.0.clone()), true)
}

/// Answers requests until `shutdown` is done.
///
/// On a loopback address, requests that name the machine by another name are refused.
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
        // The streams of events would go on for ever.
        feed.close();
    })
    .await;
    Ok(())
}
