//! The peer of a connection: what it is doing, and what it has sent that has not been processed
//! yet.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use async_graphql::futures_util::task::AtomicWaker;
use campaigns_scope::{Budget, Reservation};
use http::Extensions;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use uuid::Uuid;

use super::backoff::Backoff;

/// How much of a message a peer can send before it is drawn from a budget. A smaller message is
/// never counted.
const UNCOUNTED: usize = 16 * 1024;

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// For its first request.
    New = 0,
    /// For the rest of a request's header.
    Header = 1,
    /// For the service: a request is in progress.
    Service = 2,
    /// For the next request.
    Next = 3,
    /// For nothing: it has become a socket, which has its own deadlines.
    Socket = 4,
    /// For the end of a socket. Further input is ignored.
    Draining = 5,
}

/// The peer of a connection. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    phase: AtomicU8,
    /// Whether the body of the last request was not read to its end.
    unread: AtomicBool,
    /// The waker of the reader: hyper does not poll again while a read is pending.
    reader: AtomicWaker,
    inbound: Mutex<Inbound>,
    backoff: Backoff,
}

/// What a socket's peer has sent since the last message that was processed.
#[derive(Default)]
struct Inbound {
    bytes: usize,
    limit: Limit,
}

#[derive(Default)]
enum Limit {
    /// Nothing is counted, since it is not a socket.
    #[default]
    None,
    /// A number of bytes, until the peer is authenticated.
    Bytes(usize),
    /// The remaining budget of the peer's organization.
    Budget { budget: Arc<Budget>, held: Option<Reservation> },
}

/// The peer of a socket has sent more than allowed.
#[derive(Debug, thiserror::Error)]
#[error("the peer of a socket has sent more than allowed")]
pub(crate) struct InboundLimitExceeded;

impl Peer {
    /// The peer of the connection that a request came on.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub(super) fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Relaxed) {
            0 => Phase::New,
            1 => Phase::Header,
            2 => Phase::Service,
            3 => Phase::Next,
            4 => Phase::Socket,
            _ => Phase::Draining,
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Sets the waker of the reader.
    pub(super) fn set_reader(&self, reader: &Waker) {
        self.0.reader.register(reader);
    }

    /// Records that a request is in progress until the result is dropped.
    pub(super) fn begin_request(&self) -> ActiveRequest {
        self.enter(Phase::Service);
        ActiveRequest(self.clone())
    }

    /// The body of the request in progress. The peer knows whether it was read to its end.
    pub(super) fn request_body(&self, body: Incoming) -> axum::body::Body {
        let is_read = body.is_end_stream();
        self.0.unread.store(!is_read, Ordering::Relaxed);
        if is_read {
            return axum::body::Body::empty();
        }
        axum::body::Body::new(RequestBody { body, peer: self.clone() })
    }

    /// Whether the body of the last request was not read to its end.
    pub(super) fn has_unread_body(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// Waits if a request of the organization comes before its `Retry-After` has passed.
    pub(crate) async fn back_off(&self, organization: Uuid) {
        if let Some(until) = self.0.backoff.wait(organization, Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    /// Records that the organization was refused with this `Retry-After`.
    pub(crate) fn record_refusal(&self, organization: Uuid, retry_after: Duration) {
        self.0.backoff.record_refusal(organization, retry_after, Instant::now());
    }

    /// Records that the connection is a socket, whose peer can send `limit` bytes before it is
    /// authenticated.
    pub(crate) fn become_socket(&self, limit: usize) {
        *self.inbound() = Inbound { bytes: 0, limit: Limit::Bytes(limit) };
        self.enter(Phase::Socket);
    }

    /// Sets the budget that incomplete messages are drawn from, once the peer of the socket is
    /// authenticated.
    pub(crate) fn set_budget(&self, budget: Arc<Budget>) {
        *self.inbound() = Inbound { bytes: 0, limit: Limit::Budget { budget, held: None } };
    }

    /// Discards all further input, because the socket is about to end.
    pub(crate) fn start_draining(&self) {
        *self.inbound() = Inbound::default();
        self.enter(Phase::Draining);
    }

    /// Records that a message was processed.
    pub(crate) fn message_processed(&self) {
        let mut inbound = self.inbound();
        if let Limit::Budget { held, .. } = &mut inbound.limit {
            *held = None;
            inbound.bytes = 0;
        }
    }

    /// The number of received bytes of an incomplete message.
    pub(crate) fn unprocessed(&self) -> usize {
        self.inbound().bytes
    }

    /// Records received bytes.
    pub(super) fn record_received(&self, bytes: usize) -> Result<(), InboundLimitExceeded> {
        match self.phase() {
            Phase::New | Phase::Next => self.enter(Phase::Header),
            Phase::Header | Phase::Service | Phase::Draining => {}
            Phase::Socket => {
                let mut inbound = self.inbound();
                inbound.bytes += bytes;
                let so_far = inbound.bytes;
                match &mut inbound.limit {
                    Limit::Bytes(limit) if so_far > *limit => return Err(InboundLimitExceeded),
                    Limit::Budget { budget, held } if so_far > UNCOUNTED => {
                        let grown = match held {
                            Some(held) => held.grow(bytes),
                            None => budget.hold(so_far).map(|first| *held = Some(first)),
                        };
                        grown.map_err(|_| InboundLimitExceeded)?;
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

/// A request in progress.
pub(super) struct ActiveRequest(Peer);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        if self.0.phase() == Phase::Service {
            self.0.enter(Phase::Next);
            // so that the time for the next request starts
            self.0.0.reader.wake();
        }
    }
}

/// The body of a request, until it was read to its end.
struct RequestBody {
    body: Incoming,
    peer: Peer,
}

impl Body for RequestBody {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.peer.0.unread.store(false, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response. At its end, the request is no longer in progress.
pub(super) struct TrackedBody {
    body: axum::body::Body,
    _active: ActiveRequest,
}

impl TrackedBody {
    pub(super) fn new(body: axum::body::Body, active: ActiveRequest) -> Self {
        Self { body, _active: active }
    }
}

impl Body for TrackedBody {
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
