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

/// A connection that fails where a client is too slow at sending the head of a request, or at taking an answer.
///
/// Hyper has a time for heads too, but that begins with the rest between two requests, for which a client may keep a
/// connection long; and none for answers.
pub(crate) struct TimeoutStream {
    stream: TcpStream,
    /// How long a head may take.
    head_limit: Duration,
    /// How long nothing of an answer may be taken.
    answer_limit: Duration,
    requests: Requests,
    /// How many requests had begun when this was looked at last.
    seen: usize,
    /// The deadline of the head that is on its way. A new connection is to send its first one at once.
    head: Option<Pin<Box<Sleep>>>,
    /// The same for an answer.
    answer: Option<Pin<Box<Sleep>>>,
}

/// The requests of a connection whose heads have come.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    answered: AtomicUsize,
}

/// A request that is being answered, until this is dropped.
pub(crate) struct UnderWay(Requests);

impl Requests {
    /// Notes that a request begins.
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
    /// This connection, with these timeouts for a head and for an answer.
    pub(crate) fn new(
        stream: TcpStream,
        head_limit: Duration,
        answer_limit: Duration,
        requests: Requests,
    ) -> TimeoutStream {
        let head = Some(Box::pin(sleep(head_limit)));
        TimeoutStream { stream, head_limit, answer_limit, requests, seen: 0, head, answer: None }
    }

    /// Passes on how far writing is, unless the client takes nothing for too long.
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
            // The head that was on its way has come.
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
