//! The engine, which executes operations.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
};

use async_graphql::{
    Data, ObjectType, QueryEnv, Request, Response, Schema, ServerError, SubscriptionType,
    ValidationMode,
    parser::types::{ExecutableDocument, OperationType, Selection},
    resolver_utils::{resolve_container, resolve_container_serial},
};
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;

use crate::{
    cache::Key,
    cost::{Limits, Price},
    error::{self, Code, Error, MAX_VALIDATION_ERRORS},
    expanded::ExpandedSelections,
    introspection::{Draw, Introspection},
    measure::MAX_DEPTH,
    prepare::{BoundPlan, Checks, LookUp, Operation, Prepared},
    root::{Environment, Probe, Root, SchemaIntrospection},
    turns::{AreExpanded, Turns},
    types::{MaxText, Types},
};

/// A schema with these roots, named Query, Mutation and Subscription, ready to execute operations.
/// Clones share it.
pub struct Engine<Q, M, S> {
    schema: Schema<Root<Q>, Root<M>, Root<S>>,
    environment: Environment,
    roots: Arc<(Root<Q>, Root<M>, Root<S>)>,
    checks: Arc<Checks>,
    draw: Draw,
}

impl<Q, M, S> Clone for Engine<Q, M, S> {
    fn clone(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            environment: self.environment.clone(),
            roots: Arc::clone(&self.roots),
            checks: Arc::clone(&self.checks),
            draw: self.draw,
        }
    }
}

/// A subscription, executed once for each item.
pub struct SubscriptionExecutor<Q, M, S> {
    engine: Engine<Q, M, S>,
    prepared: Prepared,
}

impl<Q, M, S> Engine<Q, M, S>
where
    Q: ObjectType + Default + 'static,
    M: ObjectType + Default + 'static,
    S: SubscriptionType + Default + 'static,
{
    /// An engine that executes operations within the limits. It answers introspection queries only if
    /// `introspection` is true. `price` returns the prices of fields, `max_text` the maximum lengths of
    /// texts, and `draw` draws the bytes of introspection answers.
    ///
    /// # Panics
    /// If the schema is not valid.
    #[must_use]
    pub fn new(
        introspection: bool,
        limits: Limits,
        price: Price,
        max_text: MaxText,
        draw: Draw,
    ) -> Self {
        let describe = || Introspection::of(&schema::<Q, M, S>(true, ValidationMode::Fast));
        let types = Types::of(&Self::sdl(), introspection.then(describe), max_text);
        let types = types.expect("a schema that prints is valid");
        Self {
            schema: schema(introspection, ValidationMode::Strict),
            environment: Environment::learn(&schema::<Q, M, S>(
                introspection,
                ValidationMode::Fast,
            )),
            roots: Arc::default(),
            checks: Arc::new(Checks::new(types, limits, price)),
            draw,
        }
    }

    /// The schema in SDL.
    #[must_use]
    pub fn sdl() -> String {
        schema::<Q, M, S>(true, ValidationMode::Strict).sdl()
    }

    /// Looks an operation up in the cache.
    #[must_use]
    pub fn look_up(&self, operation: Operation) -> LookUp {
        self.checks.look_up(operation)
    }

    /// Parses and checks an operation, or uses the cached result.
    ///
    /// # Errors
    /// If the document or its variables are invalid.
    pub fn prepare(&self, operation: LookUp) -> Result<Prepared, Error> {
        self.checks.prepare(operation, |key, document| self.validate(key, document))
    }

    /// The number of bytes in the cache of operations.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.checks.kept_bytes()
    }

    /// The library's validation errors for a document.
    fn validate(&self, key: &Key, document: ExecutableDocument) -> Result<(), Vec<ServerError>> {
        let mut request = Request::new(&key.query).data(Probe::default());
        request.operation_name.clone_from(&key.operation_name);
        request.set_parsed_query(document);
        // otherwise the library would answer introspection fields
        let request = request.disable_introspection();
        // with a probe, the roots never wait
        let response = self.schema.execute_stream(request).next().now_or_never().flatten();
        match response.map(|response| response.errors) {
            Some(mut errors) if !errors.is_empty() => {
                errors.truncate(MAX_VALIDATION_ERRORS);
                if self.checks.types.introspection.is_none() {
                    errors.iter_mut().for_each(remove_suggestions);
                }
                Err(errors)
            }
            _ => Ok(()),
        }
    }

    /// Executes a query or mutation, with `data` in the context of its resolvers. The response is
    /// safe to send, with its fields in the order of the document.
    ///
    /// # Errors
    /// An internal error, if a resolver panicked.
    pub async fn execute(
        &self,
        prepared: Prepared,
        data: Data,
        request_id: Uuid,
    ) -> Result<Response, Response> {
        let turns = Turns::new();
        let execution = self.execute_uncaught(prepared, data, request_id, turns.clone());
        caught(turns.run(execution), request_id).await
    }

    async fn execute_uncaught(
        &self,
        prepared: Prepared,
        mut data: Data,
        request_id: Uuid,
        turns: Turns,
    ) -> Response {
        let Prepared { cached, variables, plan, .. } = prepared;
        match plan {
            BoundPlan::Selections(selections) => {
                data.insert(AreExpanded(turns));
                if selections.has_introspection() {
                    let types = Arc::clone(&self.checks.types);
                    data.insert(SchemaIntrospection { types, draw: self.draw });
                }
                let query = self.environment.of(&cached, variables, data);
                let response = self.run(&query, &selections).await;
                shaped(response, &selections, request_id)
            }
            BoundPlan::Invalid(errors) => error::seal(Response::from_errors(errors), request_id),
        }
    }

    async fn run(&self, query: &QueryEnv, selections: &ExpandedSelections) -> Response {
        let ctx = query.create_context(self.environment.schema(), None, &selections.set, None);
        let result = if query.operation.node.ty == OperationType::Mutation {
            resolve_container_serial(&ctx, &self.roots.1).await
        } else {
            resolve_container(&ctx, &self.roots.0).await
        };
        let mut response = match result {
            Ok(data) => Response::new(data),
            Err(error) => Response::from_errors(vec![error]),
        };
        let mut errors = query.errors.lock().unwrap_or_else(PoisonError::into_inner);
        response.errors.append(&mut errors);
        drop(errors);
        response
    }

    /// Follows a subscription.
    #[must_use]
    pub fn follow(&self, prepared: Prepared) -> SubscriptionExecutor<Q, M, S> {
        SubscriptionExecutor { engine: self.clone(), prepared }
    }
}

impl<Q, M, S> SubscriptionExecutor<Q, M, S>
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

    /// Drops the optional arguments of the root field, which only the first execution needs. From now on
    /// they count as omitted.
    pub fn drop_arguments(&mut self) {
        self.prepared.drop_arguments(&self.engine.checks.types);
    }

    /// Executes the selections over the first item of the root field's stream, with `data` in the
    /// context. `None` if the stream is empty. If a resolver panics, the response is an internal error.
    pub async fn answer(&self, data: Data, request_id: Uuid) -> Option<Response> {
        let turns = Turns::new();
        let execution = self.answer_uncaught(data, request_id, turns.clone());
        let answer = caught(turns.run(execution), request_id).await;
        answer.unwrap_or_else(Some)
    }

    async fn answer_uncaught(
        &self,
        mut data: Data,
        request_id: Uuid,
        turns: Turns,
    ) -> Option<Response> {
        let Prepared { cached, variables, plan, .. } = &self.prepared;
        let selections = match plan {
            BoundPlan::Selections(selections) => selections,
            BoundPlan::Invalid(errors) => {
                return Some(error::seal(Response::from_errors(errors.clone()), request_id));
            }
        };
        let root =
            selections.set.node.items.iter().find_map(|selection| match &selection.node {
                Selection::Field(field) => Some(field),
                _ => None,
            })?;
        data.insert(AreExpanded(turns));
        let environment = &self.engine.environment;
        let query = environment.of(cached, variables.clone(), data);
        let ctx = query.create_context(environment.schema(), None, &selections.set, None);
        let ctx = ctx.with_field(root);
        let response = self.engine.roots.2.create_field_stream(&ctx)?.next().await?;
        Some(shaped(response, selections, request_id))
    }
}

/// Removes suggestions from a message, which contain names of the schema.
fn remove_suggestions(error: &mut ServerError) {
    // names in a document have no spaces
    if let Some(start) = error.message.find(" Did you mean") {
        error.message.truncate(start);
    }
}

/// Turns a panic of an execution into an internal error, so that other operations of a socket do not
/// fail.
async fn caught<T>(execution: impl Future<Output = T>, request_id: Uuid) -> Result<T, Response> {
    // state that it owned is dropped with it; shared state is behind locks that tolerate a panic
    let done = AssertUnwindSafe(execution).catch_unwind().await;
    done.map_err(|_| {
        // the log already has its message
        tracing::error!(%request_id, "a resolver panicked");
        metrics::counter!("campaigns_panics_total").increment(1);
        error::internal(request_id)
    })
}

fn schema<Q, M, S>(
    introspection: bool,
    validation: ValidationMode,
) -> Schema<Root<Q>, Root<M>, Root<S>>
where
    Q: ObjectType + Default + 'static,
    M: ObjectType + Default + 'static,
    S: SubscriptionType + Default + 'static,
{
    let schema = Schema::build(Root::default(), Root::default(), Root::default());
    // `measure` bounds the depth first, with its own message
    let schema = schema.limit_recursive_depth(MAX_DEPTH).validation_mode(validation);
    if introspection { schema.finish() } else { schema.disable_introspection().finish() }
}

/// A response that is safe to send, with its data in the shape of the document.
fn shaped(response: Response, selections: &ExpandedSelections, request_id: Uuid) -> Response {
    let mut response = error::seal(response, request_id);
    if was_executed(&response) {
        selections.shape.apply(&mut response);
    }
    response
}

/// Whether a response is the result of an execution rather than of validation.
#[must_use]
pub fn was_executed(response: &Response) -> bool {
    let invalid = Some(Code::GraphqlValidationFailed.as_str());
    response.errors.iter().all(|error| error::code_of(error) != invalid)
}
