//! Campaigns as they change: their rows and their figures.
//!
//! One task counts the watched campaigns of an organization together: those with a new event in the
//! feed, all of them when this process has changed something, and all of them periodically, for
//! changes made with SQL. Counting reads a few rows of each, and a hash of its own row.
//!
//! **Invariants.** A campaign is counted once for each process, for all of its watchers, and not at
//! all without watchers. The last state that a watcher has seen is current, or at most a few
//! seconds old, even if it was changed with SQL. While nothing happens, an organization costs two
//! statements every two seconds, however many of its campaigns are watched.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use campaigns_analytics::{State, states};
use campaigns_entity::campaign;
use campaigns_feed::{EventSelection, Feed, FollowError, Follower};
use campaigns_scope::{Error, OrganizationOwned, Scope, Visibility};
use tokio::{
    sync::{Notify, watch},
    time::sleep_until,
};
use uuid::Uuid;

/// The minimum time between two counts.
const INTERVAL: Duration = Duration::from_millis(250);
/// The time between two counts of all campaigns, even if nothing is known to have changed.
const SWEEP: Duration = Duration::from_secs(2);
/// The maximum time of a count.
const MAX_TIME: Duration = Duration::from_secs(30);
/// The number of campaigns that one statement counts.
const BATCH: usize = 500;

/// The state of a campaign, or `None` if it is deleted, and when counting started.
type CountedState = (Option<State>, Instant);

/// A campaign that is watched while this lives.
pub(crate) struct CampaignWatch {
    counted: watch::Receiver<CountedState>,
}

impl CampaignWatch {
    /// The last counted state.
    pub(crate) fn latest(&mut self) -> CountedState {
        self.counted.borrow_and_update().clone()
    }

    /// Waits until it is counted again, or returns `None` if it never will be.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        self.counted.changed().await.ok()
    }
}

/// The watched campaigns of this process. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct CampaignWatches(Arc<Mutex<HashMap<Uuid, Viewers>>>);

/// The watched campaigns of an organization, by groups of viewers who see the same.
type Viewers = HashMap<Visibility, Arc<Organization>>;

/// The watched campaigns of an organization, for viewers who see the same.
#[derive(Default)]
struct Organization {
    campaigns: Mutex<HashMap<Uuid, watch::Sender<CountedState>>>,
    /// Notified when any of them may have changed.
    changed: Notify,
}

impl CampaignWatches {
    /// Watches a campaign of the scope's organization, which had this state at that time.
    pub(crate) fn watch(
        &self,
        feed: &Feed,
        scope: &Arc<Scope>,
        campaign: Uuid,
        state: &State,
        at: Instant,
    ) -> CampaignWatch {
        let mut organizations = self.organizations();
        let viewers = organizations.entry(scope.organization()).or_default();
        let organization = viewers.entry(scope.visibility()).or_insert_with(|| {
            let organization = Arc::<Organization>::default();
            let task = Task {
                watches: self.clone(),
                feed: feed.clone(),
                scope: Arc::clone(scope),
                organization: Arc::clone(&organization),
            };
            let supervisor = campaigns_tasks::Task::new("figures counter");
            tokio::spawn(async move { supervisor.run(|| task.run()).await });
            organization
        });
        let counted = {
            let mut campaigns = organization.campaigns();
            let sender = campaigns.entry(campaign);
            sender.or_insert_with(|| watch::channel((Some(state.clone()), at)).0).subscribe()
        };
        // something may have happened between that count and now
        organization.changed.notify_one();
        CampaignWatch { counted }
    }

    /// Notifies watchers that data of an organization has changed.
    pub(crate) fn notify_changed(&self, organization: Uuid) {
        for watched in self.organizations().get(&organization).into_iter().flat_map(Viewers::values)
        {
            watched.changed.notify_one();
        }
    }

    fn organizations(&self) -> MutexGuard<'_, HashMap<Uuid, Viewers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Organization {
    fn campaigns(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<CountedState>>> {
        self.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The campaigns to count.
enum Pending {
    Some(HashSet<Uuid>),
    All,
}

impl Pending {
    fn add(&mut self, campaign: Uuid) {
        if let Self::Some(campaigns) = self {
            campaigns.insert(campaign);
        }
    }
}

/// The task that counts the campaigns of an organization.
struct Task {
    watches: CampaignWatches,
    feed: Feed,
    scope: Arc<Scope>,
    organization: Arc<Organization>,
}

impl Task {
    /// Counts while there are watchers.
    async fn run(&self) {
        let mut follower = None;
        let mut touched = Pending::All;
        let mut failing = false;
        loop {
            let started = Instant::now();
            if self.forget_unwatched() {
                return;
            }
            if follower.is_none() {
                let scope = Arc::clone(&self.scope);
                follower = self.feed.follow(scope, None, EventSelection::all()).await.ok();
            }
            match self.count(&touched).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "figures cannot be counted");
                    }
                    failing = true;
                }
            }
            let earliest = started + INTERVAL;
            let sweep = earliest.max(started + SWEEP);
            touched = Pending::Some(HashSet::new());
            if failing {
                touched = Pending::All;
            }
            // wait until there is something to count and it is time
            let mut has_work = failing;
            while !has_work || Instant::now() < earliest {
                let until = if has_work { earliest } else { sweep };
                tokio::select! {
                    next = next(&mut follower) => {
                        if let Ok(campaign) = next {
                            touched.add(campaign);
                            has_work |= self.organization.campaigns().contains_key(&campaign);
                        } else {
                            // the feed went back, or cannot be followed: count everything again
                            follower = None;
                            touched = Pending::All;
                            has_work = true;
                        }
                    }
                    () = self.organization.changed.notified() => {
                        touched = Pending::All;
                        has_work = true;
                    }
                    () = sleep_until(until.into()) => {
                        if !has_work {
                            touched = Pending::All;
                            has_work = true;
                        }
                    }
                }
            }
        }
    }

    /// Forgets campaigns without watchers. Returns whether none is left, so that the task ends.
    fn forget_unwatched(&self) -> bool {
        // no watcher can join in the meantime
        let mut organizations = self.watches.organizations();
        let mut campaigns = self.organization.campaigns();
        campaigns.retain(|_, sender| sender.receiver_count() > 0);
        if campaigns.is_empty()
            && let Entry::Occupied(mut viewers) = organizations.entry(self.scope.organization())
        {
            viewers.get_mut().remove(&self.scope.visibility());
            if viewers.get().is_empty() {
                viewers.remove();
            }
        }
        campaigns.is_empty()
    }

    async fn count(&self, touched: &Pending) -> Result<(), Error> {
        let watched: Vec<Uuid> = {
            let campaigns = self.organization.campaigns();
            match touched {
                Pending::All => campaigns.keys().copied().collect(),
                Pending::Some(of) => {
                    of.iter().filter(|id| campaigns.contains_key(id)).copied().collect()
                }
            }
        };
        for ids in watched.chunks(BATCH) {
            let at = Instant::now();
            let scope = self.scope.operation(at + MAX_TIME, None);
            let selected = scope.find_by::<campaign::Entity>(campaign::Entity::ID, ids);
            let mut states = states(&scope, selected).await?;
            let mut campaigns = self.organization.campaigns();
            for id in ids {
                let counted = states.remove(id);
                let is_gone = counted.is_none();
                if let Some(sender) = campaigns.get(id) {
                    // each watcher checks by itself whether these differ: it may have joined in
                    // between, with another count
                    sender.send_replace((counted, at));
                }
                if is_gone {
                    campaigns.remove(id);
                }
            }
        }
        Ok(())
    }
}

/// The campaign of the next event.
async fn next(follower: &mut Option<Follower>) -> Result<Uuid, FollowError> {
    match follower {
        Some(follower) => Ok(follower.next().await?.send_campaign_id),
        // the sweep continues without it
        None => std::future::pending().await,
    }
}
