//! Removes omitted variables from selections.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned,
    parser::types::{Directive, Selection, SelectionSet},
};
use async_graphql_value::Value;

/// Removes arguments and input fields whose value is an omitted variable.
pub(crate) fn omit_from_selections(set: &mut SelectionSet, omitted: &HashSet<Name>) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                let field = &mut field.node;
                omit_from_arguments(&mut field.arguments, omitted);
                omit_from_directives(&mut field.directives, omitted);
                omit_from_selections(&mut field.selection_set.node, omitted);
            }
            Selection::InlineFragment(fragment) => {
                omit_from_directives(&mut fragment.node.directives, omitted);
                omit_from_selections(&mut fragment.node.selection_set.node, omitted);
            }
            Selection::FragmentSpread(spread) => {
                omit_from_directives(&mut spread.node.directives, omitted);
            }
        }
    }
}

fn omit_from_directives(directives: &mut [Positioned<Directive>], omitted: &HashSet<Name>) {
    for directive in directives {
        omit_from_arguments(&mut directive.node.arguments, omitted);
    }
}

fn omit_from_arguments(
    arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>,
    omitted: &HashSet<Name>,
) {
    arguments.retain(|(_, value)| !is_omitted(&value.node, omitted));
    for (_, value) in arguments {
        omit_from_value(&mut value.node, omitted);
    }
}

fn is_omitted(value: &Value, omitted: &HashSet<Name>) -> bool {
    matches!(value, Value::Variable(name) if omitted.contains(name))
}

fn omit_from_value(value: &mut Value, omitted: &HashSet<Name>) {
    match value {
        // an element of a list cannot be omitted
        Value::Variable(name) if omitted.contains(name) => *value = Value::Null,
        Value::List(values) => {
            for value in values {
                omit_from_value(value, omitted);
            }
        }
        Value::Object(values) => {
            values.retain(|_, value| !is_omitted(value, omitted));
            for value in values.values_mut() {
                omit_from_value(value, omitted);
            }
        }
        _ => {}
    }
}
