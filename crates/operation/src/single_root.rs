//! A subscription has one field at its root (GraphQL, section 5.2.3.1). async-graphql lets several
//! through, and sees none that stands in a fragment.

use async_graphql::{
    Name, Positioned,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
        Selection, SelectionSet,
    },
};

use crate::error::Error;

/// Brings the root of a subscription into the form of one field, its selections joined.
pub(crate) fn single_root(
    document: &mut ExecutableDocument,
    name: Option<&str>,
) -> Result<(), Error> {
    let ExecutableDocument { operations, fragments } = document;
    let operation: Option<&mut Positioned<OperationDefinition>> = match (operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
        (DocumentOperations::Multiple(operations), None) => operations.values_mut().next(),
    };
    let Some(operation) = operation.map(|operation| &mut operation.node) else { return Ok(()) };
    if operation.ty != OperationType::Subscription {
        return Ok(());
    }
    let mut fields: Vec<Positioned<Field>> = Vec::new();
    let mut sets: Vec<&SelectionSet> = vec![&operation.selection_set.node];
    let mut spread: Vec<Name> = Vec::new();
    // fragments were measured before: they do not contain themselves
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => fields.push(field.clone()),
                Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(of) => {
                    let name = &of.node.fragment_name.node;
                    let fragment = fragments.get(name);
                    spread.push(name.clone());
                    sets.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    let refuse = || Error::invalid("A subscription has one field at its root.");
    let mut fields = fields.into_iter();
    let mut root = fields.next().ok_or_else(refuse)?;
    for field in fields {
        if field.node.response_key().node != root.node.response_key().node {
            return Err(refuse());
        }
        root.node.selection_set.node.items.extend(field.node.selection_set.node.items);
    }
    let position = root.pos;
    operation.selection_set.node.items = vec![Positioned::new(Selection::Field(root), position)];
    // of the root's type: they stand nowhere else
    fragments.retain(|name, _| !spread.contains(name));
    Ok(())
}
