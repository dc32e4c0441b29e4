//! Times, including times that only other programs store.
//!
//! PostgreSQL stores times that RFC 3339 cannot represent: years before 1 and after 9999, and infinity.
//! SQLite stores any text in a column without a CHECK. The driver panics at some of these values, and the
//! API cannot return others. A [`StoredTime`] reads all of them.
//!
//! **Invariants.**
//! - Reading a time never panics, and fails only for null.
//! - A time that RFC 3339 cannot represent keeps the stored value exactly: it is written back unchanged, and
//!   a cursor finds its position again. The API returns null ([`StoredTime::get`]) or, in a non-null field,
//!   the nearest time that RFC 3339 can represent ([`StoredTime::nearest`]).
//! - It compares as in SQL: it comes before or after all times that a client can send.

use std::{cmp::Ordering, ops::RangeInclusive, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColIdx, DbErr, QueryResult, TryGetError, TryGetable,
    sea_query::{ArrayType, ColumnType, Nullable, Value, ValueType, ValueTypeErr},
    sqlx::{Row, ValueRef, postgres::PgValueFormat},
};

use crate::stored::{bytes, replaced};

/// A time in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredTime {
    /// A time that RFC 3339 can represent.
    At(DateTime<Utc>),
    /// An earlier time in the format of the database, or text that is not a time.
    Before(Arc<String>),
    /// A later time, or text, in the format of the database.
    After(Arc<String>),
}

// small, because there are many rows and futures hold them
const _: () = assert!(size_of::<Option<StoredTime>>() == 16);

const MICROS_OF_DAY: i64 = 86_400_000_000;
/// The days from 1970 to 2000, the epoch of PostgreSQL.
const DAYS_TO_2000: i64 = 10_957;
/// The range of PostgreSQL's times, in microseconds since 2000, without infinity.
const FINITE: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

const fn at(seconds: i64, nanoseconds: u32) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, nanoseconds) {
        Some(time) => time,
        None => unreachable!(),
    }
}

const fn since_2000(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros() - DAYS_TO_2000 * MICROS_OF_DAY
}

impl StoredTime {
    /// The first time that RFC 3339 can represent.
    pub const EARLIEST: DateTime<Utc> = at(-62_135_596_800, 0);
    /// The last time that RFC 3339 can represent with microseconds.
    pub const LATEST: DateTime<Utc> = at(253_402_300_799, 999_999_000);
    /// The times that RFC 3339 can represent, as PostgreSQL stores them: in microseconds since 2000.
    pub const IN_POSTGRES: RangeInclusive<i64> =
        since_2000(Self::EARLIEST)..=since_2000(Self::LATEST);
    /// [`StoredTime::LATEST`] as text in SQLite.
    const LATEST_TEXT: &str = "9999-12-31T23:59:59.999999+00:00";

    /// The time, if RFC 3339 can represent it.
    #[must_use]
    pub fn get(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::At(time) => Some(*time),
            Self::Before(_) | Self::After(_) => None,
        }
    }

    /// The time, or the nearest one that RFC 3339 can represent.
    #[must_use]
    pub fn nearest(&self) -> DateTime<Utc> {
        match self {
            Self::At(time) => *time,
            Self::Before(_) => Self::EARLIEST,
            Self::After(_) => Self::LATEST,
        }
    }

    /// Parses a time in the default text format of PostgreSQL.
    #[must_use]
    pub fn of_postgres_text(text: &str) -> Option<Self> {
        micros_of(text).map(Self::of_postgres)
    }

    /// The time of these microseconds since 2000, as PostgreSQL stores it.
    fn of_postgres(micros: i64) -> Self {
        let since_1970 = micros.checked_add(DAYS_TO_2000 * MICROS_OF_DAY);
        let time = since_1970.and_then(DateTime::from_timestamp_micros);
        let side = if micros < 0 { Self::Before } else { Self::After };
        match time {
            Some(time) if (Self::EARLIEST..=Self::LATEST).contains(&time) => Self::At(time),
            _ => side(Arc::new(postgres_text(micros))),
        }
    }

    /// A time that SQLite stores as text in another format. SQLite compares it as text.
    fn of_sqlite_text(text: &str) -> Self {
        let side = if text > Self::LATEST_TEXT { Self::After } else { Self::Before };
        side(Arc::new(text.to_owned()))
    }
}

impl From<DateTime<Utc>> for StoredTime {
    fn from(time: DateTime<Utc>) -> Self {
        Self::At(time)
    }
}

impl PartialEq<DateTime<Utc>> for StoredTime {
    fn eq(&self, other: &DateTime<Utc>) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd<DateTime<Utc>> for StoredTime {
    fn partial_cmp(&self, other: &DateTime<Utc>) -> Option<Ordering> {
        Some(match self {
            Self::At(time) => time.cmp(other),
            Self::Before(_) => Ordering::Less,
            Self::After(_) => Ordering::Greater,
        })
    }
}

/// As a value, a time that RFC 3339 cannot represent is text that the database parses to the same time.
impl From<StoredTime> for Value {
    fn from(time: StoredTime) -> Self {
        match time {
            StoredTime::At(time) => time.into(),
            StoredTime::Before(text) | StoredTime::After(text) => text.as_str().into(),
        }
    }
}

impl ValueType for StoredTime {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::String(Some(text)) => Ok(match Self::of_postgres_text(&text) {
                Some(time) => time,
                None => Self::of_sqlite_text(&text),
            }),
            value => <DateTime<Utc> as ValueType>::try_from(value).map(Self::At),
        }
    }

    fn type_name() -> String {
        <DateTime<Utc> as ValueType>::type_name()
    }

    fn array_type() -> ArrayType {
        <DateTime<Utc> as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <DateTime<Utc> as ValueType>::column_type()
    }
}

impl Nullable for StoredTime {
    fn null() -> Value {
        <DateTime<Utc> as Nullable>::null()
    }
}

impl TryGetable for StoredTime {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let time = match postgres_micros(row, index) {
            Some(micros) => Self::of_postgres(micros?),
            None => of_sqlite(row, index)?,
        };
        if time.get().is_none() {
            replaced("time", row, index);
        }
        Ok(time)
    }
}

/// The microseconds since 2000 in a row of PostgreSQL. `None` for a row of SQLite.
fn postgres_micros<I: ColIdx>(row: &QueryResult, index: I) -> Option<Result<i64, TryGetError>> {
    let row = row.try_as_pg_row()?;
    let error = |why: &dyn std::fmt::Display| {
        TryGetError::DbErr(DbErr::Type(format!("{index:?} is not a time: {why}")))
    };
    let value = match row.try_get_raw(index.as_sqlx_postgres_index()) {
        Ok(value) => value,
        Err(missing) => return Some(Err(error(&missing))),
    };
    if value.is_null() {
        return Some(Err(TryGetError::Null(format!("{index:?}"))));
    }
    let micros = match value.format() {
        PgValueFormat::Binary => {
            let bytes = value.as_bytes().ok().and_then(|bytes| bytes.try_into().ok());
            bytes.map(i64::from_be_bytes)
        }
        PgValueFormat::Text => value.as_str().ok().and_then(micros_of),
    };
    Some(micros.ok_or_else(|| error(&"its format is unknown")))
}

fn of_sqlite<I: ColIdx>(row: &QueryResult, index: I) -> Result<StoredTime, TryGetError> {
    let readable = StoredTime::EARLIEST..=StoredTime::LATEST;
    match DateTime::<Utc>::try_get_by(row, index) {
        Ok(time) if readable.contains(&time) => Ok(StoredTime::At(time)),
        Err(null @ TryGetError::Null(_)) => Err(null),
        Ok(_) | Err(TryGetError::DbErr(_)) => {
            let bytes = bytes(row, index).unwrap_or_default();
            Ok(StoredTime::of_sqlite_text(&String::from_utf8_lossy(&bytes)))
        }
    }
}

/// A time as text that PostgreSQL parses regardless of its settings.
fn postgres_text(micros: i64) -> String {
    match micros {
        i64::MIN => return "-infinity".to_owned(),
        i64::MAX => return "infinity".to_owned(),
        _ => {}
    }
    let [year, month, day, hours, minutes, seconds, micros] = postgres_parts(micros);
    // there is no year 0
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let part = if micros > 0 { format!(".{micros:06}") } else { String::new() };
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}{part}+00{era}")
}

/// The year, month, day, hours, minutes, seconds and microseconds of a time in microseconds since 2000, as
/// PostgreSQL stores it.
#[must_use]
pub fn postgres_parts(micros: i64) -> [i64; 7] {
    let (year, month, day) = civil(micros.div_euclid(MICROS_OF_DAY) + DAYS_TO_2000);
    let micros = micros.rem_euclid(MICROS_OF_DAY);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    [year, month, day, seconds / 3_600, seconds / 60 % 60, seconds % 60, micros]
}

/// The microseconds since 2000 of a time in PostgreSQL's default text format.
fn micros_of(text: &str) -> Option<i64> {
    match text {
        "-infinity" => return Some(i64::MIN),
        "infinity" => return Some(i64::MAX),
        _ => {}
    }
    let (text, is_before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, clock) = text.split_once(' ')?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let is_date = date.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = if is_before_christ { 1 - year } else { year };
    let sign = clock.rfind(['+', '-'])?;
    let (clock, offset) = clock.split_at(sign);
    let (offset, is_west) = (offset.strip_prefix(['+', '-'])?, offset.starts_with('-'));
    let (clock, part) = clock.split_once('.').unwrap_or((clock, "0"));
    let micros = number(&format!("{part:0<6}")).filter(|_| part.len() <= 6)?;
    let offset = if is_west { -seconds(offset)? } else { seconds(offset)? };
    let seconds = seconds(clock)? - offset;
    let days = days_since_1970(year, month, day) - DAYS_TO_2000;
    let all = days.checked_mul(MICROS_OF_DAY)?.checked_add(seconds * 1_000_000 + micros)?;
    (is_date && FINITE.contains(&all)).then_some(all)
}

/// The seconds of `12:34:56` or a part of it.
fn seconds(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':').map(number);
    let (hours, minutes, seconds) = (parts.next()??, parts.next(), parts.next());
    let (minutes, seconds) = (minutes.unwrap_or(Some(0))?, seconds.unwrap_or(Some(0))?);
    let is_clock = parts.next().is_none() && hours <= 24 && minutes < 60 && seconds <= 60;
    is_clock.then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// A number of up to six digits.
fn number(digits: &str) -> Option<i64> {
    let are_digits =
        (1..=6).contains(&digits.len()) && digits.bytes().all(|of| of.is_ascii_digit());
    if are_digits { digits.parse().ok() } else { None }
}

/// The year, month and day of a number of days since 1970, in the proleptic Gregorian calendar. The
/// computation counts years from March, so that a leap day is the last day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_can_read_the_text_that_it_stores() {
        for (micros, text) in [
            (i64::MIN, "-infinity"),
            (i64::MAX, "infinity"),
            (FINITE.start, "4714-11-24 00:00:00+00 BC"),
            (FINITE.end - 1, "294276-12-31 23:59:59.999999+00"),
            (-63_082_281_600_000_001, "0001-12-31 23:59:59.999999+00 BC"),
            (252_455_616_000_000_000, "10000-01-01 00:00:00+00"),
            (0, "2000-01-01 00:00:00+00"),
            (5_097_600_000_000 - 1_000, "2000-02-28 23:59:59.999+00"),
        ] {
            assert_eq!(micros_of(text), Some(micros), "{text}");
            if !text.contains(".999+") {
                assert_eq!(postgres_text(micros), text);
            }
        }
        assert_eq!(micros_of("1999-12-31 19:00:00-05"), Some(0));
        assert_eq!(micros_of("2000-01-01 05:53:28+05:53:28"), Some(0));
    }

    #[test]
    fn text_that_is_not_a_time_of_postgresql_is_rejected() {
        for text in [
            "",
            " ",
            "infinity ",
            "now",
            "2000-01-01",
            "2000-01-01 00:00:00",
            "2000-13-01 00:00:00+00",
            "2000-01-32 00:00:00+00",
            "2000-01-01 25:00:00+00",
            "2000-01-01 00:00:00.1234567+00",
            "294277-01-01 00:00:00+00",
            "4714-11-23 00:00:00+00 BC",
            "2000-01-01 00:00:00+00 AD",
            "99999999999-01-01 00:00:00+00",
            "２０００-01-01 00:00:00+00",
            "2000-01-01-01 00:00:00+00",
        ] {
            assert_eq!(micros_of(text), None, "{text}");
        }
    }

    #[test]
    fn only_times_that_rfc_3339_can_represent_are_times() {
        let edges = [StoredTime::EARLIEST, StoredTime::LATEST]
            .map(|time| time.timestamp_micros() - DAYS_TO_2000 * MICROS_OF_DAY);
        assert_eq!(StoredTime::of_postgres(edges[0]), StoredTime::At(StoredTime::EARLIEST));
        assert_eq!(StoredTime::of_postgres(edges[1]), StoredTime::At(StoredTime::LATEST));
        for (micros, nearest) in [
            (edges[0] - 1, StoredTime::EARLIEST),
            (edges[1] + 1, StoredTime::LATEST),
            (i64::MIN, StoredTime::EARLIEST),
            (i64::MAX, StoredTime::LATEST),
        ] {
            let time = StoredTime::of_postgres(micros);
            assert_eq!((time.get(), time.nearest()), (None, nearest));
            assert_ne!(time, nearest);
            // it survives the conversion to a value and back
            let value = Value::from(time.clone());
            assert_eq!(<StoredTime as ValueType>::try_from(value).ok(), Some(time));
        }
        assert!(StoredTime::of_postgres(i64::MIN) < StoredTime::EARLIEST);
        assert!(StoredTime::of_postgres(i64::MAX) > StoredTime::LATEST);
    }

    #[test]
    fn the_calendar_agrees_with_chrono() {
        let mut micros = -63_082_281_600_000_000_i64;
        while micros < 252_455_616_000_000_000 {
            let time =
                DateTime::from_timestamp_micros(micros + DAYS_TO_2000 * MICROS_OF_DAY).unwrap();
            assert_eq!(
                postgres_text(micros),
                time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string().replace(".000000", "")
            );
            assert_eq!(micros_of(&postgres_text(micros)), Some(micros));
            // some hundred thousand steps, at all times of day
            micros += 1_234_567_890_123;
        }
    }
}
