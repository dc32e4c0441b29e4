//! Removes omitted variables from the document.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, FragmentDefinition, Selection,
        SelectionSet,
    },
};
use async_graphql_value::Value;

/// Removes variables without a value from the document, together with the parts that the operation
/// does not use, since those may use variables with the same names differently.
pub(crate) fn omit(document: &mut ExecutableDocument, name: Option<&str>, omitted: &HashSet<Name>) {
    let operation = match &mut document.operations {
        DocumentOperations::Single(operation) => operation,
        DocumentOperations::Multiple(operations) => {
            if let Some(name) = name {
                operations.retain(|of, _| of.as_str() == name);
            }
            match operations.values_mut().next() {
                Some(operation) => operation,
                None => return,
            }
        }
    };
    let mut used = HashSet::new();
    used_fragments(&operation.node.selection_set.node, &document.fragments, &mut used);
    document.fragments.retain(|name, _| used.contains(name));

    let definitions = &mut operation.node.variable_definitions;
    definitions.retain(|definition| !omitted.contains(&definition.node.name.node));
    omit_from_directives(&mut operation.node.directives, omitted);
    omit_from_selections(&mut operation.node.selection_set.node, omitted);
    for fragment in document.fragments.values_mut() {
        omit_from_directives(&mut fragment.node.directives, omitted);
        omit_from_selections(&mut fragment.node.selection_set.node, omitted);
    }
}

fn used_fragments(
    set: &SelectionSet,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    used: &mut HashSet<Name>,
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                used_fragments(&field.node.selection_set.node, fragments, used);
            }
            Selection::InlineFragment(fragment) => {
                used_fragments(&fragment.node.selection_set.node, fragments, used);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                let Some(fragment) = fragments.get(name) else { continue };
                if used.insert(name.clone()) {
                    used_fragments(&fragment.node.selection_set.node, fragments, used);
                }
            }
        }
    }
}

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
