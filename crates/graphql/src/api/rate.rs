//! The rate limits of organizations, by the cost of their operations.
//!
//! **Invariant.** Over any interval, an organization gets at most its rate times the interval, plus
//! one burst. An operation is refused if there is not enough left, and a response of a subscription
//! waits for it, in the order in which they come.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use uuid::Uuid;

use crate::{error::Error, limits::Rate};

/// Idle organizations are evicted once this many are tracked.
const EVICT_AT: usize = 10_000;

/// The recent use of each organization. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Rates {
    limiter: Option<(NonZeroU32, Arc<DefaultKeyedRateLimiter<Uuid>>)>,
    /// The queue of each organization whose responses wait.
    queues: Arc<Mutex<HashMap<Uuid, Weak<Queue>>>>,
}

/// Responses that wait: one looks at the rate, and the others wait for it.
type Queue = tokio::sync::Mutex<()>;

impl Rates {
    /// Limits every organization to this rate. Without one, everything is allowed.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let limiter = rate.map(|Rate { per_second, burst }| {
            let quota = Quota::per_second(per_second).allow_burst(burst);
            (burst, Arc::new(RateLimiter::keyed(quota)))
        });
        Self { limiter, queues: Arc::default() }
    }

    /// Waits until a response of this cost can pass.
    pub(super) async fn wait(&self, organization: Uuid, cost: usize) {
        if self.limiter.is_none() {
            return;
        }
        let queue = self.queue(organization);
        let _first = queue.lock().await;
        while let Err(Error::RateLimited(wait)) = self.pass(organization, cost) {
            tokio::time::sleep(wait).await;
        }
    }

    fn queue(&self, organization: Uuid) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&organization).and_then(Weak::upgrade) {
            return queue;
        }
        if queues.len() >= EVICT_AT {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Queue::default());
        queues.insert(organization, Arc::downgrade(&queue));
        queue
    }

    /// Lets an operation of this cost pass, or returns when it can.
    pub(crate) fn pass(&self, organization: Uuid, cost: usize) -> Result<(), Error> {
        let Some((burst, limiter)) = &self.limiter else { return Ok(()) };
        if limiter.len() >= EVICT_AT {
            limiter.retain_recent();
        }
        let cost = u32::try_from(cost.max(1)).ok().and_then(NonZeroU32::new);
        let cost = cost.map_or(*burst, |cost| cost.min(*burst));
        let passed = limiter.check_key_n(&organization, cost);
        let passed = passed.map_err(|_| Error::RateLimited(Duration::from_secs(1)))?;
        passed.map_err(|not_until| {
            Error::RateLimited(not_until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn responses_that_wait_pass_in_their_order_at_the_rate() {
        let per_second = NonZeroU32::new(1_000).unwrap();
        let rates = Rates::new(Some(Rate { per_second, burst: NonZeroU32::new(100).unwrap() }));
        let organization = Uuid::from_u128(1);
        rates.pass(organization, 100).unwrap();
        assert!(rates.pass(organization, 100).is_err());
        let (started, passed) = (Instant::now(), Mutex::new(Vec::new()));
        let wait = async |number: usize| {
            rates.wait(organization, 100).await;
            passed.lock().unwrap().push(number);
        };
        tokio::join!(wait(1), wait(2), wait(3));
        assert_eq!(passed.into_inner().unwrap(), [1, 2, 3]);
        assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
        // another organization has a rate of its own
        rates.pass(Uuid::from_u128(2), 100).unwrap();
    }
}
