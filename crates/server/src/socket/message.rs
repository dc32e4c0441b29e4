//! The messages of the protocol.

use async_graphql::ServerError;
use campaigns_operation::{Operation, RoundedNumbers, scan};
use serde_json::{Map, Value as Json, json};

use crate::caller::ORGANIZATION;

/// The maximum number of bytes in the ID of an operation.
const MAX_ID: usize = 1_000;

/// A message from a peer.
pub(super) enum Received {
    ConnectionInit { token: Option<String>, organization: Option<String> },
    Ping { payload: Option<Json> },
    Pong,
    Subscribe { id: String, operation: Operation },
    Complete { id: String },
}

/// Why a message violates the protocol: the reason for a close with 4400.
pub(super) struct Invalid(pub(super) String);

impl Received {
    /// Reads a message.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid(why.to_owned());
        // the message, its payload and the values in it
        let rounded = scan::json(text.as_bytes(), 2)
            .map_err(|_| invalid("The message is nested too deeply or is too long"))?;
        let Ok(Json::Object(mut message)) = serde_json::from_str(text) else {
            return Err(invalid("The message is not a JSON object"));
        };
        let Some(Json::String(kind)) = message.remove("type") else {
            return Err(invalid("The message has no type"));
        };
        match kind.as_str() {
            "connection_init" => {
                let payload = optional(&mut message)?.unwrap_or_default();
                // one that cannot be read is not valid, as in a header
                let token = member(&payload, "Authorization").ok().flatten();
                let organization = member(&payload, ORGANIZATION)?;
                Ok(Self::ConnectionInit { token, organization })
            }
            "ping" => Ok(Self::Ping { payload: optional(&mut message)?.map(Json::Object) }),
            "pong" => optional(&mut message).map(|_| Self::Pong),
            "subscribe" => {
                let id = id(&mut message)?;
                let payload = optional(&mut message)?
                    .ok_or_else(|| invalid("A subscribe needs a payload"))?;
                Ok(Self::Subscribe { id, operation: operation(payload, rounded)? })
            }
            "complete" => Ok(Self::Complete { id: id(&mut message)? }),
            _ => Err(invalid("The type of the message is unknown")),
        }
    }
}

/// The text of a member of a `connection_init`, in any case.
fn member(payload: &Map<String, Json>, wanted: &str) -> Result<Option<String>, Invalid> {
    let mut values = payload.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let value = match (values.next(), values.next()) {
        (Some(_), Some(_)) => {
            return Err(Invalid(format!("The payload has {wanted} twice")));
        }
        (value, _) => value.map(|(_, value)| value),
    };
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Invalid(format!("The payload's {wanted} is not text"))),
    }
}

fn id(message: &mut Map<String, Json>) -> Result<String, Invalid> {
    match message.remove("id") {
        Some(Json::String(id)) if id.len() > MAX_ID => {
            Err(Invalid("The id of the message is too long".to_owned()))
        }
        Some(Json::String(id)) if !id.is_empty() => Ok(id),
        _ => Err(Invalid("The message needs an id".to_owned())),
    }
}

/// The payload, if there is one, which must be an object.
fn optional(message: &mut Map<String, Json>) -> Result<Option<Map<String, Json>>, Invalid> {
    match message.remove("payload") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err(Invalid("The payload must be an object".to_owned())),
    }
}

fn operation(payload: Map<String, Json>, rounded: RoundedNumbers) -> Result<Operation, Invalid> {
    Operation::from_parameters(payload, rounded.into()).map_err(|error| match error.field {
        Some(field) => Invalid(format!("The payload's {field} is invalid")),
        None => Invalid("The payload is not an operation".to_owned()),
    })
}

pub(super) fn connection_ack() -> String {
    json!({ "type": "connection_ack" }).to_string()
}

pub(super) fn ping() -> String {
    json!({ "type": "ping" }).to_string()
}

pub(super) fn pong(payload: Option<Json>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// A result, which is already JSON.
pub(super) fn next(id: &str, payload: &str) -> String {
    format!("{{\"id\":{},\"type\":\"next\",\"payload\":{payload}}}", Json::from(id))
}

pub(super) fn error(id: &str, errors: &[ServerError]) -> String {
    json!({ "id": id, "type": "error", "payload": errors }).to_string()
}

pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any JSON, and members that messages have.
    fn anything() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            prop::sample::select(vec![
                "connection_init",
                "subscribe",
                "complete",
                "ping",
                "pong",
                "1",
                "{ a }",
                "Bearer x",
            ])
            .prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let name = prop_oneof![
                4 => prop::sample::select(vec![
                    "type", "id", "payload", "query", "variables", "operationName", "extensions",
                    "documentId", "Authorization", "X-Organization-Id",
                ])
                .prop_map(str::to_owned),
                1 => ".{0,6}",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((name, inner), 0..6)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_message_is_taken_or_refused_with_a_reason_that_fits_a_close_frame(message in anything()) {
            if let Err(Invalid(why)) = Received::parse(&message.to_string()) {
                prop_assert!(!why.is_empty() && why.len() <= 123, "{}", why);
            }
        }

        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,200}") {
            Received::parse(&text).ok();
        }
    }
}
