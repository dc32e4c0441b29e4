//! What one client can take, and what it cannot: each attack is made to happen.

use std::time::{Duration, Instant};

mod altered_tables;
mod bytes;
mod deadlocks;
mod deletions;
mod engine;
mod failures;
mod fairness;
mod followers;
mod hang_ups;
mod late;
mod migrations;
mod overload;
mod peers;
mod places;
mod pooler;
mod restarts;
mod restored;
mod tasks;
mod times;
mod versions;

/// Waits until something holds.
pub(crate) async fn until(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < patience, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
