//! The one that writes to a peer.

use std::time::Duration;

use async_graphql::futures_util::{Sink, SinkExt};
use axum::extract::ws::Message;
use tokio::{sync::mpsc, time::timeout};

/// How many messages wait for the peer to read.
const QUEUE: usize = 32;

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
            let written = async {
                sink.feed(message).await?;
                // what came meanwhile goes out with it
                while let Ok(message) = queued.try_recv() {
                    sink.feed(message).await?;
                }
                sink.flush().await
            };
            match timeout(patience, written).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    });
    (queue, task)
}
