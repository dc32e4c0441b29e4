//! Backoff on behalf of clients that do not back off themselves.
//!
//! A client that is refused because of load gets a `Retry-After`. A client that retries at once is
//! refused again, and each refusal costs a request: enough such clients would keep the cores busy
//! with refusals alone. So a connection remembers which organization was refused on it last. If
//! that organization sends another request on it too early, the request waits, and twice as long
//! after each refusal.
//!
//! **Invariants.**
//! - A client that respects `Retry-After` never waits.
//! - No request waits for longer than its `Retry-After`, nor for longer than [`MAX`].
//! - Other organizations on the same connection, which may be a proxy's, do not wait.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// How long the first request that comes too early waits.
const FIRST: Duration = Duration::from_millis(50);
/// The maximum time that a request waits.
const MAX: Duration = Duration::from_secs(1);

/// The last refusal on a connection.
#[derive(Default)]
pub(super) struct Backoff(Mutex<Option<Refusal>>);

struct Refusal {
    organization: Uuid,
    at: Instant,
    /// The `Retry-After` of the refusal, counted from `at`.
    retry_after: Duration,
    /// How long the next request waits, counted from `at`.
    wait: Duration,
    /// Whether its next request came before the time.
    was_early: bool,
}

impl Backoff {
    /// When a request that arrives now can proceed, if it is too early.
    pub(super) fn wait(&self, organization: Uuid, now: Instant) -> Option<Instant> {
        let mut last = self.last();
        let last = last.as_mut().filter(|last| last.organization == organization)?;
        last.was_early = now.duration_since(last.at) < last.retry_after;
        Some(last.at + last.wait).filter(|until| now < *until)
    }

    /// Records that a request was refused now, with this `Retry-After`.
    pub(super) fn record_refusal(&self, organization: Uuid, retry_after: Duration, now: Instant) {
        let mut last = self.last();
        let wait = match &*last {
            Some(last) if last.organization == organization && last.was_early => last.wait * 2,
            _ => FIRST,
        };
        let wait = wait.min(retry_after).min(MAX);
        *last = Some(Refusal { organization, at: now, retry_after, wait, was_early: false });
    }

    fn last(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY_AFTER: Duration = Duration::from_secs(5);

    fn organization(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_client_that_retries_at_once_waits_longer_each_time_up_to_a_second() {
        let (backoff, mut now) = (Backoff::default(), Instant::now());
        let mut waited = Vec::new();
        for _ in 0..7 {
            let until = backoff.wait(organization(1), now).unwrap_or(now);
            waited.push((until - now).as_millis());
            now = until;
            backoff.record_refusal(organization(1), RETRY_AFTER, now);
        }
        assert_eq!(waited, [0, 50, 100, 200, 400, 800, 1_000]);
    }

    #[test]
    fn a_client_that_respects_retry_after_does_not_wait() {
        let (backoff, mut now) = (Backoff::default(), Instant::now());
        for _ in 0..3 {
            backoff.record_refusal(organization(1), RETRY_AFTER, now);
            now += RETRY_AFTER;
            assert_eq!(backoff.wait(organization(1), now), None);
        }
        backoff.record_refusal(organization(1), RETRY_AFTER, now);
        assert_eq!(backoff.wait(organization(1), now), Some(now + FIRST));
    }

    #[test]
    fn another_organization_on_the_same_connection_does_not_wait() {
        let (backoff, now) = (Backoff::default(), Instant::now());
        backoff.record_refusal(organization(1), RETRY_AFTER, now);
        assert_eq!(backoff.wait(organization(2), now), None);
        assert_eq!(backoff.wait(organization(1), now), Some(now + FIRST));
    }
}
