//! The lock of writers, for a database that has one writer at a time.
//!
//! SQLite has no queue: a writer that finds the file locked sleeps, longer each time, and tries
//! again. So the file is idle between two writers, and the last to arrive can be the first to write.
//! With this lock, writers proceed in order, without a pause. It only improves fairness: other
//! programs that share the file still compete for SQLite's own lock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout_at,
};

use super::Failure;

/// How long a writer waits for others, both for this lock and for SQLite's.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The write lock of a process. Writers get it in the order in which they request it.
#[derive(Default)]
pub(super) struct WriteLock(Arc<Mutex<()>>);

/// Releases the lock when it is dropped.
pub(super) struct WriteGuard(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

impl WriteLock {
    /// Waits for the lock, at most until the deadline.
    pub(super) async fn take(&self, deadline: Option<Instant>) -> Result<WriteGuard, Failure> {
        let patience = Instant::now() + PATIENCE;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        match timeout_at(until.into(), Arc::clone(&self.0).lock_owned()).await {
            Ok(guard) => Ok(WriteGuard(guard)),
            Err(_) if until < patience => Err(Failure::OutOfTime),
            Err(_) => Err(Failure::NoneFree),
        }
    }
}
