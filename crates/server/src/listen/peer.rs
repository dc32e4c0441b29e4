//! The peer of a connection: what it is doing, and what it has sent that has not been processed
//! yet.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use async_graphql::futures_util::task::AtomicWaker;
use campaigns_scope::{Budget, Held};
use http_body::{Body, Frame, SizeHint};

/// How much a peer may have sent of a message before it is drawn from a budget: a message that is
/// no larger is never counted.
const UNCOUNTED: usize = 16 * 1024;

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// For its first request.
    New = 0,
    /// For the rest of a request's header.
    Header = 1,
    /// For the service: a request is under way.
    Service = 2,
    /// For the next request.
    Next = 3,
    /// It has become a socket, which keeps its own time.
    Socket = 4,
    /// For the end of a socket: whatever else comes is left.
    Leaving = 5,
}

/// The other end of a connection. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    phase: AtomicU8,
    /// Who reads: hyper does not look again where a read has been waited for all along.
    reader: AtomicWaker,
    inbound: Mutex<Inbound>,
}

/// What a socket's peer has sent since the last message that was taken.
#[derive(Default)]
struct Inbound {
    bytes: usize,
    limit: Limit,
}

#[derive(Default)]
enum Limit {
    /// Nothing is counted: it is no socket.
    #[default]
    None,
    /// So many bytes, until it is known who the peer is.
    Bytes(usize),
    /// What the peer's organization has left.
    Budget { budget: Arc<Budget>, held: Option<Held> },
}

/// The peer of a socket has sent more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the peer of a socket has sent more than allowed")]
pub(crate) struct TooMuch;

impl Peer {
    pub(super) fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Relaxed) {
            0 => Phase::New,
            1 => Phase::Header,
            2 => Phase::Service,
            3 => Phase::Next,
            4 => Phase::Socket,
            _ => Phase::Leaving,
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes who waits to read.
    pub(super) fn is_read_by(&self, reader: &Waker) {
        self.0.reader.register(reader);
    }

    /// Notes that a request is under way until the result is dropped.
    pub(super) fn begin_request(&self) -> UnderWay {
        self.enter(Phase::Service);
        UnderWay(self.clone())
    }

    /// Notes that the connection is a socket, whose peer may send so many bytes before it is known.
    pub(crate) fn become_socket(&self, limit: usize) {
        *self.inbound() = Inbound { bytes: 0, limit: Limit::Bytes(limit) };
        self.enter(Phase::Socket);
    }

    /// Notes that it is known who the peer of the socket is: from now on what it sends is drawn
    /// from a budget while it is no whole message.
    pub(crate) fn is_known(&self, budget: Arc<Budget>) {
        *self.inbound() = Inbound { bytes: 0, limit: Limit::Budget { budget, held: None } };
    }

    /// Notes that the socket is about to end, and that nothing more is to be read.
    pub(crate) fn is_leaving(&self) {
        *self.inbound() = Inbound::default();
        self.enter(Phase::Leaving);
    }

    /// Notes that a message was taken.
    pub(crate) fn was_heard(&self) {
        let mut inbound = self.inbound();
        if let Limit::Budget { held, .. } = &mut inbound.limit {
            *held = None;
            inbound.bytes = 0;
        }
    }

    /// How many bytes of a message that is not whole have come.
    pub(crate) fn unheard(&self) -> usize {
        self.inbound().bytes
    }

    /// Notes that bytes have come.
    pub(super) fn has_sent(&self, bytes: usize) -> Result<(), TooMuch> {
        match self.phase() {
            Phase::New | Phase::Next => self.enter(Phase::Header),
            Phase::Header | Phase::Service | Phase::Leaving => {}
            Phase::Socket => {
                let mut inbound = self.inbound();
                inbound.bytes += bytes;
                let so_far = inbound.bytes;
                match &mut inbound.limit {
                    Limit::Bytes(limit) if so_far > *limit => return Err(TooMuch),
                    Limit::Budget { budget, held } if so_far > UNCOUNTED => {
                        let grown = match held {
                            Some(held) => held.grow(bytes),
                            None => budget.hold(so_far).map(|first| *held = Some(first)),
                        };
                        grown.map_err(|_| TooMuch)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.0.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a request is under way.
pub(super) struct UnderWay(Peer);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.phase() == Phase::Service {
            self.0.enter(Phase::Next);
            // so that the time for the next request begins
            self.0.0.reader.wake();
        }
    }
}

/// The body of a response, at whose end the request is no longer under way.
pub(super) struct Noted {
    body: axum::body::Body,
    _under_way: UnderWay,
}

impl Noted {
    pub(super) fn new(body: axum::body::Body, under_way: UnderWay) -> Self {
        Self { body, _under_way: under_way }
    }
}

impl Body for Noted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(ready!(Pin::new(&mut self.body).poll_frame(context)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
