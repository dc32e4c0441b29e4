//! The sockets of a process: how many there are of an organization, and the end of all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use uuid::Uuid;

/// Cloning shares them.
#[derive(Clone)]
pub(crate) struct Sockets {
    of_organizations: Arc<Mutex<HashMap<Uuid, usize>>>,
    /// Whether they are to end; whoever holds a receiver is a socket that is still open.
    ending: watch::Sender<bool>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { of_organizations: Arc::default(), ending: watch::Sender::new(false) }
    }
}

/// One socket of an organization, counted for as long as this lives.
pub(super) struct Counted {
    sockets: Sockets,
    organization: Uuid,
}

impl Sockets {
    /// Tells a socket when it is to end, and is told when it has.
    pub(super) fn open(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Counts a socket; `None` where the organization has `max` of them.
    pub(super) fn count(&self, organization: Uuid, max: usize) -> Option<Counted> {
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
