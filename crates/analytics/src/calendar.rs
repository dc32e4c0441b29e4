//! Periods of time in the calendar of a time zone.
//!
//! **Invariants.** Buckets are consecutive, without gaps. A day starts at the first instant with its date
//! or, if the clocks skip midnight, at a later one. So a day is 23 or 25 hours long when daylight saving
//! time changes, and a local day that never existed has no bucket. A week starts on Monday, a month on its
//! first day. Minutes and hours have fixed lengths, counted from a boundary of the local clock: the hour
//! that repeats when clocks are set back is two buckets.
//!
//! Edges are computed here rather than in SQL, so that both databases use the same version of the time zone
//! database.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Timelike,
    Utc,
};
use chrono_tz::Tz;

/// The maximum number of buckets.
pub const MAX_BUCKETS: usize = 1_000;

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar week, starting on Monday.
    Week,
    /// A calendar month.
    Month,
}

/// A period of time: from the start, inclusive, to the end, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The start, inclusive.
    pub start: DateTime<Utc>,
    /// The end, exclusive.
    pub end: DateTime<Utc>,
}

/// The error if there would be more than [`MAX_BUCKETS`].
#[derive(Debug, thiserror::Error)]
#[error("there would be more than {MAX_BUCKETS} periods")]
pub struct TooManyBuckets;

/// All whole buckets that overlap the time from `from`, inclusive, to `to`, exclusive.
///
/// # Errors
/// If there are too many.
pub fn buckets(
    zone: Tz,
    interval: Interval,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Bucket>, TooManyBuckets> {
    let mut edges = Edges::of(zone, interval, from);
    let mut buckets = Vec::new();
    let mut start = edges.next();
    while start < to {
        let end = edges.next();
        // skips days that never existed, and days that ended before `from`: if clocks are set back
        // across midnight, an instant can have the date of a day that is over
        if start < end && end > from {
            if buckets.len() == MAX_BUCKETS {
                return Err(TooManyBuckets);
            }
            buckets.push(Bucket { start, end });
        }
        start = end;
    }
    Ok(buckets)
}

/// An iterator over the edges of buckets.
enum Edges {
    Lengths { next: DateTime<Utc>, length: TimeDelta },
    Dates { zone: Tz, next: NaiveDate, interval: Interval },
}

impl Edges {
    /// Starts at the last edge at or before this time.
    fn of(zone: Tz, interval: Interval, from: DateTime<Utc>) -> Self {
        let local = from.with_timezone(&zone).naive_local();
        let within_minute = TimeDelta::seconds(local.second().into())
            + TimeDelta::nanoseconds(local.nanosecond().into());
        let within_hour = within_minute + TimeDelta::minutes(local.minute().into());
        let date = local.date();
        let next = match interval {
            Interval::Minute => {
                let next = boundary(zone, from, within_minute);
                return Self::Lengths { next, length: TimeDelta::minutes(1) };
            }
            Interval::Hour => {
                let next = boundary(zone, from, within_hour);
                return Self::Lengths { next, length: TimeDelta::hours(1) };
            }
            Interval::Day => date,
            Interval::Week => date - Days::new(date.weekday().num_days_from_monday().into()),
            Interval::Month => date - Days::new(date.day0().into()),
        };
        Self::Dates { zone, next, interval }
    }

    fn next(&mut self) -> DateTime<Utc> {
        match self {
            Self::Lengths { next, length } => {
                let edge = *next;
                *next += *length;
                edge
            }
            Self::Dates { zone, next, interval } => {
                let edge = first_instant(*zone, *next);
                *next = match interval {
                    Interval::Month => *next + Months::new(1),
                    Interval::Week => *next + Days::new(7),
                    _ => *next + Days::new(1),
                };
                edge
            }
        }
    }
}

/// The last boundary of the local clock at or before this time or, if the clocks have changed since
/// then, the time of that change.
fn boundary(zone: Tz, time: DateTime<Utc>, since: TimeDelta) -> DateTime<Utc> {
    let offset = |time: DateTime<Utc>| zone.offset_from_utc_datetime(&time.naive_utc()).fix();
    let start = time - since;
    let change = (offset(time).local_minus_utc() - offset(start).local_minus_utc()).abs();
    if i64::from(change) % 3_600 == 0 {
        return start;
    }
    first_second(start, time, |at| offset(at) == offset(time))
}

/// The first instant that has this local date or, if there is none, a later one.
fn first_instant(zone: Tz, date: NaiveDate) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    if let Some(instant) = zone.from_local_datetime(&midnight).earliest() {
        return instant.to_utc();
    }
    // clocks skip this midnight; no offset from UTC is a day or more
    let midnight_utc = midnight.and_utc();
    first_second(midnight_utc - TimeDelta::days(1), midnight_utc + TimeDelta::days(1), |at| {
        at.with_timezone(&zone).naive_local() >= midnight
    })
}

/// The first second at which a monotonic condition holds, by bisection.
fn first_second(
    mut before: DateTime<Utc>,
    mut after: DateTime<Utc>,
    holds: impl Fn(DateTime<Utc>) -> bool,
) -> DateTime<Utc> {
    after = after - TimeDelta::nanoseconds(after.nanosecond().into());
    before = before - TimeDelta::nanoseconds(before.nanosecond().into());
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if holds(middle) {
            after = middle;
        } else {
            before = middle;
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use chrono_tz::{Africa, America, Australia, Pacific};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The edges of all buckets, in local time.
    fn edges(zone: Tz, interval: Interval, from: &str, to: &str) -> Vec<String> {
        let buckets = buckets(zone, interval, at(from), at(to)).unwrap();
        assert!(buckets.windows(2).all(|pair| pair[0].end == pair[1].start));
        let local = |time: DateTime<Utc>| time.with_timezone(&zone).format("%d %H:%M").to_string();
        let starts = buckets.iter().map(|bucket| local(bucket.start));
        starts.chain(buckets.last().map(|bucket| local(bucket.end))).collect()
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_starts_where_the_clock_jumps_to() {
        // Cairo, 2024-04-26: 00:00 becomes 01:00
        let found =
            edges(Africa::Cairo, Interval::Day, "2024-04-25T12:00:00Z", "2024-04-26T12:00:00Z");
        assert_eq!(found, ["25 00:00", "26 01:00", "27 00:00"]);
    }

    #[test]
    fn an_instant_after_clocks_went_back_over_midnight_is_in_the_new_day() {
        // St. John's, 2006-10-29: 00:01 becomes 23:01 of the day before
        let again = "2006-10-29T03:00:00Z";
        let local = at(again).with_timezone(&America::St_Johns).to_string();
        assert!(local.starts_with("2006-10-28 23:30"), "{local}");
        let found = edges(America::St_Johns, Interval::Day, again, "2006-10-29T03:00:01Z");
        assert_eq!(found, ["29 00:00", "30 00:00"]);
    }

    #[test]
    fn a_day_that_does_not_exist_has_no_bucket() {
        let found =
            edges(Pacific::Apia, Interval::Day, "2011-12-29T20:00:00Z", "2011-12-31T20:00:00Z");
        assert_eq!(found, ["29 00:00", "31 00:00", "01 00:00", "02 00:00"]);
    }

    #[test]
    fn hours_count_from_the_change_where_clocks_change_by_half_an_hour() {
        // Lord Howe, 2026-04-05: 02:00 becomes 01:30, at 15:00 UTC
        let found = edges(
            Australia::Lord_Howe,
            Interval::Hour,
            "2026-04-04T15:05:00Z",
            "2026-04-04T16:05:00Z",
        );
        assert_eq!(found, ["05 01:30", "05 02:30", "05 03:30"]);
    }

    #[test]
    fn more_than_a_thousand_are_too_many() {
        let from = at("2026-01-01T00:00:00Z");
        let to = |minutes| from + TimeDelta::minutes(minutes);
        let count = |minutes| {
            buckets(Tz::UTC, Interval::Minute, from, to(minutes)).map(|found| found.len()).ok()
        };
        assert_eq!((count(1_000), count(1_001)), (Some(1_000), None));
        let whole = buckets(Tz::UTC, Interval::Minute, from, to(525_600_000));
        assert!(whole.is_err());
    }
}
