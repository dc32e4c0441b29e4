//! Parses values in rules by the type of the field.

use std::borrow::Cow;

use campaigns_entity::contact::ContactType;
use campaigns_scope::{MAX_PART, storable_time};
use chrono::TimeDelta;
use sea_orm::{ActiveEnum, Iterable};
use serde_json::{Number, Value as Json};
use uuid::Uuid;

use crate::{
    error::RuleError,
    operators::{Kind, Test},
    rules::{Time, Value},
};

/// The value of an operator with one value.
pub(crate) fn one(kind: Kind, test: Test, json: &Json) -> Result<Value, RuleError> {
    let value = value(kind, json)?;
    let is_part = matches!(test, Test::Contains | Test::BeginsWith | Test::EndsWith);
    match &value {
        Value::Text(part) if is_part && part.chars().count() > MAX_PART => {
            Err(RuleError::new(format!("This may have up to {MAX_PART} characters.")))
        }
        Value::Text(_) => Ok(value),
        _ if is_part => Err(RuleError::new("This must be text.")),
        Value::Boolean(_) if test != Test::Equal => {
            Err(RuleError::new("True and false cannot be ordered."))
        }
        _ => Ok(value),
    }
}

/// The values of an operator with several values: an array, or comma-separated text.
pub(crate) enum Items<'a> {
    Array(&'a [Json]),
    Text(Vec<String>),
}

impl<'a> Items<'a> {
    pub(crate) fn of(json: &'a Json) -> Result<Self, RuleError> {
        match json {
            Json::Array(values) => Ok(Self::Array(values)),
            Json::String(text) => Ok(Self::Text(split(text))),
            _ => Err(RuleError::new("This must be a list, or text with commas.")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Array(values) => values.len(),
            Self::Text(items) => items.len(),
        }
    }

    pub(crate) fn value(&self, kind: Kind, index: usize) -> Result<Value, RuleError> {
        let json = match self {
            Self::Array(values) => Cow::Borrowed(&values[index]),
            Self::Text(items) => Cow::Owned(Json::String(items[index].clone())),
        };
        value(kind, &json).map_err(|error| self.at(index, error))
    }

    /// The error for an invalid value.
    pub(crate) fn fault(&self, index: usize, message: &str) -> RuleError {
        self.at(index, RuleError::new(message))
    }

    fn at(&self, index: usize, error: RuleError) -> RuleError {
        match self {
            Self::Array(_) => error.within(index),
            Self::Text(_) => error,
        }
    }
}

/// Splits comma-separated text in the editor's format: spaces around an item are ignored, blank items are
/// dropped, and a comma after a backslash is part of its item.
fn split(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let item = items.last_mut().expect("there is always one");
        match character {
            '\\' if characters.next_if_eq(&',').is_some() => item.push(','),
            ',' => items.push(String::new()),
            other => item.push(other),
        }
    }
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.map(ToOwned::to_owned).collect()
}

fn value(kind: Kind, json: &Json) -> Result<Value, RuleError> {
    match (kind, json) {
        (Kind::Text | Kind::Json, Json::String(text)) => {
            if text.contains('\0') {
                return Err(RuleError::new("Text cannot contain a NUL character."));
            }
            Ok(Value::Text(text.clone()))
        }
        (Kind::Number | Kind::Json, Json::Number(number)) => Ok(Value::Number(number.clone())),
        (Kind::Boolean | Kind::Json, Json::Bool(value)) => Ok(Value::Boolean(*value)),
        // the editor's number field exports text
        (Kind::Number, Json::String(text)) => {
            number(text).map(Value::Number).ok_or_else(|| wrong(kind))
        }
        (Kind::ContactType, Json::String(text)) => {
            ContactType::try_from_value(text).map(Value::Type).map_err(|_| wrong(kind))
        }
        (Kind::Id | Kind::Campaign, Json::String(text)) => match Uuid::try_parse(text) {
            // only the hyphenated format of UUIDs
            Ok(id) if text.len() == 36 => Ok(Value::Id(id)),
            _ => Err(wrong(kind)),
        },
        (Kind::Time, Json::String(text)) => time(text).map(Value::Time).ok_or_else(|| wrong(kind)),
        _ => Err(wrong(kind)),
    }
}

/// Parses a number in the editor's formats, which are more than JSON's: `01`, `.5`, `5.`, `+5`.
fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + part.len() == 0 || !are_digits(whole) || !are_digits(part) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}{exponent}").parse().ok()
}

fn wrong(kind: Kind) -> RuleError {
    RuleError::new(match kind {
        Kind::Text => "This must be text.",
        Kind::ContactType => return RuleError::new(contact_types()),
        Kind::Id | Kind::Campaign => "This must be a UUID.",
        Kind::Time => {
            "This must be a time: 2026-01-31T12:00:00Z, 2026-01-31, or -30d, -12h or -2w."
        }
        Kind::Json => "This must be text, a number, true or false.",
        Kind::Number => "This must be a number.",
        Kind::Boolean => "This must be true or false.",
    })
}

fn contact_types() -> String {
    let names: Vec<String> = ContactType::iter().map(|of| of.to_value()).collect();
    let (last, others) = names.split_last().expect("there are several");
    format!("This must be {} or {last}.", others.join(", "))
}

fn time(text: &str) -> Option<Time> {
    if let Some(ago) = text.strip_prefix('-') {
        let unit = ago.chars().next_back()?;
        let digits = ago.strip_suffix(unit)?;
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let amount = i64::from(digits.parse::<u32>().ok()?);
        return match unit {
            'h' => TimeDelta::try_hours(amount),
            'd' => TimeDelta::try_days(amount),
            'w' => TimeDelta::try_weeks(amount),
            _ => None,
        }
        .map(Time::Ago);
    }
    // a date starts at midnight UTC
    let midnight = (text.len() == 10).then(|| storable_time(&format!("{text}T00:00:00Z")));
    midnight.unwrap_or_else(|| storable_time(text)).map(Time::At)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_in_all_formats_of_the_editor() {
        for (text, is) in [
            ("007", "7"),
            ("01", "1"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("+5", "5"),
            (" 0 ", "0"),
            ("000", "0"),
            ("1e3", "1e3"),
            ("-0.50", "-0.50"),
            ("00.10E+2", "0.10E+2"),
        ] {
            assert_eq!(number(text), Some(is.parse().unwrap()), "{text}");
        }
        for text in [
            "", " ", ".", "-", "+-5", "--5", "1.2.3", "0x10", "1 2", "1e", "e3", "Infinity", "NaN",
            "٣", "1_000",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
