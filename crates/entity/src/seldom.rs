//! Logging from time to time what can happen with each row.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long nothing is logged after something was.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides which of many occurrences are logged.
pub struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// For a `static` beside what is logged.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is for constants")]
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Records an occurrence. If it is to be logged, returns the number of occurrences since the
    /// last one that was.
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
