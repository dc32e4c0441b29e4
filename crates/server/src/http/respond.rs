//! Answers of `/graphql`.

use std::{any::Any, sync::Arc, time::Duration};

use async_graphql::Response as GraphqlResponse;
use axum::{body::Body, response::Response};
use campaigns_graphql::{Error, error::is_passing};
use campaigns_operation::error::code_of;
use campaigns_scope::Budget;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{body::Answered, content::Answer};

/// The answer to an operation that was executed, to be read within a time; it holds the operation's
/// budget until it is.
pub(crate) fn executed(
    answer: Answer,
    text: String,
    time: Duration,
    budget: Arc<Budget>,
) -> Response {
    send(answer, StatusCode::OK, Answered::body(text, time, budget))
}

/// The answer to a request that was not executed: 503 or 429 where it may be later, and otherwise, to
/// a client that reads the status, 400.
pub(crate) fn not_executed(answer: Answer, response: &GraphqlResponse) -> Response {
    let code = response.errors.first().and_then(code_of);
    let is_passing = is_passing(response);
    let status = match (code, answer) {
        (Some("UNAVAILABLE"), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Some("LIMIT_EXCEEDED"), _) if is_passing => StatusCode::TOO_MANY_REQUESTS,
        (_, Answer::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (_, Answer::Json) => StatusCode::OK,
    };
    send(answer, status, body(response))
}

/// The answer to a request that is refused with a status, whatever the client reads.
pub(crate) fn refused(answer: Answer, status: StatusCode, error: Error) -> Response {
    send(answer, status, body(&error.into_response()))
}

/// The answer to a request that says nothing of GraphQL yet.
pub(crate) fn refused_as(
    answer: Answer,
    status: StatusCode,
    code: &str,
    message: &str,
) -> Response {
    let error = json!({ "message": message, "extensions": { "code": code } });
    send(answer, status, json!({ "errors": [error] }).to_string())
}

/// The answer to a request that met a defect.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // the panic itself is in the log already
    let id = uuid::Uuid::new_v4();
    tracing::error!(request_id = %id, "a request panicked");
    metrics::counter!("campaigns_panics_total").increment(1);
    refused_as(
        Answer::Json,
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        &format!("Something went wrong; the log has it under {id}."),
    )
}

fn send(answer: Answer, status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, answer.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A response without `data`, as nothing was executed.
fn body(response: &GraphqlResponse) -> String {
    json!({ "errors": response.errors }).to_string()
}
