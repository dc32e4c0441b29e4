//! Fair queues for places: connections, or permits to execute operations.
//!
//! **Invariants.**
//! - An organization holds no more places than its share of the free ones allows: with one half, as
//!   many as it leaves free. So an organization that floods the service leaves room for others. Some
//!   places have an additional rule ([`Rule`]), because each also occupies CPU cores of the service
//!   and of the database.
//! - A free place goes to the organization that holds the fewest, and within an organization to the
//!   waiter that has waited longest.
//! - The number of waiters of an organization is bounded.
//! - Behind a waiter that has waited for long, no other of its organization can queue: under
//!   overload, new waiters are refused at once instead of waiting in vain.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout_at};
use uuid::Uuid;

/// The part of a shared resource that one organization can hold while no other holds any: 1 to 99
/// percent.
#[derive(Clone, Copy, Debug)]
pub struct Share(u8);

impl Default for Share {
    fn default() -> Self {
        Self(50)
    }
}

impl Share {
    /// A share of this percentage, or `None` unless it is 1 to 99.
    #[must_use]
    pub fn percent(percent: u8) -> Option<Self> {
        (1..=99).contains(&percent).then_some(Self(percent))
    }

    /// Whether one organization can hold `held` while `free` is free.
    pub(crate) fn allows(self, held: usize, free: usize) -> bool {
        // held / (held + free) <= share, without dividing
        held.saturating_mul(100 - usize::from(self.0)) <= free.saturating_mul(usize::from(self.0))
    }
}

/// Places that organizations share. Clones share them.
#[derive(Clone)]
pub(crate) struct Shares(Arc<Mutex<State>>);

/// The numbers of places, of places in use, and of waiters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// The number of places.
    pub places: usize,
    /// The number of places in use.
    pub held: usize,
    /// The number of waiters.
    pub waiting: usize,
}

struct State {
    places: usize,
    /// The number of places in use. It can exceed `places` for a while after those were reduced.
    held: usize,
    share: Share,
    rule: Rule,
    max_waiting: usize,
    organizations: HashMap<Uuid, Organization>,
    /// The number of waiters so far. Earlier waiters have smaller numbers.
    arrived: u64,
}

/// How many places an organization can hold.
enum Rule {
    /// Its share.
    Share,
    /// All of them while no other organization is active.
    AllForOne(Activity),
    /// A quarter of its share while others are active, so that the others' operations compete with
    /// few.
    QuarterAmongMany(Activity),
}

#[derive(Default)]
struct Organization {
    held: usize,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    arrived: u64,
    since: Instant,
    place: oneshot::Sender<Permit>,
}

impl Organization {
    /// Drops canceled waiters from the front.
    fn tidy(&mut self) {
        while self.waiting.front().is_some_and(|first| first.place.is_closed()) {
            self.waiting.pop_front();
        }
    }

    /// Drops canceled waiters if there are at least `max` waiters. Returns the remaining number.
    fn prune(&mut self, max: usize) -> usize {
        if self.waiting.len() >= max {
            self.waiting.retain(|waiting| !waiting.place.is_closed());
        }
        self.waiting.len()
    }

    /// The wait of the first waiter.
    fn longest_wait(&self) -> Duration {
        self.waiting.front().map_or(Duration::ZERO, |first| first.since.elapsed())
    }
}

/// The right to a place, until it is dropped.
pub(crate) struct Permit {
    shares: Shares,
    organization: Uuid,
}

/// The reason why no place is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The organization has places, and too many of its operations wait, or this one has waited too
    /// long.
    TooMany,
    /// Others hold all places, or earlier waiters of the organization have waited for long.
    Busy,
}

/// How long to wait for a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitLimit {
    pub(crate) until: Instant,
    /// Fail instead of queueing behind a waiter that has waited this long.
    pub(crate) behind: Duration,
}

impl From<Instant> for WaitLimit {
    fn from(until: Instant) -> Self {
        Self { until, behind: Duration::MAX }
    }
}

impl Shares {
    pub(crate) fn new(places: usize, share: Share, max_waiting: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            places,
            held: 0,
            share,
            rule: Rule::Share,
            max_waiting,
            organizations: HashMap::new(),
            arrived: 0,
        })))
    }

    /// The current occupancy.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let state = self.state();
        let waits = |waiting: &&Waiter| !waiting.place.is_closed();
        let waiting = |of: &Organization| of.waiting.iter().filter(waits).count();
        Occupancy {
            places: state.places,
            held: state.held,
            waiting: state.organizations.values().map(waiting).sum(),
        }
    }

    /// Changes the number of places. Places in use are not revoked.
    pub(crate) fn set_places(&self, places: usize) {
        let before = std::mem::replace(&mut self.state().places, places);
        if before < places {
            self.serve();
        }
    }

    /// Whether both are the same places.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Lets one organization hold all places while no other is active.
    pub(crate) fn all_for_one(self, activity: Activity) -> Self {
        self.state().rule = Rule::AllForOne(activity);
        self
    }

    /// Limits an organization to a quarter of its share while others are active.
    pub(crate) fn quarter_among_many(self, activity: Activity) -> Self {
        self.state().rule = Rule::QuarterAmongMany(activity);
        self
    }

    /// Waits for a place, up to a limit. The future can be dropped while it waits.
    pub(crate) async fn enter_until(
        &self,
        organization: Uuid,
        wait_limit: impl Into<WaitLimit>,
    ) -> Result<Permit, NoPermit> {
        let WaitLimit { until, behind } = wait_limit.into();
        let entering = self.enter(organization, behind);
        if let Ok(entered) = timeout_at(until.into(), entering).await {
            return entered;
        }
        let state = self.state();
        let has_some = state.organizations.get(&organization).is_some_and(|of| of.held > 0);
        Err(if has_some { NoPermit::TooMany } else { NoPermit::Busy })
    }

    /// Whether a waiter of an organization has waited for at least this time.
    pub(crate) fn has_waited(&self, organization: Uuid, time: Duration) -> bool {
        let mut state = self.state();
        let Some(of) = state.organizations.get_mut(&organization) else { return false };
        of.tidy();
        of.longest_wait() >= time
    }

    /// Waits for a place, but not behind a waiter that has waited for `behind`.
    async fn enter(&self, organization: Uuid, behind: Duration) -> Result<Permit, NoPermit> {
        let receiver = {
            let mut state = self.state();
            if state.may_enter(organization) {
                state.take(organization);
                return Ok(Permit { shares: self.clone(), organization });
            }
            let (max_waiting, arrived) = (state.max_waiting, state.arrived);
            let of = state.organizations.entry(organization).or_default();
            of.tidy();
            if of.longest_wait() >= behind {
                return Err(NoPermit::Busy);
            }
            if of.prune(max_waiting) >= max_waiting {
                return Err(NoPermit::TooMany);
            }
            let (place, receiver) = oneshot::channel();
            of.waiting.push_back(Waiter { arrived, since: Instant::now(), place });
            state.arrived += 1;
            receiver
        };
        Ok(receiver.await.expect("each waiter gets a permit, because the shares outlive it"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the free places to waiters.
    fn serve(&self) {
        loop {
            let mut state = self.state();
            let Some((organization, sender)) = state.next() else { return };
            drop(state);
            // if the waiter was canceled, the permit is dropped, which serves the next waiter
            sender.send(Permit { shares: self.clone(), organization }).ok();
        }
    }
}

impl State {
    fn may_enter(&self, organization: Uuid) -> bool {
        let held = self.organizations.get(&organization).map_or(0, |of| of.held);
        let Some(left) = self.places.saturating_sub(self.held).checked_sub(1) else { return false };
        let is_allowed = |held| match &self.rule {
            Rule::AllForOne(activity) if !activity.is_shared() => true,
            Rule::QuarterAmongMany(activity) if activity.is_shared() => {
                self.share.allows(4 * held, left)
            }
            _ => self.share.allows(held, left),
        };
        // an organization without a place can have the last one
        held == 0 || is_allowed(held + 1)
    }

    fn take(&mut self, organization: Uuid) {
        self.held += 1;
        self.organizations.entry(organization).or_default().held += 1;
    }

    /// Takes a place for the next waiter.
    fn next(&mut self) -> Option<(Uuid, oneshot::Sender<Permit>)> {
        for of in self.organizations.values_mut() {
            of.tidy();
        }
        self.organizations.retain(|_, of| of.held > 0 || !of.waiting.is_empty());
        let (_, _, organization) = self
            .organizations
            .iter()
            .filter_map(|(id, of)| Some((of.held, of.waiting.front()?.arrived, *id)))
            .filter(|(_, _, id)| self.may_enter(*id))
            .min()?;
        self.take(organization);
        let next = self.organizations.get_mut(&organization)?.waiting.pop_front()?;
        Some((organization, next.place))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.shares.state();
            state.held -= 1;
            if let Some(of) = state.organizations.get_mut(&self.organization) {
                of.held -= 1;
            }
        }
        self.shares.serve();
    }
}

/// How long a place rests, as a multiple of the time that it was used.
const REST: u32 = 3;

/// A permit whose place rests after use while more than one organization is active. So an organization
/// with constant demand occupies the place for a quarter of the time. Others need not only the place
/// but also the CPU core, of the service and of the database, that its holder keeps busy.
pub(crate) struct RestingPermit {
    permit: Option<Permit>,
    since: Instant,
    activity: Activity,
}

impl RestingPermit {
    pub(crate) fn new(permit: Permit, activity: Activity) -> Self {
        Self { permit: Some(permit), since: Instant::now(), activity }
    }
}

impl Drop for RestingPermit {
    fn drop(&mut self) {
        let (permit, used) = (self.permit.take(), self.since.elapsed());
        if let Ok(runtime) = Handle::try_current()
            && self.activity.is_shared()
        {
            runtime.spawn(async move {
                tokio::time::sleep(used * REST).await;
                drop(permit);
            });
        }
    }
}

/// How long an organization counts as active after a request.
const ACTIVE: Duration = Duration::from_secs(10);

/// Tracks whether more than one organization is active. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Activity(Arc<Mutex<RecentActivity>>);

#[derive(Default)]
struct RecentActivity {
    last: Uuid,
    /// When an organization other than the last one was last active.
    other: Option<Instant>,
}

impl Activity {
    /// Records a request of an organization.
    pub(crate) fn note(&self, organization: Uuid) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last != organization {
            seen.other = (!seen.last.is_nil()).then(Instant::now);
            seen.last = organization;
        }
    }

    /// Whether more than one organization is active.
    fn is_shared(&self) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.other.is_some_and(|other| other.elapsed() < ACTIVE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::JoinSet, time::timeout};

    use super::*;

    fn shares(connections: usize) -> Shares {
        Shares::new(connections, Share::default(), 100)
    }

    async fn enter_now(shares: &Shares, organization: u128) -> Option<Permit> {
        let entering = shares.enter(Uuid::from_u128(organization), Duration::MAX);
        timeout(Duration::from_millis(20), entering).await.ok().map(|permit| permit.unwrap())
    }

    async fn all_now(shares: &Shares, organization: u128) -> Vec<Permit> {
        let mut permits = Vec::new();
        while let Some(permit) = enter_now(shares, organization).await {
            permits.push(permit);
        }
        permits
    }

    #[tokio::test]
    async fn an_organization_takes_half_and_each_newcomer_finds_room() {
        let shares = shares(14);
        let first = all_now(&shares, 1).await;
        assert_eq!(first.len(), 7);
        let second = all_now(&shares, 2).await;
        assert_eq!(second.len(), 3);
        let third = all_now(&shares, 3).await;
        assert!(!third.is_empty());
        drop(first);
        assert!(enter_now(&shares, 2).await.is_some());
    }

    #[tokio::test]
    async fn one_place_is_used_in_turn() {
        let shares = shares(1);
        for organization in 1..4 {
            let permits = all_now(&shares, organization).await;
            assert_eq!(permits.len(), 1);
        }
    }

    #[tokio::test]
    async fn an_organization_alone_can_have_all_places_until_another_comes() {
        let activity = Activity::default();
        let shares = shares(4).all_for_one(activity.clone());
        activity.note(Uuid::from_u128(1));
        let all = all_now(&shares, 1).await;
        assert_eq!(all.len(), 4);
        drop(all);
        activity.note(Uuid::from_u128(2));
        assert_eq!(all_now(&shares, 1).await.len(), 2);
    }

    #[tokio::test]
    async fn an_organization_that_is_not_alone_can_have_a_quarter_of_its_share() {
        let activity = Activity::default();
        let shares = shares(16).quarter_among_many(activity.clone());
        activity.note(Uuid::from_u128(1));
        let alone = all_now(&shares, 1).await;
        assert_eq!(alone.len(), 8);
        activity.note(Uuid::from_u128(2));
        assert!(!all_now(&shares, 2).await.is_empty());
        drop(alone);
        assert_eq!(all_now(&shares, 1).await.len(), 3);
    }

    #[tokio::test]
    async fn a_place_rests_after_it_was_used_while_others_are_active() {
        let activity = Activity::default();
        let shares = shares(1);
        activity.note(Uuid::from_u128(1));
        let used = |permit| RestingPermit::new(permit, activity.clone());
        drop(used(enter_now(&shares, 1).await.unwrap()));
        // no other organization was active
        let resting = used(enter_now(&shares, 1).await.unwrap());
        activity.note(Uuid::from_u128(2));
        std::thread::sleep(Duration::from_millis(100));
        drop(resting);
        assert!(enter_now(&shares, 1).await.is_none());
        let entering = shares.enter(Uuid::from_u128(1), Duration::MAX);
        let rested = timeout(Duration::from_secs(5), entering);
        assert!(rested.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn waiters_are_served_and_those_that_hold_least_first() {
        let shares = shares(4);
        let rich = all_now(&shares, 1).await;
        let other = all_now(&shares, 2).await;
        assert_eq!((rich.len(), other.len()), (2, 1));
        let last = enter_now(&shares, 3).await.unwrap();
        let mut waiting = JoinSet::new();
        for organization in [1, 1, 2, 4] {
            let shares = shares.clone();
            waiting.spawn(async move {
                let entering = shares.enter(Uuid::from_u128(organization), Duration::MAX);
                (organization, entering.await.unwrap())
            });
            tokio::task::yield_now().await;
        }
        drop(last);
        // the one that holds none, although it came last
        let (organization, permit) = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(organization, 4);
        drop((permit, rich, other));
        let mut served = Vec::new();
        while let Some(joined) = waiting.join_next().await {
            served.push(joined.unwrap().0);
        }
        served.sort_unstable();
        assert_eq!(served, [1, 1, 2]);
    }

    #[tokio::test]
    async fn an_operation_fails_instead_of_queueing_behind_one_that_has_waited_for_long() {
        let shares = shares(1);
        let permit = enter_now(&shares, 1).await.unwrap();
        let behind = Duration::from_millis(30);
        let mut first = Box::pin(shares.enter(Uuid::from_u128(1), behind));
        assert!(timeout(Duration::from_millis(5), &mut first).await.is_err());
        tokio::time::sleep(behind).await;
        assert!(shares.has_waited(Uuid::from_u128(1), behind));
        let refused = shares.enter(Uuid::from_u128(1), behind).await;
        assert_eq!(refused.err(), Some(NoPermit::Busy));
        // another organization has nothing to do with it
        let mut other = Box::pin(shares.enter(Uuid::from_u128(2), behind));
        assert!(timeout(Duration::from_millis(5), &mut other).await.is_err());
        drop(permit);
        assert!(first.await.is_ok());
        assert!(!shares.has_waited(Uuid::from_u128(1), behind));
    }

    #[tokio::test]
    async fn a_canceled_waiter_takes_nothing_and_is_not_counted() {
        let shares = Shares::new(1, Share::default(), 2);
        let permit = enter_now(&shares, 1).await.unwrap();
        for _ in 0..10 {
            assert!(enter_now(&shares, 2).await.is_none());
        }
        let enter = || shares.enter(Uuid::from_u128(2), Duration::MAX);
        let (mut one, mut two) = (Box::pin(enter()), Box::pin(enter()));
        assert!(timeout(Duration::from_millis(5), &mut one).await.is_err());
        assert!(timeout(Duration::from_millis(5), &mut two).await.is_err());
        assert!(enter().await.is_err());
        drop(one);
        drop(permit);
        assert!(two.await.is_ok());
        assert!(enter_now(&shares, 1).await.is_some());
    }
}
