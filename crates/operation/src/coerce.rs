//! Checks values against their types, and removes omitted variables from the document (GraphQL,
//! sections 6.1.2 and 6.4.1).
//!
//! async-graphql passes null to a resolver for an omitted variable. Here, an argument or input field
//! whose value is an omitted variable is removed from the selections ([`omit`](mod@crate::omit)), so
//! that its default applies. Values of the wrong type are found here, with their path: a wrong literal
//! is `GRAPHQL_VALIDATION_FAILED`, and a wrong variable is `BAD_USER_INPUT`. A text
//! that is too long for its place is `BAD_USER_INPUT` in both: it is found once, and not for each object
//! with the field.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
};

use async_graphql::{
    Name, Positioned, Variables,
    parser::types::{
        BaseType, Directive, ExecutableDocument, FragmentDefinition, OperationDefinition,
        Selection, SelectionSet, Type,
    },
};
use async_graphql_value::{ConstValue, Value};
use serde_json::{Map, Value as Json};

use crate::{
    cache::CachedOperation,
    error::{Code, Error},
    path::Path,
    rounded::RoundedNumbers,
    types::{self, Input, Slot, Types},
};

/// The bytes that a field of an input object takes in a resolver, even if it is omitted.
const FIELD: usize = 64;

/// The findings about the literals of an operation.
pub(crate) struct Literals {
    /// The path of the first use of each variable.
    pub(crate) places: HashMap<String, String>,
    /// The maximum number of bytes of each text in a variable, by the variable's name.
    pub(crate) max_texts: HashMap<Name, usize>,
    /// The bytes that their input objects take in resolvers.
    pub(crate) bytes: usize,
}

/// Checks the literals of an operation.
pub(crate) fn literals(
    types: &Types,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    rounded: &RoundedNumbers,
) -> Result<Literals, Error> {
    let mut reader = Reader {
        types,
        fragments: &document.fragments,
        read: HashSet::new(),
        places: HashMap::new(),
        values: Values { bytes: Cell::new(0), rounded, max_texts: RefCell::default() },
    };
    reader.operation(operation)?;
    let Reader { places, values, .. } = reader;
    let max_texts = values.max_texts.take();
    for definition in operation.variable_definitions.iter().map(|definition| &definition.node) {
        let (name, Some(default)) = (&definition.name.node, &definition.default_value) else {
            continue;
        };
        let place = places.get(name.as_str()).map_or(name.as_str(), String::as_str);
        let place = ValuePath {
            path: Path::argument(place),
            source: Source::Literal,
            values: &values,
            max_text: max_texts.get(name).copied(),
        };
        let checked =
            check(types, &definition.var_type.node, &default.node.clone().into_value(), &place);
        // the validation finds a default of another type, with its location
        checked
            .or_else(|error| if error.code == Code::BadUserInput { Err(error) } else { Ok(()) })?;
    }
    Ok(Literals { places, max_texts, bytes: values.bytes.get() })
}

/// The checked variables of a request.
pub(crate) struct CoercedVariables {
    /// Their values, with defaults.
    pub(crate) values: Variables,
    /// The names of used variables that are omitted.
    pub(crate) omitted: HashSet<Name>,
    /// The bytes that their input objects take in resolvers.
    pub(crate) bytes: usize,
}

/// Checks the values of variables.
pub(crate) fn variables(
    types: &Types,
    cached: &CachedOperation,
    mut values: Map<String, Json>,
    rounded: &RoundedNumbers,
) -> Result<CoercedVariables, Error> {
    let (mut given, mut omitted) = (Variables::default(), HashSet::new());
    let of_all = Values { bytes: Cell::new(0), rounded, max_texts: RefCell::default() };
    let CachedOperation { variables: definitions, places, max_texts, never_null, .. } = cached;
    for definition in definitions.iter().map(|definition| &definition.node) {
        let name = &definition.name.node;
        let place = places.get(name.as_str()).map_or(name.as_str(), String::as_str);
        let ty = &definition.var_type.node;
        // the variable's type can allow null where its use does not
        let refuse_null = |value: &Value| match value {
            Value::Null if never_null.contains(name) => {
                Err(Error::bad_input(place, "This cannot be null."))
            }
            _ => Ok(()),
        };
        match (values.remove(name.as_str()), &definition.default_value) {
            (Some(value), _) => {
                let value = Value::from_json(value)
                    .map_err(|_| Error::bad_input(place, "This is not a JSON value."))?;
                let place = ValuePath {
                    path: Path::argument(place),
                    source: Source::Variable,
                    values: &of_all,
                    max_text: max_texts.get(name).copied(),
                };
                check(types, ty, &value, &place)?;
                refuse_null(&value)?;
                let value = value.into_const().expect("JSON has no variables");
                given.insert(name.clone(), value);
            }
            (None, Some(default)) => {
                if default.node == ConstValue::Null {
                    refuse_null(&Value::Null)?;
                }
                given.insert(name.clone(), default.node.clone());
            }
            (None, None) if !ty.nullable => {
                let message = format!("The variable ${name} of type {ty} is required.");
                let place = Some(place.to_owned());
                return Err(Error::new(Code::GraphqlValidationFailed, message, place));
            }
            // validation finds unused variables
            (None, None) if !places.contains_key(name.as_str()) => {}
            (None, None) => {
                omitted.insert(name.clone());
            }
        }
    }
    Ok(CoercedVariables { values: given, omitted, bytes: of_all.bytes.get() })
}

#[derive(Clone, Copy)]
enum Source {
    Literal,
    Variable,
}

/// What is known of the values that were checked.
struct Values<'a> {
    /// The bytes of their input objects.
    bytes: Cell<usize>,
    /// The numbers that were rounded.
    rounded: &'a RoundedNumbers,
    /// The maximum number of bytes of each text in a variable.
    max_texts: RefCell<HashMap<Name, usize>>,
}

/// The path of a value, and where it came from.
#[derive(Clone, Copy)]
struct ValuePath<'a> {
    path: Path<'a>,
    source: Source,
    values: &'a Values<'a>,
    /// The maximum number of bytes of each text in it.
    max_text: Option<usize>,
}

impl<'a> ValuePath<'a> {
    fn field(&'a self, name: &'a str) -> Self {
        Self { path: self.path.field(name), ..*self }
    }

    fn index(&'a self, index: usize) -> Self {
        Self { path: self.path.index(index), ..*self }
    }

    /// Records that a variable is used here.
    fn note(&self, variable: &Name) {
        let Some(max) = self.max_text else { return };
        let mut max_texts = self.values.max_texts.borrow_mut();
        let least = max_texts.entry(variable.clone()).or_insert(max);
        *least = max.min(*least);
    }

    /// Refuses a text that is too long.
    fn limit(&self, value: &Value) -> Result<(), Error> {
        match (value, self.max_text) {
            (Value::String(text), Some(max)) if text.len() > max => {
                let message = format!("This can have at most {max} bytes in UTF-8.");
                Err(Error::bad_input(self.path, message))
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, message: impl Into<String>) -> Error {
        let code = match self.source {
            Source::Literal => Code::GraphqlValidationFailed,
            Source::Variable => Code::BadUserInput,
        };
        Error::new(code, message, Some(self.path.to_string()))
    }
}

/// Checks a value against a type. The value of a variable is checked separately.
fn check(types: &Types, ty: &Type, value: &Value, place: &ValuePath<'_>) -> Result<(), Error> {
    match (value, &ty.base) {
        (Value::Variable(name), _) => {
            place.note(name);
            Ok(())
        }
        (Value::Null, _) if ty.nullable => Ok(()),
        (Value::Null, _) => Err(place.refuse(format!("This is of type {ty} and cannot be null."))),
        (Value::List(values), BaseType::List(of)) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check(types, of, value, &place.index(index))),
        // a single value counts as a list of one
        (value, BaseType::List(of)) => check(types, of, value, place),
        (value, BaseType::Named(name)) => check_named(types, name, value, place),
    }
}

fn check_named(
    types: &Types,
    name: &str,
    value: &Value,
    place: &ValuePath<'_>,
) -> Result<(), Error> {
    let refuse = || Err(place.refuse(format!("This is not a valid {name}.")));
    match types.inputs.get(name) {
        // validation has a better error for an unknown type
        None => Ok(()),
        Some(Input::Scalar) => {
            place.limit(value)?;
            match (name, value) {
                ("Int", Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                    Some(Ok(_)) => Ok(()),
                    _ => Err(place.refuse("This is not a 32-bit integer.")),
                },
                ("Float", Value::Number(_))
                | ("String" | "DateTime" | "ID", Value::String(_))
                | ("Boolean", Value::Boolean(_)) => Ok(()),
                ("ID", Value::Number(number)) if number.is_i64() => Ok(()),
                ("Int" | "Float" | "String" | "DateTime" | "Boolean" | "ID", _) => refuse(),
                // any JSON
                _ if place.values.rounded.is_in(value) => Err(place.refuse(
                    "A number in this has too many digits to be stored exactly. Send it as text.",
                )),
                _ => Ok(()),
            }
        }
        Some(Input::Enum(values)) => match (value, place.source) {
            (Value::Enum(value), _) if values.contains(value.as_str()) => Ok(()),
            (Value::String(value), Source::Variable) if values.contains(value) => Ok(()),
            _ => refuse(),
        },
        Some(Input::Object(fields)) => {
            let Value::Object(values) = value else { return refuse() };
            let bytes = &place.values.bytes;
            bytes.set(bytes.get().saturating_add(FIELD * fields.len()));
            for name in values.keys() {
                if !fields.contains_key(name.as_str()) {
                    return Err(place.field(name).refuse("This field does not exist."));
                }
            }
            for (field, slot) in fields {
                let place = ValuePath { max_text: slot.max_text, ..place.field(field) };
                check_slot(types, slot, values.get(field.as_str()), &place)?;
            }
            Ok(())
        }
    }
}

fn check_slot(
    types: &Types,
    slot: &Slot,
    value: Option<&Value>,
    place: &ValuePath<'_>,
) -> Result<(), Error> {
    match value {
        Some(value) => check(types, &slot.ty, value, place),
        None if slot.ty.nullable || slot.has_default => Ok(()),
        None => Err(place.refuse(format!("This is of type {} and is required.", slot.ty))),
    }
}

/// Reads an operation and the fragments that it uses, each once.
struct Reader<'a> {
    types: &'a Types,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    read: HashSet<&'a str>,
    /// The path of the first use of each variable.
    places: HashMap<String, String>,
    values: Values<'a>,
}

impl<'a> Reader<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) -> Result<(), Error> {
        self.directives(&operation.directives);
        self.selections(types::root(operation.ty), &operation.selection_set.node)
    }

    fn selections(&mut self, object: &str, set: &'a SelectionSet) -> Result<(), Error> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.directives(&field.directives);
                    let known = self.types.field(object, &field.name.node);
                    for (name, value) in &field.arguments {
                        let path = Path::argument(&name.node);
                        self.note(&value.node, path);
                        // validation finds missing arguments
                        if let Some(slot) =
                            known.and_then(|of| of.arguments.get(name.node.as_str()))
                        {
                            let place = ValuePath {
                                path,
                                source: Source::Literal,
                                values: &self.values,
                                max_text: slot.max_text,
                            };
                            check(self.types, &slot.ty, &value.node, &place)?;
                        }
                    }
                    let of = known.map_or("", |known| known.base());
                    self.selections(of, &field.selection_set.node)?;
                }
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    self.directives(&fragment.directives);
                    let of = fragment.type_condition.as_ref();
                    let of = of.map_or(object, |of| of.node.on.node.as_str());
                    self.selections(of, &fragment.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives);
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.fragments.get(name) else { continue };
                    if self.read.insert(name) {
                        let fragment = &fragment.node;
                        self.directives(&fragment.directives);
                        let of = fragment.type_condition.node.on.node.as_str();
                        self.selections(of, &fragment.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for directive in directives {
            for (name, value) in &directive.node.arguments {
                self.note(&value.node, Path::argument(&name.node));
            }
        }
    }

    /// Records the path of the first use of each variable.
    fn note(&mut self, value: &Value, path: Path<'_>) {
        match value {
            Value::Variable(name) => {
                self.places.entry(name.to_string()).or_insert_with(|| path.to_string());
            }
            Value::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.note(value, path.index(index));
                }
            }
            Value::Object(values) => {
                for (name, value) in values {
                    self.note(value, path.field(name));
                }
            }
            _ => {}
        }
    }
}
