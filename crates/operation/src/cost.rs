//! What an operation may cost, before it is executed.
//!
//! A field costs 1 and what is in it; a list, what is in it times the rows that it may have. That is
//! known from the document, the variables and the schema alone.
//!
//! **Invariants.** Each fragment is reckoned once, however often it is spread, and sums saturate;
//! [`measure`](mod@super::measure) has bounded the document before, so there is room to walk it.
//! Every list of objects has a length that it is reckoned with: a test fails where one has none.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Variables,
    parser::types::{
        ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    },
};
use async_graphql_value::{ConstValue, Value};

use crate::{
    error::Error,
    types::{self, Types},
};

/// How many rows a list may have: what is in the field is counted so many times. 1 for a field that
/// is no list.
pub type Rows = fn(&List<'_>) -> usize;

/// A field that may be a list, for whoever says how long it is.
pub struct List<'a> {
    /// The object that the field is of.
    pub object: &'a str,
    /// The field's name.
    pub field: &'a str,
    known: &'a types::Field,
    asked: &'a Field,
    variables: &'a Variables,
    input: usize,
}

/// What an operation may come to at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields within fields.
    pub depth: usize,
    /// Fields, times the rows that they are asked for.
    pub complexity: usize,
    /// Fields with an alias.
    pub aliases: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 20, complexity: 250_000, aliases: 50 }
    }
}

#[derive(Clone, Copy, Default)]
struct Cost {
    depth: usize,
    complexity: usize,
    aliases: usize,
}

struct Reckoner<'a> {
    types: &'a Types,
    rows: Rows,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    known: HashMap<&'a str, Cost>,
    /// The length of the longest list that an argument `input` of a root field has.
    input: usize,
}

/// Operations that cost so much are dear: few of them are executed at once.
const DEAR: usize = 10_000;

/// Refuses an operation that would cost too much, and says whether what it costs is dear.
pub(crate) fn limit(
    types: &Types,
    rows: Rows,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<bool, Error> {
    let fragments = &document.fragments;
    let mut reckoner =
        Reckoner { types, rows, fragments, variables, known: HashMap::new(), input: 1 };
    reckoner.input = reckoner.longest_input(&operation.selection_set.node);
    let cost = reckoner.set(types::root(operation.ty), &operation.selection_set.node);
    for (what, cost, limit) in [
        ("nests fields", cost.depth, limits.depth),
        ("costs", cost.complexity, limits.complexity),
        ("has aliases:", cost.aliases, limits.aliases),
    ] {
        if cost > limit {
            let message = format!("The operation {what} {cost}, and {limit} is the limit.");
            return Err(Error::limit("query", message));
        }
    }
    Ok(cost.complexity >= DEAR)
}

impl<'a> Reckoner<'a> {
    fn set(&mut self, object: &str, set: &'a SelectionSet) -> Cost {
        let mut sum = Cost::default();
        for selection in &set.items {
            let cost = match &selection.node {
                Selection::Field(field) => self.field(object, &field.node),
                Selection::InlineFragment(fragment) => {
                    let of = fragment.node.type_condition.as_ref();
                    let of = of.map_or(object, |of| of.node.on.node.as_str());
                    self.set(of, &fragment.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            sum.depth = sum.depth.max(cost.depth);
            sum.complexity = sum.complexity.saturating_add(cost.complexity);
            sum.aliases = sum.aliases.saturating_add(cost.aliases);
        }
        sum
    }

    /// The length of the longest list that an argument `input` of these fields has, 1 at least.
    fn longest_input(&self, set: &SelectionSet) -> usize {
        let lengths = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => match field.node.get_argument("input") {
                Some(input) => length(&input.node, self.variables),
                None => 1,
            },
            Selection::InlineFragment(inline) => {
                self.longest_input(&inline.node.selection_set.node)
            }
            Selection::FragmentSpread(spread) => {
                match self.fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => self.longest_input(&fragment.node.selection_set.node),
                    None => 1,
                }
            }
        });
        lengths.max().unwrap_or(1).max(1)
    }

    fn fragment(&mut self, name: &'a str) -> Cost {
        if let Some(cost) = self.known.get(name) {
            return *cost;
        }
        let Some(fragment) = self.fragments.get(name) else { return Cost::default() };
        let of = fragment.node.type_condition.node.on.node.as_str();
        let cost = self.set(of, &fragment.node.selection_set.node);
        self.known.insert(name, cost);
        cost
    }

    fn field(&mut self, object: &str, field: &'a Field) -> Cost {
        let known = self.types.field(object, &field.name.node);
        let of = known.map_or("", |known| known.base());
        let inner = self.set(of, &field.selection_set.node);
        let rows = known.map_or(1, |known| self.rows(object, known, field));
        Cost {
            depth: inner.depth.saturating_add(1),
            complexity: inner.complexity.saturating_mul(rows).saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
        }
    }

    /// How many times what is in a field may be there.
    fn rows(&self, object: &str, known: &types::Field, asked: &Field) -> usize {
        (self.rows)(&List {
            object,
            field: &asked.name.node,
            known,
            asked,
            variables: self.variables,
            input: self.input,
        })
    }
}

impl List<'_> {
    /// Whether the field has an argument of this name.
    #[must_use]
    pub fn takes(&self, argument: &str) -> bool {
        self.known.arguments.contains_key(argument)
    }

    /// The whole number that an argument is.
    #[must_use]
    pub fn number(&self, argument: &str) -> Option<usize> {
        match self.value(argument)? {
            ConstValue::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        }
    }

    /// The text or the name of an enum's value that an argument is.
    #[must_use]
    pub fn text(&self, argument: &str) -> Option<String> {
        match self.value(argument)? {
            ConstValue::String(text) => Some(text),
            ConstValue::Enum(name) => Some(name.to_string()),
            _ => None,
        }
    }

    /// The length of the list that an argument is.
    #[must_use]
    pub fn length(&self, argument: &str) -> Option<usize> {
        self.asked.get_argument(argument).map(|value| length(&value.node, self.variables))
    }

    /// The length of the longest list that an argument `input` of a root field is, 1 at least.
    #[must_use]
    pub fn input_length(&self) -> usize {
        self.input
    }

    /// What an argument is, its variables put in.
    fn value(&self, name: &str) -> Option<ConstValue> {
        let value = self.asked.get_argument(name)?.node.clone();
        value.into_const_with(|name| self.variables.get(&name).cloned().ok_or(())).ok()
    }
}

fn length(value: &Value, variables: &Variables) -> usize {
    match value {
        Value::List(values) => values.len(),
        Value::Variable(name) => match variables.get(name) {
            Some(ConstValue::List(values)) => values.len(),
            _ => 1,
        },
        _ => 1,
    }
}
