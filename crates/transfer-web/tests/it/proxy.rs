//! A proxy in front of a server, which counts requests and can stop responding.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use testbed::until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// The proxy. Clones share it.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Its URL, without a path.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    is_silent: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy in front of the server at this URL.
    pub(crate) async fn before(url: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let proxy =
            Proxy { url: format!("http://{address}"), asked: Arc::default(), is_silent: Arc::default() };
        let (server, this) = (url.trim_start_matches("http://").to_owned(), proxy.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, this) = (server.clone(), this.clone());
                tokio::spawn(async move { this.pass(stream, &server).await });
            }
        });
        proxy
    }

    async fn pass(&self, mut client: TcpStream, server: &str) {
        // The service sends one request per connection, so a connection starts with the head of that request.
        let head = head_of(&mut client).await;
        self.asked().push(head.lines().next().unwrap_or_default().to_owned());
        if self.is_silent.load(Ordering::SeqCst) {
            // Held open until the client gives up.
            let _ = client.readable().await;
            let mut sink = tokio::io::sink();
            let _ = tokio::io::copy(&mut client, &mut sink).await;
            return;
        }
        if let Ok(mut stream) = TcpStream::connect(server).await {
            // The server accepts only its own Host.
            let head = head.replace(self.url.trim_start_matches("http://"), server);
            // A client that hangs up is no error.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = copy_bidirectional(&mut client, &mut stream).await;
        }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it accept connections without responding, or respond again.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// The request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().clone()
    }

    /// The number of request lines with this part.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.asked().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits for this many more requests with this part.
    pub(crate) async fn more(&self, part: &str, more: usize) {
        let goal = self.count(part) + more;
        until(part, || async {
            let count = self.count(part);
            if count >= goal { Ok(()) } else { Err(count) }
        })
        .await;
    }
}

/// The head of the client's request, and the bytes read after it.
async fn head_of(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if !client.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
            break;
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
