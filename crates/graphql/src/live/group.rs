//! Subscribers that see the same: what is rendered for one of them is rendered for all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Payload, subscription::Rendered};

/// How many events a group remembers: as many as the feed's log has, or those at its end would be
/// rendered for each subscriber that is there.
const REMEMBERED: usize = 2_048;
/// How many bytes these may have.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What tells one group from another: who sees, and what is asked, but for where it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) organization: Uuid,
    pub(super) query: String,
    pub(super) operation_name: Option<String>,
    pub(super) variables: String,
}

/// The groups of a process.
#[derive(Clone, Default)]
pub(super) struct Groups(Arc<Mutex<HashMap<Key, Weak<Group>>>>);

/// Subscribers with the same key.
#[derive(Default)]
pub(super) struct Group {
    rendered: Mutex<Events>,
}

/// What the latest events look like, by their positions.
#[derive(Default)]
struct Events {
    cells: BTreeMap<i64, Arc<OnceCell<Payload>>>,
    bytes: usize,
}

impl Events {
    /// The place of an event, the oldest one's given up for it.
    fn cell(&mut self, position: i64) -> Arc<OnceCell<Payload>> {
        let cell = Arc::clone(self.cells.entry(position).or_default());
        self.forget();
        cell
    }

    /// Counts what was rendered.
    fn count(&mut self, position: i64, payload: &Payload) {
        if self.cells.contains_key(&position) {
            self.bytes += payload.len();
            self.forget();
        }
    }

    fn forget(&mut self) {
        while self.cells.len() > REMEMBERED || self.bytes > MAX_BYTES {
            let Some((_, cell)) = self.cells.pop_first() else {
                self.bytes = 0;
                break;
            };
            self.bytes = self.bytes.saturating_sub(cell.get().map_or(0, |payload| payload.len()));
        }
    }
}

impl Groups {
    pub(super) fn join(&self, key: Key) -> Arc<Group> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(&key).and_then(Weak::upgrade) {
            return group;
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let group = Arc::new(Group::default());
        groups.insert(key, Arc::downgrade(&group));
        group
    }
}

impl Group {
    /// What the event at a position looks like; whoever asks first renders it. What is no more than
    /// an error is not kept.
    pub(super) async fn payload(
        &self,
        position: i64,
        render: impl AsyncFnOnce() -> Rendered,
    ) -> Option<Payload> {
        let events = || self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = events().cell(position);
        let rendered = cell
            .get_or_try_init(async || match render().await {
                Rendered::Whole(payload) => {
                    events().count(position, &payload);
                    Ok(payload)
                }
                other => Err(other),
            })
            .await;
        match rendered {
            Ok(payload) => Some(payload.clone()),
            Err(other) => other.payload(),
        }
    }
}
