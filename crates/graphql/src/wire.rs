//! Columns in PostgreSQL's binary format, written as JSON without a value in between.
//!
//! **Invariant.** A column is written as if its value were read and then written. A column that is not
//! of the expected type, such as one in a table of another program, or that needs a decision, such as a time
//! that RFC 3339 cannot represent, is not written here but read.
//!
//! The formats are those of the `send` functions of PostgreSQL's types
//! (<https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES>).

use campaigns_entity::{StoredTime, postgres_parts};
use campaigns_operation::json;
use sea_orm::{
    QueryResult,
    sqlx::{Row as _, ValueRef, postgres::PgValueFormat},
};
use uuid::Uuid;

/// The OIDs of types (`pg_type.dat`).
const INT8: u32 = 20;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const TIMESTAMPTZ: u32 = 1184;
const UUID: u32 = 2950;

/// A column of a row of PostgreSQL.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    oid: u32,
    /// In binary; `None` is null.
    bytes: Option<&'a [u8]>,
}

impl<'a> Wire<'a> {
    /// The column at a position, if the row is one of PostgreSQL in binary.
    pub(crate) fn of(row: &'a QueryResult, position: usize) -> Option<Self> {
        let value = row.try_as_pg_row()?.try_get_raw(position).ok()?;
        let oid = value.type_info().oid()?.0;
        let is_binary = value.format() == PgValueFormat::Binary;
        is_binary.then(|| Self { oid, bytes: value.as_bytes().ok() })
    }

    /// Whether it is null.
    pub(crate) fn is_null(self) -> bool {
        self.bytes.is_none()
    }

    /// Writes a UUID. Returns false, and writes nothing, if it is another value. So do the others.
    pub(crate) fn uuid(self, out: &mut Vec<u8>) -> bool {
        match self.bytes.map(Uuid::from_slice) {
            Some(Ok(id)) if self.oid == UUID => uuid(id, out),
            _ => return false,
        }
        true
    }

    /// Writes text.
    pub(crate) fn text(self, out: &mut Vec<u8>) -> bool {
        match self.as_text() {
            Some(text) => json::string(text, out),
            None => return false,
        }
        true
    }

    /// Writes a time.
    pub(crate) fn time(self, out: &mut Vec<u8>) -> bool {
        match self.bytes.map(TryInto::try_into) {
            Some(Ok(bytes)) if self.oid == TIMESTAMPTZ => {
                let micros = i64::from_be_bytes(bytes);
                let is_shown = StoredTime::IN_POSTGRES.contains(&micros);
                if is_shown {
                    time(micros, out);
                }
                is_shown
            }
            _ => false,
        }
    }

    /// Writes an integer.
    pub(crate) fn integer(self, out: &mut Vec<u8>) -> bool {
        match (self.oid, self.bytes) {
            (INT4, Some(bytes)) => match bytes.try_into() {
                Ok(bytes) => json::serialize(&i32::from_be_bytes(bytes), out),
                Err(_) => return false,
            },
            (INT8, Some(bytes)) => match bytes.try_into() {
                Ok(bytes) => json::serialize(&i64::from_be_bytes(bytes), out),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    /// Writes the value of an enum that is stored in lower case and shown in upper case, if it is one of
    /// the shown ones.
    pub(crate) fn of_enum<'s>(
        self,
        mut shown: impl Iterator<Item = &'s str>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(stored) = self.as_text() else { return false };
        let is_shown = |name: &&str| {
            name.len() == stored.len()
                && name.bytes().zip(stored.bytes()).all(|(shown, stored)| {
                    shown == stored.to_ascii_uppercase() && !stored.is_ascii_uppercase()
                })
        };
        match shown.find(is_shown) {
            Some(name) => json::string(name, out),
            None => return false,
        }
        true
    }

    fn as_text(self) -> Option<&'a str> {
        let is_text = matches!(self.oid, TEXT | VARCHAR);
        self.bytes.filter(|_| is_text).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// Writes a UUID.
pub(crate) fn uuid(id: Uuid, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    out.push(b'"');
}

/// Writes a time, in microseconds since 2000, in RFC 3339 format with as few digits of a second as needed,
/// in steps of three.
fn time(micros: i64, out: &mut Vec<u8>) {
    let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
    let parts = postgres_parts(micros);
    let places = [(1, 4), (6, 2), (9, 2), (12, 2), (15, 2), (18, 2), (21, 6)];
    for ((start, digits), mut number) in places.into_iter().zip(parts) {
        for digit in text[start..start + digits].iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
    let end = match parts[6] {
        0 => 20,
        micros if micros % 1_000 == 0 => 24,
        _ => 27,
    };
    out.extend_from_slice(&text[..end]);
    out.extend_from_slice(b"Z\"");
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::scalars;

    const FIRST: i64 = *StoredTime::IN_POSTGRES.start();
    const LAST: i64 = *StoredTime::IN_POSTGRES.end();

    fn epoch() -> DateTime<Utc> {
        "2000-01-01T00:00:00Z".parse().unwrap()
    }

    fn written(of: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<String> {
        let mut out = Vec::new();
        let is_written = of(&mut out);
        assert_eq!(out.is_empty(), !is_written);
        is_written.then(|| String::from_utf8(out).unwrap())
    }

    /// A time, as it is written and as it is read.
    fn both(micros: i64) -> (Option<String>, String) {
        let bytes = micros.to_be_bytes();
        let wire = Wire { oid: TIMESTAMPTZ, bytes: Some(&bytes) };
        let read = scalars::text(epoch() + TimeDelta::microseconds(micros));
        (written(|out| wire.time(out)), format!("\"{read}\""))
    }

    proptest! {
        #[test]
        fn any_time_is_written_as_it_is_read(micros in FIRST..=LAST, unit in 0..4_u32) {
            let unit = 1_000_i64.pow(unit);
            let (written, read) = both(micros / unit * unit);
            prop_assert_eq!(written, Some(read));
        }
    }

    #[test]
    fn the_ends_of_days_are_written_as_they_are_read() {
        const DAY: i64 = 86_400_000_000;
        let days = (FIRST / DAY..=LAST / DAY).step_by(13);
        let ends = days.flat_map(|day| [day * DAY, day * DAY - 1]);
        for micros in ends.chain([FIRST, LAST]).filter(|micros| (FIRST..=LAST).contains(micros)) {
            let (written, read) = both(micros);
            assert_eq!(written, Some(read), "{micros}");
        }
        assert_eq!(epoch() + TimeDelta::microseconds(FIRST), StoredTime::EARLIEST);
        // its digits beyond microseconds are cut off
        let last = epoch() + TimeDelta::microseconds(LAST);
        assert_eq!(scalars::text(last), scalars::text(StoredTime::LATEST));
        for beyond in [FIRST - 1, LAST + 1, i64::MIN, i64::MAX] {
            let bytes = beyond.to_be_bytes();
            let wire = Wire { oid: TIMESTAMPTZ, bytes: Some(&bytes) };
            assert_eq!(written(|out| wire.time(out)), None);
        }
    }

    #[test]
    fn a_value_of_another_type_is_not_written() {
        let eight = 8_i64.to_be_bytes();
        let bytes: [Option<&[u8]>; 5] =
            [None, Some(b""), Some(&eight), Some(b"sent"), Some(b"0123456789abcdef")];
        for bytes in bytes {
            for oid in [UUID, TEXT, VARCHAR, TIMESTAMPTZ, INT4, INT8, 0, 16, 114, 3802, 1114] {
                let wire = Wire { oid, bytes };
                assert_eq!(written(|out| wire.uuid(out)).is_some(), {
                    oid == UUID && bytes.is_some_and(|bytes| bytes.len() == 16)
                });
                let is_text = matches!(oid, TEXT | VARCHAR) && bytes.is_some();
                assert_eq!(written(|out| wire.text(out)).is_some(), is_text);
                let is_eight = bytes.is_some_and(|bytes| bytes.len() == 8);
                let is_time = oid == TIMESTAMPTZ && is_eight;
                assert_eq!(written(|out| wire.time(out)).is_some(), is_time);
                let is_four = bytes.is_some_and(|bytes| bytes.len() == 4);
                assert_eq!(
                    written(|out| wire.integer(out)).is_some(),
                    oid == INT8 && is_eight || oid == INT4 && is_four
                );
            }
        }
    }

    #[test]
    fn only_known_values_of_an_enum_are_written() {
        let of = |stored: &'static str| {
            let wire = Wire { oid: TEXT, bytes: Some(stored.as_bytes()) };
            written(|out| wire.of_enum(["SENT", "NOT_SENT"].into_iter(), out))
        };
        assert_eq!(of("sent").as_deref(), Some("\"SENT\""));
        assert_eq!(of("not_sent").as_deref(), Some("\"NOT_SENT\""));
        for unknown in ["", "sen", "sents", "SENT", "Sent", "lost"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
