//! The responses of `/graphql`.

use std::{any::Any, sync::Arc, time::Duration};

use async_graphql::Response as GraphqlResponse;
use axum::{body::Body, response::Response};
use campaigns_graphql::{
    Code, Error,
    error::{is_passing, retry_after},
};
use campaigns_scope::Budget;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{body::ResponseBody, content::MediaType, status::status};

/// The response to an executed operation, which must be read within a time. It holds the
/// operation's budget until then.
pub(crate) fn executed(
    media_type: MediaType,
    text: String,
    time: Duration,
    budget: Arc<Budget>,
) -> Response {
    send(media_type, StatusCode::OK, ResponseBody::body(text, time, budget))
}

/// The response to a request without data.
pub(crate) fn not_executed(media_type: MediaType, response: &GraphqlResponse) -> Response {
    let code = Code::of(response).unwrap_or(Code::Internal);
    let status = match (status(code, is_passing(response)), media_type) {
        (StatusCode::BAD_REQUEST, MediaType::Json | MediaType::EventStream) => StatusCode::OK,
        (status, _) => status,
    };
    let mut sent = send(media_type, status, body(response));
    if sent.headers().contains_key(header::RETRY_AFTER) {
        sent.headers_mut().insert(header::RETRY_AFTER, retry_after(response).into());
    }
    sent
}

/// The response to a request that is rejected with this status, also for clients that ignore statuses.
pub(crate) fn refused(media_type: MediaType, status: StatusCode, error: Error) -> Response {
    send(media_type, status, body(&error.into_response()))
}

/// The `Retry-After` of a response.
pub(crate) fn retry_after_of(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}

/// The `Retry-After` that a GraphQL response would have, for one that is part of another response.
pub(crate) fn retry_after_in(response: &GraphqlResponse) -> Option<Duration> {
    is_passing(response).then(|| Duration::from_secs(retry_after(response)))
}

/// The response to any request while the service is unavailable.
pub(crate) fn unavailable(error: Error) -> Response {
    refused(MediaType::Json, StatusCode::SERVICE_UNAVAILABLE, error)
}

/// The response to a request that fails before it is read as GraphQL.
pub(crate) fn refused_as(
    media_type: MediaType,
    status: StatusCode,
    code: Code,
    message: &str,
) -> Response {
    let error = json!({ "message": message, "extensions": { "code": code.as_str() } });
    send(media_type, status, json!({ "errors": [error] }).to_string())
}

/// The response to a request that panicked.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // the panic itself is already in the log
    let id = uuid::Uuid::new_v4();
    tracing::error!(request_id = %id, "a request panicked");
    metrics::counter!("campaigns_panics_total").increment(1);
    refused_as(
        MediaType::Json,
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::Internal,
        &format!("Something went wrong. The log has the details under {id}."),
    )
}

fn send(media_type: MediaType, status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A response without `data`, since nothing was executed.
fn body(response: &GraphqlResponse) -> String {
    json!({ "errors": response.errors }).to_string()
}
