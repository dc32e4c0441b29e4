//! The tree of parsed rules.

use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
};

use campaigns_entity::contact::ContactType;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Number;
use uuid::Uuid;

use crate::{fields::Field, operators::Operator};

/// Checked rules.
#[derive(Clone, Debug)]
pub struct Rules(pub(crate) Node);

/// A part of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Group { joined_by: Combinator, is_negated: bool, nodes: Vec<Node> },
    Rule(Rule),
}

impl Node {
    /// A node that selects all contacts, or none.
    pub(crate) fn constant(is_everyone: bool) -> Self {
        Self::Group { joined_by: Combinator::And, is_negated: !is_everyone, nodes: Vec::new() }
    }

    /// Whether it selects all contacts or none, if it does either regardless of the contacts.
    fn as_constant(&self) -> Option<bool> {
        match self {
            Self::Group { is_negated, nodes, .. } if nodes.is_empty() => Some(!is_negated),
            _ => None,
        }
    }

    /// A group of nodes. An empty group selects all contacts. Constant nodes are simplified, so that the
    /// number of groups is bounded by the number of rules. Of equal nodes, the first is kept.
    pub(crate) fn group(joined_by: Combinator, is_negated: bool, mut nodes: Vec<Self>) -> Self {
        if nodes.is_empty() {
            return Self::constant(!is_negated);
        }
        let deciding = joined_by == Combinator::Or;
        if nodes.iter().any(|node| node.as_constant() == Some(deciding)) {
            return Self::constant(deciding != is_negated);
        }
        nodes.retain(|node| node.as_constant().is_none());
        if nodes.is_empty() {
            return Self::constant(deciding == is_negated);
        }
        // the database would compute a repeated condition again
        let mut known = HashSet::with_capacity(nodes.len());
        let is_first: Vec<bool> = nodes.iter().map(|node| known.insert(node)).collect();
        let mut is_first = is_first.into_iter();
        nodes.retain(|_| is_first.next().unwrap_or(true));
        Self::Group { joined_by, is_negated, nodes }
    }
}

/// The operator that joins the rules of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Combinator {
    And,
    Or,
}

/// A test of one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    pub(crate) field: &'static Field,
    /// The nested keys of a metadata field.
    pub(crate) keys: Vec<String>,
    pub(crate) operator: &'static Operator,
    pub(crate) operand: Operand,
}

// a field and an operator are known by their names
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Field {}

impl Hash for Field {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl PartialEq for Operator {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Operator {}

impl Hash for Operator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The operand of a test, in the form that its operator needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Nothing,
    One(Value),
    Many(Vec<Value>),
    Range(Value, Value),
}

/// A value, in the form that its field needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Text(String),
    Number(Number),
    Boolean(bool),
    Id(Uuid),
    Type(ContactType),
    Time(Time),
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Time {
    At(DateTime<Utc>),
    /// A duration before the evaluation of the rules.
    Ago(TimeDelta),
}

/// The bytes of a value with text, in addition to its own size.
const ALLOCATION: usize = 16;

impl Rules {
    /// The bytes that they hold in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// The sum of the prices of the rules, each by the names of its field and its operator.
    pub fn cost(&self, price: impl Fn(&str, &str) -> usize) -> usize {
        self.0.cost(&price)
    }
}

impl Node {
    fn weight(&self) -> usize {
        let held = match self {
            Self::Group { nodes, .. } => ALLOCATION + nodes.iter().map(Self::weight).sum::<usize>(),
            Self::Rule(Rule { keys, operand, .. }) => {
                let keys = keys.iter().map(|key| ALLOCATION + size_of::<String>() + key.capacity());
                keys.sum::<usize>() + operand.weight()
            }
        };
        size_of::<Self>() + held
    }

    fn cost(&self, price: &dyn Fn(&str, &str) -> usize) -> usize {
        match self {
            Self::Group { nodes, .. } => nodes.iter().map(|node| node.cost(price)).sum(),
            Self::Rule(Rule { field, operator, .. }) => price(field.name, operator.name),
        }
    }
}

impl Operand {
    fn weight(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(value) => value.weight(),
            Self::Many(values) => values.iter().map(Value::weight).sum(),
            Self::Range(from, to) => from.weight() + to.weight(),
        }
    }
}

impl Value {
    fn weight(&self) -> usize {
        let held = match self {
            Self::Text(text) => ALLOCATION + text.capacity(),
            _ => 0,
        };
        size_of::<Self>() + held
    }
}
