//! A proxy between a browser and the page's service, which a test can inspect and pause.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The start of a request that opens the page's stream.
const STREAM: &[u8] = b"GET /api/events";

/// The proxy.
pub(crate) struct Wire {
    /// The page's URL through this proxy, without a trailing slash.
    pub(crate) url: String,
    streams: Arc<Streams>,
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The page's streams through this proxy.
#[derive(Default)]
struct Streams {
    opened: AtomicUsize,
    closed: AtomicUsize,
}

impl Wire {
    /// A proxy to the service at this address.
    pub(crate) async fn to(url: &str) -> Wire {
        let service = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (held, is_held) = watch::channel(false);
        let streams = Arc::new(Streams::default());
        let seen = streams.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, which ends them.
            let mut connections = JoinSet::new();
            loop {
                let (browser, _) = listener.accept().await.expect("the browser asks");
                let service = TcpStream::connect(&service).await.expect("the service runs");
                connections.spawn(carry(browser, service, seen.clone(), is_held.clone()));
            }
        });
        Wire { url: format!("http://{address}"), streams, held, task }
    }

    /// Holds everything for the browser, like a server that hangs; or releases it.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// The number of streams so far, and of those that have ended.
    pub(crate) fn streams(&self) -> (usize, usize) {
        (self.streams.opened.load(Ordering::SeqCst), self.streams.closed.load(Ordering::SeqCst))
    }

    /// Waits until [`streams`](Wire::streams) is this.
    pub(crate) async fn see_streams(&self, wanted: (usize, usize)) {
        testbed::until(&format!("the streams to be {wanted:?}"), async || {
            let streams = self.streams();
            if streams == wanted { Ok(()) } else { Err(streams) }
        })
        .await;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards one connection until either side closes it.
async fn carry(browser: TcpStream, service: TcpStream, streams: Arc<Streams>, held: watch::Receiver<bool>) {
    let (from_browser, to_browser) = browser.into_split();
    let (from_service, to_service) = service.into_split();
    let answers = tokio::spawn(bring(from_service, to_browser, held));
    ask(from_browser, to_service, &streams).await;
    answers.abort();
}

/// Forwards requests, and counts streams: a connection counts as one from its request for the stream to its end.
async fn ask(mut browser: OwnedReadHalf, mut service: OwnedWriteHalf, streams: &Streams) {
    let mut bytes = vec![0; 64 * 1024];
    let mut is_stream = false;
    while let Ok(count @ 1..) = browser.read(&mut bytes).await {
        if !is_stream && bytes[..count].starts_with(STREAM) {
            is_stream = true;
            streams.opened.fetch_add(1, Ordering::SeqCst);
        }
        if service.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    if is_stream {
        streams.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Forwards responses, unless they are held.
async fn bring(mut service: OwnedReadHalf, mut browser: OwnedWriteHalf, mut held: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = service.read(&mut bytes).await {
        if held.wait_for(|held| !held).await.is_err() || browser.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
}
