//! The task that writes to a peer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_graphql::futures_util::{FutureExt, Sink, SinkExt};
use axum::extract::ws::Message;
use campaigns_scope::{Budget, Reservation};
use campaigns_tasks::caught;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{polls::Permits, threads::lasting};

/// The maximum number of messages that wait until the peer reads them.
const QUEUE: usize = 32;
/// The bytes of a message in addition to its text.
const OVERHEAD: usize = 128;
/// How long to wait before drawing from the organization's budget again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long writing the last message can take.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// The queue of a socket or a stream, bounded in messages and in bytes. Clones share it.
#[derive(Clone)]
pub(crate) struct Queue {
    /// Boxed, as the channel has room for 32 of them from the start, and most sockets have none waiting.
    sender: mpsc::Sender<Box<QueuedMessage>>,
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    /// The organization's budget, once the organization is known.
    budget: Arc<OnceLock<Arc<Budget>>>,
    patience: Duration,
}

/// A message, with the budget that it is drawn from until it is written.
struct QueuedMessage {
    message: Message,
    room: Room,
}

struct Room {
    _bytes: OwnedSemaphorePermit,
    _held: Option<Reservation>,
}

/// A place in the queue for one message.
pub(crate) struct QueueSlot<'a> {
    permit: mpsc::Permit<'a, Box<QueuedMessage>>,
    room: Room,
}

impl QueueSlot<'_> {
    pub(crate) fn send(self, message: Message) {
        self.permit.send(Box::new(QueuedMessage { message, room: self.room }));
    }
}

/// The queue is closed, because the peer is gone or reads too slowly.
#[derive(Debug)]
pub(crate) struct QueueClosed;

impl Queue {
    /// From now on, queued messages are drawn from this budget as well.
    pub(crate) fn draw_from(&self, budget: Arc<Budget>) {
        self.budget.set(budget).ok();
    }

    /// Whether the queue accepts nothing more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits for room for a message of this many bytes. A message that is larger than the whole
    /// queue waits until the queue is empty.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<QueueSlot<'_>, QueueClosed> {
        let bytes = bytes + OVERHEAD;
        let permits = u32::try_from(bytes.min(self.max_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bytes).acquire_many_owned(permits).await;
        let room = room.map_err(|_| QueueClosed)?;
        let held = timeout(self.patience, self.hold(bytes)).await.map_err(|_| QueueClosed)?;
        let permit = self.sender.reserve().await.map_err(|_| QueueClosed)?;
        Ok(QueueSlot { permit, room: Room { _bytes: room, _held: held } })
    }

    /// Draws from the organization's budget, once there is room.
    async fn hold(&self, bytes: usize) -> Option<Reservation> {
        let budget = self.budget.get()?;
        loop {
            if let Ok(held) = budget.hold(bytes) {
                return Some(held);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Queues a message, waiting for room.
    pub(crate) async fn send(&self, message: Message) -> Result<(), QueueClosed> {
        let bytes = match &message {
            Message::Text(text) => text.len(),
            _ => 0,
        };
        self.reserve(bytes).await?.send(message);
        Ok(())
    }

    /// Queues a small message if there is room for it right away.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), QueueClosed> {
        let permits = u32::try_from(OVERHEAD.min(self.max_bytes)).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        let room = Room { _bytes: bytes.map_err(|_| QueueClosed)?, _held: None };
        let queued = Box::new(QueuedMessage { message, room });
        self.sender.try_send(queued).map_err(|_| QueueClosed)
    }
}

/// Starts a task, polled with these permits, that writes queued messages until the queue is closed, the
/// peer is gone, or the peer has not read for too long.
pub(crate) fn start(
    mut sink: impl Sink<Message, Error = axum::Error> + Unpin + Send + 'static,
    max_bytes: usize,
    patience: Duration,
    permits: Permits,
) -> (Queue, tokio::task::JoinHandle<()>) {
    let (sender, mut waiting) = mpsc::channel::<Box<QueuedMessage>>(QUEUE);
    let max_bytes = max_bytes.clamp(OVERHEAD, Semaphore::MAX_PERMITS);
    let queue = Queue {
        sender,
        bytes: Arc::new(Semaphore::new(max_bytes)),
        max_bytes,
        budget: Arc::default(),
        patience,
    };
    let writing = async move {
        while let Some(first) = waiting.recv().await {
            // waiting messages are sent together; each part is progress
            let mut next = Some(first);
            let mut fed = Vec::new();
            while let Some(queued) = next.take() {
                let QueuedMessage { message, room } = *queued;
                if !matches!(timeout(patience, sink.feed(message)).await, Ok(Ok(()))) {
                    return;
                }
                fed.push(room);
                next = if fed.len() < QUEUE { waiting.try_recv().ok() } else { None };
            }
            if !matches!(timeout(patience, sink.flush()).await, Ok(Ok(()))) {
                return;
            }
        }
        // answers the peer's close, if the peer closed first
        timeout(FAREWELL, sink.close()).await.ok();
    };
    let writing = permits.limit(caught("socket writer", writing).map(drop));
    let task = tokio::spawn(lasting(writing));
    (queue, task)
}
