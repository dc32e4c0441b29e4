//! An operation, from its text to its response.
//!
//! async-graphql parses recursively, takes an omitted variable for null and meets a value that does not
//! fit its type in the middle of the execution. So, before it executes anything:
//!
//! 1. [`scan`](mod@scan) bounds the nesting and the number of tokens of the document, unparsed;
//! 2. it is parsed, the operation chosen, and [`measure`](mod@measure) bounds it with its fragments
//!    written out;
//! 3. [`coerce`](mod@coerce) holds variables and literals against the schema, fills in defaults, and
//!    takes omitted variables out of the document, so that omitted is not null;
//! 4. [`cost`](mod@cost) holds it against the limits on depth, complexity and aliases.
//!
//! Afterwards [`shape`](mod@shape) brings the data into the shape of the document.
//!
//! **Invariant.** What is wrong with a request is known, with its code and field, before the first
//! resolver runs; only what depends on the data or the role is found later.

mod aside;
mod coerce;
mod cost;
mod measure;
mod omit;
pub mod scan;
mod shape;
mod types;

pub use cost::Limits;
pub(crate) use measure::MAX_DEPTH;
pub(crate) use shape::Shape;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{
    Response, ServerError, Value, Variables,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};
use campaigns_feed::Feed;
use campaigns_scope::{Budget, Scope, Viewer};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    context::{Now, Outcomes},
    error::{self, Code, Error},
    live::{self, Live, Subscription, single_root},
    schema::{self, Schema},
};

/// An operation as a client sends it.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of its operations, where there are several.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, Json>,
}

impl Operation {
    /// The operation in a request's parameters (GraphQL over HTTP, section 5.1), whichever way they
    /// came.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` where one is missing or of another type, by its name.
    pub fn from_parameters(mut parameters: Map<String, Json>) -> Result<Self, Error> {
        let Some(Json::String(query)) = parameters.remove("query") else {
            return Err(Error::bad_input("query", "This must be the text of a document."));
        };
        let operation_name = match parameters.remove("operationName") {
            None | Some(Json::Null) => None,
            Some(Json::String(name)) if name.is_empty() => None,
            Some(Json::String(name)) => Some(name),
            Some(_) => return Err(Error::bad_input("operationName", "This must be text.")),
        };
        let mut object = |name: &str| match parameters.remove(name) {
            None | Some(Json::Null) => Ok(Map::new()),
            Some(Json::Object(object)) => Ok(object),
            Some(_) => Err(Error::bad_input(name, "This must be a JSON object.")),
        };
        let variables = object("variables")?;
        object("extensions")?;
        Ok(Self { query, operation_name, variables })
    }
}

/// An operation that can be executed.
pub struct Prepared {
    query: String,
    operation_name: Option<String>,
    document: ExecutableDocument,
    variables: Variables,
    kind: OperationType,
    is_dear: bool,
    shape: Shape,
}

impl Prepared {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.kind == OperationType::Mutation
    }

    /// Whether it answers again and again.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.kind == OperationType::Subscription
    }
}

/// Who asks for an operation, and how.
pub struct Asked {
    /// The door to the organization's rows.
    pub scope: Scope,
    /// Where what came in was drawn from, if it was: the budget of the operation.
    pub budget: Option<Arc<Budget>>,
    /// The viewer.
    pub viewer: Viewer,
    /// The time.
    pub now: DateTime<Utc>,
    /// What the log has it under.
    pub request_id: Uuid,
}

/// The schema, ready to execute operations.
#[derive(Clone)]
pub struct Api {
    schema: Schema,
    checks: Arc<Checks>,
    live: Live,
}

/// What an operation is held against before it is executed.
struct Checks {
    types: types::Types,
    limits: Limits,
}

impl Api {
    /// The schema, which answers questions about itself only where `introspection` is on, executes
    /// what is within the limits, and follows this feed.
    #[must_use]
    pub fn new(introspection: bool, limits: Limits, feed: Feed) -> Self {
        let schema = schema::build(introspection);
        Self { schema, checks: Checks::new(limits).into(), live: Live::new(feed) }
    }

    /// The schema in SDL.
    #[must_use]
    pub fn sdl() -> String {
        schema::build(true).sdl()
    }

    /// Parses and checks an operation.
    ///
    /// # Errors
    /// What is wrong with the document or its variables.
    pub fn prepare(&self, operation: Operation) -> Result<Prepared, Error> {
        self.checks.prepare(operation)
    }

    /// Executes an operation within a scope. The result is the response as JSON, its fields in the
    /// order of the document.
    ///
    /// It is executed for `time` at most. A statement that is under way then is canceled, and what
    /// it was for fails with `TIMEOUT`. What is being committed then is committed, and waited for.
    ///
    /// # Errors
    /// The response that says why it was not executed.
    pub async fn execute(
        &self,
        prepared: Prepared,
        asked: Asked,
        time: Duration,
    ) -> Result<String, Response> {
        if prepared.is_subscription() {
            let message = "A subscription needs a websocket, and graphql-transport-ws on it.";
            return Err(Error::bad_input("query", message).into_response());
        }
        let is_mutation = prepared.is_mutation();
        let Prepared { query, operation_name, document, variables, is_dear, shape, .. } = prepared;
        let Asked { scope, budget, viewer, now, request_id } = asked;
        let outcomes = Outcomes::default();
        let deadline = Instant::now() + time;
        let mut request = async_graphql::Request::new(query)
            .variables(variables)
            .data(Arc::new(scope.operation(deadline, budget)))
            .data(viewer)
            .data(Now(now))
            .data(outcomes.clone())
            .data(self.checks.limits)
            .data(self.live.clone());
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        let turn = scope.turn(is_dear, deadline).await;
        let _turn = turn.map_err(|error| Error::from(error).into_response())?;
        let schema = self.schema.clone();
        let execution = async move {
            let execution = schema.execute(request);
            let response = if is_mutation {
                // its statements keep to the time; what is committed must not be dropped unheard
                execution.await
            } else {
                let limit = tokio::time::timeout_at(deadline.into(), execution);
                limit.await.unwrap_or_else(|_| error::timeout().into_response())
            };
            let mut response = error::seal(response, request_id);
            if is_mutation {
                error::say_what_is_committed(&mut response, &outcomes);
            }
            if !response.errors.iter().all(is_of_execution) {
                return Err(response);
            }
            shape.apply(&mut response);
            Ok(text(&response))
        };
        if is_dear { aside::aside(execution).await } else { execution.await }
    }

    /// Opens a subscription within a scope. `timeout` is for each of its answers.
    ///
    /// # Errors
    /// The response that says why it was not opened.
    pub async fn subscribe(
        &self,
        prepared: Prepared,
        asked: Asked,
        timeout: Duration,
    ) -> Result<Subscription, Response> {
        let Prepared { query, operation_name, document, variables, shape, .. } = prepared;
        let Asked { scope, viewer, now, .. } = asked;
        let operation = live::Followed {
            schema: self.schema.clone(),
            query,
            operation_name,
            document,
            variables,
            shape,
            scope: Arc::new(scope),
            viewer,
            now,
            timeout,
        };
        Subscription::open(&self.live, operation).await
    }
}

impl Checks {
    fn new(limits: Limits) -> Self {
        let types =
            types::Types::of(&schema::build(true).sdl()).expect("a schema that prints is valid");
        Self { types, limits }
    }

    fn prepare(&self, operation: Operation) -> Result<Prepared, Error> {
        let Operation { query, operation_name, variables } = operation;
        scan::document(&query)?;
        let mut document = parse_query(&query)
            .map_err(|error| error::request(Code::GraphqlParseFailed, error.to_string(), None))?;
        let name = operation_name.as_deref();
        let kind = selected(&document, name)?.ty;
        measure::measure(&document)?;
        if kind == OperationType::Subscription {
            single_root(&mut document, name)?;
        }
        let variables = coerce::coerce(&self.types, &mut document, name, variables)?;

        let operation = selected(&document, name)?;
        let is_dear = cost::limit(&self.types, &document, operation, &variables, &self.limits)?;
        let shape = Shape::of(&self.types, &document, operation);
        Ok(Prepared { query, operation_name, document, variables, kind, is_dear, shape })
    }
}

/// Whether an error came of the execution, and not of the validation before it.
fn is_of_execution(error: &ServerError) -> bool {
    error::code_of(error) != Some(Code::GraphqlValidationFailed.as_str())
}

/// A response as JSON.
fn text(response: &Response) -> String {
    #[derive(Serialize)]
    struct Entries<'a> {
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        errors: &'a [ServerError],
        data: &'a Value,
    }
    let entries = Entries { errors: &response.errors, data: &response.data };
    serde_json::to_string(&entries).expect("a response is JSON")
}

/// The operation that is to be executed.
fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Error> {
    let refuse =
        |message: String| Err(error::request(Code::GraphqlValidationFailed, message, None));
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Single(_), Some(name)) => {
            refuse(format!("The document has no operation of the name {name}."))
        }
        (DocumentOperations::Multiple(operations), Some(name)) => match operations.get(name) {
            Some(operation) => Ok(&operation.node),
            None => refuse(format!("The document has no operation of the name {name}.")),
        },
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(&only.node),
                _ => refuse(
                    "The document has several operations; say which by operationName.".into(),
                ),
            }
        }
    }
}

/// Variables as async-graphql has them.
fn into_variables(values: Map<String, Json>) -> Variables {
    Variables::from_json(Json::Object(values))
}
