//! JSON, including JSON that only other programs store.

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, prelude::Json, sea_query::ColumnType};
use serde_json::Map;

use crate::stored::{bytes, stored};

/// JSON in a row. The databases store numbers of any size and nesting of any depth. A number that a double
/// cannot represent is read as a string of its digits, and JSON that is nested too deeply as a string of its
/// text, so that the rest of the row can still be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJson(pub Json);

impl From<Map<String, Json>> for StoredJson {
    fn from(object: Map<String, Json>) -> Self {
        Self(object.into())
    }
}

stored!(StoredJson of Json as ColumnType::JsonBinary);

impl TryGetable for StoredJson {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match Json::try_get_by(row, index) {
            Ok(json) => Ok(Self(json)),
            Err(TryGetError::DbErr(error)) => {
                text(row, index).map(|text| Self(read(&text))).ok_or(error).map_err(Into::into)
            }
            Err(null) => Err(null),
        }
    }
}

/// The text of a value.
fn text<I: ColIdx>(row: &QueryResult, index: I) -> Option<String> {
    let bytes = bytes(row, index)?;
    // the version byte of the binary format
    let bytes = bytes.strip_prefix(&[1]).unwrap_or(&bytes);
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Parses JSON with values that the usual parser rejects.
fn read(text: &str) -> Json {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    {
        written.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = if rest.starts_with('"') { end_of_string(rest) } else { end_of_number(rest) };
        let (token, after) = rest.split_at(end);
        let is_held = token.starts_with('"') || token.parse().is_ok_and(f64::is_finite);
        if is_held {
            written.push_str(token);
        } else {
            written.push_str(&format!("\"{token}\""));
        }
        rest = after;
    }
    written.push_str(rest);
    serde_json::from_str(&written).unwrap_or_else(|_| Json::String(text.to_owned()))
}

fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

fn end_of_number(text: &str) -> usize {
    let is_part = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_a_double_cannot_hold_is_a_string() {
        assert_eq!(
            read(r#"{"a": [1e400, -1.5E+999, 2.5], "1e400": "1e400 \" 1e400", "b": null}"#),
            json!({"a": ["1e400", "-1.5E+999", 2.5], "1e400": "1e400 \" 1e400", "b": null})
        );
        let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(read(&deep), json!(deep));
    }
}
