//! The Money Transfer API and the lab's page: the transfers, with the guide beside them.
//!
//! **Architecture invariant:** everything shown comes from Temporal, the bank and the supervisor; a restart of this service loses only
//! which goals were reached earlier. Requests to them block, so they run on separate threads: those of `watch` for the open pages, and the
//! runtime's blocking threads for a request.

mod accounts;
mod api;
mod attempts;
mod drill;
mod drill_orders;
mod events;
mod explain;
mod failure;
mod feed;
mod guide;
mod help;
mod history;
pub mod markdown;
mod orders;
mod page;
mod placeholders;
mod request;
mod row;
mod transfers;
mod watch;

use std::{future::Future, io, net::SocketAddr, path::PathBuf};

use axum::{Router, http::Uri};
use contract::PublicHosts;
use lab_client::Endpoints;
use tokio::net::TcpListener;

use watch::Watched;

/// The service. Clones share it.
#[derive(Clone)]
pub struct Web {
    watched: Watched,
    /// All names at which a proxy forwards ports of this machine.
    public: PublicHosts,
}

impl Web {
    /// The service for a lab with these endpoints. `lab` is the lab's folder; without it the page has no guide.
    pub fn new(endpoints: Endpoints, lab: Option<PathBuf>) -> Web {
        Web { watched: Watched::new(endpoints, lab), public: PublicHosts::default() }
    }

    /// The same, also for those who open the page at one of these names.
    #[must_use]
    pub fn at_public_hosts(mut self, public: PublicHosts) -> Web {
        self.public = public;
        self
    }
}

/// All routes, on this address. On loopback, requests whose Host is neither this machine nor a public host are rejected.
pub fn app(web: &Web, address: SocketAddr) -> Router {
    let ui: Option<Uri> = web.watched.endpoints.temporal_ui.parse().ok();
    let public_ui = ui.and_then(|ui| web.public.of_port(ui.port_u16()?).url());
    let routes = api::routes(web.watched.clone(), public_ui);
    page::guarded(routes, address.ip().is_loopback(), &web.public.of_page(address.port()))
}

/// Serves requests until `shutdown` completes.
///
/// On a loopback address, requests whose Host header names another machine are rejected, except for
/// [public hosts](Web::at_public_hosts).
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, web: Web, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let app = app(&web, listener.local_addr()?);
    let feed = web.watched.feed.clone();
    web.watched.start();
    loopback::serve(listener, app, async move {
        shutdown.await;
        // Otherwise the event streams would never end.
        feed.close();
    })
    .await;
    Ok(())
}
