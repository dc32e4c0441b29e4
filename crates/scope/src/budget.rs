//! Budgets of bytes: the memory that operations, organizations and the process can hold at once.
//!
//! Budgets form a tree. The process has one, each active organization has one within it, and each
//! operation has one within its organization's. Bytes drawn from a budget are drawn from every
//! budget around it, and returned when they are no longer held.
//!
//! **Invariants.**
//! - Memory is drawn before it is held, so the process holds no more than its budget. Numbers of
//!   bytes are estimates: the length of the input, and a fixed weight for each JSON value.
//! - An organization never holds more than its share of the free bytes: with a share of one half, as
//!   much as it leaves free (dynamic thresholds: Choudhury and Hahne, 1998). So there is always
//!   room for another organization, however much the others hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use uuid::Uuid;

use crate::shares::{Activity, Occupancy, Share, Shares};

/// An operation draws from its organization in steps of this many bytes, so that rows do not
/// contend for one lock.
const STEP: usize = 64 * 1024;

/// The bytes that can be held at once.
#[derive(Clone, Copy, Debug)]
pub struct ByteLimits {
    /// For one operation: its input, the rows that it reads and its response.
    pub operation: usize,
    /// For the process.
    pub process: usize,
    /// The percentage of the free bytes that one organization can hold.
    pub share: Share,
}

impl Default for ByteLimits {
    fn default() -> Self {
        Self { operation: 64 << 20, process: 512 << 20, share: Share::default() }
    }
}

/// The budget that is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// The operation's.
    #[error("the operation's budget of bytes is exhausted")]
    Operation,
    /// The organization's.
    #[error("the organization's budget of bytes is exhausted")]
    Organization,
    /// The process's.
    #[error("the process's budget of bytes is exhausted")]
    Process,
}

/// A budget of bytes.
#[derive(Debug)]
pub struct Budget {
    whose: Exhausted,
    limit: Limit,
    parent: Option<Arc<Budget>>,
    account: Mutex<Account>,
}

#[derive(Debug)]
enum Limit {
    Bytes(usize),
    ShareOfParent(Share),
}

#[derive(Debug, Default)]
struct Account {
    held: usize,
    /// The bytes drawn from the parent: at least the held ones, and up to one [`STEP`] more.
    drawn: usize,
}

impl Budget {
    fn new(whose: Exhausted, limit: Limit, parent: Option<&Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { whose, limit, parent: parent.cloned(), account: Mutex::default() })
    }

    /// A budget for one operation within this one.
    #[must_use]
    pub fn operation(self: &Arc<Self>, limits: &ByteLimits) -> Arc<Self> {
        Self::new(Exhausted::Operation, Limit::Bytes(limits.operation), Some(self))
    }

    /// The number of bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.account().held
    }

    /// Draws bytes for the lifetime of this budget.
    ///
    /// # Errors
    /// If this budget or one of its ancestors is exhausted. Nothing is drawn then.
    pub fn draw(&self, bytes: usize) -> Result<(), Exhausted> {
        // a budget is locked before its parent, so there is no deadlock
        let mut account = self.account();
        let held = account.held.saturating_add(bytes);
        match (&self.limit, &self.parent) {
            (Limit::Bytes(limit), _) if held > *limit => return Err(self.whose),
            (Limit::ShareOfParent(share), Some(parent)) => {
                let free = parent.free().saturating_sub(bytes);
                if !share.allows(held, free) {
                    return Err(self.whose);
                }
            }
            _ => {}
        }
        if let Some(parent) = self.parent.as_ref().filter(|_| held > account.drawn) {
            let more = (held - account.drawn).next_multiple_of(self.step());
            parent.draw(more)?;
            account.drawn += more;
        }
        account.held = held;
        Ok(())
    }

    /// Draws bytes for the lifetime of the result.
    ///
    /// # Errors
    /// The errors of [`Budget::draw`].
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Reservation, Exhausted> {
        self.draw(bytes)?;
        Ok(Reservation { budget: Arc::clone(self), bytes })
    }

    /// A reservation without bytes, to grow.
    #[must_use]
    pub fn empty_reservation(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0 }
    }

    fn give_back(&self, bytes: usize) {
        let mut account = self.account();
        account.held = account.held.saturating_sub(bytes);
        let keep = account.held.next_multiple_of(self.step());
        if let Some(parent) = self.parent.as_ref().filter(|_| account.drawn > keep) {
            parent.give_back(account.drawn - keep);
            account.drawn = keep;
        }
    }

    fn free(&self) -> usize {
        match self.limit {
            Limit::Bytes(limit) => limit.saturating_sub(self.held()),
            Limit::ShareOfParent(_) => usize::MAX,
        }
    }

    fn step(&self) -> usize {
        if self.whose == Exhausted::Operation { STEP } else { 1 }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            let drawn = self.account.get_mut().unwrap_or_else(PoisonError::into_inner).drawn;
            parent.give_back(drawn);
        }
    }
}

/// Bytes drawn from a budget, returned when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Draws more bytes.
    ///
    /// # Errors
    /// The errors of [`Budget::draw`]. The reservation keeps its bytes then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.budget.draw(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Returns some of the bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.give_back(bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// The budgets of a process: bytes, and concurrent operations. Clones share them.
#[derive(Clone)]
pub struct Budgets {
    limits: ByteLimits,
    process: Arc<Budget>,
    organizations: Arc<Mutex<HashMap<Uuid, Weak<Budget>>>>,
    pub(crate) work: Work,
}

/// The execution permits of a process.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) any: Shares,
    /// The permits of expensive operations.
    pub(crate) expensive: Shares,
    pub(crate) activity: Activity,
    /// How long an operation waits to be executed.
    pub(crate) max_wait: Duration,
}

impl Budgets {
    /// The budgets of a process with these limits. At most `max_executing` operations run at once,
    /// an eighth of them expensive. At most `max_waiting` per organization wait, each for up to
    /// `max_wait`.
    #[must_use]
    pub fn new(
        limits: ByteLimits,
        max_executing: usize,
        max_waiting: usize,
        max_wait: Duration,
    ) -> Self {
        let process = Budget::new(Exhausted::Process, Limit::Bytes(limits.process), None);
        let activity = Activity::default();
        let expensive = (max_executing / 8).max(2);
        let work = Work {
            any: Shares::new(max_executing.max(1), limits.share, max_waiting)
                .quarter_among_many(activity.clone()),
            expensive: Shares::new(expensive, limits.share, max_waiting)
                .all_for_one(activity.clone()),
            activity,
            max_wait,
        };
        Self { limits, process, organizations: Arc::default(), work }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &ByteLimits {
        &self.limits
    }

    /// The budget of the process.
    #[must_use]
    pub fn process(&self) -> &Arc<Budget> {
        &self.process
    }

    /// The number of operations that are executed, and of those that wait.
    #[must_use]
    pub fn executing(&self) -> Occupancy {
        self.work.any.occupancy()
    }

    /// The same for expensive operations only.
    #[must_use]
    pub fn expensive(&self) -> Occupancy {
        self.work.expensive.occupancy()
    }

    /// The budget of an organization, shared by all of its holders.
    #[must_use]
    pub fn organization(&self, id: Uuid) -> Arc<Budget> {
        let mut organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = organizations.get(&id).and_then(Weak::upgrade) {
            return budget;
        }
        organizations.retain(|_, budget| budget.strong_count() > 0);
        let limit = Limit::ShareOfParent(self.limits.share);
        let budget = Budget::new(Exhausted::Organization, limit, Some(&self.process));
        organizations.insert(id, Arc::downgrade(&budget));
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(operation: usize, process: usize) -> Budgets {
        let limits = ByteLimits { operation, process, ..ByteLimits::default() };
        Budgets::new(limits, 1, 1, Duration::MAX)
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn an_operation_holds_no_more_than_its_limit_and_returns_all_of_it() {
        let budgets = budgets(1_000_000, 100_000_000);
        let organization = budgets.organization(id(1));
        let operation = organization.operation(budgets.limits());
        assert_eq!(operation.draw(600_000), Ok(()));
        assert_eq!(operation.draw(600_000), Err(Exhausted::Operation));
        let held = operation.hold(300_000).unwrap();
        assert!(budgets.process().held() >= 900_000);
        drop(held);
        assert_eq!(operation.draw(400_000), Ok(()));
        drop(operation);
        assert_eq!((organization.held(), budgets.process().held()), (0, 0));
    }

    #[test]
    fn an_organization_holds_half_and_leaves_a_newcomer_room() {
        let budgets = budgets(usize::MAX, 12_000_000);
        let fill = |number| {
            let organization = budgets.organization(id(number));
            let mut held = organization.hold(0).unwrap();
            while held.grow(100_000).is_ok() {}
            held
        };
        let first = fill(1);
        assert_eq!(first.bytes, 6_000_000);
        let second = fill(2);
        assert_eq!(second.bytes, 3_000_000);
        // the first is now over its share and gets no more
        assert_eq!(budgets.organization(id(1)).draw(1), Err(Exhausted::Organization));
        drop(first);
        let third = fill(3);
        assert_eq!(third.bytes, 4_500_000);
        drop((second, third));
        assert_eq!(budgets.process().held(), 0);
    }

    #[test]
    fn concurrent_draws_are_returned_to_the_byte() {
        let budgets = budgets(8 << 20, 64 << 20);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let budgets = &budgets;
                scope.spawn(move || {
                    for round in 0..300_usize {
                        let organization = budgets.organization(id(number % 3));
                        let operation = organization.operation(budgets.limits());
                        let held = operation.hold(round * 1_777).ok();
                        operation.draw(round).ok();
                        drop(held);
                        organization.hold(round * 31).ok();
                    }
                });
            }
        });
        assert_eq!(budgets.process().held(), 0);
    }
}
