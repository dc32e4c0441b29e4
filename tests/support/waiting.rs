//! Waiting for the effects of a test's actions.

use std::time::{Duration, Instant};

/// The interval between two checks of a condition.
const PACE: Duration = Duration::from_millis(20);

/// The statements that wait for a lock of PostgreSQL, as what follows `FROM`. Those of the upkeep of webhooks, which can
/// begin at any time, are left out.
pub const LOCK_WAITERS: &str = "pg_stat_activity WHERE datname = current_database() \
    AND wait_event_type = 'Lock' AND query !~ 'campaign_(provider|unmatched|awaited|message)'";

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold within this time.
pub async fn until(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < patience, "{what}: not within {patience:?}");
        tokio::time::sleep(PACE).await;
    }
}

/// Waits until a number has fallen to a value.
///
/// # Panics
/// If it stays the same for two minutes.
pub async fn until_at_most(what: &str, wanted: i64, mut number: impl AsyncFnMut() -> i64) {
    const PATIENCE: Duration = Duration::from_mins(2);
    let (mut least, mut since) = (i64::MAX, Instant::now());
    loop {
        let now = number().await;
        if now <= wanted {
            return;
        }
        if now < least {
            (least, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{what}: {now}, not {wanted}");
        tokio::time::sleep(PACE).await;
    }
}
