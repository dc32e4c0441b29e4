//! What an operation may cost, before it is executed.
//!
//! A field costs 1 and what is in it; a list, what is in it times the rows that are asked for. It
//! is known from the document, the variables and the schema alone. **Invariant**: each fragment is
//! reckoned once, however often it is spread, and sums saturate; [`measure`](mod@super::measure) has
//! bounded the document before, so there is room to walk it.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Variables,
    parser::types::{
        BaseType, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection,
        SelectionSet,
    },
};
use async_graphql_value::{ConstValue, Value};
use campaigns_analytics::MAX_BUCKETS;

use super::types::{self, Types};
use crate::{error::Error, scalars};

/// Rows of a list that does not say how many.
const DEFAULT_ROWS: usize = 50;
/// Rows of a list without pages: the companies of a contact, the segments of a campaign.
const SHORT_LIST: usize = 5;

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
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    known: HashMap<&'a str, Cost>,
}

/// Refuses an operation that would cost too much.
pub(super) fn limit(
    types: &Types,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<(), Error> {
    let mut reckoner =
        Reckoner { types, fragments: &document.fragments, variables, known: HashMap::new() };
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
    Ok(())
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
        let rows = known.map_or(1, |known| self.rows(known, field));
        Cost {
            depth: inner.depth.saturating_add(1),
            complexity: inner.complexity.saturating_mul(rows).saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
        }
    }

    /// How many times what is in a field may be there.
    fn rows(&self, known: &types::Field, field: &Field) -> usize {
        if known.arguments.contains_key("first") {
            let asked = ["first", "last"].into_iter().find_map(|name| self.number(field, name));
            return asked.unwrap_or(DEFAULT_ROWS);
        }
        if known.arguments.contains_key("interval") {
            return self.buckets(field);
        }
        if let Some(ids) = field.get_argument("ids") {
            return self.length(&ids.node);
        }
        let is_object_list = matches!(known.ty.base, BaseType::List(_))
            && !field.selection_set.node.items.is_empty();
        // edges and nodes of a connection are as many as the connection's rows
        let is_page = matches!(field.name.node.as_str(), "edges" | "nodes");
        if is_object_list && !is_page { SHORT_LIST } else { 1 }
    }

    /// How many buckets a time series has at most or, where it does not say from when and to when,
    /// may have.
    fn buckets(&self, field: &Field) -> usize {
        let time = |name| match self.value(field, name) {
            Some(ConstValue::String(text)) => scalars::storable(&text),
            _ => None,
        };
        let interval = match self.value(field, "interval") {
            Some(ConstValue::Enum(name)) => name.to_string(),
            Some(ConstValue::String(name)) => name,
            _ => String::new(),
        };
        // as short as daylight saving, and February, make them
        let (minutes, unbounded) = match interval.as_str() {
            "MONTH" => (28 * 23 * 60, 50),
            "WEEK" => (7 * 23 * 60, 100),
            "DAY" => (23 * 60, 200),
            "HOUR" => (60, 400),
            _ => (1, 400),
        };
        let Some((from, to)) = time("from").zip(time("to")) else { return unbounded };
        let touched = (to - from).num_minutes() / minutes + 2;
        usize::try_from(touched).unwrap_or(0).min(MAX_BUCKETS)
    }

    fn number(&self, field: &Field, name: &str) -> Option<usize> {
        match self.value(field, name)? {
            ConstValue::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        }
    }

    /// What an argument is, its variables put in.
    fn value(&self, field: &Field, name: &str) -> Option<ConstValue> {
        let value = field.get_argument(name)?.node.clone();
        value.into_const_with(|name| self.variables.get(&name).cloned().ok_or(())).ok()
    }

    fn length(&self, value: &Value) -> usize {
        match value {
            Value::List(values) => values.len(),
            Value::Variable(name) => match self.variables.get(name) {
                Some(ConstValue::List(values)) => values.len(),
                _ => 1,
            },
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Api, Checks, Operation};

    /// The limit that an operation breaks, if any.
    fn refused(query: &str) -> Option<String> {
        let operation = Operation { query: query.to_owned(), ..Default::default() };
        match Checks::new(Limits::default()).prepare(operation) {
            Err(Error::Client { message, .. }) => Some(message),
            _ => None,
        }
    }

    #[test]
    fn every_connection_costs_its_rows() {
        let types = Types::of(&Api::sdl()).unwrap();
        let mut connections = 0;
        for (object, field, known) in types.all_fields() {
            let is_connection = types.field(known.base(), "pageInfo").is_some();
            assert!(
                !is_connection || known.arguments.contains_key("first"),
                "{object}.{field} has no cost"
            );
            connections += usize::from(is_connection);
        }
        assert!(connections > 5);
    }

    #[test]
    fn what_a_dashboard_asks_is_allowed_and_what_would_be_a_dump_is_not() {
        let sends = |campaigns: usize, sends: usize, inner: &str| {
            format!(
                "{{ campaigns(first: {campaigns}) {{ nodes {{ name stats {{ sends openRate clickRate }} \
                 sends(first: {sends}) {{ nodes {{ id status {inner} }} }} }} }} }}"
            )
        };
        let contact = "contact { firstName email companies { name domain } sends(first: 5) { nodes { id status } } }";
        assert_eq!(refused(&sends(50, 20, contact)), None);
        let more = "contact { sends(first: 500) { nodes { id } } }";
        assert!(refused(&sends(500, 500, more)).unwrap().contains("costs"));
        assert!(refused(&sends(500, 500, "id")).unwrap().contains("costs"));
        let ids = vec!["\"x\""; 500].join(", ");
        assert!(
            refused(&format!(
                "{{ nodes(ids: [{ids}]) {{ ... on Campaign {{ {} }} }} }}",
                "sends(first: 500) { nodes { id } }"
            ))
            .unwrap()
            .contains("costs")
        );
    }

    #[test]
    fn aliases_and_depth_are_bounded_through_fragments() {
        let aliases = |count: usize| {
            let fields: Vec<String> = (0..count).map(|at| format!("a{at}: __typename")).collect();
            format!("{{ {} }}", fields.join(" "))
        };
        assert_eq!(refused(&aliases(50)), None);
        assert!(refused(&aliases(51)).unwrap().contains("aliases"));
        assert!(refused(&aliases(1_000)).unwrap().contains("aliases"));
        let spread = "query { ...A ...B } fragment A on Query { ...B ...B } \
            fragment B on Query { a: __typename b: __typename }";
        assert_eq!(refused(spread), None);
        let deep = |levels: usize| {
            format!(
                "{{ sends {{ nodes {{ {} id {} }} }} }}",
                "campaign { sends { nodes { ".repeat(levels),
                "} } } ".repeat(levels)
            )
        };
        assert_eq!(refused(&deep(1)), None);
        assert!(refused(&deep(6)).unwrap().contains("nests"));
    }
}
