//! What a request asks for, read from its query string or its body.

use std::{sync::Arc, time::Instant};

use axum::{body::Body, extract::Query};
use campaigns_graphql::Error;
use campaigns_operation::{Memory, Operation, RoundedNumbers, scan};
use campaigns_scope::{Budget, Scope, Viewer, json_weight, parsed_objects_weight};
use http::{Method, StatusCode, Uri, request::Parts};
use serde_json::{Map, Value as Json};

use super::{
    body,
    content::{encoding, is_json},
    unreadable::Unreadable,
};
use crate::{App, caller::Caller, input, listen::peer::Peer};

/// What a request asks for.
pub(super) enum Request {
    One(Operation),
    /// A batch, if batches are enabled: each operation, or the reason why it could not be read.
    Several(Vec<Result<Operation, Unreadable>>),
}

/// An authorized caller, and the budget of bytes for its request.
pub(super) struct Requester {
    pub(super) app: App,
    pub(super) peer: Peer,
    pub(super) caller: Caller,
    pub(super) viewer: Viewer,
    pub(super) scope: Scope,
    pub(super) budget: Arc<Budget>,
}

impl Requester {
    /// Reads the operations of the request.
    pub(super) async fn read(&self, parts: &Parts, body: Body) -> Result<Request, Unreadable> {
        let Self { app, scope, budget, .. } = self;
        match parts.method {
            Method::GET => Ok(Request::One(from_query(&parts.uri, budget)?)),
            Method::POST if !is_json(&parts.headers) => Err(Unreadable(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Error::bad_input("body", "Send application/json."),
            )),
            Method::POST => {
                if let Some(encoding) = encoding(&parts.headers)? {
                    let why = format!("Send the body without this encoding: {encoding}.");
                    let error = Error::bad_input("Content-Encoding", why);
                    return Err(Unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
                }
                let (max, time) = (app.settings.max_body, app.settings.timeouts.body);
                let body = body::read(body, max, time, budget).await?;
                let deadline = Instant::now() + app.settings.query_timeout;
                let read = input::read(scope, deadline, body.len(), {
                    let budget = Arc::clone(budget);
                    move || json("body", &body, 1, &budget)
                });
                let (json, source) = read.await??;
                match json {
                    Json::Array(several) if app.settings.max_batch > 1 => {
                        if several.len() > app.settings.max_batch {
                            let message = format!(
                                "A request can have at most {} operations.",
                                app.settings.max_batch
                            );
                            return Err(Error::limit("body", message).into());
                        }
                        let operation = |one| operation(one, &source);
                        Ok(Request::Several(several.into_iter().map(operation).collect()))
                    }
                    one => Ok(Request::One(operation(one, &source)?)),
                }
            }
            _ => Err(Unreadable(
                StatusCode::METHOD_NOT_ALLOWED,
                Error::bad_input("method", "Send operations with POST, or queries with GET."),
            )),
        }
    }
}

/// What operations keep of the text that they were read from.
#[derive(Default)]
struct Source {
    rounded: Arc<RoundedNumbers>,
    memory: Memory,
}

/// Parses received JSON, bounded before it is read, and drawn from the budget.
fn json(
    name: &str,
    text: &[u8],
    extra: usize,
    budget: &Arc<Budget>,
) -> Result<(Json, Source), Unreadable> {
    let rounded = scan::json(text, extra)?.into();
    budget.draw(json_weight(text))?;
    let objects = budget.hold(parsed_objects_weight(text))?;
    let json = serde_json::from_slice(text);
    let json =
        json.map_err(|error| Error::bad_input(name, format!("This is not valid JSON: {error}.")))?;
    Ok((json, Source { rounded, memory: Some(Arc::new(objects)) }))
}

/// The operation in the query string of a GET, in which variables and extensions are JSON text.
fn from_query(uri: &Uri, budget: &Arc<Budget>) -> Result<Operation, Unreadable> {
    let pairs: Query<Vec<(String, String)>> = Query::try_from_uri(uri)
        .map_err(|_| Error::bad_input("query", "This is not a valid query string."))?;
    let (mut parameters, mut source) = (Map::new(), Source::default());
    for (name, value) in pairs.0 {
        let value = match name.as_str() {
            "variables" | "extensions" if !value.is_empty() => {
                let (json, found) = json(&name, value.as_bytes(), 0, budget)?;
                if name == "variables" {
                    source = found;
                }
                json
            }
            "variables" | "extensions" => Json::Null,
            _ => Json::String(value),
        };
        if parameters.contains_key(&name) {
            return Err(Error::bad_input(name, "This parameter is given twice.").into());
        }
        parameters.insert(name, value);
    }
    operation(Json::Object(parameters), &source)
}

/// The operation in a request's parameters.
fn operation(parameters: Json, source: &Source) -> Result<Operation, Unreadable> {
    let Json::Object(parameters) = parameters else {
        return Err(Error::bad_input("body", "This must be one JSON object.").into());
    };
    let operation = Operation::from_parameters(parameters, Arc::clone(&source.rounded))?;
    Ok(Operation { memory: source.memory.clone(), ..operation })
}
