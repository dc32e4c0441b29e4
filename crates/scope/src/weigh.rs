//! The weight of a row in memory.

use sea_orm::sqlx::{
    Column, Decode, Row, Sqlite, TypeInfo, ValueRef, postgres::PgRow, sqlite::SqliteRow,
};

/// The bytes of a row in addition to its texts.
const ROW: usize = 512;
/// The bytes of a JSON value in memory, in addition to its text.
const JSON_VALUE: usize = 64;
/// The bytes of a JSON object in memory, in addition to its values: a node of its map, which has room for
/// eleven entries.
const JSON_OBJECT: usize = 700;

/// The approximate number of bytes of a row in memory.
pub(crate) fn postgres(row: &PgRow) -> usize {
    let values = (0..row.len()).filter_map(|index| {
        let value = row.try_get_raw(index).ok()?;
        let is_json = matches!(row.column(index).type_info().name(), "JSONB" | "JSON");
        let bytes = value.as_bytes().ok()?;
        Some(if is_json { stored_json(bytes) } else { bytes.len() })
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
        Some(if is_json { stored_json(&bytes) } else { bytes.len() })
    });
    ROW + values.sum::<usize>()
}

/// The approximate number of bytes of JSON of a row, which is text until it is shown.
fn stored_json(text: &[u8]) -> usize {
    let values = text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    text.len() + values * JSON_VALUE
}

/// The approximate number of bytes of JSON in memory. The number of values is estimated from the
/// characters that precede them, and an empty object counts like one with values.
#[must_use]
pub fn json(text: &[u8]) -> usize {
    let weight = |byte: &u8| match byte {
        b',' | b':' | b'[' => JSON_VALUE,
        b'{' => JSON_VALUE + JSON_OBJECT,
        _ => 0,
    };
    text.len() + text.iter().map(weight).sum::<usize>()
}
