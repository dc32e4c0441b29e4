//! `/graphql`: GraphQL over HTTP, strictly by its specification.
//!
//! **Invariants.** The token is verified before the rest of a request is read. A GET executes only
//! queries. A POST is JSON, which no page of another origin can send without a preflight request.
//! Since nothing is executed without a token in a header, such a page cannot send anything else
//! that would be executed either.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::Response as GraphqlResponse;
use axum::{body::Body, extract::Request as HttpRequest, response::Response};
use campaigns_graphql::{Code, Error};
use campaigns_operation::Operation;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::json;

use super::{
    content::MediaType,
    event_stream,
    headers::Unusable,
    request::{Request, Requester},
    respond,
    unreadable::Unreadable,
    upgrade,
};
use crate::{App, caller::Refusal, listen::peer::Peer, operation::RunningOperation};

pub(super) async fn handle(app: App, request: HttpRequest) -> Response {
    let (mut parts, body) = request.into_parts();
    if upgrade::is_requested(&parts) {
        return upgrade::answer(app, &mut parts).await;
    }
    let wanted = MediaType::negotiate(&parts.headers);
    let (caller, viewer, scope) = match app.authenticate(&parts.headers).await {
        Ok(found) => found,
        Err(refusal) => return refused(&app, not_a_stream(&wanted), refusal),
    };
    let (peer, organization) = (Peer::of(&parts.extensions), scope.organization());
    // before the rest of it is read
    peer.back_off(organization).await;
    let budget = scope.operation_budget();
    let requester = Requester { app, peer: peer.clone(), caller, viewer, scope, budget };
    let response = requester.answer(wanted, parts, body).await;
    if let Some(retry_after) = respond::retry_after_of(&response) {
        peer.record_refusal(organization, retry_after);
    }
    response
}

/// The media type of errors before execution, which are never sent as a stream.
fn not_a_stream(wanted: &Result<Option<MediaType>, Unusable>) -> MediaType {
    let wanted = wanted.as_ref().ok().copied().flatten();
    wanted.filter(|media_type| *media_type != MediaType::EventStream).unwrap_or(MediaType::Json)
}

/// The response to a caller without a scope.
fn refused(app: &App, media_type: MediaType, refusal: Refusal) -> Response {
    let (status, error) = match refusal {
        Refusal::Unauthenticated(why) => {
            app.operations.refused(Code::Unauthenticated);
            return respond::refused_as(
                media_type,
                StatusCode::UNAUTHORIZED,
                Code::Unauthenticated,
                &why,
            );
        }
        Refusal::Refused(status, error) => (status, error),
        Refusal::Failed(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
    };
    app.operations.refused(error.code());
    respond::refused(media_type, status, error)
}

impl Requester {
    async fn answer(
        self,
        wanted: Result<Option<MediaType>, Unusable>,
        parts: Parts,
        body: Body,
    ) -> Response {
        let media_type = not_a_stream(&wanted);
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(unusable) => {
                self.app.operations.refused(Code::BadUserInput);
                return respond::refused(media_type, StatusCode::BAD_REQUEST, unusable.into());
            }
        };
        if wanted.is_none() {
            self.app.operations.refused(Code::BadUserInput);
            return respond::refused_as(
                media_type,
                StatusCode::NOT_ACCEPTABLE,
                Code::BadUserInput,
                "Accept application/graphql-response+json, application/json or text/event-stream.",
            );
        }
        if wanted == Some(MediaType::EventStream) && parts.method != Method::POST {
            return method_hint(respond::refused_as(
                media_type,
                StatusCode::METHOD_NOT_ALLOWED,
                Code::BadUserInput,
                "Open streams with POST.",
            ));
        }
        let read = self.read(&parts, body).await;
        if wanted == Some(MediaType::EventStream) {
            let operation = match read {
                Ok(Request::One(operation)) => Ok(operation),
                Ok(Request::Several(_)) => {
                    Err(Error::bad_input("body", "A stream executes one operation, not a batch."))
                }
                Err(Unreadable(_, error)) => Err(error),
            };
            let after = event_stream::after(&parts.headers, &self.scope);
            return event_stream::serve(self, operation, after);
        }
        match read {
            Ok(Request::One(operation)) => self.answer_one(media_type, &parts, operation).await,
            Ok(Request::Several(operations)) => self.answer_all(media_type, operations).await,
            Err(Unreadable(status, error)) => {
                self.app.operations.refused(error.code());
                method_hint(respond::refused(media_type, status, error))
            }
        }
    }

    async fn answer_one(
        self,
        media_type: MediaType,
        parts: &Parts,
        operation: Operation,
    ) -> Response {
        let Self { app, viewer, scope, budget, .. } = self;
        let operation =
            RunningOperation::begin(&app, &scope, Ok(operation), Some(&parts.headers)).await;
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => return respond::not_executed(media_type, &error.into_response()),
        };
        if operation.is_mutation() && parts.method != Method::POST {
            operation.refuse(Code::BadUserInput);
            return method_hint(respond::refused_as(
                media_type,
                StatusCode::METHOD_NOT_ALLOWED,
                Code::BadUserInput,
                "Send mutations with POST.",
            ));
        }
        let (time, reading) = (app.settings.query_timeout, app.settings.timeouts.answer());
        match operation.execute(viewer, scope, Some(Arc::clone(&budget)), time).await {
            Ok(text) => respond::executed(media_type, text, reading, budget),
            Err(response) => respond::not_executed(media_type, &response),
        }
    }

    /// Executes the operations of a batch one after the other, within the time and the bytes of one
    /// operation.
    async fn answer_all(
        self,
        media_type: MediaType,
        operations: Vec<Result<Operation, Unreadable>>,
    ) -> Response {
        let started = Instant::now();
        let mut answers = Vec::with_capacity(operations.len());
        for operation in operations {
            let left = self.app.settings.query_timeout.saturating_sub(started.elapsed());
            answers.push(match self.answer_in_batch(operation, left).await {
                Ok(text) => text,
                Err(refused) => {
                    if let Some(retry_after) = respond::retry_after_in(&refused) {
                        self.peer.record_refusal(self.scope.organization(), retry_after);
                    }
                    json!({ "errors": refused.errors }).to_string()
                }
            });
        }
        let text = format!("[{}]", answers.join(","));
        respond::executed(media_type, text, self.app.settings.timeouts.answer(), self.budget)
    }

    async fn answer_in_batch(
        &self,
        operation: Result<Operation, Unreadable>,
        time: Duration,
    ) -> Result<String, GraphqlResponse> {
        let operation = operation.map_err(|Unreadable(_, error)| error);
        let operation = RunningOperation::begin(&self.app, &self.scope, operation, None).await;
        let operation = operation.map_err(Error::into_response)?;
        let (viewer, scope) = (self.viewer.clone(), self.scope.clone());
        operation.execute(viewer, scope, Some(Arc::clone(&self.budget)), time).await
    }
}

/// The response to an unsupported method, with the supported ones.
fn method_hint(mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}
