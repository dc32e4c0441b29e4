//! The rate limits of organizations, by the cost of their operations.
//!
//! **Invariant.** Over any interval, an organization gets at most its rate times the interval, plus
//! one burst.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

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
pub(super) struct Rates(Option<(NonZeroU32, Arc<DefaultKeyedRateLimiter<Uuid>>)>);

impl Rates {
    /// Limits every organization to this rate. Without one, everything is allowed.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|Rate { per_second, burst }| {
            let quota = Quota::per_second(per_second).allow_burst(burst);
            (burst, Arc::new(RateLimiter::keyed(quota)))
        }))
    }

    /// Lets an operation of this cost pass, or returns when it can.
    pub(super) fn pass(&self, organization: Uuid, cost: usize) -> Result<(), Error> {
        let Some((burst, limiter)) = &self.0 else { return Ok(()) };
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
