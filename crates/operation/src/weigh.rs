//! The memory that parts of a document take.
//!
//! **Invariant.** Cached operations are weighed by the memory that they hold: tokens, names and values,
//! and the structures around them. The memory tests compare this with the allocator.

use std::collections::HashMap;

use async_graphql::{
    Name, PathSegment, Positioned, ServerError,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition,
        FragmentSpread, InlineFragment, OperationDefinition, Selection, SelectionSet, Type,
        VariableDefinition,
    },
};
use async_graphql_value::{ConstValue, Value};

/// The overhead of an allocation, in bytes.
const ALLOCATION: usize = 16;
/// The overhead of an entry of a hash map, in bytes.
const ENTRY: usize = 24;

/// A value that holds memory.
pub(crate) trait Weigh {
    /// The bytes that it holds in addition to its own size.
    fn held(&self) -> usize;
}

impl<T: Weigh> Weigh for Positioned<T> {
    fn held(&self) -> usize {
        self.node.held()
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Weigh::held)
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn held(&self) -> usize {
        if self.capacity() == 0 {
            return 0;
        }
        ALLOCATION + self.capacity() * size_of::<T>() + self.iter().map(Weigh::held).sum::<usize>()
    }
}

impl<T: Weigh, U: Weigh> Weigh for (T, U) {
    fn held(&self) -> usize {
        self.0.held() + self.1.held()
    }
}

impl<K: Weigh, V: Weigh> Weigh for HashMap<K, V> {
    fn held(&self) -> usize {
        let entry = ENTRY + size_of::<K>() + size_of::<V>();
        let entries = self.iter().map(|(key, value)| key.held() + value.held());
        self.capacity() * entry + entries.sum::<usize>()
    }
}

impl Weigh for String {
    fn held(&self) -> usize {
        if self.capacity() == 0 { 0 } else { ALLOCATION + self.capacity() }
    }
}

impl Weigh for Name {
    fn held(&self) -> usize {
        // with its reference counts
        2 * ALLOCATION + self.len()
    }
}

impl Weigh for Type {
    fn held(&self) -> usize {
        match &self.base {
            BaseType::Named(name) => name.held(),
            BaseType::List(of) => ALLOCATION + size_of::<Self>() + of.held(),
        }
    }
}

/// The bytes of an index map with room for this many entries.
fn of_map<V>(capacity: usize) -> usize {
    if capacity == 0 {
        return 0;
    }
    // a hash with each entry, and a table of their places of which an eighth stays free
    let entry = size_of::<u64>() + size_of::<Name>() + size_of::<V>();
    let places = (capacity * 8 / 7).next_power_of_two() * (size_of::<usize>() + 1);
    2 * ALLOCATION + capacity * entry + ENTRY + places
}

impl Weigh for Value {
    fn held(&self) -> usize {
        match self {
            Self::Variable(name) | Self::Enum(name) => name.held(),
            Self::String(text) => text.held(),
            Self::Binary(bytes) => bytes.len(),
            Self::List(values) => values.held(),
            Self::Object(fields) => {
                let held = fields.iter().map(|(name, value)| name.held() + value.held());
                of_map::<Self>(fields.capacity()) + held.sum::<usize>()
            }
            Self::Null | Self::Number(_) | Self::Boolean(_) => 0,
        }
    }
}

impl Weigh for ConstValue {
    fn held(&self) -> usize {
        match self {
            Self::Enum(name) => name.held(),
            Self::String(text) => text.held(),
            Self::Binary(bytes) => bytes.len(),
            Self::List(values) => values.held(),
            Self::Object(fields) => {
                let held = fields.iter().map(|(name, value)| name.held() + value.held());
                of_map::<Self>(fields.capacity()) + held.sum::<usize>()
            }
            Self::Null | Self::Number(_) | Self::Boolean(_) => 0,
        }
    }
}

impl Weigh for Directive {
    fn held(&self) -> usize {
        self.name.held() + self.arguments.held()
    }
}

impl Weigh for Field {
    fn held(&self) -> usize {
        self.alias.held()
            + self.name.held()
            + self.arguments.held()
            + self.directives.held()
            + self.selection_set.held()
    }
}

impl Weigh for InlineFragment {
    fn held(&self) -> usize {
        let on = self.type_condition.as_ref().map_or(0, |on| on.node.on.held());
        on + self.directives.held() + self.selection_set.held()
    }
}

impl Weigh for FragmentSpread {
    fn held(&self) -> usize {
        self.fragment_name.held() + self.directives.held()
    }
}

impl Weigh for Selection {
    fn held(&self) -> usize {
        match self {
            Self::Field(field) => field.held(),
            Self::InlineFragment(inline) => inline.held(),
            Self::FragmentSpread(spread) => spread.held(),
        }
    }
}

impl Weigh for SelectionSet {
    fn held(&self) -> usize {
        self.items.held()
    }
}

impl Weigh for VariableDefinition {
    fn held(&self) -> usize {
        self.name.held() + self.var_type.held() + self.directives.held() + self.default_value.held()
    }
}

impl Weigh for OperationDefinition {
    fn held(&self) -> usize {
        self.variable_definitions.held() + self.directives.held() + self.selection_set.held()
    }
}

impl Weigh for FragmentDefinition {
    fn held(&self) -> usize {
        self.type_condition.node.on.held() + self.directives.held() + self.selection_set.held()
    }
}

impl Weigh for ExecutableDocument {
    fn held(&self) -> usize {
        let operations = match &self.operations {
            DocumentOperations::Single(operation) => operation.held(),
            DocumentOperations::Multiple(operations) => operations.held(),
        };
        operations + self.fragments.held()
    }
}

impl Weigh for ServerError {
    fn held(&self) -> usize {
        let path = self.path.iter().map(|segment| {
            size_of::<PathSegment>()
                + match segment {
                    PathSegment::Field(name) => name.held(),
                    PathSegment::Index(_) => 0,
                }
        });
        // including a few extensions
        2 * ENTRY + self.message.held() + 16 * self.locations.capacity() + path.sum::<usize>()
    }
}
