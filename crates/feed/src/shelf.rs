//! Pages of the table, shared by all followers behind the log.
//!
//! After a restart everyone is behind, and most followers want the same events. A page is read once
//! for everyone who asks for it within a few seconds: a follower whose position is within a page
//! takes the rest of that page, and from its end on, all of them are at the same position.
//!
//! **Invariant.** A page has every wanted event with `start < position <= end` that was visible
//! when it was read, and no event will ever be added before its end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use campaigns_scope::{Budget, Reservation};
use tokio::sync::OnceCell;

use crate::Event;

/// How long a page is kept.
const KEPT: Duration = Duration::from_secs(10);
/// The approximate maximum of the bytes of an organization's pages.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Some wanted events.
pub(crate) struct Page {
    pub(crate) end: i64,
    pub(crate) events: Vec<Event>,
    bytes: usize,
    _held: Option<Reservation>,
}

impl Page {
    /// A page, drawn from a budget if there is room.
    pub(crate) fn new(end: i64, events: Vec<Event>, bytes: usize, budget: &Arc<Budget>) -> Self {
        Self { end, events, bytes, _held: budget.hold(bytes).ok() }
    }
}

#[derive(Clone)]
struct Slot {
    page: Arc<OnceCell<Arc<Page>>>,
    asked: Instant,
}

/// The pages of an organization, by wanted events and by start position.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<Arc<str>, BTreeMap<i64, Slot>>>);

impl Shelf {
    /// The page with the events after a cursor. The first caller loads it.
    pub(crate) async fn page<E>(
        &self,
        wanted: &Arc<str>,
        cursor: i64,
        load: impl AsyncFnOnce() -> Result<Page, E>,
    ) -> Result<Arc<Page>, E> {
        let slot = self.slot(wanted, cursor);
        let page = slot.page.get_or_try_init(async || load().await.map(Arc::new)).await?.clone();
        self.clear();
        Ok(page)
    }

    fn slot(&self, wanted: &Arc<str>, cursor: i64) -> Slot {
        let mut shelves = self.lock();
        let pages = shelves.entry(Arc::clone(wanted)).or_default();
        let covers = |slot: &Slot| match slot.page.get() {
            Some(page) => page.end > cursor,
            None => false,
        };
        let before = pages.range(..=cursor).next_back().map(|(start, slot)| (*start, slot));
        match before {
            Some((start, slot))
                if slot.asked.elapsed() < KEPT
                    && (covers(slot) || start == cursor && slot.page.get().is_none()) =>
            {
                slot.clone()
            }
            _ => {
                let slot = Slot { page: Arc::default(), asked: Instant::now() };
                pages.insert(cursor, slot.clone());
                slot
            }
        }
    }

    /// Removes old pages, and the oldest ones if there are too many.
    fn clear(&self) {
        let mut shelves = self.lock();
        let mut kept = Vec::new();
        for (wanted, pages) in shelves.iter_mut() {
            pages.retain(|_, slot| slot.asked.elapsed() < KEPT);
            for (start, slot) in pages {
                let bytes = slot.page.get().map_or(0, |page| page.bytes);
                kept.push((slot.asked, Arc::clone(wanted), *start, bytes));
            }
        }
        kept.sort_unstable();
        let mut bytes: usize = kept.iter().map(|(.., bytes)| bytes).sum();
        for (_, wanted, start, size) in kept {
            if bytes <= MAX_BYTES {
                break;
            }
            if let Some(pages) = shelves.get_mut(&wanted) {
                pages.remove(&start);
            }
            bytes -= size;
        }
        shelves.retain(|_, pages| !pages.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, BTreeMap<i64, Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
