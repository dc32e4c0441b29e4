//! The task that writes to a peer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_graphql::futures_util::{Sink, SinkExt};
use axum::extract::ws::Message;
use campaigns_scope::{Budget, Held};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// How many messages wait for the peer to read.
const QUEUE: usize = 32;
/// What a message takes beside its text.
const OVERHEAD: usize = 128;
/// How long to wait before the organization's budget is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the last message may take to be written.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// The queue of a socket, bounded in messages and in bytes. Cloning shares it.
#[derive(Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    /// The organization's, once that is known.
    budget: Arc<OnceLock<Arc<Budget>>>,
    patience: Duration,
}

/// A message, and what it was drawn from until it is written.
struct Queued {
    message: Message,
    room: Room,
}

struct Room {
    _bytes: OwnedSemaphorePermit,
    _held: Option<Held>,
}

/// A place in the queue for one message.
pub(super) struct Place<'a> {
    permit: mpsc::Permit<'a, Queued>,
    room: Room,
}

impl Place<'_> {
    pub(super) fn send(self, message: Message) {
        self.permit.send(Queued { message, room: self.room });
    }
}

/// The queue takes nothing more: the peer is gone, or reads too slowly.
#[derive(Debug)]
pub(super) struct Closed;

impl Queue {
    /// From now on, what waits is drawn from this budget as well.
    pub(super) fn draw_from(&self, budget: Arc<Budget>) {
        self.budget.set(budget).ok();
    }

    /// Waits for a place for a message of so many bytes. One that is larger than the whole queue
    /// waits until it is empty.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Place<'_>, Closed> {
        let bytes = bytes + OVERHEAD;
        let permits = u32::try_from(bytes.min(self.max_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bytes).acquire_many_owned(permits).await;
        let room = room.map_err(|_| Closed)?;
        let held = timeout(self.patience, self.hold(bytes)).await.map_err(|_| Closed)?;
        let permit = self.sender.reserve().await.map_err(|_| Closed)?;
        Ok(Place { permit, room: Room { _bytes: room, _held: held } })
    }

    /// Draws from the organization's budget, once there is room.
    async fn hold(&self, bytes: usize) -> Option<Held> {
        let budget = self.budget.get()?;
        loop {
            if let Ok(held) = budget.hold(bytes) {
                return Some(held);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Queues a message, for as long as that takes.
    pub(super) async fn send(&self, message: Message) -> Result<(), Closed> {
        let bytes = match &message {
            Message::Text(text) => text.len(),
            _ => 0,
        };
        self.reserve(bytes).await?.send(message);
        Ok(())
    }

    /// Queues a small message where there is room for it right away.
    pub(super) fn try_send(&self, message: Message) -> Result<(), Closed> {
        let permits = u32::try_from(OVERHEAD.min(self.max_bytes)).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        let room = Room { _bytes: bytes.map_err(|_| Closed)?, _held: None };
        self.sender.try_send(Queued { message, room }).map_err(|_| Closed)
    }
}

/// Writes what is queued until the queue is closed, the peer is gone, or it has not read for so
/// long.
pub(super) fn start(
    mut sink: impl Sink<Message, Error = axum::Error> + Unpin + Send + 'static,
    max_bytes: usize,
    patience: Duration,
) -> (Queue, tokio::task::JoinHandle<()>) {
    let (sender, mut queued) = mpsc::channel::<Queued>(QUEUE);
    let max_bytes = max_bytes.clamp(OVERHEAD, Semaphore::MAX_PERMITS);
    let queue = Queue {
        sender,
        bytes: Arc::new(Semaphore::new(max_bytes)),
        max_bytes,
        budget: Arc::default(),
        patience,
    };
    let task = tokio::spawn(async move {
        while let Some(first) = queued.recv().await {
            // what waits goes out together; each step of it is progress
            let mut next = Some(first);
            let mut fed = Vec::new();
            while let Some(Queued { message, room }) = next.take() {
                if !matches!(timeout(patience, sink.feed(message)).await, Ok(Ok(()))) {
                    return;
                }
                fed.push(room);
                next = if fed.len() < QUEUE { queued.try_recv().ok() } else { None };
            }
            if !matches!(timeout(patience, sink.flush()).await, Ok(Ok(()))) {
                return;
            }
        }
        // answers the peer's close, where it was the peer who closed
        timeout(FAREWELL, sink.close()).await.ok();
    });
    (queue, task)
}
