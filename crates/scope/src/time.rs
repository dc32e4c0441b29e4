//! Points in time that both databases can store.

use chrono::{DateTime, Datelike, SubsecRound, Timelike, Utc};

/// The time in RFC 3339 text, if both databases can store it: a year of four digits, no leap
/// second, microseconds.
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
