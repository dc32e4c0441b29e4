//! The latest events of one organization, in memory.

use std::{collections::VecDeque, sync::Arc};

use campaigns_scope::{Budget, Place, Reservation};
use uuid::Uuid;

use crate::{Event, batch::size};

/// The maximum number of events in a log.
const MAX_EVENTS: usize = 4_096;
/// The approximate maximum number of bytes in a log.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of events that a follower takes at once.
const BATCH: usize = 64;
/// The number of single events that are merged into one batch.
const MERGED: usize = 128;

/// Every event with `floor < position <= tip`.
pub(crate) struct Log {
    floor: i64,
    tip: i64,
    /// The ID of the event at the tip, if it is known.
    tip_id: Option<Uuid>,
    events: VecDeque<(Event, usize)>,
    bytes: usize,
    /// The number of latest events that are not merged into a batch yet.
    unmerged: usize,
    budget: Arc<Budget>,
    held: Option<Reservation>,
}

/// The result of reading events from a log.
pub(crate) enum LogRead {
    /// The next events, in order.
    Events(Vec<Event>),
    /// There is no event between the cursor and this tip.
    Nothing(i64),
    /// The log does not go back far enough.
    Behind,
}

impl Log {
    /// A log that starts after this place.
    pub(crate) fn after(place: &Place, budget: Arc<Budget>) -> Self {
        Self {
            floor: place.position,
            tip: place.position,
            tip_id: (place.position > 0).then_some(place.id),
            events: VecDeque::new(),
            bytes: 0,
            unmerged: 0,
            budget,
            held: None,
        }
    }

    /// The number of events, and the number of their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.events.len(), self.bytes)
    }

    pub(crate) fn tip(&self) -> i64 {
        self.tip
    }

    pub(crate) fn tip_id(&self) -> Option<Uuid> {
        self.tip_id
    }

    pub(crate) fn floor(&self) -> i64 {
        self.floor
    }

    /// Adds the next event. If this panics, either both the events and the tip have changed, or neither.
    pub(crate) fn push(&mut self, event: Event) {
        let size = size(&event);
        let (position, id) = (event.feed_position, event.id);
        while !self.hold(size) {
            if !self.forget_oldest() {
                // the budget is exhausted: followers read the event from the table
                self.floor = position;
                self.tip = position;
                self.tip_id = Some(id);
                return;
            }
        }
        self.bytes += size;
        self.events.push_back((event, size));
        self.tip = position;
        self.tip_id = Some(id);
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            self.forget_oldest();
        }
        self.unmerged += 1;
        if self.unmerged >= MERGED {
            self.merge();
        }
    }

    /// Merges the latest events, which arrived one by one, into one batch. Followers that reconnect
    /// later load the data of a batch together.
    fn merge(&mut self) {
        let start = self.events.len().saturating_sub(self.unmerged);
        self.unmerged = 0;
        let Some(read) = self.events.get(start).map(|(event, _)| event.read()) else { return };
        let models = self.events.range(start..).map(|(event, _)| (**event).clone()).collect();
        let merged = Event::batch_read(models, read);
        for ((event, _), merged) in self.events.range_mut(start..).zip(merged) {
            *event = merged;
        }
    }

    /// Moves the tip past an event that cannot be read.
    pub(crate) fn skip(&mut self, position: i64) {
        self.tip = position;
        self.tip_id = None;
    }

    /// Prepends `events`, all events with `floor < position <= from`, as far as there is room. Does
    /// nothing unless the log starts at `from`.
    pub(crate) fn extend_back(&mut self, from: i64, floor: i64, events: Vec<Event>) {
        if floor >= self.floor || from != self.floor {
            // another follower was faster, or the log has dropped its oldest events
            return;
        }
        for event in events.into_iter().rev() {
            let size = size(&event);
            let full = self.events.len() >= MAX_EVENTS || self.bytes + size > MAX_BYTES;
            if full || !self.hold(size) {
                self.floor = event.feed_position;
                return;
            }
            self.bytes += size;
            self.events.push_front((event, size));
        }
        self.floor = floor;
    }

    /// Reads the events after a cursor.
    pub(crate) fn after_cursor(&self, cursor: i64) -> LogRead {
        if cursor < self.floor {
            return LogRead::Behind;
        }
        let start = self.events.partition_point(|(event, _)| event.feed_position <= cursor);
        let events: Vec<Event> =
            self.events.iter().skip(start).take(BATCH).map(|(event, _)| event.clone()).collect();
        if events.is_empty() { LogRead::Nothing(self.tip) } else { LogRead::Events(events) }
    }

    fn hold(&mut self, bytes: usize) -> bool {
        if let Some(held) = &mut self.held {
            return held.grow(bytes).is_ok();
        }
        self.held = self.budget.hold(bytes).ok();
        self.held.is_some()
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((oldest, size)) = self.events.pop_front() else { return false };
        self.floor = oldest.feed_position;
        self.bytes -= size;
        if let Some(held) = &mut self.held {
            held.shrink(size);
        }
        true
    }
}
