//! Points in time that both databases can store.

use chrono::{DateTime, Datelike, SubsecRound, Timelike, Utc};

/// Parses a time in RFC 3339 format. Returns `None` if a database cannot store it: the year must be 1
/// to 9999, and leap seconds are rejected. Truncates to microseconds.
#[must_use]
pub fn storable_time(text: &str) -> Option<DateTime<Utc>> {
    // chrono also accepts a space instead of the T
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let storable = (1..=9999).contains(&time.year()) && time.nanosecond() < 1_000_000_000;
    storable.then(|| time.trunc_subsecs(6))
}
