//! What an operation may cost, before it is executed.
//!
//! A field costs 1 and what is in it; a list, what is in it times the rows that it may have. That is
//! known from the document, the variables and the schema alone.
//!
//! **Invariant.** Sums saturate, and [`measure`](mod@crate::measure) has bounded how much there is once
//! fragments are written out, so there is room and time to walk it.

use std::cell::Cell;

use async_graphql::{
    Name, Variables,
    parser::types::{Field, Selection, SelectionSet},
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
    within: &'a Reckoner<'a>,
}

/// What an operation may come to at most, and what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields within fields.
    pub depth: usize,
    /// Fields, times the rows that they are asked for.
    pub complexity: usize,
    /// Fields with an alias.
    pub aliases: usize,
    /// Bytes of operations that are kept for when they come again, at most.
    pub kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 20, complexity: 250_000, aliases: 50, kept: 16 * 1024 * 1024 }
    }
}

/// What an operation comes to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    depth: usize,
    complexity: usize,
    aliases: usize,
}

struct Reckoner<'a> {
    types: &'a Types,
    rows: Rows,
    variables: Option<&'a Variables>,
    /// Whether a variable was looked up.
    varies: Cell<bool>,
    /// The length of the longest list that an argument `input` of a root field has.
    input: usize,
}

/// Operations that cost so much are dear: few of them are executed at once.
pub(crate) const DEAR: usize = 10_000;

/// What the selections of a root cost, written out, if that depends on no variable.
pub(crate) fn fixed(types: &Types, rows: Rows, root: &str, set: &SelectionSet) -> Option<Cost> {
    let (cost, varies) = Reckoner::reckon(types, rows, root, set, None);
    (!varies).then_some(cost)
}

/// What the selections of a root cost, written out.
pub(crate) fn of(
    types: &Types,
    rows: Rows,
    root: &str,
    set: &SelectionSet,
    variables: &Variables,
) -> Cost {
    Reckoner::reckon(types, rows, root, set, Some(variables)).0
}

impl Cost {
    /// Refuses what would cost too much. Returns the fields, times the rows that they are asked for.
    pub(crate) fn limit(self, limits: &Limits) -> Result<usize, Error> {
        for (what, cost, limit) in [
            ("nests fields", self.depth, limits.depth),
            ("costs", self.complexity, limits.complexity),
            ("has aliases:", self.aliases, limits.aliases),
        ] {
            if cost > limit {
                let message = format!("The operation {what} {cost}, and {limit} is the limit.");
                return Err(Error::limit("query", message));
            }
        }
        Ok(self.complexity)
    }
}

impl<'a> Reckoner<'a> {
    /// The cost, and whether it depends on variables.
    fn reckon(
        types: &'a Types,
        rows: Rows,
        root: &str,
        set: &SelectionSet,
        variables: Option<&'a Variables>,
    ) -> (Cost, bool) {
        let mut reckoner = Self { types, rows, variables, varies: Cell::new(false), input: 1 };
        reckoner.input = reckoner.longest_input(set);
        (reckoner.set(root, set), reckoner.varies.get())
    }

    fn set(&self, object: &str, set: &SelectionSet) -> Cost {
        let mut sum = Cost::default();
        for selection in &set.items {
            let cost = match &selection.node {
                Selection::Field(field) => self.field(object, &field.node),
                Selection::InlineFragment(fragment) => {
                    let of = fragment.node.type_condition.as_ref();
                    let of = of.map_or(object, |of| of.node.on.node.as_str());
                    self.set(of, &fragment.node.selection_set.node)
                }
                // written out
                Selection::FragmentSpread(_) => continue,
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
                Some(input) => self.length(&input.node),
                None => 1,
            },
            _ => 1,
        });
        lengths.max().unwrap_or(1).max(1)
    }

    fn field(&self, object: &str, field: &Field) -> Cost {
        let known = self.types.field(object, &field.name.node);
        let of = known.map_or("", |known| known.base());
        let inner = self.set(of, &field.selection_set.node);
        let list =
            |known| List { object, field: &field.name.node, known, asked: field, within: self };
        let rows = known.map_or(1, |known| (self.rows)(&list(known)));
        Cost {
            depth: inner.depth.saturating_add(1),
            complexity: inner.complexity.saturating_mul(rows).saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
        }
    }

    fn variable(&self, name: &Name) -> Option<&'a ConstValue> {
        self.varies.set(true);
        self.variables?.get(name)
    }

    fn length(&self, value: &Value) -> usize {
        match value {
            Value::List(values) => values.len(),
            Value::Variable(name) => match self.variable(name) {
                Some(ConstValue::List(values)) => values.len(),
                _ => 1,
            },
            _ => 1,
        }
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
        self.asked.get_argument(argument).map(|value| self.within.length(&value.node))
    }

    /// The length of the longest list that an argument `input` of a root field is, 1 at least.
    #[must_use]
    pub fn input_length(&self) -> usize {
        self.within.input
    }

    /// What an argument is, its variables put in.
    fn value(&self, name: &str) -> Option<ConstValue> {
        let value = self.asked.get_argument(name)?.node.clone();
        value.into_const_with(|name| self.within.variable(&name).cloned().ok_or(())).ok()
    }
}
