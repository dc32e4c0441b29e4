//! What executes operations.

use std::sync::Arc;

use async_graphql::{
    Data, ObjectType, Request, Response, Schema, ServerError, SubscriptionType, Value,
};
use futures_util::StreamExt;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    cost::{Limits, Rows},
    error::{self, Code, Error},
    prepare::{Checks, Operation, Prepared},
};

/// A schema, ready to execute operations. Cloning shares it.
pub struct Engine<Q, M, S> {
    schema: Schema<Q, M, S>,
    checks: Arc<Checks>,
}

impl<Q, M, S> Clone for Engine<Q, M, S> {
    fn clone(&self) -> Self {
        Self { schema: self.schema.clone(), checks: Arc::clone(&self.checks) }
    }
}

/// A subscription, executed once for each thing that it shows.
pub struct Followed<Q, M, S> {
    engine: Engine<Q, M, S>,
    prepared: Prepared,
}

impl<Q, M, S> Engine<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    /// An engine for a schema, which is `sdl` in text. It executes what is within the limits;
    /// `rows` says how long lists may be.
    #[must_use]
    pub fn new(schema: Schema<Q, M, S>, sdl: &str, limits: Limits, rows: Rows) -> Self {
        Self { schema, checks: Arc::new(Checks::new(sdl, limits, rows)) }
    }

    /// Parses and checks an operation.
    ///
    /// # Errors
    /// What is wrong with the document or its variables.
    pub fn prepare(&self, operation: Operation) -> Result<Prepared, Error> {
        self.checks.prepare(operation)
    }

    /// Executes a query or mutation, for whose resolvers `data` is in the context. The response is
    /// safe to send, its fields in the order of the document.
    pub async fn execute(&self, prepared: Prepared, data: Data, request_id: Uuid) -> Response {
        let Prepared { query, operation_name, document, variables, shape, .. } = prepared;
        let mut request = Request::new(query).variables(variables);
        request.data = data;
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        let mut response = error::seal(self.schema.execute(request).await, request_id);
        if was_executed(&response) {
            shape.apply(&mut response);
        }
        response
    }

    /// Follows a subscription.
    #[must_use]
    pub fn follow(&self, prepared: Prepared) -> Followed<Q, M, S> {
        Followed { engine: self.clone(), prepared }
    }
}

impl<Q, M, S> Followed<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    /// The operation.
    #[must_use]
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Executes the selection over the first item of the stream that the root field makes, for which
    /// `data` is in the context. `None` if the stream is empty.
    pub async fn answer(&self, data: Data, request_id: Uuid) -> Option<Response> {
        let Prepared { query, operation_name, document, variables, shape, .. } = &self.prepared;
        let mut request = Request::new(query).variables(variables.clone());
        request.data = data;
        request.operation_name.clone_from(operation_name);
        request.set_parsed_query(document.clone());
        let response = self.engine.schema.execute_stream(request).next().await?;
        let mut response = error::seal(response, request_id);
        shape.apply(&mut response);
        Some(response)
    }
}

/// Whether a response came of an execution, and not of the validation before it.
#[must_use]
pub fn was_executed(response: &Response) -> bool {
    let invalid = Some(Code::GraphqlValidationFailed.as_str());
    response.errors.iter().all(|error| error::code_of(error) != invalid)
}

/// A response as JSON.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "a response is JSON")]
pub fn text(response: &Response) -> String {
    #[derive(Serialize)]
    struct Entries<'a> {
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        errors: &'a [ServerError],
        data: &'a Value,
    }
    let entries = Entries { errors: &response.errors, data: &response.data };
    serde_json::to_string(&entries).expect("a response is JSON")
}
