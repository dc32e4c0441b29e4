//! The latest events of one organization, in memory.

use std::collections::VecDeque;

use campaigns_entity::event;

use crate::Event;

/// How many events a log has at most.
const MAX_EVENTS: usize = 2_048;
/// How many bytes they may take, about.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How many events a follower takes at once.
const BATCH: usize = 64;

/// Every event with `floor < position <= tip`.
pub(crate) struct Log {
    floor: i64,
    tip: i64,
    events: VecDeque<(Event, usize)>,
    bytes: usize,
}

/// What a log has for a follower.
pub(crate) enum Found {
    /// The next events, in their order.
    Events(Vec<Event>),
    /// No event yet.
    Nothing,
    /// It does not reach back so far.
    Behind,
}

impl Log {
    /// A log that begins after this position.
    pub(crate) fn after(position: i64) -> Self {
        Self { floor: position, tip: position, events: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn tip(&self) -> i64 {
        self.tip
    }

    /// Adds the event that comes next.
    pub(crate) fn push(&mut self, event: Event) {
        let size = size(&event);
        self.tip = event.feed_position;
        self.bytes += size;
        self.events.push_back((event, size));
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some((oldest, size)) = self.events.pop_front() else { break };
            self.floor = oldest.feed_position;
            self.bytes -= size;
        }
    }

    /// What comes after a cursor.
    pub(crate) fn after_cursor(&self, cursor: i64) -> Found {
        if cursor < self.floor {
            return Found::Behind;
        }
        let start = self.events.partition_point(|(event, _)| event.feed_position <= cursor);
        let events: Vec<Event> =
            self.events.iter().skip(start).take(BATCH).map(|(event, _)| event.clone()).collect();
        if events.is_empty() { Found::Nothing } else { Found::Events(events) }
    }
}

/// How many bytes an event takes, about.
pub(crate) fn size(event: &event::Model) -> usize {
    let metadata = event.metadata.as_ref().map_or(0, |metadata| metadata.to_string().len());
    256 + event.url.as_ref().map_or(0, String::len) + metadata
}
