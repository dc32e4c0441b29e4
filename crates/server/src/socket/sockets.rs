//! The sockets of a process: how many each organization has, how many are not authenticated yet,
//! and how all of them end.

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

/// Clones share them.
#[derive(Clone)]
pub(crate) struct Sockets {
    of_organizations: Arc<Mutex<HashMap<Uuid, usize>>>,
    /// The places for sockets that are not authenticated yet.
    unknown: Arc<Semaphore>,
    max_unknown: usize,
    /// Whether they should end. Every open socket holds a receiver.
    ending: watch::Sender<bool>,
    pub(crate) threads: Threads,
    pub(crate) polls: Polls,
}

/// A socket that is not authenticated yet, counted while this lives.
pub(super) type Unknown = OwnedSemaphorePermit;

/// One socket of an organization, counted for as long as this lives.
pub(crate) struct Counted {
    sockets: Sockets,
    organization: Uuid,
}

impl Sockets {
    /// How many sockets are open whose peer is known.
    pub(crate) fn count_known(&self) -> usize {
        let counts = self.of_organizations.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().sum()
    }

    /// How many sockets are open that have not said who they are.
    pub(crate) fn count_unknown(&self) -> usize {
        self.max_unknown - self.unknown.available_permits()
    }

    /// No sockets yet, with a maximum of those that are not authenticated.
    pub(crate) fn new(max_unknown: usize) -> Self {
        let max_unknown = max_unknown.min(Semaphore::MAX_PERMITS);
        Self {
            of_organizations: Arc::default(),
            unknown: Arc::new(Semaphore::new(max_unknown)),
            max_unknown,
            ending: watch::Sender::new(false),
            polls: Polls::new(threads::count()),
            threads: Threads::start(),
        }
    }

    /// Counts a socket that is not authenticated yet, or returns `None` if there are too many.
    pub(super) fn unknown(&self) -> Option<Unknown> {
        Arc::clone(&self.unknown).try_acquire_owned().ok()
    }

    /// Tells a socket when it is to end, and is told when it has.
    pub(crate) fn open(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Counts a socket; `None` where the organization has `max` of them.
    pub(crate) fn count(&self, organization: Uuid, max: usize) -> Option<Counted> {
        let mut counts = self.of_organizations.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(organization).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted { sockets: self.clone(), organization })
    }

    /// Ends all sockets, and waits until they are closed.
    pub(crate) async fn end(&self) {
        self.ending.send_replace(true);
        self.ending.closed().await;
    }
}

impl Drop for Counted {
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
