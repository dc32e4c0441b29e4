//! Throttled logging, for occurrences that can be as frequent as rows.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The minimum time between two log entries.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides which of many occurrences are logged.
pub struct LogThrottle(Mutex<(Option<Instant>, u64)>);

impl LogThrottle {
    /// A throttle, for a `static` next to the logging code.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is for constants")]
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Records an occurrence. If it should be logged, returns the number of occurrences since the last
    /// logged one.
    pub fn pass(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.1 += 1;
        if said.0.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        let (_, occurrences) = std::mem::replace(&mut *said, (Some(Instant::now()), 0));
        Some(occurrences)
    }
}
