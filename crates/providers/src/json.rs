//! JSON, read leniently: numbers can be texts and texts numbers, and one value can be a list.
//!
//! **Invariants.**
//! - A value is parsed when a provider's file reads it, and never before. Fields that are not read can be
//!   nested to any depth, and can hold numbers and escapes that no type can represent.
//! - Nothing here recurses.

use std::{borrow::Cow, fmt, marker::PhantomData};

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    bounds::{MAX_ELEMENTS, MAX_EVENTS, MAX_FIELDS, MAX_MESSAGE_ID, MAX_TEXT, start},
    times,
};

/// The text of one JSON value.
#[derive(Clone, Copy)]
pub(crate) struct Json<'a>(&'a str);

/// A JSON object: its fields, in their order.
#[derive(Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// The reason why a body has no events to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is not JSON, or neither an object nor a list.
    Unreadable,
    /// It is a list of more than [`MAX_EVENTS`].
    TooMany,
}

/// The events of a body: the elements of a list, or the object that it is.
pub(crate) fn events(body: &str) -> Result<Vec<Json<'_>>, BodyError> {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.starts_with('{') {
        let whole: &RawValue = serde_json::from_str(body).map_err(|_| BodyError::Unreadable)?;
        return Ok(vec![Json(whole.get())]);
    }
    let list = Json(body).elements(MAX_EVENTS + 1).ok_or(BodyError::Unreadable)?;
    if list.len() > MAX_EVENTS { Err(BodyError::TooMany) } else { Ok(list) }
}

impl<'a> Json<'a> {
    /// Parses a JSON text.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text).ok().map(|whole| Self(whole.get()))
    }

    /// The object, if this is one.
    pub(crate) fn object(self) -> Option<Object<'a>> {
        serde_json::from_str::<Fields<'a>>(self.0).ok().map(|fields| Object(fields.0))
    }

    /// The elements, if this is a list.
    pub(crate) fn list(self) -> Option<Vec<Json<'a>>> {
        self.elements(MAX_ELEMENTS)
    }

    fn elements(self, most: usize) -> Option<Vec<Json<'a>>> {
        let mut parser = serde_json::Deserializer::from_str(self.0);
        let list = parser.deserialize_seq(Elements { most, lifetime: PhantomData }).ok()?;
        parser.end().ok()?;
        Some(list)
    }

    /// A text as it is, or the digits of a number.
    pub(crate) fn exact(self) -> Option<String> {
        match self.0.bytes().next()? {
            b'"' => serde_json::from_str::<Text>(self.0).ok().map(|text| text.0),
            b'-' | b'0'..=b'9' => Some(self.0.to_owned()),
            _ => None,
        }
    }

    /// A text, or the digits of a number. Without surrounding white space, never empty, and of bounded length.
    pub(crate) fn text(self) -> Option<String> {
        let text = self.exact()?;
        let trimmed = start(text.trim(), MAX_TEXT);
        if trimmed.is_empty() {
            None
        } else if trimmed.len() == text.len() {
            Some(text)
        } else {
            Some(trimmed.to_owned())
        }
    }

    /// A text or a list of texts.
    pub(crate) fn texts(self) -> Vec<String> {
        match self.list() {
            Some(list) => list.into_iter().filter_map(Json::text).collect(),
            None => self.text().into_iter().collect(),
        }
    }

    /// A boolean, which can be a text or a number.
    pub(crate) fn flag(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => match self.text()?.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
        }
    }
}

impl<'a> Object<'a> {
    /// A field. If several have the name, the last.
    pub(crate) fn get(&self, name: &str) -> Option<Json<'a>> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// The names of the fields, with their values.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// A field that is an object. Empty if it is anything else.
    pub(crate) fn object(&self, name: &str) -> Object<'a> {
        self.get(name).and_then(Json::object).unwrap_or_default()
    }

    /// A field that is a list. Empty if it is anything else.
    pub(crate) fn list(&self, name: &str) -> Vec<Json<'a>> {
        self.get(name).and_then(Json::list).unwrap_or_default()
    }

    /// See [`Json::text`].
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.text()
    }

    /// The ID of a message, if it is not too long for one.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        // with angle brackets
        self.text(name).filter(|id| id.len() <= MAX_MESSAGE_ID + 2)
    }

    /// See [`Json::text`]. Empty if there is none, which is what keys of events are made of.
    pub(crate) fn part(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// See [`word`]. Empty if there is none.
    pub(crate) fn word(&self, name: &str) -> String {
        self.text(name).map(|text| word(&text)).unwrap_or_default()
    }

    /// See [`Json::texts`].
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.get(name).map(Json::texts).unwrap_or_default()
    }

    /// See [`Json::flag`]. False if there is none.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Json::flag).unwrap_or(false)
    }

    /// A time in any of the formats of [`times`].
    pub(crate) fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        times::parse(&self.text(name)?)
    }
}

/// A word to compare: letters and digits, in lower case.
pub(crate) fn word(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

struct Elements<'a> {
    most: usize,
    lifetime: PhantomData<&'a ()>,
}

impl<'de> Visitor<'de> for Elements<'de> {
    type Value = Vec<Json<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.most {
            let Some(element) = list.next_element::<&'de RawValue>()? else { return Ok(elements) };
            elements.push(Json(element.get()));
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements)
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    let value = map.next_value::<&'de RawValue>()?;
                    if fields.len() < MAX_FIELDS {
                        fields.push((name.0, Json(value.get())));
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a field, which borrows from the body if it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Letters;

        impl<'de> Visitor<'de> for Letters {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Letters)
    }
}

/// A text. Unpaired surrogates, which remain if a provider cuts a text, become U+FFFD.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Letters;

        impl Visitor<'_> for Letters {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(Letters)
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyError, Json, events};
    use crate::bounds::MAX_EVENTS;

    fn text(json: &str) -> Option<String> {
        Json::parse(json).expect("JSON").text()
    }

    #[test]
    fn texts_and_numbers_are_the_same() {
        assert_eq!(text("31415926535897932384626433"), text(r#""31415926535897932384626433""#));
        assert_eq!(text(" \" spaced \" ").as_deref(), Some("spaced"));
        assert_eq!(text(r#""""#), None);
        assert_eq!(text("null"), None);
        assert_eq!(text("[1]"), None);
        assert_eq!(
            text(r#""half \ud83d pair""#).as_deref(),
            Some("half \u{fffd}\u{fffd}\u{fffd} pair")
        );
    }

    #[test]
    fn a_field_that_is_not_read_does_not_matter() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let body = format!(
            r#"[{{"a":1,"deep":{deep},"huge":1e999999,"half":"\ud800","a":"2"}},{{"a":3}}]"#
        );
        let events = events(&body).expect("two events");
        let texts: Vec<_> =
            events.iter().map(|event| event.object().expect("an object").text("a")).collect();
        assert_eq!(texts, [Some("2".to_owned()), Some("3".to_owned())]);
    }

    #[test]
    fn a_body_is_an_object_or_a_list() {
        assert_eq!(events("\u{feff} {} \r\n").map(|events| events.len()), Ok(1));
        assert_eq!(events("[]\r\n").map(|events| events.len()), Ok(0));
        for wrong in ["", "null", "3", "\"text\"", "{", "[1,", "[1] 2", "{} {}", "a=b"] {
            assert_eq!(events(wrong).err(), Some(BodyError::Unreadable), "{wrong}");
        }
        let list = |length: usize| format!("[{}]", vec!["{}"; length].join(","));
        assert_eq!(events(&list(MAX_EVENTS)).map(|events| events.len()), Ok(MAX_EVENTS));
        assert_eq!(events(&list(MAX_EVENTS + 1)).err(), Some(BodyError::TooMany));
    }

    #[test]
    fn flags_are_read_in_each_form() {
        let flag = |json: &str| Json::parse(json).expect("JSON").flag();
        for yes in ["true", "1", "\"true\"", "\"True\"", "\"1\""] {
            assert_eq!(flag(yes), Some(true), "{yes}");
        }
        for no in ["false", "0", "\"false\""] {
            assert_eq!(flag(no), Some(false), "{no}");
        }
        assert_eq!(flag("null"), None);
        assert_eq!(flag("{}"), None);
    }
}
