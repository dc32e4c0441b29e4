//! Checks values against their types, and removes omitted variables from the document (GraphQL,
//! sections 6.1.2 and 6.4.1).
//!
//! async-graphql passes null to a resolver for an omitted variable. Here, an argument or input field
//! whose value is an omitted variable is removed from the selections ([`omit`](mod@crate::omit)), so
//! that its default applies. Values of the wrong type are found here, with their path: a wrong literal
//! is `GRAPHQL_VALIDATION_FAILED`, and a wrong variable is `BAD_USER_INPUT`.

use std::{
    cell::Cell,
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
        bytes: Cell::new(0),
        rounded,
    };
    reader.operation(operation)?;
    Ok(Literals { places: reader.places, bytes: reader.bytes.get() })
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
    let bytes = Cell::new(0);
    let CachedOperation { variables: definitions, places, never_null, .. } = cached;
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
                let place = ValuePath(Path::argument(place), Source::Variable, &bytes, rounded);
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
    Ok(CoercedVariables { values: given, omitted, bytes: bytes.get() })
}

#[derive(Clone, Copy)]
enum Source {
    Literal,
    Variable,
}

/// The path of a value, its source, the bytes of the input objects so far, and the rounded numbers.
#[derive(Clone, Copy)]
struct ValuePath<'a>(Path<'a>, Source, &'a Cell<usize>, &'a RoundedNumbers);

impl<'a> ValuePath<'a> {
    fn field(&'a self, name: &'a str) -> Self {
        Self(self.0.field(name), self.1, self.2, self.3)
    }

    fn index(&'a self, index: usize) -> Self {
        Self(self.0.index(index), self.1, self.2, self.3)
    }

    fn refuse(&self, message: impl Into<String>) -> Error {
        let code = match self.1 {
            Source::Literal => Code::GraphqlValidationFailed,
            Source::Variable => Code::BadUserInput,
        };
        Error::new(code, message, Some(self.0.to_string()))
    }
}

/// Checks a value against a type. The value of a variable is checked separately.
fn check(types: &Types, ty: &Type, value: &Value, place: &ValuePath<'_>) -> Result<(), Error> {
    match (value, &ty.base) {
        (Value::Variable(_), _) => Ok(()),
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
                _ if place.3.is_in(value) => Err(place.refuse(
                    "A number in this has too many digits to be stored exactly. Send it as text.",
                )),
                _ => Ok(()),
            }
        }
        Some(Input::Enum(values)) => match (value, place.1) {
            (Value::Enum(value), _) if values.contains(value.as_str()) => Ok(()),
            (Value::String(value), Source::Variable) if values.contains(value) => Ok(()),
            _ => refuse(),
        },
        Some(Input::Object(fields)) => {
            let Value::Object(values) = value else { return refuse() };
            place.2.set(place.2.get().saturating_add(FIELD * fields.len()));
            for name in values.keys() {
                if !fields.contains_key(name.as_str()) {
                    return Err(place.field(name).refuse("This field does not exist."));
                }
            }
            for (field, slot) in fields {
                check_slot(types, slot, values.get(field.as_str()), &place.field(field))?;
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
    bytes: Cell<usize>,
    rounded: &'a RoundedNumbers,
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
                            check(
                                self.types,
                                &slot.ty,
                                &value.node,
                                &ValuePath(path, Source::Literal, &self.bytes, self.rounded),
                            )?;
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
