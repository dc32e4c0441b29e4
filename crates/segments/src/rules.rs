//! The tree of parsed rules.

use campaigns_entity::contact::ContactType;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Number;
use uuid::Uuid;

use crate::{fields::Field, operators::Operator};

/// Checked rules.
#[derive(Clone, Debug)]
pub struct Rules(pub(crate) Node);

/// A part of the tree.
#[derive(Clone, Debug)]
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
    /// number of groups is bounded by the number of rules.
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
        Self::Group { joined_by, is_negated, nodes }
    }
}

/// The operator that joins the rules of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combinator {
    And,
    Or,
}

/// A test of one field.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) field: &'static Field,
    /// The nested keys of a metadata field.
    pub(crate) keys: Vec<String>,
    pub(crate) operator: &'static Operator,
    pub(crate) operand: Operand,
}

/// The operand of a test, in the form that its operator needs.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Nothing,
    One(Value),
    Many(Vec<Value>),
    Range(Value, Value),
}

/// A value, in the form that its field needs.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(Number),
    Boolean(bool),
    Id(Uuid),
    Type(ContactType),
    Time(Time),
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    At(DateTime<Utc>),
    /// A duration before the evaluation of the rules.
    Ago(TimeDelta),
}
