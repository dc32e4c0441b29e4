//! A stream with deadlines: it fails if the peer takes too long.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};

use super::peer::{Peer, Phase};
use crate::settings::Timeouts;

/// How long a peer that is still sending its request can read the response before the connection ends. At the end
/// of a connection with unread input, TCP withdraws what the peer has not read yet (RFC 9112, section 9.6).
const LINGERING: Duration = Duration::from_secs(2);

/// A stream with deadlines.
pub(super) struct TimedStream<S> {
    stream: S,
    peer: Peer,
    timeouts: Timeouts,
    reading: Deadline<Phase>,
    writing: Deadline<()>,
    lingering: Deadline<()>,
    /// Its place among the open connections.
    _place: OwnedSemaphorePermit,
}

/// A deadline for a wait.
struct Deadline<T> {
    waiting: Option<(T, Pin<Box<Sleep>>)>,
}

impl<T: PartialEq> Deadline<T> {
    fn none() -> Self {
        Self { waiting: None }
    }

    /// Whether the wait has taken too long. A wait for something else has its own time.
    fn poll_expired(&mut self, what: T, time: Duration, context: &mut Context<'_>) -> bool {
        match &self.waiting {
            Some((waited, _)) if *waited == what => {}
            _ => self.waiting = Some((what, Box::pin(sleep_until(Instant::now() + time)))),
        }
        match &mut self.waiting {
            Some((_, sleep)) => sleep.as_mut().poll(context).is_ready(),
            None => false,
        }
    }

    fn is_set(&self) -> bool {
        self.waiting.is_some()
    }

    fn forget(&mut self) {
        self.waiting = None;
    }
}

impl<S> TimedStream<S> {
    pub(super) fn new(
        stream: S,
        peer: Peer,
        timeouts: Timeouts,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (reading, writing) = (Deadline::none(), Deadline::none());
        let lingering = Deadline::none();
        Self { stream, peer, timeouts, reading, writing, lingering, _place: place }
    }

    /// Handles the result of a write. A pending write has a deadline, which progress extends.
    fn progress<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing.forget();
        } else if self.writing.poll_expired((), self.timeouts.write, context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (before, phase) = (buffer.filled().len(), this.peer.phase());
        if phase == Phase::Draining {
            return this.stream.poll_drain(context);
        }
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                // the deadline applies to the whole header
                if phase != Phase::Header {
                    this.reading.forget();
                }
                let sent = this.peer.record_received(buffer.filled().len() - before);
                Poll::Ready(sent.map_err(io::Error::other))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let time = match phase {
                    Phase::New | Phase::Header => this.timeouts.header,
                    Phase::Next => this.timeouts.idle,
                    Phase::Service | Phase::Socket | Phase::Draining => {
                        this.reading.forget();
                        this.peer.set_reader(context.waker());
                        return Poll::Pending;
                    }
                };
                if this.reading.poll_expired(phase, time, context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
        }
    }
}

/// Discarding input.
trait Drain: AsyncRead + Unpin {
    /// Reads to the end of the stream, and discards what it reads.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut left = [0; 4096];
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut left);
            match Pin::new(&mut *self).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                polled => return polled,
            }
        }
        // continue after others had their turn
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> Drain for S {}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.progress(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.lingering.is_set() {
            let polled = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.progress(polled, context))?;
            if !this.peer.has_unread_body() {
                return Poll::Ready(Ok(()));
            }
        }
        if this.lingering.poll_expired((), LINGERING, context) {
            return Poll::Ready(Ok(()));
        }
        // a peer that is gone needs nothing more
        this.stream.poll_drain(context).map(|_| Ok(()))
    }
}
