//! Prepares an operation before it is executed.

use std::sync::Arc;

use async_graphql::{
    Name, ServerError, Variables,
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
    about::About,
    coerce,
    cost::{self, Cost, Limits, Rows},
    error::{Code, Error},
    kept::{Cache, Kept, Key, Way},
    measure,
    omit::omit,
    scan,
    types::{self, Types},
    written::{self, Written},
};

/// An operation as a client sends it.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// The operation to execute, if there are several.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, Json>,
    /// The id of a document that is known ([`Documents`](crate::Documents)), in place of the text.
    pub document_id: Option<String>,
}

impl Operation {
    /// The operation in a request's parameters (GraphQL over HTTP, section 5.1).
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a parameter that is missing or of another type.
    pub fn from_parameters(mut parameters: Map<String, Json>) -> Result<Self, Error> {
        let document_id = match parameters.remove("documentId") {
            None | Some(Json::Null) => None,
            Some(Json::String(id)) => Some(id),
            Some(_) => return Err(Error::bad_input("documentId", "This must be text.")),
        };
        let query = match parameters.remove("query") {
            Some(Json::String(query)) => query,
            None if document_id.is_some() => String::new(),
            _ => return Err(Error::bad_input("query", "This must be the text of a document.")),
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
        Ok(Self { query, operation_name, variables, document_id })
    }
}

/// An operation that can be executed: the kept part, and the part of this request.
pub struct Prepared {
    pub(crate) kept: Arc<Kept>,
    pub(crate) variables: Variables,
    pub(crate) way: Prepare,
    cost: usize,
}

/// How an operation with these variables is executed.
pub(crate) enum Prepare {
    /// Over these selections.
    Written(Arc<Written>),
    /// By the library.
    Library(Box<ExecutableDocument>, Arc<Written>),
    /// Not at all.
    Invalid(Vec<ServerError>),
}

impl Prepared {
    /// Whether it asks for the schema itself.
    pub(crate) fn is_introspection(&self) -> bool {
        match &self.way {
            Prepare::Written(written) | Prepare::Library(_, written) => written.names_the_schema(),
            Prepare::Invalid(_) => false,
        }
    }

    /// Whether it is a mutation.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.kept.kind == OperationType::Mutation
    }

    /// Whether it is a subscription.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.kept.kind == OperationType::Subscription
    }

    /// Whether it is so expensive that only a few of its kind should run at once.
    #[must_use]
    pub fn is_dear(&self) -> bool {
        self.cost >= cost::DEAR
    }

    /// The cost with its variables: fields, multiplied by the rows requested.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// What the operation is, for metrics and logs.
    #[must_use]
    pub fn about(&self) -> About {
        About { kept: Arc::clone(&self.kept), cost: self.cost }
    }

    /// The key of this operation: its text and its variables, except for a variable that is the
    /// value of the root field's `argument` and is used nowhere else.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "what came as JSON is JSON")]
    pub fn key_without(&self, argument: &str) -> String {
        let mut variables = self.variables.clone();
        variables.retain(|name, _| !self.is_only(name, argument));
        let variables = serde_json::to_string(&variables).expect("what came as JSON is JSON");
        let name = self.kept.key.operation_name.as_deref().unwrap_or_default();
        format!("{name}\n{variables}\n{}", self.kept.key.query)
    }

    /// Whether a variable is the value of this argument of a root field, and of nothing else.
    fn is_only(&self, name: &Name, argument: &str) -> bool {
        let Prepare::Written(written) = &self.way else { return false };
        let mut set = written.set.node.clone();
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
        // wherever else it may occur
        is_argument && !format!("{set:?}").contains(&format!("{variable:?}"))
    }
}

/// The checks of operations before they are executed.
pub(crate) struct Checks {
    types: Types,
    limits: Limits,
    rows: Rows,
    cache: Cache,
}

impl Checks {
    /// The checks of a schema, given as SDL.
    pub(crate) fn new(sdl: &str, limits: Limits, rows: Rows) -> Self {
        let types = Types::of(sdl).expect("a schema that prints is valid");
        Self { types, limits, rows, cache: Cache::new(limits.kept) }
    }

    /// The bytes of the kept operations.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.cache.weight()
    }

    /// Prepares an operation. An operation that is not kept is validated first: `validate` returns
    /// the errors of its document.
    pub(crate) fn prepare(
        &self,
        operation: Operation,
        validate: impl FnOnce(&Key, ExecutableDocument) -> Result<(), Vec<ServerError>>,
    ) -> Result<Prepared, Error> {
        let Operation { query, operation_name, variables, .. } = operation;
        let key = Key { query, operation_name };
        let kept = match self.cache.get(&key) {
            Some(kept) => kept,
            None => self.keep(key, validate)?,
        };
        let (variables, omitted) =
            coerce::variables(&self.types, &kept.variables, &kept.places, variables)?;
        let within = |written: &Arc<Written>| {
            let written = if omitted.is_empty() {
                Arc::clone(written)
            } else {
                Arc::new(written.without(&omitted))
            };
            let cost = self.cost(kept.kind, &written, &variables).limit(&self.limits)?;
            Ok::<_, Error>((written, cost))
        };
        let (way, cost) = match &kept.way {
            Way::Written(written) => {
                let (written, cost) = within(written)?;
                (Prepare::Written(written), cost)
            }
            Way::Conditional(document) => {
                let written = self.write(document, &kept.key, &variables)?;
                let (written, cost) = within(&Arc::new(written))?;
                (Prepare::Written(written), cost)
            }
            Way::Library(document, written) => {
                let (written, cost) = within(written)?;
                let mut document = document.clone();
                if !omitted.is_empty() {
                    omit(&mut document, kept.key.operation_name.as_deref(), &omitted);
                }
                (Prepare::Library(Box::new(document), written), cost)
            }
            Way::Invalid(errors) => (Prepare::Invalid(errors.clone()), 0),
        };
        Ok(Prepared { kept, variables, way, cost })
    }

    fn cost(&self, kind: OperationType, written: &Written, variables: &Variables) -> Cost {
        written.cost.unwrap_or_else(|| {
            cost::of(&self.types, self.rows, types::root(kind), &written.set.node, variables)
        })
    }

    /// Determines everything that depends on the text of an operation, and keeps it.
    fn keep(
        &self,
        key: Key,
        validate: impl FnOnce(&Key, ExecutableDocument) -> Result<(), Vec<ServerError>>,
    ) -> Result<Arc<Kept>, Error> {
        scan::document(&key.query)?;
        let document = parse_query(&key.query)
            .map_err(|error| Error::new(Code::GraphqlParseFailed, error.to_string(), None))?;
        let operation = selected(&document, key.operation_name.as_deref())?;
        measure::measure(&document)?;
        let (kind, variables) = (operation.ty, operation.variable_definitions.clone());
        let name = name(&document, key.operation_name.as_deref());
        let places = coerce::literals(&self.types, &document, operation)?;
        // without variables: what depends on them is computed for each request
        let written = self.write(&document, &key, &Variables::default())?;
        let weight = 1024 + 2 * key.query.len() + 512 * written.count();
        let is_fixed = !written::has_directives(&document);
        let written = Arc::new(written);
        let way = if written.is_about_the_schema() {
            // the library validates it when it executes it
            Way::Library(document, written)
        } else {
            match validate(&key, document.clone()) {
                Err(errors) => Way::Invalid(errors),
                Ok(()) if is_fixed => Way::Written(written),
                Ok(()) => Way::Conditional(document),
            }
        };
        let kept = Arc::new(Kept { key, kind, name, variables, places, way });
        self.cache.keep(&kept, weight);
        Ok(kept)
    }

    fn write(
        &self,
        document: &ExecutableDocument,
        key: &Key,
        variables: &Variables,
    ) -> Result<Written, Error> {
        let operation = selected(document, key.operation_name.as_deref())?;
        let written = Written::of(&self.types, self.rows, document, operation, variables);
        // GraphQL, section 5.2.3.1; the library allows several
        let has_one_root = written.set.node.items.len() == 1 && !written.is_about_the_schema();
        if operation.ty == OperationType::Subscription && !has_one_root {
            return Err(Error::invalid("A subscription must have exactly one root field."));
        }
        Ok(written)
    }
}

/// The operation to execute.
pub(crate) fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Error> {
    let unknown =
        |name: &str| Error::invalid(format!("The document has no operation named {name}."));
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
                    "The document has several operations. Choose one with operationName.",
                )),
            }
        }
    }
}

/// The name that a document gives the operation that is to be executed.
fn name(document: &ExecutableDocument, asked: Option<&str>) -> Option<String> {
    let DocumentOperations::Multiple(operations) = &document.operations else { return None };
    let only = || operations.keys().next().map(ToString::to_string);
    asked.map(str::to_owned).or_else(only)
}
