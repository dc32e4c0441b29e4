//! Backoff on behalf of clients that do not back off themselves.
//!
//! Whoever is refused because of load is told when to come back (`Retry-After`). A client that asks again
//! at once is refused again, and each refusal costs a request: enough such clients would keep the cores
//! busy with refusals alone. So a connection remembers who was refused on it. If the same organization asks
//! again on it before the time, its request waits, and twice as long after each refusal.
//!
//! **Invariants.**
//! - A client that comes back when it was told to never waits.
//! - No request waits for longer than its client was told, nor than [`MAX`].
//! - Other organizations on the same connection, which may be a proxy's, do not wait.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// How long the first request waits that comes too early.
const FIRST: Duration = Duration::from_millis(50);
/// How long a request waits, at most.
const MAX: Duration = Duration::from_secs(1);

/// The last refusal on a connection.
#[derive(Default)]
pub(super) struct Backoff(Mutex<Option<Refused>>);

struct Refused {
    organization: Uuid,
    at: Instant,
    /// When it was told to come back, counted from then.
    told: Duration,
    /// How long its next request waits, counted from then.
    wait: Duration,
    /// Whether its next request came before the time.
    was_early: bool,
}

impl Backoff {
    /// Until when a request waits that has come now, if it is too early.
    pub(super) fn wait(&self, organization: Uuid, now: Instant) -> Option<Instant> {
        let mut last = self.last();
        let last = last.as_mut().filter(|last| last.organization == organization)?;
        last.was_early = now.duration_since(last.at) < last.told;
        Some(last.at + last.wait).filter(|until| now < *until)
    }

    /// Records that a request was refused now, and told to come back after a time.
    pub(super) fn refused(&self, organization: Uuid, told: Duration, now: Instant) {
        let mut last = self.last();
        let wait = match &*last {
            Some(last) if last.organization == organization && last.was_early => last.wait * 2,
            _ => FIRST,
        };
        let wait = wait.min(told).min(MAX);
        *last = Some(Refused { organization, at: now, told, wait, was_early: false });
    }

    fn last(&self) -> MutexGuard<'_, Option<Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Duration = Duration::from_secs(5);

    fn organization(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn whoever_asks_again_at_once_waits_longer_each_time_up_to_a_second() {
        let (backoff, mut now) = (Backoff::default(), Instant::now());
        let mut waited = Vec::new();
        for _ in 0..7 {
            let until = backoff.wait(organization(1), now).unwrap_or(now);
            waited.push((until - now).as_millis());
            now = until;
            backoff.refused(organization(1), TOLD, now);
        }
        assert_eq!(waited, [0, 50, 100, 200, 400, 800, 1_000]);
    }

    #[test]
    fn whoever_comes_when_it_was_told_to_does_not_wait() {
        let (backoff, mut now) = (Backoff::default(), Instant::now());
        for _ in 0..3 {
            backoff.refused(organization(1), TOLD, now);
            now += TOLD;
            assert_eq!(backoff.wait(organization(1), now), None);
        }
        backoff.refused(organization(1), TOLD, now);
        assert_eq!(backoff.wait(organization(1), now), Some(now + FIRST));
    }

    #[test]
    fn another_organization_on_the_same_connection_does_not_wait() {
        let (backoff, now) = (Backoff::default(), Instant::now());
        backoff.refused(organization(1), TOLD, now);
        assert_eq!(backoff.wait(organization(2), now), None);
        assert_eq!(backoff.wait(organization(1), now), Some(now + FIRST));
    }
}
