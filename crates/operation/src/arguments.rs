//! The bytes of arguments, as a resolver reads them.
//!
//! A resolver reads its arguments again for each object that it resolves a field of: the library
//! copies the value of a variable or a literal, and makes an input object of it.

use async_graphql::{Name, parser::types::Field};
use async_graphql_value::{ConstValue, Value};

/// What reading a value takes in addition to its text, in bytes of text.
const VALUE: usize = 32;

/// The bytes of a field's arguments, with these bytes for each variable.
pub(crate) fn bytes(field: &Field, of_variable: &dyn Fn(&Name) -> usize) -> usize {
    let bytes = field.arguments.iter().map(|(_, value)| bytes_of(&value.node, of_variable));
    bytes.fold(0, usize::saturating_add)
}

fn bytes_of(value: &Value, of_variable: &dyn Fn(&Name) -> usize) -> usize {
    let content = match value {
        Value::Variable(name) => return of_variable(name),
        Value::String(text) => text.len(),
        Value::List(values) => sum(values.iter().map(|value| bytes_of(value, of_variable))),
        Value::Object(fields) => {
            let fields = fields.iter();
            sum(fields.map(|(name, value)| name.len() + bytes_of(value, of_variable)))
        }
        _ => 0,
    };
    content.saturating_add(VALUE)
}

/// The bytes of the value of a variable.
pub(crate) fn bytes_of_constant(value: &ConstValue) -> usize {
    let content = match value {
        ConstValue::String(text) => text.len(),
        ConstValue::List(values) => sum(values.iter().map(bytes_of_constant)),
        ConstValue::Object(fields) => {
            sum(fields.iter().map(|(name, value)| name.len() + bytes_of_constant(value)))
        }
        _ => 0,
    };
    content.saturating_add(VALUE)
}

fn sum(bytes: impl Iterator<Item = usize>) -> usize {
    bytes.fold(0, usize::saturating_add)
}
