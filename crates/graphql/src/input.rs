//! Values from clients: their paths, and what they can be.

use async_graphql::{ID, MaybeUndefined};
pub(crate) use campaigns_operation::Path;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{error::Error, scalars};

/// A row's ID.
pub(crate) fn id(value: &ID, path: Path<'_>) -> Result<Uuid, Error> {
    // accept only one of the ways to write a UUID, so that an ID is the same text everywhere
    match Uuid::try_parse(value) {
        Ok(id) if value.len() == 36 => Ok(id),
        _ => Err(Error::bad_input(path, "This is not a UUID.")),
    }
}

/// The maximum number of bytes of text.
pub(crate) const MAX_TEXT: usize = 16 * 1024;
/// The maximum number of bytes of a message's body: ten times what mail programs show.
const MAX_CONTENT: usize = 1024 * 1024;
/// The maximum number of bytes of JSON, as text.
const MAX_JSON: usize = 64 * 1024;
/// The maximum number of bytes of a segment's rules: 500 rules as editors export them take 72 KB, and
/// lists of 1,000 IDs take 40 KB each.
const MAX_RULES: usize = 1024 * 1024;

/// Text that both databases can store, up to 16 KiB.
pub(crate) fn text(value: String, path: Path<'_>) -> Result<String, Error> {
    bounded(value, MAX_TEXT, path)
}

/// The body of a message, up to 1 MiB.
pub(crate) fn content(value: String, path: Path<'_>) -> Result<String, Error> {
    bounded(value, MAX_CONTENT, path)
}

fn bounded(value: String, max: usize, path: Path<'_>) -> Result<String, Error> {
    if value.contains('\0') {
        return Err(Error::bad_input(path, "Text cannot contain a NUL character."));
    }
    if value.len() > max {
        return Err(Error::bad_input(path, format!("This can have at most {max} bytes in UTF-8.")));
    }
    Ok(value)
}

/// A name: not blank, and up to 500 characters.
pub(crate) fn name(value: String, path: Path<'_>) -> Result<String, Error> {
    let value = text(value, path)?;
    if value.trim().is_empty() {
        return Err(Error::bad_input(path, "This must not be blank."));
    }
    if value.chars().count() > 500 {
        return Err(Error::bad_input(path, "This can have at most 500 characters."));
    }
    Ok(value)
}

/// A point in time.
pub(crate) fn time(value: &scalars::DateTime, path: Path<'_>) -> Result<DateTime<Utc>, Error> {
    value.parse().ok_or_else(|| {
        Error::bad_input(
            path,
            "This is not a time in RFC 3339 format, such as 2026-01-31T12:00:00Z.",
        )
    })
}

/// A point in time in the future.
pub(crate) fn future(
    value: &scalars::DateTime,
    now: DateTime<Utc>,
    path: Path<'_>,
) -> Result<DateTime<Utc>, Error> {
    let time = time(value, path)?;
    if time <= now {
        return Err(Error::bad_input(path, "This must be in the future."));
    }
    Ok(time)
}

/// JSON of any length that both databases can store, for comparison only.
pub(crate) fn json(value: Json, path: Path<'_>) -> Result<Json, Error> {
    fn has_nul(value: &Json) -> bool {
        match value {
            Json::String(text) => text.contains('\0'),
            Json::Array(values) => values.iter().any(has_nul),
            Json::Object(values) => {
                values.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
            }
            _ => false,
        }
    }
    if has_nul(&value) {
        return Err(Error::bad_input(path, "Text in JSON cannot contain a NUL character."));
    }
    Ok(value)
}

/// A JSON object to store, up to 64 KiB.
pub(crate) fn object(value: Json, path: Path<'_>) -> Result<Json, Error> {
    bounded_object(value, MAX_JSON, path)
}

/// The rules of a segment to store, up to 1 MiB.
pub(crate) fn rules(value: Json, path: Path<'_>) -> Result<Json, Error> {
    bounded_object(value, MAX_RULES, path)
}

fn bounded_object(value: Json, max: usize, path: Path<'_>) -> Result<Json, Error> {
    if !value.is_object() {
        return Err(Error::bad_input(path, "This must be a JSON object."));
    }
    let value = json(value, path)?;
    if value.to_string().len() + unwritten_digits(&value) > max {
        let message = format!(
            "This can have at most {max} bytes as JSON, with numbers as plain decimal digits."
        );
        return Err(Error::bad_input(path, message));
    }
    Ok(value)
}

/// The number of digits that PostgreSQL writes in place of the exponents of numbers: it stores `1e308`
/// as 309 digits.
fn unwritten_digits(value: &Json) -> usize {
    match value {
        Json::Number(number) if number.is_f64() => {
            let digits = number.as_f64().map_or(0, |number| format!("{number}").len());
            digits.saturating_sub(number.to_string().len())
        }
        Json::Array(values) => values.iter().map(unwritten_digits).sum(),
        Json::Object(fields) => fields.values().map(unwritten_digits).sum(),
        _ => 0,
    }
}

/// A value for a column that is never null, if one is given.
pub(crate) fn required<T>(value: MaybeUndefined<T>, path: Path<'_>) -> Result<Option<T>, Error> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Err(Error::bad_input(path, "This cannot be null.")),
        MaybeUndefined::Value(value) => Ok(Some(value)),
    }
}

/// A value for a column that can be null, if one is given. Null clears it.
#[expect(clippy::option_option, reason = "the value is omitted, null or given")]
pub(crate) fn nullable<T, U>(
    value: MaybeUndefined<T>,
    check: impl FnOnce(T) -> Result<U, Error>,
) -> Result<Option<Option<U>>, Error> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(value) => check(value).map(|value| Some(Some(value))),
    }
}

/// A column that is written if a value is given.
pub(crate) fn set<T: Into<sea_orm::Value>>(value: Option<T>) -> ActiveValue<T> {
    value.map_or(ActiveValue::NotSet, ActiveValue::Set)
}
