//! Prepares operations for execution.

use std::{any::Any, sync::Arc};

use async_graphql::{
    Name, Pos, ServerError, Variables,
    parser::{
        self, parse_query,
        types::{
            DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
            SelectionSet,
        },
    },
};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::{
    about::OperationInfo,
    cache::{Cache, CachedOperation, Key, Plan},
    coerce::{self, CoercedVariables, Literals},
    cost::{self, Cost, Limits, Price, Prices},
    error::{Code, Error},
    expanded::{self, ExpandedSelections},
    introspection, measure, names,
    rounded::RoundedNumbers,
    scan::{self, ScanResult},
    strings,
    types::{self, Types},
    validate,
};

/// The numbers of bytes, expanded selections and values of variables above which an operation takes long
/// to prepare: more than a millisecond or two.
const LONG_DOCUMENT: usize = 2 * 1024;
const MANY_SELECTIONS: usize = 1_000;
const MANY_VALUES: usize = 5_000;

/// An operation of a request.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// The name of the operation to execute, if there are several.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, Json>,
    /// The ID of a persisted document ([`Documents`](crate::Documents)), instead of the text.
    pub document_id: Option<String>,
    /// The SHA-256 of the document, if the client sends it as an automatic persisted query.
    pub persisted_query: Option<String>,
    /// The numbers that were rounded when the request was parsed. They are rejected in values of `JSON`.
    pub rounded: Arc<RoundedNumbers>,
    /// The memory that the variables take in addition until they are coerced. It is dropped then.
    pub memory: Memory,
}

/// A reservation of memory, shared by the operations of a request.
pub type Memory = Option<Arc<dyn Any + Send + Sync>>;

impl Operation {
    /// The operation in a request's parameters (GraphQL over HTTP, section 5.1). `rounded` is the rounded
    /// numbers in the parameters.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a parameter that is missing or of another type.
    pub fn from_parameters(
        mut parameters: Map<String, Json>,
        rounded: Arc<RoundedNumbers>,
    ) -> Result<Self, Error> {
        let document_id = match parameters.remove("documentId") {
            None | Some(Json::Null) => None,
            Some(Json::String(id)) => Some(id),
            Some(_) => return Err(Error::bad_input("documentId", "This must be text.")),
        };
        let persisted_query = persisted_query(&parameters);
        let is_named = document_id.is_some() || persisted_query.is_some();
        let query = match parameters.remove("query") {
            Some(Json::String(query)) => query,
            None | Some(Json::Null) if is_named => String::new(),
            _ => return Err(Error::bad_input("query", "This must be the text of a document.")),
        };
        let operation_name = match parameters.remove("operationName") {
            None | Some(Json::Null) => None,
            Some(Json::String(name)) if name.is_empty() => None,
            Some(Json::String(name)) if name.len() > scan::MAX_NAME => {
                let message = format!("This can have at most {} bytes.", scan::MAX_NAME);
                return Err(Error::bad_input("operationName", message));
            }
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
        Ok(Self {
            query,
            operation_name,
            variables,
            document_id,
            persisted_query,
            rounded,
            memory: None,
        })
    }
}

/// The hash of the document that a request names as an automatic persisted query
/// (<https://www.apollographql.com/docs/apollo-server/performance/apq>).
fn persisted_query(parameters: &Map<String, Json>) -> Option<String> {
    let named = parameters.get("extensions")?.get("persistedQuery")?;
    Some(named.get("sha256Hash")?.as_str()?.to_owned())
}

/// An operation with its cached part, if there is one.
pub struct LookUp {
    key: Key,
    cached: Option<Arc<CachedOperation>>,
    variables: Map<String, Json>,
    rounded: Arc<RoundedNumbers>,
    memory: Memory,
}

impl LookUp {
    /// Whether preparing it takes so long that it should run on a separate thread
    /// ([`run_at_low_priority`](crate::run_at_low_priority)).
    #[must_use]
    pub fn takes_long(&self) -> bool {
        let query = &self.key.query;
        let document_takes_long = || match self.cached.as_ref().map(|cached| (&cached.plan, cached))
        {
            // for its variables, it is expanded again, or its introspection answer is counted again
            Some((Plan::Conditional(_), cached)) => {
                cached.selection_count > MANY_SELECTIONS || may_introspect(query)
            }
            Some((Plan::Selections(selections), _)) => {
                selections.cost.is_none() && selections.has_introspection()
            }
            Some((Plan::Invalid(_), _)) => false,
            None => {
                query.len() > LONG_DOCUMENT
                    || may_introspect(query)
                    || expanded_size(query) > MANY_SELECTIONS
            }
        };
        has_many_values(self.variables.values(), MANY_VALUES) || document_takes_long()
    }
}

/// An operation that can be executed: its cached part, and the part of the request.
pub struct Prepared {
    pub(crate) cached: Arc<CachedOperation>,
    pub(crate) variables: Variables,
    pub(crate) plan: BoundPlan,
    cost: usize,
    input_bytes: usize,
}

/// The execution plan of an operation with its variables.
pub(crate) enum BoundPlan {
    /// Execute these selections.
    Selections(Arc<ExpandedSelections>),
    /// Return these validation errors.
    Invalid(Vec<ServerError>),
}

impl Prepared {
    /// Whether it is a mutation.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.cached.kind == OperationType::Mutation
    }

    /// Whether it is a subscription.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.cached.kind == OperationType::Subscription
    }

    /// Whether its document is valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self.plan, BoundPlan::Selections(_))
    }

    /// Whether it is expensive: few expensive operations should run at once.
    #[must_use]
    pub fn is_expensive(&self) -> bool {
        self.cost >= cost::EXPENSIVE
    }

    /// The cost with its variables: fields and long arguments, multiplied by the requested rows.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// The bytes that its input objects take in resolvers, in addition to their text. An input object
    /// takes memory for each of its possible fields, and a request of a few kilobytes can have thousands
    /// of objects.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// The description of the operation for metrics and logs.
    #[must_use]
    pub fn about(&self) -> OperationInfo {
        OperationInfo { cached: Arc::clone(&self.cached), cost: self.cost }
    }

    /// The hash of this operation: of its text and its variables, except for a variable that is the
    /// value of the root field's `argument` and is used nowhere else.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "variables were parsed from JSON")]
    pub fn hash_without(&self, argument: &str) -> [u8; 32] {
        let without = self.only_use(argument);
        // ordered by name
        let variables: Vec<_> =
            self.variables.iter().filter(|(name, _)| Some(*name) != without.as_ref()).collect();
        let variables = serde_json::to_vec(&variables).expect("variables were parsed from JSON");
        let name = self.cached.key.operation_name.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        // each part is preceded by its length, so that different parts never hash alike
        for part in [name.as_bytes(), &variables, self.cached.key.query.as_bytes()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The variable that is the value of this argument of a root field and is used nowhere else.
    fn only_use(&self, argument: &str) -> Option<Name> {
        let BoundPlan::Selections(selections) = &self.plan else { return None };
        let roots =
            selections.set.node.items.iter().filter_map(|selection| match &selection.node {
                Selection::Field(field) => field.node.get_argument(argument),
                _ => None,
            });
        let mut named = roots.filter_map(|value| match &value.node {
            Value::Variable(name) => Some(name),
            _ => None,
        });
        let name = named.next()?;
        (uses(&selections.set.node, name) == 1).then(|| name.clone())
    }

    /// Drops the optional arguments of a subscription's root field, which only its start needs, and the
    /// variables that are used nowhere else. They can be as large as a request.
    pub(crate) fn drop_arguments(&mut self, types: &Types) {
        let BoundPlan::Selections(selections) = &self.plan else { return };
        let selections = selections.without_root_arguments(types, types::root(self.cached.kind));
        self.variables.retain(|name, _| uses(&selections.set.node, name) > 0);
        self.plan = BoundPlan::Selections(Arc::new(selections));
    }
}

/// The number of uses of a variable in expanded selections.
fn uses(set: &SelectionSet, name: &Name) -> usize {
    fn in_value(value: &Value, name: &Name) -> usize {
        match value {
            Value::Variable(of) => usize::from(of == name),
            Value::List(values) => values.iter().map(|value| in_value(value, name)).sum(),
            Value::Object(fields) => fields.values().map(|value| in_value(value, name)).sum(),
            _ => 0,
        }
    }
    let uses = set.items.iter().map(|selection| match &selection.node {
        Selection::Field(field) => {
            let arguments = field.node.arguments.iter();
            arguments.map(|(_, value)| in_value(&value.node, name)).sum::<usize>()
                + uses(&field.node.selection_set.node, name)
        }
        Selection::InlineFragment(inline) => uses(&inline.node.selection_set.node, name),
        Selection::FragmentSpread(_) => 0,
    });
    uses.sum()
}

/// The checks of operations before they are executed.
pub(crate) struct Checks {
    pub(crate) types: Arc<Types>,
    limits: Limits,
    price: Price,
    cache: Cache,
}

impl Checks {
    /// The checks of a schema with these types.
    pub(crate) fn new(types: Types, limits: Limits, price: Price) -> Self {
        Self { types: Arc::new(types), limits, price, cache: Cache::new(limits.kept) }
    }

    /// The number of bytes in the cache of operations.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.cache.weight()
    }

    /// Looks up the cached part of an operation.
    pub(crate) fn look_up(&self, operation: Operation) -> LookUp {
        let Operation { query, operation_name, variables, rounded, memory, .. } = operation;
        let key = Key { query, operation_name };
        let cached = self.cache.get(&key);
        LookUp { key, cached, variables, rounded, memory }
    }

    /// Prepares an operation. `validate` returns the library's validation errors for a document that is
    /// not cached.
    pub(crate) fn prepare(
        &self,
        operation: LookUp,
        validate: impl FnOnce(&Key, ExecutableDocument) -> Result<(), Vec<ServerError>>,
    ) -> Result<Prepared, Error> {
        let LookUp { key, cached, variables, rounded, memory: _until_prepared } = operation;
        let cached = match cached {
            Some(cached) => cached,
            None => self.analyze(key, validate)?,
        };
        if let Plan::Invalid(errors) = &cached.plan {
            let plan = BoundPlan::Invalid(errors.clone());
            return Ok(Prepared {
                cached,
                variables: <_>::default(),
                plan,
                cost: 0,
                input_bytes: 0,
            });
        }
        let CoercedVariables { values: variables, omitted, bytes } =
            coerce::variables(&self.types, &cached, variables, &rounded)?;
        let input_bytes = bytes.saturating_add(cached.input_bytes);
        let selections = match &cached.plan {
            Plan::Selections(selections) => Arc::clone(selections),
            Plan::Conditional(document) => {
                Arc::new(self.write(document, &cached.key, &variables)?)
            }
            Plan::Invalid(_) => unreachable!("it has been returned"),
        };
        let selections =
            if omitted.is_empty() { selections } else { Arc::new(selections.without(&omitted)) };
        let cost = self.cost(cached.kind, &selections, &variables).limit(&self.limits)?;
        Ok(Prepared {
            cached,
            variables,
            plan: BoundPlan::Selections(selections),
            cost,
            input_bytes,
        })
    }

    fn prices(&self) -> Prices<'_> {
        Prices { types: &self.types, price: self.price, limit: self.limits.complexity }
    }

    fn cost(
        &self,
        kind: OperationType,
        selections: &ExpandedSelections,
        variables: &Variables,
    ) -> Cost {
        selections.cost.unwrap_or_else(|| {
            self.prices().cost(types::root(kind), &selections.set.node, variables)
        })
    }

    /// Computes the parts that depend only on the text of an operation, and caches them.
    fn analyze(
        &self,
        key: Key,
        validate_further: impl FnOnce(&Key, ExecutableDocument) -> Result<(), Vec<ServerError>>,
    ) -> Result<Arc<CachedOperation>, Error> {
        let ScanResult { repeated, rounded } = scan::document(&key.query)?;
        let text = strings::rewrite(&key.query);
        let document = parse_query(&text).map_err(|error| syntax_error(&text, &error))?;
        if let Some(error) = repeated {
            return Err(error);
        }
        let operation = selected(&document, key.operation_name.as_deref())?;
        let selection_count = measure::measure(&document)?;
        let unknown = names::limit_unknown(&self.types, &document);
        let (kind, variables) = (operation.ty, operation.variable_definitions.clone());
        let name = name(&document, key.operation_name.as_deref());
        let Literals { places, max_texts, bytes: input_bytes } =
            coerce::literals(&self.types, &document, operation, &rounded)?;
        // without variables: the parts that depend on them are computed for each request
        let selections = self.write(&document, &key, &Variables::default())?;
        let never_null = validate::variables::never_null(&self.types, &document, operation);
        let valid = unknown
            .and_then(|()| validate::check(&self.types, &document))
            .and_then(|()| validate_further(&key, document.clone()));
        let plan = match valid {
            Err(errors) => Plan::Invalid(errors),
            Ok(()) if expanded::has_directives(&document) => Plan::Conditional(document),
            Ok(()) => Plan::Selections(Arc::new(selections)),
        };
        let cached = Arc::new(CachedOperation {
            key,
            kind,
            name,
            variables,
            places,
            max_texts,
            never_null,
            input_bytes,
            selection_count,
            plan,
        });
        self.cache.insert(&cached);
        Ok(cached)
    }

    fn write(
        &self,
        document: &ExecutableDocument,
        key: &Key,
        variables: &Variables,
    ) -> Result<ExpandedSelections, Error> {
        let operation = selected(document, key.operation_name.as_deref())?;
        let mut selections = ExpandedSelections::of(&self.types, document, operation, variables);
        if selections.has_introspection() {
            if self.types.introspection.is_none() {
                return Err(introspection::introspection_off());
            }
            introspection::limit_lists(&self.types, &selections.set.node)?;
        }
        // after the limit of lists, which bounds the time to count an introspection answer
        selections.price(self.prices(), types::root(operation.ty));
        // GraphQL, section 5.2.3.1; the library allows several root fields
        let has_one_root = selections.set.node.items.len() == 1 && !selections.has_only_typenames();
        if operation.ty == OperationType::Subscription && !has_one_root {
            return Err(Error::invalid("A subscription must have exactly one root field."));
        }
        Ok(selections)
    }
}

/// Whether a document can have an introspection field. The time to count its answer grows with the
/// schema.
fn may_introspect(text: &str) -> bool {
    text.contains("__schema") || text.matches("__type").count() > text.matches("__typename").count()
}

/// The number of selections of a document with its fragments expanded. Zero if it is rejected.
fn expanded_size(text: &str) -> usize {
    // without fragments, the length of the text bounds the number
    if !text.contains("...") || scan::document(text).is_err() {
        return 0;
    }
    let document = parse_query(strings::rewrite(text)).ok();
    document.and_then(|document| measure::measure(&document).ok()).unwrap_or_default()
}

/// The keywords of type system definitions, which are not executable.
const DEFINITIONS: [&str; 9] =
    ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend"];

/// The error for text that the parser rejects, in one line.
fn syntax_error(text: &str, error: &parser::Error) -> Error {
    let message = error.to_string();
    // the parser's message shows the location, followed by the reason
    let reason = message.rsplit("= ").next().unwrap_or_default().trim();
    let (code, message) = match error {
        parser::Error::Syntax { start, .. } => match word_at(text, *start) {
            Some(word) if DEFINITIONS.contains(&word) && reason.contains("executable") => {
                let message =
                    format!("A definition that begins with \"{word}\" is not executable.");
                (Code::GraphqlValidationFailed, message)
            }
            _ => (Code::GraphqlParseFailed, format!("Syntax error: {reason}.")),
        },
        // the other errors are duplicate names, which is a validation rule
        _ => (Code::GraphqlValidationFailed, format!("Invalid document: {reason}.")),
    };
    Error { locations: error.positions().collect(), ..Error::new(code, message, None) }
}

/// The word at a position.
fn word_at(text: &str, place: Pos) -> Option<&str> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    let (start, _) = line.char_indices().nth(place.column.checked_sub(1)?)?;
    line[start..].split(|character: char| !character.is_ascii_alphanumeric()).next()
}

/// Whether there are more JSON values than this.
fn has_many_values<'a>(values: impl Iterator<Item = &'a Json>, most: usize) -> bool {
    fn count<'a>(values: impl Iterator<Item = &'a Json>, left: &mut usize) {
        for value in values {
            if *left == 0 {
                return;
            }
            *left -= 1;
            match value {
                Json::Array(values) => count(values.iter(), left),
                Json::Object(values) => count(values.values(), left),
                _ => {}
            }
        }
    }
    let mut left = most + 1;
    count(values, &mut left);
    left == 0
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

/// The name in the document of the operation to execute.
fn name(document: &ExecutableDocument, requested: Option<&str>) -> Option<String> {
    let DocumentOperations::Multiple(operations) = &document.operations else { return None };
    let only = || operations.keys().next().map(ToString::to_string);
    requested.map(str::to_owned).or_else(only)
}
