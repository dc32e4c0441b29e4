//! `/graphql`: GraphQL over HTTP, to the letter of its specification.
//!
//! **Invariants.** The token is verified before anything else of a request is read. A GET executes
//! queries alone. A POST is JSON, which no page of another origin can send without asking first;
//! and as nothing is executed without a token in a header, neither can it send anything else that would
//! be executed.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use campaigns_graphql::{Error, Operation, request::scan, timeout};
use http::{HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use serde_json::{Map, Value as Json};

use super::{
    authenticate::Refusal,
    content::{Answer, is_json},
    respond,
};
use crate::{App, socket};

/// A request that could not be read as one of GraphQL.
struct Unreadable(StatusCode, Error);

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self(StatusCode::BAD_REQUEST, error)
    }
}

pub(crate) async fn handle(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if socket::is_upgrade(&parts) {
        return socket::upgrade(app, parts).await;
    }
    let wanted = Answer::wanted(&parts.headers);
    let answer = wanted.unwrap_or(Answer::Json);

    let (viewer, scope) = match app.authenticate(&parts.headers).await {
        Ok(found) => found,
        Err(Refusal::Unauthenticated(why)) => {
            return respond::refused_as(answer, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", &why);
        }
        Err(Refusal::Failed(error)) => {
            return respond::refused(answer, StatusCode::SERVICE_UNAVAILABLE, error);
        }
    };
    if wanted.is_none() {
        return respond::refused_as(
            answer,
            StatusCode::NOT_ACCEPTABLE,
            "BAD_USER_INPUT",
            "Accept application/graphql-response+json or application/json.",
        );
    }
    let operation = match read(&app, &parts, body).await {
        Ok(operation) => operation,
        Err(Unreadable(status, error)) => {
            return method_hint(respond::refused(answer, status, error));
        }
    };
    let prepared = match app.api.prepare(operation) {
        Ok(prepared) => prepared,
        Err(error) => return respond::not_executed(answer, &error.into_response()),
    };
    if prepared.is_mutation() && parts.method != Method::POST {
        return method_hint(respond::refused_as(
            answer,
            StatusCode::METHOD_NOT_ALLOWED,
            "BAD_USER_INPUT",
            "A mutation is sent by POST.",
        ));
    }

    let request_id = uuid::Uuid::new_v4();
    let execution = app.api.execute(prepared, scope, viewer, app.clock.now(), request_id);
    match tokio::time::timeout(app.settings.query_timeout, execution).await {
        Ok((response, true)) => respond::executed(answer, &response),
        Ok((response, false)) => respond::not_executed(answer, &response),
        Err(_) => respond::executed(answer, &timeout().into_response()),
    }
}

/// Says which methods there are where another was tried.
fn method_hint(mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

async fn read(app: &App, parts: &Parts, body: Body) -> Result<Operation, Unreadable> {
    match parts.method {
        Method::GET => from_query(&parts.uri),
        Method::POST if !is_json(&parts.headers) => Err(Unreadable(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::bad_input("body", "Send application/json."),
        )),
        Method::POST => {
            let max = app.settings.max_body;
            let body = to_bytes(body, max).await.map_err(|_| {
                let message = format!("The body has {max} bytes at most, and ends.");
                Unreadable(StatusCode::PAYLOAD_TOO_LARGE, Error::limit("body", message))
            })?;
            scan::json(&body, 1)?;
            let body = serde_json::from_slice(&body)
                .map_err(|error| Error::bad_input("body", format!("This is no JSON: {error}.")))?;
            operation(body)
        }
        _ => Err(Unreadable(
            StatusCode::METHOD_NOT_ALLOWED,
            Error::bad_input("method", "Operations are sent by POST, or queries by GET."),
        )),
    }
}

/// The operation in the query string of a GET; variables and extensions are JSON text there.
fn from_query(uri: &Uri) -> Result<Operation, Unreadable> {
    let pairs: axum::extract::Query<Vec<(String, String)>> =
        axum::extract::Query::try_from_uri(uri)
            .map_err(|_| Error::bad_input("query", "This is no query string."))?;
    let mut parameters = Map::new();
    for (name, value) in pairs.0 {
        let value = match name.as_str() {
            "variables" | "extensions" if !value.is_empty() => {
                scan::json(value.as_bytes(), 0)?;
                serde_json::from_str(&value).map_err(|error| {
                    Error::bad_input(&name, format!("This is no JSON: {error}."))
                })?
            }
            "variables" | "extensions" => Json::Null,
            _ => Json::String(value),
        };
        parameters.insert(name, value);
    }
    operation(Json::Object(parameters))
}

/// The operation in a request's parameters.
fn operation(parameters: Json) -> Result<Operation, Unreadable> {
    let Json::Object(parameters) = parameters else {
        return Err(Error::bad_input("body", "This must be one JSON object.").into());
    };
    Ok(Operation::from_parameters(parameters)?)
}
