//! The messages of the protocol.

use async_graphql::ServerError;
use campaigns_graphql::{Operation, request::scan};
use serde_json::{Map, Value as Json, json};

/// What a peer may say.
pub(super) enum Received {
    ConnectionInit { token: Option<String> },
    Ping { payload: Option<Json> },
    Pong,
    Subscribe { id: String, operation: Operation },
    Complete { id: String },
}

/// Why a message is none of the protocol: the reason for a close with 4400.
pub(super) struct Invalid(pub(super) String);

impl Received {
    /// Reads a message.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid(why.to_owned());
        // the message, its payload and the values in that
        scan::json(text.as_bytes(), 2)
            .map_err(|_| invalid("The message nests too deep or is too long"))?;
        let Ok(Json::Object(mut message)) = serde_json::from_str(text) else {
            return Err(invalid("The message is no JSON object"));
        };
        let Some(Json::String(kind)) = message.remove("type") else {
            return Err(invalid("The message has no type"));
        };
        match kind.as_str() {
            "connection_init" => {
                let payload = optional(&mut message)?.unwrap_or_default();
                let authorization = payload
                    .into_iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
                let token = match authorization {
                    Some((_, Json::String(value))) => Some(value),
                    _ => None,
                };
                Ok(Self::ConnectionInit { token })
            }
            "ping" => Ok(Self::Ping { payload: optional(&mut message)?.map(Json::Object) }),
            "pong" => optional(&mut message).map(|_| Self::Pong),
            "subscribe" => {
                let id = id(&mut message)?;
                let payload = optional(&mut message)?
                    .ok_or_else(|| invalid("A subscribe needs a payload"))?;
                Ok(Self::Subscribe { id, operation: operation(payload)? })
            }
            "complete" => Ok(Self::Complete { id: id(&mut message)? }),
            _ => Err(invalid("The type of the message is unknown")),
        }
    }
}

fn id(message: &mut Map<String, Json>) -> Result<String, Invalid> {
    match message.remove("id") {
        Some(Json::String(id)) if !id.is_empty() => Ok(id),
        _ => Err(Invalid("The message needs an id".to_owned())),
    }
}

/// A payload, where there is one: an object.
fn optional(message: &mut Map<String, Json>) -> Result<Option<Map<String, Json>>, Invalid> {
    match message.remove("payload") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err(Invalid("The payload must be an object".to_owned())),
    }
}

fn operation(mut payload: Map<String, Json>) -> Result<Operation, Invalid> {
    let Some(Json::String(query)) = payload.remove("query") else {
        return Err(Invalid("The payload needs a query".to_owned()));
    };
    let operation_name = match payload.remove("operationName") {
        None | Some(Json::Null) => None,
        Some(Json::String(name)) if name.is_empty() => None,
        Some(Json::String(name)) => Some(name),
        Some(_) => return Err(Invalid("operationName must be text".to_owned())),
    };
    let mut object = |name: &str| match payload.remove(name) {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(Invalid(format!("{name} must be an object"))),
    };
    let variables = object("variables")?;
    object("extensions")?;
    Ok(Operation { query, operation_name, variables })
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

/// A result, which is JSON already.
pub(super) fn next(id: &str, payload: &str) -> String {
    format!("{{\"id\":{},\"type\":\"next\",\"payload\":{payload}}}", Json::from(id))
}

pub(super) fn error(id: &str, errors: &[ServerError]) -> String {
    json!({ "id": id, "type": "error", "payload": errors }).to_string()
}

pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}
