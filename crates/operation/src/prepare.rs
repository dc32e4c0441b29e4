//! An operation before it is executed.

use async_graphql::{
    Name, Variables,
    parser::{
        parse_query,
        types::{
            DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
        },
    },
};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};

use crate::{
    coerce,
    cost::{self, Limits, Rows},
    error::{Code, Error},
    measure, scan,
    shape::Shape,
    single_root::single_root,
    types::Types,
};

/// An operation as a client sends it.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of its operations to execute, if there are several.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, Json>,
}

impl Operation {
    /// The operation in a request's parameters (GraphQL over HTTP, section 5.1).
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a parameter that is missing or of another type.
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
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) document: ExecutableDocument,
    pub(crate) variables: Variables,
    pub(crate) kind: OperationType,
    pub(crate) is_dear: bool,
    pub(crate) shape: Shape,
}

impl Prepared {
    /// Whether it is a mutation.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.kind == OperationType::Mutation
    }

    /// Whether it is a subscription.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.kind == OperationType::Subscription
    }

    /// Whether it may take so long that only a few of its kind should run at once.
    #[must_use]
    pub fn is_dear(&self) -> bool {
        self.is_dear
    }

    /// What tells this operation from others: its text, and its variables but for one that is the
    /// value of the root field's `argument` and is used nowhere else.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "what came as JSON is JSON")]
    pub fn key_without(&self, argument: &str) -> String {
        let mut variables = self.variables.clone();
        let names: Vec<Name> = variables.keys().cloned().collect();
        for name in names {
            if self.is_only(&name, argument) {
                variables.remove(&name);
            }
        }
        let variables = serde_json::to_string(&variables).expect("what came as JSON is JSON");
        let name = self.operation_name.as_deref().unwrap_or_default();
        format!("{name}\n{variables}\n{}", self.query)
    }

    /// Whether a variable is the value of this argument of the root field, and of nothing else.
    fn is_only(&self, name: &Name, argument: &str) -> bool {
        let DocumentOperations::Single(operation) = &self.document.operations else { return false };
        let mut set = operation.node.selection_set.node.clone();
        let variable = Value::Variable(name.clone());
        let mut is_argument = false;
        for selection in &mut set.items {
            if let Selection::Field(field) = &mut selection.node {
                field.node.arguments.retain(|(of, value)| {
                    let this = of.node == argument && value.node == variable;
                    is_argument |= this;
                    !this
                });
            }
        }
        // wherever else it may stand
        let elsewhere = format!("{set:?} {:?}", self.document.fragments);
        is_argument && !elsewhere.contains(&format!("{variable:?}"))
    }
}

/// What an operation is checked against before it is executed.
pub(crate) struct Checks {
    types: Types,
    limits: Limits,
    rows: Rows,
}

impl Checks {
    /// The checks of a schema, given as SDL.
    pub(crate) fn new(sdl: &str, limits: Limits, rows: Rows) -> Self {
        Self { types: Types::of(sdl).expect("a schema that prints is valid"), limits, rows }
    }

    pub(crate) fn prepare(&self, operation: Operation) -> Result<Prepared, Error> {
        let Operation { query, operation_name, variables } = operation;
        scan::document(&query)?;
        let mut document = parse_query(&query)
            .map_err(|error| Error::new(Code::GraphqlParseFailed, error.to_string(), None))?;
        let name = operation_name.as_deref();
        let kind = selected(&document, name)?.ty;
        measure::measure(&document)?;
        if kind == OperationType::Subscription {
            single_root(&mut document, name)?;
        }
        let variables = coerce::coerce(&self.types, &mut document, name, variables)?;

        let operation = selected(&document, name)?;
        let (types, rows) = (&self.types, self.rows);
        let is_dear = cost::limit(types, rows, &document, operation, &variables, &self.limits)?;
        let shape = Shape::of(&self.types, &document, operation);
        Ok(Prepared { query, operation_name, document, variables, kind, is_dear, shape })
    }
}

/// The operation that is to be executed.
pub(crate) fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Error> {
    let unknown =
        |name: &str| Error::invalid(format!("The document has no operation of the name {name}."));
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Single(_), Some(name)) => Err(unknown(name)),
        (DocumentOperations::Multiple(operations), Some(name)) => match operations.get(name) {
            Some(operation) => Ok(&operation.node),
            None => Err(unknown(name)),
        },
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(&only.node),
                _ => Err(Error::invalid(
                    "The document has several operations; say which by operationName.",
                )),
            }
        }
    }
}
