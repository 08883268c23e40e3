//! The page of a learner's lab on a shared service: it asks the gateway what moves, and the service only then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contract::PublicHosts;
use gateway::{Gateway, Guard, Link};
use lab_client::{Endpoints, temporal::Server};
use serde_json::{Value, json};
use testbed::Testbed;
use tokio::{net::TcpListener, time::sleep};

use crate::{
    proxy::Proxy,
    stream::Stream,
    support::{Service, endpoints},
};

/// The request that reads the transfers from the service, and the one that asks the gateway.
const READS: &str = "workflow-count";
const ASKS: &str = "GET /link ";
/// More than the interval after a move.
const A_WHILE: Duration = Duration::from_secs(6);
/// Less than the interval while nothing moves.
const SOON: Duration = Duration::from_secs(15);

/// Starts the gateway of the learner ada. Returns the URL of its HTTP API.
async fn gateway(testbed: &Testbed) -> String {
    let service = gateway::Service::at(testbed.server_address(), "default").expect("it is an address");
    let link = Link::new(service);
    let findings = Arc::new(gateway::preflight(&link).await.expect("the server is new enough"));
    let guard = Arc::new(Guard::new(Some("ada"), "default"));
    let gateway = Gateway { link, guard, findings, board: false, public: PublicHosts::default() };
    let listen = async || TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let (grpc, http) = (listen().await, listen().await);
    let url = format!("http://{}", http.local_addr().expect("it is bound"));
    tokio::spawn(gateway::serve(gateway, grpc, http, std::future::pending()));
    url
}

/// Waits until the page no longer reads from the service.
async fn is_quiet(proxy: &Proxy) {
    for _ in 0..20 {
        let before = proxy.count(READS);
        sleep(A_WHILE).await;
        if proxy.count(READS) == before {
            return;
        }
    }
    panic!("it still reads, {} times by now", proxy.count(READS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_service_is_read_soon_after_something_has_moved_and_otherwise_seldom() {
    let testbed = Testbed::start().await;
    let http = gateway(&testbed).await;
    let proxy = Proxy::before(&http).await;
    let ada = |temporal_http: &str| Endpoints {
        temporal_http: temporal_http.to_owned(),
        learner: Some("ada".to_owned()),
        ..endpoints(&testbed)
    };
    let service = Service::start(ada(&proxy.url), None).await;
    let mut page = Stream::of(&service.web, "").await;
    let soon = async |page: &mut Stream, is_so: fn(&Value) -> bool| {
        let begin = Instant::now();
        page.until("transfers", is_so).await;
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    };
    page.until("transfers", |event| event["total"] == 0).await;
    is_quiet(&proxy).await;

    // Another window is read at once, and the gateway is asked all the time.
    let mut second = Stream::of(&service.web, "limit=2").await;
    soon(&mut second, |event| event["limit"] == 2).await;
    let reads = proxy.count(READS);
    proxy.more(ASKS, 10).await;
    assert_eq!(proxy.count(READS), reads);

    // A start that did not go through the page.
    let server = Server::new(&ada(&http));
    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 });
    let started = tokio::task::spawn_blocking(move || server.start_transfer("ada.one", &input));
    started.await.expect("it does not panic").expect("it starts");
    soon(&mut page, |event| event["running"] == 1).await;
}
