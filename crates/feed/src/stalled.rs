//! What holds a part of the feed up: a transaction that has written events and does not end.

use std::time::{Duration, Instant};

use campaigns_scope::{Error, FeedReader};

/// The time after which such a transaction is logged and counts as one.
pub(crate) const STALLED: Duration = Duration::from_secs(3);
/// The time between two log entries about it.
const STALLED_AGAIN: Duration = Duration::from_secs(30);

/// The transaction that has held up a part of the feed for the longest time.
#[derive(Default)]
pub(crate) struct Stalled(Option<StallSince>);

struct StallSince {
    entered: i64,
    since: Instant,
    named: Option<Instant>,
}

impl Stalled {
    /// Forgets it, because there are no listeners.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Since when it has been seen.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.0.as_ref().map(|watched| watched.since)
    }

    /// Looks for it, and logs it after some time.
    pub(crate) async fn look(&mut self, database: &FeedReader) -> Result<(), Error> {
        let holder = database.holder().await?.filter(|holder| holder.drawn > holder.entered);
        let Some(holder) = holder else {
            self.forget();
            return Ok(());
        };
        let watched = match &mut self.0 {
            Some(watched) if watched.entered == holder.entered => watched,
            _ => self.0.insert(StallSince {
                entered: holder.entered,
                since: Instant::now(),
                named: None,
            }),
        };
        let age = watched.since.elapsed();
        if age < STALLED {
            return Ok(());
        }
        if watched.named.is_some_and(|named| named.elapsed() < STALLED_AGAIN) {
            return Ok(());
        }
        watched.named = Some(Instant::now());
        let (seconds, waiting) = (age.as_secs(), holder.drawn - holder.entered);
        if let Some(prepared) = holder.prepared {
            tracing::warn!(
                prepared,
                seconds,
                waiting,
                "a prepared transaction that has written events holds the live feed up for its \
                 organizations; end it with COMMIT PREPARED or ROLLBACK PREPARED"
            );
        } else {
            tracing::warn!(
                process = holder.process,
                seconds,
                waiting,
                "an open transaction that has written events holds the live feed up for its \
                 organizations; check pg_stat_activity, and set \
                 idle_in_transaction_session_timeout"
            );
        }
        Ok(())
    }
}
