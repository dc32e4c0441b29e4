//! The sockets and streams of a process: how many each organization has, how many sockets are not
//! authenticated yet, and how all of them end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use super::{
    polls::Polls,
    threads::{self, Threads},
};

/// The sockets and streams of a process. Clones share them.
#[derive(Clone)]
pub(crate) struct Sockets {
    of_organizations: Arc<Mutex<HashMap<Uuid, usize>>>,
    /// The places for sockets that are not authenticated yet.
    pending: Arc<Semaphore>,
    max_pending: usize,
    /// Whether they should end. Each of them holds a receiver while it is open.
    ending: watch::Sender<bool>,
    pub(crate) threads: Threads,
    pub(crate) polls: Polls,
}

/// A socket that is not authenticated yet, counted while this lives.
pub(crate) type Pending = OwnedSemaphorePermit;

/// A socket or a stream of an organization, counted while this lives.
pub(super) struct CountedSocket {
    sockets: Sockets,
    organization: Uuid,
}

impl Sockets {
    /// The number of authenticated sockets and of streams that are open.
    pub(crate) fn count_authenticated(&self) -> usize {
        let counts = self.of_organizations.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().sum()
    }

    /// The number of open sockets that are not authenticated yet.
    pub(crate) fn count_pending(&self) -> usize {
        self.max_pending - self.pending.available_permits()
    }

    /// No sockets yet, with a maximum number of unauthenticated ones.
    pub(crate) fn new(max_pending: usize) -> Self {
        let max_pending = max_pending.min(Semaphore::MAX_PERMITS);
        Self {
            of_organizations: Arc::default(),
            pending: Arc::new(Semaphore::new(max_pending)),
            max_pending,
            ending: watch::Sender::new(false),
            polls: Polls::new(threads::count()),
            threads: Threads::start(),
        }
    }

    /// Counts a socket that is not authenticated yet, or returns `None` if there are too many.
    pub(crate) fn pending(&self) -> Option<Pending> {
        Arc::clone(&self.pending).try_acquire_owned().ok()
    }

    /// A receiver that is true once sockets and streams should end. Each holds it until it has ended.
    pub(super) fn open(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Counts a socket or a stream, or returns `None` if the organization has `max` of them.
    pub(super) fn count(&self, organization: Uuid, max: usize) -> Option<CountedSocket> {
        let mut counts = self.of_organizations.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(organization).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(CountedSocket { sockets: self.clone(), organization })
    }

    /// Ends all of them, and waits until they are closed.
    pub(crate) async fn end(&self) {
        self.ending.send_replace(true);
        self.ending.closed().await;
    }
}

impl Drop for CountedSocket {
    fn drop(&mut self) {
        let counts = &self.sockets.of_organizations;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.organization);
            }
        }
    }
}
