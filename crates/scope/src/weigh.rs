//! The weight of a row in memory.

use sea_orm::sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef, postgres::PgRow, sqlite::SqliteRow};

/// The OIDs of PostgreSQL's types (`pg_type.dat`).
const JSON: u32 = 114;
const JSONB: u32 = 3802;
/// The bytes of a row in addition to its texts.
const ROW: usize = 512;
/// The bytes of a JSON value in memory, in addition to its text.
const JSON_VALUE: usize = 64;
/// The bytes of an object of parsed JSON in memory, in addition to its values: a node of its map, which
/// has room for eleven entries.
const PARSED_OBJECT: usize = 700;

/// The approximate number of bytes of a row in memory.
pub(crate) fn postgres(row: &PgRow) -> usize {
    let values = (0..row.len()).filter_map(|index| {
        let value = row.try_get_raw(index).ok()?;
        let bytes = value.as_bytes().ok()?;
        let is_json = value.type_info().oid().is_some_and(|oid| matches!(oid.0, JSON | JSONB));
        Some(if is_json { json(bytes) } else { bytes.len() })
    });
    ROW + values.sum::<usize>()
}

/// The approximate number of bytes of a row in memory. SQLite stores JSON as text, so text that looks
/// like JSON is weighed as JSON.
pub(crate) fn sqlite(row: &SqliteRow) -> usize {
    let values = (0..row.len()).filter_map(|index| {
        let value = row.try_get_raw(index).ok()?;
        if value.is_null() || value.type_info().name() != "TEXT" {
            return None;
        }
        let bytes = <Vec<u8> as Decode<Sqlite>>::decode(value).ok()?;
        let is_json = matches!(bytes.first(), Some(b'{' | b'['));
        Some(if is_json { json(&bytes) } else { bytes.len() })
    });
    ROW + values.sum::<usize>()
}

/// The approximate number of bytes of JSON in memory. The number of values is estimated from the
/// characters that precede them.
#[must_use]
pub fn json(text: &[u8]) -> usize {
    let values = text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    text.len() + values * JSON_VALUE
}

/// The approximate number of bytes that the objects of JSON take in addition while they are maps of
/// `serde_json`. An empty object counts like one with values.
#[must_use]
pub fn parsed_objects(text: &[u8]) -> usize {
    text.iter().filter(|byte| matches!(byte, b'{')).count() * PARSED_OBJECT
}
