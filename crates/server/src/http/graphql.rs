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
use axum::{
    body::Body,
    extract::{Request as HttpRequest, State},
    response::Response,
};
use campaigns_graphql::{Code, Error};
use campaigns_operation::{Operation, RoundedNumbers, scan};
use campaigns_scope::{Budget, Scope, Viewer};
use http::{HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use serde_json::{Map, Value as Json, json};

use super::{
    Unreadable, body,
    content::{Answer, encoding, is_json},
    event_stream,
    headers::Unusable,
    respond, upgrade,
};
use crate::{
    App,
    caller::{Caller, Refusal},
    input,
    listen::peer::Peer,
    operation::RunningOperation,
};

pub(crate) async fn handle(State(app): State<App>, request: HttpRequest) -> Response {
    let (mut parts, body) = request.into_parts();
    if upgrade::is_requested(&parts) {
        return upgrade::answer(app, &mut parts).await;
    }
    let wanted = Answer::wanted(&parts.headers);
    let (caller, viewer, scope) = match app.authenticate(&parts.headers).await {
        Ok(found) => found,
        Err(refusal) => return refused(&app, not_a_stream(&wanted), refusal),
    };
    let (peer, organization) = (Peer::of(&parts.extensions), scope.organization());
    // before the rest of it is read
    peer.back_off(organization).await;
    let budget = scope.operation_budget();
    let asker = Requester { app, peer: peer.clone(), caller, viewer, scope, budget };
    let response = asker.answer(wanted, parts, body).await;
    if let Some(retry_after) = respond::retry_after_of(&response) {
        peer.record_refusal(organization, retry_after);
    }
    response
}

/// What is not executed is no stream.
fn not_a_stream(wanted: &Result<Option<Answer>, Unusable>) -> Answer {
    let wanted = wanted.as_ref().ok().copied().flatten();
    wanted.filter(|answer| *answer != Answer::EventStream).unwrap_or(Answer::Json)
}

/// The response to a caller without a scope.
fn refused(app: &App, answer: Answer, refusal: Refusal) -> Response {
    let (status, error) = match refusal {
        Refusal::Unauthenticated(why) => {
            app.operations.refused(Code::Unauthenticated);
            return respond::refused_as(
                answer,
                StatusCode::UNAUTHORIZED,
                Code::Unauthenticated,
                &why,
            );
        }
        Refusal::Refused(status, error) => (status, error),
        Refusal::Failed(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
    };
    app.operations.refused(error.code());
    respond::refused(answer, status, error)
}

/// What a request asks for.
enum Request {
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
    async fn answer(
        self,
        wanted: Result<Option<Answer>, Unusable>,
        parts: Parts,
        body: Body,
    ) -> Response {
        let answer = not_a_stream(&wanted);
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(unusable) => {
                self.app.operations.refused(Code::BadUserInput);
                return respond::refused(answer, StatusCode::BAD_REQUEST, unusable.into());
            }
        };
        if wanted.is_none() {
            self.app.operations.refused(Code::BadUserInput);
            return respond::refused_as(
                answer,
                StatusCode::NOT_ACCEPTABLE,
                Code::BadUserInput,
                "Accept application/graphql-response+json, application/json or text/event-stream.",
            );
        }
        if wanted == Some(Answer::EventStream) && parts.method != Method::POST {
            return method_hint(respond::refused_as(
                answer,
                StatusCode::METHOD_NOT_ALLOWED,
                Code::BadUserInput,
                "Open streams with POST.",
            ));
        }
        let read = self.read(&parts, body).await;
        if wanted == Some(Answer::EventStream) {
            let operation = match read {
                Ok(Request::One(operation)) => Ok(operation),
                Ok(Request::Several(_)) => {
                    Err(Error::bad_input("body", "A stream is of one operation."))
                }
                Err(Unreadable(_, error)) => Err(error),
            };
            let after = event_stream::after(&parts.headers, &self.scope);
            return event_stream::serve(self, operation, after);
        }
        match read {
            Ok(Request::One(operation)) => self.answer_one(answer, &parts, operation).await,
            Ok(Request::Several(operations)) => self.answer_all(answer, operations).await,
            Err(Unreadable(status, error)) => {
                self.app.operations.refused(error.code());
                method_hint(respond::refused(answer, status, error))
            }
        }
    }

    async fn answer_one(self, answer: Answer, parts: &Parts, operation: Operation) -> Response {
        let Self { app, viewer, scope, budget, .. } = self;
        let operation =
            RunningOperation::begin(&app, &scope, Ok(operation), Some(&parts.headers)).await;
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => return respond::not_executed(answer, &error.into_response()),
        };
        if operation.is_mutation() && parts.method != Method::POST {
            operation.refuse(Code::BadUserInput);
            return method_hint(respond::refused_as(
                answer,
                StatusCode::METHOD_NOT_ALLOWED,
                Code::BadUserInput,
                "Send mutations with POST.",
            ));
        }
        let (time, reading) = (app.settings.query_timeout, app.settings.timeouts.answer());
        match operation.execute(viewer, scope, Some(Arc::clone(&budget)), time).await {
            Ok(text) => respond::executed(answer, text, reading, budget),
            Err(response) => respond::not_executed(answer, &response),
        }
    }

    /// Executes a batch, one operation after the other, within the time and the bytes of one.
    async fn answer_all(
        self,
        answer: Answer,
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
        respond::executed(answer, text, self.app.settings.timeouts.answer(), self.budget)
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

impl Requester {
    async fn read(&self, parts: &Parts, body: Body) -> Result<Request, Unreadable> {
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
                let (json, rounded) = read.await??;
                let rounded = Arc::new(rounded);
                match json {
                    Json::Array(several) if app.settings.max_batch > 1 => {
                        if several.len() > app.settings.max_batch {
                            let message = format!(
                                "A request can have at most {} operations.",
                                app.settings.max_batch
                            );
                            return Err(Error::limit("body", message).into());
                        }
                        let operation = |one| operation(one, &rounded);
                        Ok(Request::Several(several.into_iter().map(operation).collect()))
                    }
                    one => Ok(Request::One(operation(one, &rounded)?)),
                }
            }
            _ => Err(Unreadable(
                StatusCode::METHOD_NOT_ALLOWED,
                Error::bad_input("method", "Send operations with POST, or queries with GET."),
            )),
        }
    }
}

/// Parses received JSON, bounded before it is read, and drawn from the budget. Also returns the
/// numbers that were rounded.
fn json(
    name: &str,
    text: &[u8],
    extra: usize,
    budget: &Budget,
) -> Result<(Json, RoundedNumbers), Unreadable> {
    let rounded = scan::json(text, extra)?;
    budget.draw(campaigns_scope::json_weight(text))?;
    let json = serde_json::from_slice(text);
    let json =
        json.map_err(|error| Error::bad_input(name, format!("This is not valid JSON: {error}.")))?;
    Ok((json, rounded))
}

/// The operation in the query string of a GET, in which variables and extensions are JSON text.
fn from_query(uri: &Uri, budget: &Budget) -> Result<Operation, Unreadable> {
    let pairs: axum::extract::Query<Vec<(String, String)>> =
        axum::extract::Query::try_from_uri(uri)
            .map_err(|_| Error::bad_input("query", "This is not a valid query string."))?;
    let (mut parameters, mut rounded) = (Map::new(), RoundedNumbers::default());
    for (name, value) in pairs.0 {
        let value = match name.as_str() {
            "variables" | "extensions" if !value.is_empty() => {
                let (json, found) = json(&name, value.as_bytes(), 0, budget)?;
                if name == "variables" {
                    rounded = found;
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
    operation(Json::Object(parameters), &Arc::new(rounded))
}

/// The operation in a request's parameters, which were read from a text with these numbers.
fn operation(parameters: Json, rounded: &Arc<RoundedNumbers>) -> Result<Operation, Unreadable> {
    let Json::Object(parameters) = parameters else {
        return Err(Error::bad_input("body", "This must be one JSON object.").into());
    };
    Ok(Operation::from_parameters(parameters, Arc::clone(rounded))?)
}
