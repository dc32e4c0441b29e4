//! Whose turn it is to write, where a database has one writer at a time.
//!
//! SQLite has no queue: a writer that finds the file locked sleeps, longer each time, and asks again.
//! So the lock is free between two writers, and the last to come can be the first. Here they come in
//! order, without a pause. Programs that share the file meet in SQLite itself, so a turn is never more
//! than a courtesy: without it, a transaction waits for the lock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout_at,
};

use super::Failure;

/// How long a writer waits for others: here, and in SQLite.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The turns of a process. They are taken in the order in which they are asked for.
#[derive(Default)]
pub(super) struct Turns(Arc<Mutex<()>>);

/// A turn, which ends when it is dropped.
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

impl Turns {
    /// Waits, at most until the deadline.
    pub(super) async fn take(&self, deadline: Option<Instant>) -> Result<Turn, Failure> {
        let patience = Instant::now() + PATIENCE;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        match timeout_at(until.into(), Arc::clone(&self.0).lock_owned()).await {
            Ok(turn) => Ok(Turn(turn)),
            Err(_) if until < patience => Err(Failure::OutOfTime),
            Err(_) => Err(Failure::NoneFree),
        }
    }
}
