//! The scalars of the schema.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use campaigns_scope::storable_time;
use chrono::{DateTime as ChronoDateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::Value as JsonValue;

/// A point in time in RFC 3339 format, such as `2026-01-31T12:00:00Z`. Input can have any offset;
/// output is in UTC. Digits beyond microseconds are cut off.
#[derive(Clone, Debug)]
pub(crate) struct DateTime(Text);

/// The text is parsed by the resolver, which knows the argument that it came from if it is invalid.
#[derive(Clone, Debug)]
enum Text {
    Sent(String),
    Shown(ChronoDateTime<Utc>),
}

/// A point in time in RFC 3339 format, such as `2026-01-31T12:00:00Z`. Input can have any offset;
/// output is in UTC. Digits beyond microseconds are cut off.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(Text::Sent(text))),
            value => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn to_value(&self) -> Value {
        Value::String(match &self.0 {
            Text::Sent(text) => text.clone(),
            Text::Shown(time) => text(*time),
        })
    }
}

impl DateTime {
    /// The time, if both databases can store it.
    pub(crate) fn parse(&self) -> Option<ChronoDateTime<Utc>> {
        match &self.0 {
            Text::Shown(time) => Some(*time),
            Text::Sent(text) => storable_time(text),
        }
    }
}

/// A time as displayed text.
pub(crate) fn text(time: ChronoDateTime<Utc>) -> String {
    time.trunc_subsecs(6).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl From<ChronoDateTime<Utc>> for DateTime {
    fn from(time: ChronoDateTime<Utc>) -> Self {
        Self(Text::Shown(time))
    }
}

/// Any JSON value.
#[derive(Clone, Debug)]
pub(crate) struct Json(pub(crate) JsonValue);

/// Any JSON value. Its numbers are signed 64-bit integers and doubles. A number with more digits than
/// these keep is `BAD_USER_INPUT`; send it as a string.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        value.into_json().map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        // every JSON value is a GraphQL value
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}
