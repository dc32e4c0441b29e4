//! The arguments of a time series, and the buckets that they define.

use async_graphql::Enum;
use campaigns_analytics::{Bucket, Interval, MAX_BUCKETS, buckets};
use chrono::{DateTime as ChronoDateTime, Datelike, Utc};
use chrono_tz::Tz;

use crate::error::Error;

/// The length of a period in a time series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Interval")]
pub(crate) enum TimeInterval {
    /// 60 seconds.
    Minute,
    /// 60 minutes. When clocks are set back, the repeated hour is two periods.
    Hour,
    /// A calendar day of 23, 24 or 25 hours, depending on daylight saving time.
    Day,
    /// A calendar week, starting on Monday.
    Week,
    /// A calendar month.
    Month,
}

/// A calendar: the buckets of a time zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    zone: Tz,
    interval: Interval,
}

impl Calendar {
    pub(crate) fn of(interval: TimeInterval, timezone: &str) -> Result<Self, Error> {
        let zone = timezone.parse().map_err(|_| {
            let message = "This is not an IANA time zone, such as UTC or Europe/Berlin.";
            Error::bad_input("timezone", message)
        })?;
        Ok(Self { zone, interval: interval.into() })
    }

    /// The buckets that overlap the time from `from`, inclusive, to `to`, exclusive.
    pub(crate) fn buckets(
        self,
        from: ChronoDateTime<Utc>,
        to: ChronoDateTime<Utc>,
    ) -> Result<Vec<Bucket>, Error> {
        let buckets = buckets(self.zone, self.interval, from, to).map_err(|_| {
            let message =
                format!("There would be more than {MAX_BUCKETS} periods between from and to.");
            Error::bad_input("interval", message)
        })?;
        if buckets.first().is_some_and(|bucket| bucket.start.year() < 1) {
            return Err(Error::bad_input(
                "from",
                "The first period would start before the year 1.",
            ));
        }
        if buckets.last().is_some_and(|bucket| bucket.end.year() > 9999) {
            return Err(Error::bad_input("to", "The last period would end after the year 9999."));
        }
        Ok(buckets)
    }
}

/// Rejects a time range that ends before it starts.
pub(crate) fn check_order(from: ChronoDateTime<Utc>, to: ChronoDateTime<Utc>) -> Result<(), Error> {
    if from < to { Ok(()) } else { Err(Error::bad_input("from", "This must be before to.")) }
}
