//! `/graphql`: GraphQL over HTTP, to the letter of its specification.
//!
//! **Invariants.** The token is verified before anything else of a request is read. A GET executes
//! queries alone. A POST is JSON, which no page of another origin can send without asking first;
//! and as nothing is executed without a token in a header, neither can it send anything else that would
//! be executed.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use campaigns_graphql::{Asked, Code, Error, Executed};
use campaigns_operation::{Operation, scan};
use campaigns_scope::Budget;
use http::{HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use serde_json::{Map, Value as Json};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Unreadable,
    authenticate::Refusal,
    body,
    content::{Answer, is_json},
    respond,
};
use crate::{App, observe::Observed, socket};

pub(crate) async fn handle(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if socket::is_upgrade(&parts) {
        return socket::upgrade(app, &mut parts).await;
    }
    let wanted = Answer::wanted(&parts.headers);
    let answer = wanted.unwrap_or(Answer::Json);

    let (viewer, scope) = match app.authenticate(&parts.headers).await {
        Ok(found) => found,
        Err(Refusal::Unauthenticated(why)) => {
            app.operations.refused(Code::Unauthenticated);
            return respond::refused_as(answer, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", &why);
        }
        Err(Refusal::Refused(status, error)) => {
            app.operations.refused(error.code());
            return respond::refused(answer, status, error);
        }
        Err(Refusal::Failed(error)) => {
            app.operations.refused(error.code());
            return respond::refused(answer, StatusCode::SERVICE_UNAVAILABLE, error);
        }
    };
    if wanted.is_none() {
        app.operations.refused(Code::BadUserInput);
        return respond::refused_as(
            answer,
            StatusCode::NOT_ACCEPTABLE,
            "BAD_USER_INPUT",
            "Accept application/graphql-response+json or application/json.",
        );
    }
    let budget = scope.operation_budget();
    let operation = match read(&app, &parts, body, &budget).await {
        Ok(operation) => operation,
        Err(Unreadable(status, error)) => {
            app.operations.refused(error.code());
            return method_hint(respond::refused(answer, status, error));
        }
    };
    let request_id = Uuid::new_v4();
    let mut observed = Observed::begin(&app, scope.organization(), request_id);
    let prepared = match app.api.prepare(operation) {
        Ok(prepared) => prepared,
        Err(error) => {
            observed.end(Some(error.code()));
            return respond::not_executed(answer, &error.into_response());
        }
    };
    observed.is(prepared.about(), Some(&parts.headers));
    if prepared.is_mutation() && parts.method != Method::POST {
        observed.end(Some(Code::BadUserInput));
        return method_hint(respond::refused_as(
            answer,
            StatusCode::METHOD_NOT_ALLOWED,
            "BAD_USER_INPUT",
            "A mutation is sent by POST.",
        ));
    }

    let asked =
        Asked { scope, budget: Some(budget.clone()), viewer, now: app.clock.now(), request_id };
    let time = app.settings.query_timeout;
    let reading = app.settings.timeouts.answer();
    match app.api.execute(prepared, asked, time).instrument(observed.span()).await {
        Ok(Executed { text, code }) => {
            observed.end(code);
            respond::executed(answer, text, reading, budget)
        }
        Err(response) => {
            observed.end(Code::of(&response));
            respond::not_executed(answer, &response)
        }
    }
}

/// Says which methods there are where another was tried.
fn method_hint(mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

async fn read(
    app: &App,
    parts: &Parts,
    body: Body,
    budget: &Budget,
) -> Result<Operation, Unreadable> {
    match parts.method {
        Method::GET => from_query(&parts.uri, budget),
        Method::POST if !is_json(&parts.headers) => Err(Unreadable(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::bad_input("body", "Send application/json."),
        )),
        Method::POST => {
            let (max, time) = (app.settings.max_body, app.settings.timeouts.body);
            let body = body::read(body, max, time, budget).await?;
            operation(json("body", &body, 1, budget)?)
        }
        _ => Err(Unreadable(
            StatusCode::METHOD_NOT_ALLOWED,
            Error::bad_input("method", "Operations are sent by POST, or queries by GET."),
        )),
    }
}

/// JSON as it came in: bounded before it is read, and drawn from the budget.
fn json(name: &str, text: &[u8], extra: usize, budget: &Budget) -> Result<Json, Unreadable> {
    scan::json(text, extra)?;
    budget.draw(campaigns_scope::json_weight(text))?;
    let json = serde_json::from_slice(text);
    Ok(json.map_err(|error| Error::bad_input(name, format!("This is no JSON: {error}.")))?)
}

/// The operation in the query string of a GET; variables and extensions are JSON text there.
fn from_query(uri: &Uri, budget: &Budget) -> Result<Operation, Unreadable> {
    let pairs: axum::extract::Query<Vec<(String, String)>> =
        axum::extract::Query::try_from_uri(uri)
            .map_err(|_| Error::bad_input("query", "This is no query string."))?;
    let mut parameters = Map::new();
    for (name, value) in pairs.0 {
        let value = match name.as_str() {
            "variables" | "extensions" if !value.is_empty() => {
                json(&name, value.as_bytes(), 0, budget)?
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
