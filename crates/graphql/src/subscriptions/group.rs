//! Subscribers that see the same: an event is rendered once for all of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use campaigns_scope::{Budget, Reservation, Visibility};
use tokio::sync::OnceCell;

/// A response of a subscription as it is sent: an execution result in JSON.
pub type Payload = Arc<str>;

/// The maximum number of events that a group keeps.
const MAX_EVENTS: usize = 4_096;
/// How long a group keeps an event.
const MAX_AGE: Duration = Duration::from_secs(10);
/// The maximum number of bytes of the events that a group keeps.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The key of a group: what its members can see, and the hash of the operation except for its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    pub(crate) visibility: Visibility,
    pub(crate) operation: [u8; 32],
}

/// The groups of a process.
#[derive(Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<HashMap<GroupKey, Weak<Group>>>>);

/// Subscribers with the same key.
struct Group {
    members: AtomicUsize,
    rendered: Mutex<Events>,
}

/// A subscriber that belongs to a group.
pub(crate) struct GroupMember(Arc<Group>);

/// The latest rendered events, by position.
struct Events {
    cells: BTreeMap<i64, Cell>,
    bytes: usize,
    budget: Arc<Budget>,
}

/// An event that is rendered once.
struct Cell {
    payload: Arc<OnceCell<Payload>>,
    requested: Instant,
    held: Option<Reservation>,
    bytes: usize,
}

impl Events {
    /// The slot of an event, rendered at this time or later.
    fn cell(&mut self, position: i64, since: Instant) -> Arc<OnceCell<Payload>> {
        self.evict_old();
        if let Some(cell) = self.cells.get(&position).filter(|cell| cell.requested >= since) {
            return Arc::clone(&cell.payload);
        }
        let payload = Arc::<OnceCell<Payload>>::default();
        let cell =
            Cell { payload: Arc::clone(&payload), requested: Instant::now(), held: None, bytes: 0 };
        if let Some(before) = self.cells.insert(position, cell) {
            self.bytes -= before.bytes;
        }
        payload
    }

    /// Keeps a rendered event, if there is room for it.
    fn keep(&mut self, position: i64, payload: &Payload) {
        let Some(cell) = self.cells.get_mut(&position).filter(|cell| cell.held.is_none()) else {
            return;
        };
        match self.budget.hold(payload.len()) {
            Ok(held) => {
                cell.held = Some(held);
                cell.bytes = payload.len();
                self.bytes += payload.len();
            }
            Err(_) => {
                self.cells.remove(&position);
            }
        }
        while self.cells.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some((_, cell)) = self.cells.pop_first() else { break };
            self.bytes -= cell.bytes;
        }
    }

    fn evict_old(&mut self) {
        while self
            .cells
            .first_key_value()
            .is_some_and(|(_, cell)| cell.requested.elapsed() > MAX_AGE)
        {
            let Some((_, cell)) = self.cells.pop_first() else { break };
            self.bytes -= cell.bytes;
        }
    }
}

impl Groups {
    /// Joins the group with this key. What it keeps is drawn from the budget of its first member.
    pub(crate) fn join(&self, key: GroupKey, budget: Arc<Budget>) -> GroupMember {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            groups.retain(|_, group| group.strong_count() > 0);
            let rendered = Events { cells: BTreeMap::new(), bytes: 0, budget };
            let rendered = Mutex::new(rendered);
            let group = Arc::new(Group { members: AtomicUsize::new(0), rendered });
            groups.insert(key, Arc::downgrade(&group));
            group
        });
        group.members.fetch_add(1, Ordering::Relaxed);
        GroupMember(group)
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GroupMember {
    /// The event at a position, rendered at this time or later. The first member to need it
    /// renders it. An event that only produced an error is not kept, and nothing is kept for a
    /// single member.
    pub(crate) async fn payload(
        &self,
        position: i64,
        since: Instant,
        render: impl AsyncFnOnce() -> RenderOutcome,
    ) -> Option<Payload> {
        if self.0.members.load(Ordering::Relaxed) < 2 {
            return render().await.payload();
        }
        let events = || self.0.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = events().cell(position, since);
        let rendered = cell
            .get_or_try_init(async || match render().await {
                RenderOutcome::Whole(payload) => {
                    events().keep(position, &payload);
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

/// The result of rendering an event.
pub(crate) enum RenderOutcome {
    /// A response without errors.
    Whole(Payload),
    /// A response with errors.
    Failed(Payload),
    /// No response, since the event no longer exists.
    Gone,
}

impl RenderOutcome {
    fn payload(self) -> Option<Payload> {
        match self {
            Self::Whole(payload) | Self::Failed(payload) => Some(payload),
            Self::Gone => None,
        }
    }
}
