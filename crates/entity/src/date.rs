//! Dates, including dates that only other programs store.

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, prelude::Date, sea_query::ColumnType};

use crate::stored::{bytes, replaced, stored};

/// The days since 2000 of the first day of the year 1 and the last day of the year 9999.
const READABLE: std::ops::RangeInclusive<i32> = -730_119..=2_921_939;

/// A date in a nullable column. A date that RFC 3339 cannot represent is read as null: a year before 1 or
/// after 9999, infinity, and in SQLite, text that is not a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredDate(pub Date);

stored!(StoredDate of Date as ColumnType::Date);

impl TryGetable for StoredDate {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let is_readable = || {
            // chrono panics at other dates
            let days = bytes(row, index).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            days.is_none_or(|days| READABLE.contains(&i32::from_be_bytes(days)))
        };
        if row.try_as_pg_row().is_none() || is_readable() {
            match Date::try_get_by(row, index) {
                Ok(date) => return Ok(Self(date)),
                Err(null @ TryGetError::Null(_)) => return Err(null),
                Err(TryGetError::DbErr(_)) => {}
            }
        }
        replaced("date", row, index);
        Err(TryGetError::Null(format!("{index:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readable_days_are_those_of_four_digits() {
        let epoch = Date::from_ymd_opt(2000, 1, 1).unwrap();
        let day = |year, month, day| {
            let days = (Date::from_ymd_opt(year, month, day).unwrap() - epoch).num_days();
            i32::try_from(days).unwrap()
        };
        assert_eq!(READABLE, day(1, 1, 1)..=day(9999, 12, 31));
    }
}
