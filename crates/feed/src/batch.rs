//! Batches of events.

use std::{
    any::Any,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use campaigns_entity::event;

/// Events that were read together, with data that was loaded for all of them.
pub(crate) struct Batch {
    events: Vec<event::Model>,
    read: Instant,
    attached: Mutex<Option<(Instant, Arc<dyn Any + Send + Sync>)>>,
}

/// An event of a batch, which several followers can share.
#[derive(Clone)]
pub struct Event {
    batch: Arc<Batch>,
    index: usize,
}

impl Deref for Event {
    type Target = event::Model;

    fn deref(&self) -> &event::Model {
        &self.batch.events[self.index]
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Event").field(&self.feed_position).finish()
    }
}

impl Event {
    /// The events of a batch that has just been read.
    pub(crate) fn batch(events: Vec<event::Model>) -> impl Iterator<Item = Self> {
        Self::batch_read(events, Instant::now())
    }

    /// The events of a batch that was read at this time.
    pub(crate) fn batch_read(
        events: Vec<event::Model>,
        read: Instant,
    ) -> impl Iterator<Item = Self> {
        let batch = Arc::new(Batch { events, read, attached: Mutex::default() });
        (0..batch.events.len()).map(move |index| Self { batch: Arc::clone(&batch), index })
    }

    /// All events of the batch.
    #[must_use]
    pub fn together(&self) -> &[event::Model] {
        &self.batch.events
    }

    /// When the batch was read.
    pub(crate) fn read(&self) -> Instant {
        self.batch.read
    }

    /// Whether the batch was read at this time or later.
    #[must_use]
    pub fn is_of(&self, since: Instant) -> bool {
        self.batch.read >= since
    }

    /// The data that was attached to the batch at or after `since`. Attaches a default if there is none.
    pub fn attached<T: Default + Send + Sync + 'static>(&self, since: Instant) -> Arc<T> {
        let mut attached = self.batch.attached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = &*attached
            && *at >= since
            && let Ok(found) = Arc::clone(found).downcast()
        {
            return found;
        }
        let new = Arc::new(T::default());
        *attached = Some((Instant::now(), Arc::clone(&new) as Arc<dyn Any + Send + Sync>));
        new
    }

    /// Drops the attached data, for example because loading a part of it failed.
    pub fn detach(&self) {
        *self.batch.attached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The approximate number of bytes of an event: one copy in the log, and one in a response.
pub(crate) fn size(event: &event::Model) -> usize {
    let metadata = event.metadata.as_ref().map_or(0, |metadata| {
        let text = metadata.0.to_string();
        campaigns_scope::json_weight(text.as_bytes())
    });
    2 * (256 + event.url.as_ref().map_or(0, |url| url.len()) + metadata)
}
