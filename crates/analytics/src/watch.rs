//! Figures as they change.
//!
//! **Invariants.** A campaign is counted once a process, for all who watch it, and for nobody where
//! nobody does. What a watcher has seen last is what the figures are, at the latest a moment after
//! they changed, whoever changed them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use campaigns_entity::campaign;
use campaigns_scope::{Error, Scope};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Figures, by_campaign};

/// How often figures are counted at most.
const INTERVAL: Duration = Duration::from_millis(250);
/// How much longer than a count takes the next one waits: the more there is to count, the rarer.
const REST: u32 = 10;

/// The figures of a campaign, `None` once it is deleted, and when they began to be counted.
pub type Watched = watch::Receiver<(Option<Figures>, Instant)>;

/// The campaigns that are watched in this process. Cloning shares them.
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<HashMap<Uuid, Watched>>>);

/// The figures of a campaign as they are; `None` where there is no such campaign.
///
/// # Errors
/// Those of the database.
pub async fn figures_of(scope: &Scope, campaign: Uuid) -> Result<Option<Figures>, Error> {
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let figures = by_campaign(scope, selected.clone()).await?.remove(&campaign);
    // in this order: those of a campaign that is deleted meanwhile are not taken for zeros
    let there = scope.one(selected).await?.is_some();
    Ok(there.then(|| figures.unwrap_or_default()))
}

impl Watches {
    /// Watches a campaign of the scope's organization, which had these figures at that time.
    #[must_use]
    pub fn watch(
        &self,
        scope: &Arc<Scope>,
        campaign: Uuid,
        figures: &Figures,
        at: Instant,
    ) -> Watched {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = map.get(&campaign) {
            return watched.clone();
        }
        let (sender, watched) = watch::channel((Some(figures.clone()), at));
        map.insert(campaign, watched.clone());
        tokio::spawn(self.clone().count(Arc::clone(scope), campaign, sender));
        watched
    }

    /// Counts for as long as somebody else than the map watches.
    async fn count(
        self,
        scope: Arc<Scope>,
        campaign: Uuid,
        sender: watch::Sender<(Option<Figures>, Instant)>,
    ) {
        let mut failing = false;
        loop {
            let started = Instant::now();
            match figures_of(&scope, campaign).await {
                Ok(figures) => {
                    let gone = figures.is_none();
                    failing = false;
                    // whether these are others each watcher sees for itself: it may have come in
                    // between, and have counted something else
                    sender.send_replace((figures, started));
                    if gone {
                        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&campaign);
                        return;
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, %campaign, "figures cannot be counted");
                    }
                    failing = true;
                }
            }
            tokio::time::sleep(INTERVAL.max(started.elapsed() * REST)).await;
            // nobody can come to watch while the map is looked at
            let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if sender.receiver_count() <= 1 {
                map.remove(&campaign);
                return;
            }
        }
    }
}
