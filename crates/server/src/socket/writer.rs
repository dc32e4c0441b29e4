//! The one that writes to a peer.

use std::time::Duration;

use async_graphql::futures_util::{Sink, SinkExt};
use axum::extract::ws::Message;
use tokio::{sync::mpsc, time::timeout};

/// How many messages wait for the peer to read.
const QUEUE: usize = 32;

/// How long the last message may take to be written.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// The queue of a socket.
pub(super) type Queue = mpsc::Sender<Message>;

/// Writes what is queued until the queue is closed, the peer is gone, or it has not read for so
/// long.
pub(super) fn start(
    mut sink: impl Sink<Message, Error = axum::Error> + Unpin + Send + 'static,
    patience: Duration,
) -> (Queue, tokio::task::JoinHandle<()>) {
    let (queue, mut queued) = mpsc::channel(QUEUE);
    let task = tokio::spawn(async move {
        while let Some(message) = queued.recv().await {
            // what waits goes out together; each step of it is progress
            let mut next = Some(message);
            let mut fed = 0;
            while let Some(message) = next.take() {
                if !matches!(timeout(patience, sink.feed(message)).await, Ok(Ok(()))) {
                    return;
                }
                fed += 1;
                next = if fed < QUEUE { queued.try_recv().ok() } else { None };
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
