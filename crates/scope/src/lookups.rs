//! Look-ups that requests share: whether an organization exists, a user's memberships, whether the
//! database is ready.
//!
//! **Invariants.**
//! - For a key, one look-up runs at a time, in a task of its own. Requests that need it at the same
//!   time wait for it together, and a request that ends does not end it.
//! - An answer is valid for a fixed time from the start of its look-up. With [`LookUps::often`], it
//!   is reused only under many look-ups.
//! - At most a fixed number of keys are remembered; the least recently used is dropped.

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

/// How long a look-up can take, from waiting for a connection to its rows.
pub(crate) const LOOK_UP: Duration = Duration::from_secs(5);

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
    known: LruCache<K, LookUp<V>>,
    /// The number of look-ups since a time, up to a second ago.
    started: u32,
    since: Instant,
}

struct LookUp<V> {
    asked: Instant,
    /// `None` while it runs.
    answer: watch::Receiver<Option<Answer<V>>>,
}

impl<K: Copy + Eq + Hash, V: Clone + Send + Sync + 'static> LookUps<K, V> {
    pub(crate) fn new(most: usize, lasts: fn(&Answer<V>) -> Duration) -> Self {
        let known = LruCache::new(most);
        let state = Mutex::new(State { known, started: 0, since: Instant::now() });
        Self { state, lasts, often: 0 }
    }

    /// Reuses answers only above this many look-ups per second.
    pub(crate) fn often(mut self, often: u32) -> Self {
        self.often = often;
        self
    }

    /// The answer for a key, from the cache, a running look-up, or this one. The look-up gets its
    /// deadline.
    ///
    /// # Errors
    /// Those of the look-up. [`Error::Unavailable`] if it takes too long.
    pub(crate) async fn get<F>(&self, key: K, look_up: impl FnOnce(Instant) -> F) -> Answer<V>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let mut answer = match self.known(key, look_up) {
            Ok(answer) => return answer,
            Err(running) => running,
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(answer)) => answer.clone(),
            // the runtime ends
            _ => Err(Error::Unavailable(DbErr::from(Failure::NoneFree))),
        }
    }

    /// The valid answer, or the look-up that runs, which is started if there is none.
    fn known<F>(
        &self,
        key: K,
        look_up: impl FnOnce(Instant) -> F,
    ) -> Result<Answer<V>, watch::Receiver<Option<Answer<V>>>>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.elapsed() > Duration::from_secs(1) {
            (state.started, state.since) = (0, Instant::now());
        }
        let is_used_again = state.started >= self.often;
        if let Some(LookUp { asked, answer }) = state.known.get(&key) {
            match &*answer.borrow() {
                Some(found) if is_used_again && asked.elapsed() < (self.lasts)(found) => {
                    return Ok(found.clone());
                }
                None if answer.has_changed().is_ok() => return Err(answer.clone()),
                _ => {}
            }
        }
        state.started += 1;
        let (found, answer) = watch::channel(None);
        let asked = Instant::now();
        let looking = look_up(asked + LOOK_UP);
        tokio::spawn(async move {
            let answer = match caught("look-up", looking).await {
                Ok(Err(Error::Timeout(error))) => Err(Error::Unavailable(error)),
                Ok(answer) => answer,
                Err(panicked) => Err(Error::Unavailable(DbErr::Custom(panicked.to_string()))),
            };
            found.send_replace(Some(answer));
        });
        state.known.insert(key, LookUp { asked, answer: answer.clone() });
        Err(answer)
    }
}
