//! What an operation may cost, before it is executed.
//!
//! A field costs 1 and what is in it; a list, what is in it times the rows that it may have. That is
//! known from the document, the variables and the schema alone.
//!
//! **Invariants.** Each fragment is reckoned once, however often it is spread, and sums saturate;
//! [`measure`](mod@super::measure) has bounded the document before, so there is room to walk it.
//! Every list of objects has a length that it is reckoned with: a test fails where one has none.

use std::{collections::HashMap, time::Duration};

use async_graphql::{
    Name, Positioned, Variables,
    parser::types::{
        ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    },
};
use async_graphql_value::{ConstValue, Value};
use campaigns_analytics::MAX_BUCKETS;

use super::types::{self, Types};
use crate::{error::Error, scalars};

/// Rows of a list that does not say how many.
const DEFAULT_ROWS: usize = 50;
/// Rows of a list without pages that is short by its nature.
const SHORT_LIST: usize = 5;

/// The lists that no argument of their own bounds, and how many rows they have.
const LISTS: [(&str, &str, Length); 4] = [
    ("Campaign", "segments", Length::Short),
    ("Contact", "companies", Length::Short),
    ("RecordEventsPayload", "events", Length::Input),
    ("UpdateSendsPayload", "sends", Length::Input),
];

/// How many rows a list has that no argument of its own bounds.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    /// A few.
    Short,
    /// As many as the input of the mutation.
    Input,
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
    /// How long a deletion may take, which goes in steps.
    pub deletion: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 20, complexity: 250_000, aliases: 50, deletion: Duration::from_mins(10) }
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
    /// The length of the longest list that an argument `input` of a root field has.
    input: usize,
}

/// Operations that cost so much are dear: few of them are executed at once.
const DEAR: usize = 10_000;

/// Refuses an operation that would cost too much, and says whether what it costs is dear.
pub(super) fn limit(
    types: &Types,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<bool, Error> {
    let fragments = &document.fragments;
    let mut reckoner = Reckoner { types, fragments, variables, known: HashMap::new(), input: 1 };
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
                Some(input) => self.length(&input.node),
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
    fn rows(&self, object: &str, known: &types::Field, field: &Field) -> usize {
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
        match length_of(object, &field.name.node) {
            Some(Length::Short) => SHORT_LIST,
            Some(Length::Input) => self.input,
            // nothing, or a page of a connection, which has the connection's rows
            None => 1,
        }
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

fn length_of(object: &str, field: &str) -> Option<Length> {
    let list = LISTS.iter().find(|list| (list.0, list.1) == (object, field));
    list.map(|(_, _, length)| *length)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::types::BaseType;
    use async_graphql_value::value;

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
    fn every_list_of_objects_has_a_length() {
        let types = Types::of(&Api::sdl()).unwrap();
        let mut lists = 0;
        for (object, field, known) in types.all_fields() {
            let is_list = matches!(known.ty.base, BaseType::List(_));
            if !is_list || !types.is_object(known.base()) {
                continue;
            }
            let is_page = object.ends_with("Connection") && matches!(field, "edges" | "nodes");
            let is_bounded = ["first", "interval", "ids"]
                .iter()
                .any(|argument| known.arguments.contains_key(*argument));
            assert!(
                is_page || is_bounded || length_of(object, field).is_some(),
                "{object}.{field} is a list without a length"
            );
            // what a mutation answers about its input is as long as that
            let of_input = length_of(object, field) == Some(Length::Input);
            assert_eq!(object.ends_with("Payload"), of_input, "{object}.{field}");
            lists += 1;
        }
        assert!(lists > 15);
    }

    #[test]
    fn a_payload_costs_as_much_as_its_input_is_long() {
        let query = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { ...P } } \
            fragment P on UpdateSendsPayload { sends { id status sentAt contact { id email } } }";
        let refused = |length: usize| {
            let row = value!({ "id": "x", "status": "SENT" });
            let rows = vec![row.into_json().unwrap(); length];
            let variables = serde_json::json!({ "input": rows }).as_object().cloned().unwrap();
            let operation =
                Operation { query: query.to_owned(), variables, ..Operation::default() };
            Checks::new(Limits { complexity: 6 * 10_000, ..Limits::default() })
                .prepare(operation)
                .is_err()
        };
        assert!(!refused(9_000));
        assert!(refused(10_000));
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
