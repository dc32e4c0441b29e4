//! Cached look-ups that requests share: the existence of an organization, a user's memberships, the
//! readiness of the database.
//!
//! **Invariants.**
//! - For a key, one look-up runs at a time, in a task of its own. Concurrent requests wait for the
//!   same look-up, and canceling one of them does not cancel it.
//! - An answer is valid for a fixed time from the start of its look-up. With [`LookUps::often`], it
//!   is reused only under many look-ups.
//! - The number of cached keys is bounded; the least recently used is dropped.

use std::{
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use campaigns_tasks::caught;
use hashlink::LruCache;
use sea_orm::DbErr;
use tokio::sync::watch;

use crate::{Error, connections::Failure};

/// The time limit of a look-up, including the wait for a connection.
pub(crate) const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

type Answer<V> = Result<V, Error>;

/// Look-ups by a key.
pub(crate) struct LookUps<K, V> {
    state: Mutex<State<K, V>>,
    /// How long an answer is valid.
    lasts: fn(&Answer<V>) -> Duration,
    /// The number of look-ups per second above which answers are reused.
    often: u32,
}

struct State<K, V> {
    entries: LruCache<K, LookUp<V>>,
    /// The number of look-ups since `since`, which is at most a second ago.
    recent: u32,
    since: Instant,
}

struct LookUp<V> {
    started: Instant,
    /// `None` while it runs.
    answer: watch::Receiver<Option<Answer<V>>>,
}

impl<K: Copy + Eq + Hash, V: Clone + Send + Sync + 'static> LookUps<K, V> {
    pub(crate) fn new(most: usize, lasts: fn(&Answer<V>) -> Duration) -> Self {
        let entries = LruCache::new(most);
        let state = Mutex::new(State { entries, recent: 0, since: Instant::now() });
        Self { state, lasts, often: 0 }
    }

    /// Reuses answers only above this many look-ups per second.
    pub(crate) fn often(mut self, often: u32) -> Self {
        self.often = often;
        self
    }

    /// The answer for a key: from the cache, a running look-up, or a new one. `look_up` receives its
    /// deadline.
    ///
    /// # Errors
    /// The errors of the look-up. [`Error::Unavailable`] if it takes too long.
    pub(crate) async fn get<F>(&self, key: K, look_up: impl FnOnce(Instant) -> F) -> Answer<V>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let mut answer = match self.find_or_start(key, look_up) {
            Ok(answer) => return answer,
            Err(running) => running,
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(answer)) => answer.clone(),
            // the runtime is shutting down
            _ => Err(Error::Unavailable(DbErr::from(Failure::NoneFree))),
        }
    }

    /// The cached answer, or else the running look-up. Starts one if necessary.
    fn find_or_start<F>(
        &self,
        key: K,
        look_up: impl FnOnce(Instant) -> F,
    ) -> Result<Answer<V>, watch::Receiver<Option<Answer<V>>>>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.elapsed() > Duration::from_secs(1) {
            (state.recent, state.since) = (0, Instant::now());
        }
        let is_used_again = state.recent >= self.often;
        if let Some(LookUp { started, answer }) = state.entries.get(&key) {
            match &*answer.borrow() {
                Some(found) if is_used_again && started.elapsed() < (self.lasts)(found) => {
                    return Ok(found.clone());
                }
                None if answer.has_changed().is_ok() => return Err(answer.clone()),
                _ => {}
            }
        }
        state.recent += 1;
        let (found, answer) = watch::channel(None);
        let started = Instant::now();
        let looking = look_up(started + LOOK_UP_TIMEOUT);
        tokio::spawn(async move {
            let answer = match caught("look-up", looking).await {
                Ok(Err(Error::Timeout(error))) => Err(Error::Unavailable(error)),
                Ok(answer) => answer,
                Err(panicked) => Err(Error::Unavailable(DbErr::Custom(panicked.to_string()))),
            };
            found.send_replace(Some(answer));
        });
        state.entries.insert(key, LookUp { started, answer: answer.clone() });
        Err(answer)
    }
}
