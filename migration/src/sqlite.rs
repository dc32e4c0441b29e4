//! What SQLite needs in place of types: CHECKs, and triggers that normalize times.

use crate::table::{Column, Kind};

/// A version 4 UUID (RFC 9562), composed with the functions of SQLite 3.40: the two bytes with the
/// version and the variant are drawn from tables of their possible values.
pub(crate) const RANDOM_ID: &str = "CAST(randomblob(6) \
    || substr(x'404142434445464748494a4b4c4d4e4f', 1 + (random() & 15), 1) || randomblob(1) \
    || substr(x'808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf', 1 + (random() & 63), 1) \
    || randomblob(7) AS BLOB)";

/// The time of the statement, which is the same within it and its triggers.
pub(crate) const NOW: &str = "replace(strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), '.000+', '+')";

/// `column` in the normal form of a time, with at most microseconds.
fn canonical_time(column: &str) -> String {
    let digits = format!("rtrim(substr(substr({column}, 21, length({column}) - 26), 1, 6), '0')");
    format!(
        "CASE WHEN length({column}) = 25 THEN {column} ELSE substr({column}, 1, 19) || \
         CASE {digits} WHEN '' THEN '' ELSE '.' || substr({digits} || '00', 1, (length({digits}) + 2) / 3 * 3) END \
         || '+00:00' END"
    )
}

/// Allows only RFC 3339 text with the offset `+00:00`, on an existing day. A modifier makes older
/// versions of SQLite compute the date, so that February 30 becomes another day.
pub(crate) fn time_check(column: &str) -> String {
    format!(
        "{column} IS NULL \
         OR strftime('%Y-%m-%dT%H:%M:%S', substr({column}, 1, 19), '+0 days') IS substr({column}, 1, 19) \
         AND (substr({column}, 20) IS '+00:00' OR substr({column}, 20) GLOB '.[0-9]*+00:00' \
         AND rtrim(substr({column}, 21, length({column}) - 26), '0123456789') = '')"
    )
}

pub(crate) fn clear_on_delete(table: &str, column: &str, target: &str) -> String {
    format!(
        "CREATE TRIGGER {table}_clear_{column}_{target} BEFORE DELETE ON {target} BEGIN \
         UPDATE {table} SET {column} = NULL WHERE org_id = OLD.org_id AND {column} = OLD.id; END"
    )
}

/// SQLite cannot change a row before it is written, so it is written again: to normalize times, and
/// to set `updated_at`. A stored row has normalized times, so a row without them before an update
/// is known to be in the process of being normalized, which is not an update by itself.
pub(crate) fn time_triggers(table: &str, columns: &[Column]) -> [String; 3] {
    let times: Vec<&str> = columns
        .iter()
        .filter(|column| matches!(column.kind, Kind::Time))
        .map(|column| column.name)
        .collect();
    let canonical = |row: &str, time: &str| canonical_time(&format!("{row}.{time}"));
    let each = |joined: &str, of: &dyn Fn(&str) -> String| {
        times.iter().map(|time| of(time)).collect::<Vec<_>>().join(joined)
    };
    let is_other = each(" OR ", &|time| format!("NEW.{time} IS NOT ({})", canonical("NEW", time)));
    let set = each(", ", &|time| format!("{time} = {}", canonical("NEW", time)));
    let write = |set: &str| format!("BEGIN UPDATE {table} SET {set} WHERE id = NEW.id; END");
    [
        format!(
            "CREATE TRIGGER {table}_times_on_insert AFTER INSERT ON {table} WHEN {is_other} {}",
            write(&set)
        ),
        format!(
            "CREATE TRIGGER {table}_times_on_update AFTER UPDATE ON {table} WHEN {is_other} {}",
            write(&set)
        ),
        updated_at_trigger(table, &times, None),
    ]
}

/// Sets `updated_at` when a row changes, or these columns of it. See [`time_triggers`].
pub(crate) fn updated_at_trigger(table: &str, times: &[&str], of: Option<&str>) -> String {
    let was_canonical: Vec<String> = times
        .iter()
        .map(|time| format!("OLD.{time} IS ({})", canonical_time(&format!("OLD.{time}"))))
        .collect();
    let of = of.map(|columns| format!("OF {columns} ")).unwrap_or_default();
    // the time is constant within a statement, so this does not repeat
    format!(
        "CREATE TRIGGER {table}_updated_at AFTER UPDATE {of}ON {table} \
         WHEN NEW.updated_at IS NOT {NOW} AND {} \
         BEGIN UPDATE {table} SET updated_at = {NOW} WHERE id = NEW.id; END",
        was_canonical.join(" AND ")
    )
}
