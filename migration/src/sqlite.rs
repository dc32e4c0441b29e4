//! What SQLite has in place of types: CHECKs, and triggers that normalize times.

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
pub(crate) fn time_triggers(table: &str, times: &[&str]) -> [String; 3] {
    let [on_insert, on_update] = normal_form(table, times);
    [on_insert, on_update, updated_at_trigger(table, times, None)]
}

/// Normalizes times after an insert and after an update.
pub(crate) fn normal_form(table: &str, times: &[&str]) -> [String; 2] {
    let other =
        |time: &&str| format!("NEW.{time} IS NOT ({})", canonical_time(&format!("NEW.{time}")));
    let is_other = times.iter().map(other).collect::<Vec<_>>().join(" OR ");
    ["INSERT", "UPDATE"].map(|event| normalize(table, times, event, "", &is_other))
}

/// Like [`normal_form`], but recognizes a normal form by its length and three of its digits, and checks
/// only the times that an update sets.
pub(crate) fn quick_normal_form(table: &str, times: &[&str]) -> [String; 2] {
    // with whole seconds, milliseconds or microseconds, without unneeded zeros
    let normal = |time: &&str| {
        format!(
            "(length(NEW.{time}) = 25 \
             OR length(NEW.{time}) = 29 AND substr(NEW.{time}, 20, 4) <> '.000' \
             OR length(NEW.{time}) = 32 AND substr(NEW.{time}, 24, 3) <> '000')"
        )
    };
    let is_other = format!("NOT ({})", times.iter().map(normal).collect::<Vec<_>>().join(" AND "));
    let of = format!("OF {} ", times.join(", "));
    [("INSERT", ""), ("UPDATE", of.as_str())]
        .map(|(event, of)| normalize(table, times, event, of, &is_other))
}

fn normalize(table: &str, times: &[&str], event: &str, of: &str, is_other: &str) -> String {
    let set = |time: &&str| format!("{time} = {}", canonical_time(&format!("NEW.{time}")));
    let set = times.iter().map(set).collect::<Vec<_>>().join(", ");
    format!(
        "CREATE TRIGGER {table}_times_on_{} AFTER {event} {of}ON {table} WHEN {is_other} \
         BEGIN UPDATE {table} SET {set} WHERE id = NEW.id; END",
        event.to_lowercase()
    )
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
