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

mod coerce;
mod cost;
mod measure;
mod omit;
pub mod scan;
mod shape;
mod types;

pub use cost::Limits;
pub(crate) use measure::MAX_DEPTH;

use async_graphql::{
    Response, Variables,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};
use campaigns_scope::{Scope, Viewer};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    context::Now,
    error::{self, Code, Error},
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

/// An operation that can be executed.
pub struct Prepared {
    request: async_graphql::Request,
    kind: OperationType,
    shape: shape::Shape,
}

impl Prepared {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.kind == OperationType::Mutation
    }
}

/// The schema, ready to execute operations.
#[derive(Clone)]
pub struct Api {
    schema: Schema,
    types: std::sync::Arc<types::Types>,
    limits: Limits,
}

impl Api {
    /// The schema, which answers questions about itself only where `introspection` is on, and
    /// executes what is within the limits.
    ///
    /// # Panics
    /// Never: what the schema prints can be parsed.
    #[must_use]
    pub fn new(introspection: bool, limits: Limits) -> Self {
        let schema = schema::build(introspection);
        let types =
            types::Types::of(&schema::build(true).sdl()).expect("a schema that prints is valid");
        Self { schema, types: types.into(), limits }
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
        let Operation { query, operation_name, variables } = operation;
        scan::document(&query)?;
        let mut document = parse_query(&query)
            .map_err(|error| error::request(Code::GraphqlParseFailed, error.to_string(), None))?;
        let name = operation_name.as_deref();
        let kind = selected(&document, name)?.ty;
        measure::measure(&document)?;
        let variables = coerce::coerce(&self.types, &mut document, name, variables)?;

        let operation = selected(&document, name)?;
        cost::limit(&self.types, &document, operation, &variables, &self.limits)?;
        let shape = shape::Shape::of(&self.types, &document, operation);
        let mut request = async_graphql::Request::new(query).variables(variables);
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        Ok(Prepared { request, kind, shape })
    }

    /// Executes an operation within a scope; `bool` is whether it came to that, or the document did
    /// not pass the validation.
    pub async fn execute(
        &self,
        prepared: Prepared,
        scope: Scope,
        viewer: Viewer,
        now: DateTime<Utc>,
        request_id: Uuid,
    ) -> (Response, bool) {
        let Prepared { request, shape, .. } = prepared;
        let request = request.data(scope).data(viewer).data(Now(now));
        let mut response = error::seal(self.schema.execute(request).await, request_id);
        shape.apply(&mut response);
        let validated = response
            .errors
            .iter()
            .all(|error| error::code_of(error) != Some(Code::GraphqlValidationFailed.as_str()));
        (response, validated)
    }
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
