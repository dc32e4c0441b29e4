//! Files pending events whose send exists, and detects triggers that do not fire.
//!
//! Inserting a send files the events that wait for it. This files the others: events that another
//! transaction inserted concurrently with their send, and events inserted while triggers were off.

use std::time::{Duration, Instant};

use campaigns_scope::{Counts, Error, Triggers};
use uuid::Uuid;

/// The number of pending events to check at once.
const AT_ONCE: i32 = 1_000;
/// The maximum number of checks in a step. A check follows another that filed events.
const MOST: usize = 20;
/// The time between two checks of the triggers.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// The state of the upkeep.
#[derive(Default)]
pub(crate) struct Upkeep {
    /// The send of the last checked event.
    after: Uuid,
    looked: Option<Instant>,
    triggers: Triggers,
    failing: Vec<&'static str>,
}

impl Upkeep {
    /// Files events, and checks the triggers if it is time. Returns whether the events could be filed.
    pub(crate) async fn step(&mut self, counts: &Counts) -> bool {
        let filed = self.file(counts).await;
        let is_filed = filed.as_ref().err().is_none_or(is_of_database);
        self.log_error(filed, "pending events cannot be filed under their sends");
        if self.looked.is_none_or(|at| at.elapsed() > BETWEEN_LOOKS) {
            self.looked = Some(Instant::now());
            let triggers = counts.triggers().await.map(|triggers| self.record_triggers(triggers));
            self.log_error(triggers, "the state of the triggers cannot be read");
        }
        is_filed
    }

    async fn file(&mut self, counts: &Counts) -> Result<(), Error> {
        for _ in 0..MOST {
            let found = counts.file_waiting(self.after, AT_ONCE).await?;
            // events that stay pending are checked again after all others
            let is_end = found.looked < i64::from(AT_ONCE);
            self.after = found.last.filter(|_| !is_end).unwrap_or_default();
            if found.filed == 0 || is_end {
                break;
            }
        }
        Ok(())
    }

    /// Logs an error once, until it is resolved.
    fn log_error(&mut self, done: Result<(), Error>, what: &'static str) {
        match done {
            Ok(()) => self.failing.retain(|failing| *failing != what),
            Err(error) => {
                if !self.failing.contains(&what) {
                    tracing::warn!(%error, "{what}");
                    self.failing.push(what);
                }
            }
        }
    }

    /// Records the triggers' state, and logs its changes.
    fn record_triggers(&mut self, triggers: Triggers) {
        #[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
        metrics::gauge!("campaigns_broken_triggers").set(triggers.broken.len() as f64);
        if triggers.broken != self.triggers.broken {
            if triggers.broken.is_empty() {
                tracing::info!("all triggers fire again");
            } else {
                tracing::error!(
                    triggers = triggers.wrong(", "),
                    "triggers do not fire: new rows are not counted, or do not appear in the feed; \
                     run `campaigns repair`"
                );
            }
        }
        if triggers.switched != self.triggers.switched && !triggers.switched.is_empty() {
            tracing::warn!(
                triggers = triggers.switched.join(", "),
                "triggers were turned off for a time, or recreated, as by a restore: rows that were written \
                 meanwhile may not be counted; run `campaigns repair`"
            );
        }
        self.triggers = triggers;
    }
}

/// Whether the database does not respond or is read-only, as during a failover. The readiness check detects
/// that itself, and counts are exact without the keeper.
pub(crate) fn is_of_database(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::ReadOnly(_))
}
