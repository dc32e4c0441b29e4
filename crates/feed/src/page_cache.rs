//! Pages of the table, shared by all followers behind the log.
//!
//! After a restart, all followers are behind, and most select the same events. A page is read once for
//! all followers that request it within a few seconds: a follower whose cursor is within a page takes
//! the rest of that page, and continues at its end like the others.
//!
//! **Invariant.** A page has every selected event with `start < position <= end` that was visible when
//! it was read, and no event will ever be added before its end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use campaigns_scope::{Budget, Reservation};
use tokio::sync::OnceCell;

use crate::Event;

/// The lifetime of a page.
const PAGE_LIFETIME: Duration = Duration::from_secs(10);
/// The approximate maximum number of bytes of an organization's pages.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A page of selected events.
pub(crate) struct Page {
    pub(crate) end: i64,
    pub(crate) events: Vec<Event>,
    bytes: usize,
    _held: Option<Reservation>,
}

impl Page {
    /// A page whose bytes are drawn from a budget, unless it is exhausted.
    pub(crate) fn new(end: i64, events: Vec<Event>, bytes: usize, budget: &Arc<Budget>) -> Self {
        Self { end, events, bytes, _held: budget.hold(bytes).ok() }
    }
}

#[derive(Clone)]
struct Slot {
    page: Arc<OnceCell<Arc<Page>>>,
    requested: Instant,
}

/// The pages of an organization, by selection and start position.
#[derive(Default)]
pub(crate) struct PageCache(Mutex<HashMap<Arc<str>, BTreeMap<i64, Slot>>>);

impl PageCache {
    /// The page with the events after a cursor. The first caller loads it.
    pub(crate) async fn page<E>(
        &self,
        selection: &Arc<str>,
        cursor: i64,
        load: impl AsyncFnOnce() -> Result<Page, E>,
    ) -> Result<Arc<Page>, E> {
        let slot = self.slot(selection, cursor);
        let page = slot.page.get_or_try_init(async || load().await.map(Arc::new)).await?.clone();
        self.clear();
        Ok(page)
    }

    fn slot(&self, selection: &Arc<str>, cursor: i64) -> Slot {
        let mut selections = self.lock();
        let pages = selections.entry(Arc::clone(selection)).or_default();
        let covers = |slot: &Slot| match slot.page.get() {
            Some(page) => page.end > cursor,
            None => false,
        };
        let before = pages.range(..=cursor).next_back().map(|(start, slot)| (*start, slot));
        match before {
            Some((start, slot))
                if slot.requested.elapsed() < PAGE_LIFETIME
                    && (covers(slot) || start == cursor && slot.page.get().is_none()) =>
            {
                slot.clone()
            }
            _ => {
                let slot = Slot { page: Arc::default(), requested: Instant::now() };
                pages.insert(cursor, slot.clone());
                slot
            }
        }
    }

    /// Removes old pages, and the oldest ones if there are too many.
    fn clear(&self) {
        let mut selections = self.lock();
        let mut kept = Vec::new();
        for (selection, pages) in selections.iter_mut() {
            pages.retain(|_, slot| slot.requested.elapsed() < PAGE_LIFETIME);
            for (start, slot) in pages {
                let bytes = slot.page.get().map_or(0, |page| page.bytes);
                kept.push((slot.requested, Arc::clone(selection), *start, bytes));
            }
        }
        kept.sort_unstable();
        let mut bytes: usize = kept.iter().map(|(.., bytes)| bytes).sum();
        for (_, selection, start, size) in kept {
            if bytes <= MAX_BYTES {
                break;
            }
            if let Some(pages) = selections.get_mut(&selection) {
                pages.remove(&start);
            }
            bytes -= size;
        }
        selections.retain(|_, pages| !pages.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, BTreeMap<i64, Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
