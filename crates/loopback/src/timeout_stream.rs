//! A client's connection, with timeouts for one that is slow.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A connection that fails if the client is too slow to send a request's head or to read a response.
///
/// Hyper's own timeout for heads starts with the idle time between two requests, which may be long, and it has none for responses.
pub(crate) struct TimeoutStream {
    stream: TcpStream,
    /// How long a head may take.
    head_limit: Duration,
    /// How long a client may read nothing of a response.
    answer_limit: Duration,
    requests: Requests,
    /// The number of requests started at the last check.
    seen: usize,
    /// The deadline of the current head. A new connection must send its first one at once.
    head: Option<Pin<Box<Sleep>>>,
    /// The same for a response.
    answer: Option<Pin<Box<Sleep>>>,
}

/// The requests of a connection whose heads have arrived.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    answered: AtomicUsize,
}

/// A request in progress, until this is dropped.
pub(crate) struct UnderWay(Requests);

impl Requests {
    /// Records the start of a request.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl TimeoutStream {
    /// The connection, with these timeouts for a head and a response.
    pub(crate) fn new(
        stream: TcpStream,
        head_limit: Duration,
        answer_limit: Duration,
        requests: Requests,
    ) -> TimeoutStream {
        let head = Some(Box::pin(sleep(head_limit)));
        TimeoutStream { stream, head_limit, answer_limit, requests, seen: 0, head, answer: None }
    }

    /// Returns the outcome of a write, or an error if the client has read nothing for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.answer = None;
            return written;
        }
        let limit = self.answer_limit;
        let end = self.answer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let begun = this.requests.0.begun.load(Ordering::Relaxed);
        if begun != this.seen {
            // The head has arrived.
            this.seen = begun;
            this.head = None;
        }
        let before = buffer.filled().len();
        if Pin::new(&mut this.stream).poll_read(context, buffer)?.is_ready() {
            let is_head = begun == this.requests.0.answered.load(Ordering::Relaxed);
            if is_head && this.head.is_none() && buffer.filled().len() > before {
                this.head = Some(Box::pin(sleep(this.head_limit)));
            }
            return Poll::Ready(Ok(()));
        }
        let Some(end) = &mut this.head else { return Poll::Pending };
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, data);
        this.written(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, data);
        this.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
