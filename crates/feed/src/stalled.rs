//! Monitors the open transaction that delays the feed.

use std::time::{Duration, Instant};

use campaigns_scope::{Error, FeedReader};

/// The time after which a transaction that delays the feed is logged and reported.
pub(crate) const STALLED: Duration = Duration::from_secs(3);
/// The time between two log entries about the transaction.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Watches the transaction that has delayed a part of the feed for the longest time.
#[derive(Default)]
pub(crate) struct StallMonitor(Option<Stall>);

struct Stall {
    entered: i64,
    since: Instant,
    logged: Option<Instant>,
}

impl StallMonitor {
    /// Forgets the transaction.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// When the transaction was first seen.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.0.as_ref().map(|watched| watched.since)
    }

    /// Looks for such a transaction, and logs it once it is old enough.
    pub(crate) async fn update(&mut self, database: &FeedReader) -> Result<(), Error> {
        let holder = database.holder().await?.filter(|holder| holder.drawn > holder.entered);
        let Some(holder) = holder else {
            self.forget();
            return Ok(());
        };
        let watched = match &mut self.0 {
            Some(watched) if watched.entered == holder.entered => watched,
            _ => self.0.insert(Stall {
                entered: holder.entered,
                since: Instant::now(),
                logged: None,
            }),
        };
        let age = watched.since.elapsed();
        if age < STALLED {
            return Ok(());
        }
        if watched.logged.is_some_and(|logged| logged.elapsed() < LOG_INTERVAL) {
            return Ok(());
        }
        watched.logged = Some(Instant::now());
        let (seconds, waiting) = (age.as_secs(), holder.drawn - holder.entered);
        if let Some(prepared) = holder.prepared {
            tracing::warn!(
                prepared,
                seconds,
                waiting,
                "a prepared transaction that has written events delays the live feed of its \
                 organizations; end it with COMMIT PREPARED or ROLLBACK PREPARED"
            );
        } else {
            tracing::warn!(
                process = holder.process,
                seconds,
                waiting,
                "an open transaction that has written events delays the live feed of its \
                 organizations; check pg_stat_activity, and set \
                 idle_in_transaction_session_timeout"
            );
        }
        Ok(())
    }
}
