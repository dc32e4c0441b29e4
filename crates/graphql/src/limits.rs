//! The maximum cost of an operation of the schema, the maximum lengths of its lists, and what its
//! fields cost the database.
//!
//! A unit of cost is about what one field of one row takes, a microsecond or two. A condition is
//! tested for many rows that are not shown, and a list in an order without an index is sorted as a
//! whole, so these have prices of their own. How many rows an organization has is not known before
//! an operation runs: prices are those of some ten thousand rows.

use std::{num::NonZeroU32, time::Duration};

use campaigns_analytics::MAX_BUCKETS;
use campaigns_operation::{Charge, PricedField};
use campaigns_scope::storable_time;
use campaigns_segments::{FIELDS, Field, Rules};

use crate::{cursor, input, provider_webhook::MAX_WEBHOOKS};

/// The assumed rows of a list without a size.
const DEFAULT_ROWS: usize = 50;
/// The rows of a list without pages that is short by nature.
const SHORT_LIST: usize = 5;

/// The lists without an argument for their length, and their lengths.
const LISTS: [(&str, &str, Length); 7] = [
    ("Campaign", "segments", Length::Short),
    ("Contact", "companies", Length::Short),
    ("ProviderWebhook", "keys", Length::Short),
    ("Query", "providerWebhooks", Length::Fixed(MAX_WEBHOOKS)),
    ("Query", "segmentFields", Length::Fixed(FIELDS.len())),
    ("RecordEventsPayload", "events", Length::Input),
    ("UpdateSendsPayload", "sends", Length::Input),
];

/// The length of a list without an argument for it.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    /// A few.
    Short,
    /// A fixed number.
    Fixed(usize),
    /// As many as the input of the mutation.
    Input,
}

/// A rate of operations, by their cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Cost a second.
    pub per_second: NonZeroU32,
    /// The cost of a burst. An operation that costs more counts as this much.
    pub burst: NonZeroU32,
}

/// The limits of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limits that are checked before it is executed.
    pub operation: campaigns_operation::Limits,
    /// The maximum time of a deletion, which runs in steps.
    pub deletion: Duration,
    /// The rate limit of an organization, or `None` for no limit.
    pub rate: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operation: <_>::default(), deletion: Duration::from_mins(10), rate: None }
    }
}

/// The price of a condition of a filter or a rule.
const CONDITION: usize = 10;
/// The price of a condition that is a pattern, which PostgreSQL tests as a regular expression.
const PATTERN: usize = 100;
/// The price of a condition on engagement or companies, for which PostgreSQL computes a set of contacts
/// with a memory of its own (`work_mem`).
const SET: usize = 500;
/// The price of sorting a whole list.
const SORT: usize = 1_000;
/// The price of counting a list of the organization.
const COUNT: usize = 200;
/// The price of counting a list that belongs to one object.
const COUNT_OF_ONE: usize = 5;
/// The price of testing the stored rules of a segment, which are not known in advance.
const STORED_RULES: usize = 500;

/// The operators that are patterns: those of filters, and those of rules.
const PATTERNS: [&str; 7] = [
    "contains",
    "startsWith",
    "endsWith",
    "beginsWith",
    "doesNotContain",
    "doesNotBeginWith",
    "doesNotEndWith",
];
/// The fields of the filter of contacts that read engagement.
const ENGAGEMENT: [&str; 6] =
    ["opened", "clicked", "unsubscribed", "complained", "bounced", "suppressed"];
/// The fields that test the stored rules of a segment.
const READERS_OF_RULES: [(&str, &str); 3] =
    [("Segment", "contacts"), ("Mutation", "refreshSegment"), ("Mutation", "addSegmentToList")];
/// The fields of orders that an index serves.
const INDEXED: [&str; 3] = ["CREATED_AT", "OCCURRED_AT", "FEED"];

fn of_operator(operator: &str) -> usize {
    if PATTERNS.contains(&operator) { PATTERN } else { CONDITION }
}

/// The maximum number of bytes of a time, a time zone or an ID.
const MAX_TOKEN: usize = 256;

/// The maximum number of bytes of a text in an argument of a field, or in a filter. A text that is
/// stored, or read by a mutation only, is checked by its resolver.
pub(crate) fn max_text(object: &str, name: &str, ty: &str) -> Option<usize> {
    match (ty, name) {
        ("ID" | "DateTime", _) | ("String", "timezone") => Some(MAX_TOKEN),
        ("String", "after" | "before") => Some(cursor::MAX_CURSOR),
        ("String", _) if object.ends_with("Filter") => Some(input::MAX_TEXT),
        _ => None,
    }
}

/// The price of a condition of the filter of contacts.
fn of_contact_condition(operator: &str) -> usize {
    if ENGAGEMENT.contains(&operator) { SET } else { of_operator(operator) }
}

/// The price of a part of rules.
fn of_rule(name: &str, value: Option<&str>) -> usize {
    match (name, value) {
        ("operator", value) => value.map_or(CONDITION, of_operator),
        ("field", Some(field)) if Field::reads_other_tables(field) => SET,
        _ if Field::reads_other_tables(name) => SET,
        _ => 1,
    }
}

/// What stored rules cost in addition to the price that is assumed before they are read.
pub(crate) fn surcharge(rules: &Rules) -> usize {
    let price = |field: &str, operator: &str| {
        of_rule("field", Some(field)).saturating_add(of_rule("operator", Some(operator)))
    };
    rules.cost(price).saturating_sub(STORED_RULES)
}

/// The price of a field: how often its content can occur, and what finding it costs.
pub(crate) fn price(field: &PricedField<'_>) -> Charge {
    let is_of_contacts = (field.object, field.field) == ("Query", "contacts");
    let of_filter = field.sum("filter", |operator, _| {
        if is_of_contacts { of_contact_condition(operator) } else { of_operator(operator) }
    });
    let of_rules = field.sum("rules", of_rule);
    let of_order = field.sum("orderBy", |name, value| {
        let sorts = name == "field" && value.is_some_and(|value| !INDEXED.contains(&value));
        if sorts { SORT } else { 0 }
    });
    let reads_stored_rules = READERS_OF_RULES.contains(&(field.object, field.field));
    let of_stored_rules = if reads_stored_rules { STORED_RULES } else { 0 };
    let conditions = of_filter.saturating_add(of_rules).saturating_add(of_stored_rules);
    // counting tests every row once more
    let is_counted = ["totalCount", "count"].iter().any(|name| field.selects(name));
    let count = if field.object == "Query" { COUNT } else { COUNT_OF_ONE };
    let of_count = if is_counted { conditions.saturating_add(count) } else { 0 };
    Charge { rows: rows(field), own: conditions.saturating_add(of_order).saturating_add(of_count) }
}

/// How often the content of a field can occur.
fn rows(list: &PricedField<'_>) -> usize {
    if list.takes("first") {
        let requested = ["first", "last"].into_iter().find_map(|name| list.number(name));
        return requested.unwrap_or(DEFAULT_ROWS);
    }
    if list.takes("interval") {
        return buckets(list);
    }
    if let Some(ids) = list.length("ids") {
        return ids;
    }
    match length_of(list.object, list.field) {
        Some(Length::Short) => SHORT_LIST,
        Some(Length::Fixed(length)) => length,
        Some(Length::Input) => list.input_length(),
        // not a list, or a page of a connection, which has the connection's rows
        None => 1,
    }
}

/// The maximum number of buckets of a time series. Without `from` or `to` it can have any number,
/// so a typical number is assumed.
fn buckets(list: &PricedField<'_>) -> usize {
    let time = |name| list.text(name).and_then(|text| storable_time(&text));
    // the shortest possible: daylight saving time, February
    let (minutes, unbounded) = match list.text("interval").as_deref() {
        Some("MONTH") => (28 * 23 * 60, 50),
        Some("WEEK") => (7 * 23 * 60, 100),
        Some("DAY") => (23 * 60, 200),
        Some("HOUR") => (60, 400),
        _ => (1, 400),
    };
    let Some((from, to)) = time("from").zip(time("to")) else { return unbounded };
    let touched = (to - from).num_minutes() / minutes + 2;
    usize::try_from(touched).unwrap_or(0).min(MAX_BUCKETS)
}

fn length_of(object: &str, field: &str) -> Option<Length> {
    let list = LISTS.iter().find(|list| (list.0, list.1) == (object, field));
    list.map(|(_, _, length)| *length)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_graphql::parser::{
        parse_schema,
        types::{BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition},
    };
    use campaigns_operation::{Code, Error, Operation};

    use super::*;
    use crate::{Api, schema::Engine};

    /// The limit that an operation exceeds, if any.
    fn refused(query: &str) -> Option<String> {
        let operation = Operation { query: query.to_owned(), ..Default::default() };
        let engine = Engine::new(true, <_>::default(), price, max_text, |_, _| Ok(()));
        match engine.prepare(engine.look_up(operation)) {
            Err(Error { code: Code::LimitExceeded, message, .. }) => Some(message),
            _ => None,
        }
    }

    /// The fields of every object and interface.
    fn objects() -> HashMap<String, Vec<FieldDefinition>> {
        let definitions = parse_schema(Api::sdl()).unwrap().definitions.into_iter();
        let objects = definitions.filter_map(|definition| {
            let TypeSystemDefinition::Type(definition) = definition else { return None };
            let fields = match definition.node.kind {
                TypeKind::Object(of) => of.fields,
                TypeKind::Interface(of) => of.fields,
                _ => return None,
            };
            let fields = fields.into_iter().map(|field| field.node).collect();
            Some((definition.node.name.node.to_string(), fields))
        });
        objects.collect()
    }

    fn base(ty: &Type) -> &str {
        match &ty.base {
            BaseType::Named(name) => name,
            BaseType::List(of) => base(of),
        }
    }

    fn takes(field: &FieldDefinition, argument: &str) -> bool {
        field.arguments.iter().any(|of| of.node.name.node == argument)
    }

    #[test]
    fn every_connection_costs_its_rows() {
        let objects = objects();
        let mut connections = 0;
        for (object, field) in
            objects.iter().flat_map(|(object, fields)| fields.iter().map(move |of| (object, of)))
        {
            let of = objects.get(base(&field.ty.node));
            let is_connection =
                of.is_some_and(|fields| fields.iter().any(|of| of.name.node == "pageInfo"));
            assert!(
                !is_connection || takes(field, "first"),
                "{object}.{} has no cost",
                field.name.node
            );
            connections += usize::from(is_connection);
        }
        assert!(connections > 5);
    }

    #[test]
    fn every_list_of_objects_has_a_length() {
        let objects = objects();
        let mut lists = 0;
        for (object, field) in
            objects.iter().flat_map(|(object, fields)| fields.iter().map(move |of| (object, of)))
        {
            let (ty, name) = (&field.ty.node, field.name.node.as_str());
            if !matches!(ty.base, BaseType::List(_)) || !objects.contains_key(base(ty)) {
                continue;
            }
            let is_page = object.ends_with("Connection") && matches!(name, "edges" | "nodes");
            let is_bounded = ["first", "interval", "ids"].iter().any(|of| takes(field, of));
            assert!(
                is_page || is_bounded || length_of(object, name).is_some(),
                "{object}.{name} is a list without a length"
            );
            // lists in a mutation's payload are as long as its input
            let of_input = length_of(object, name) == Some(Length::Input);
            assert_eq!(object.ends_with("Payload"), of_input, "{object}.{name}");
            lists += 1;
        }
        assert!(lists > 15);
    }

    #[test]
    fn every_text_in_an_argument_below_a_list_has_a_maximum_length() {
        let mut texts = 0;
        for (object, fields) in objects().iter().filter(|(object, _)| *object != "Mutation") {
            for argument in fields.iter().flat_map(|field| &field.arguments) {
                let (name, ty) = (&argument.node.name.node, base(&argument.node.ty.node));
                if matches!(ty, "String" | "ID" | "DateTime") {
                    assert!(max_text(object, name, ty).is_some(), "{object}({name}: {ty})");
                    texts += 1;
                }
            }
        }
        assert!(texts > 20);
    }

    #[test]
    fn long_arguments_cost_their_bytes_for_each_parent_and_each_alias() {
        let cost = |query: &str, variables: serde_json::Value| {
            let variables = variables.as_object().cloned().unwrap();
            let operation =
                Operation { query: query.to_owned(), variables, ..Operation::default() };
            let limits = campaigns_operation::Limits { complexity: 1 << 40, ..<_>::default() };
            let engine = Engine::new(true, limits, price, max_text, |_, _| Ok(()));
            let prepared = engine.prepare(engine.look_up(operation));
            prepared.unwrap_or_else(|error| panic!("{error:?}")).cost()
        };
        let nested = |parents: usize, fields: &str, values: usize| {
            let query = format!(
                "query ($f: EngagementEventFilter) {{ contacts(first: {parents}) {{ nodes {{ \
                 {fields} }} }} }}"
            );
            let values = vec!["a".repeat(1_000); values];
            cost(&query, serde_json::json!({ "f": { "url": { "in": values } } }))
        };
        let one = "events(filter: $f, first: 1) { nodes { id } }";
        // three kilobytes are ordinary
        assert_eq!(nested(1, one, 3), nested(1, one, 1));
        let of_long = nested(1, one, 1_000) - nested(1, one, 1);
        assert!((1_900..2_100).contains(&of_long), "{of_long}");
        assert_eq!(nested(100, one, 1_000) - nested(100, one, 1), 100 * of_long);
        let two = format!("a: {one} b: {one}");
        assert_eq!(nested(1, &two, 1_000) - nested(1, &two, 1), 2 * of_long);
        // literals cost the same
        let literal = |values: usize| {
            let values = vec![format!("\"{}\"", "a".repeat(1_000)); values].join(" ");
            let query = format!(
                "{{ contacts(first: 10) {{ nodes {{ events(filter: {{ url: {{ in: [{values}] }} }}, \
                 first: 1) {{ nodes {{ id }} }} }} }} }}"
            );
            cost(&query, serde_json::json!({}))
        };
        assert_eq!(literal(1_000) - literal(1), 10 * of_long);
        // what a mutation reads once costs nothing
        let record = |query: &str, events: usize| {
            let event = serde_json::json!({
                "sendId": "x", "type": "CLICK", "url": "a".repeat(1_000),
            });
            cost(query, serde_json::json!({ "input": vec![event; events] }))
        };
        let recorded = "mutation ($input: [RecordEventInput!]!) { RECORDED }";
        let record = |aliases: &[&str], events: usize| {
            let fields: Vec<String> = aliases
                .iter()
                .map(|alias| format!("{alias}: recordEvents(input: $input) {{ recorded }}"))
                .collect();
            record(&recorded.replace("RECORDED", &fields.join(" ")), events)
        };
        assert_eq!(record(&["a"], 1_000), record(&["a"], 1));
        assert!(record(&["a", "b"], 1_000) > record(&["a", "b"], 1) + 1_900);
    }

    #[test]
    fn the_cost_of_a_payload_grows_with_its_input() {
        let query = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { ...P } } \
            fragment P on UpdateSendsPayload { sends { id status sentAt contact { id email } } }";
        let refused = |length: usize| {
            let input = vec![serde_json::json!({ "id": "x", "status": "SENT" }); length];
            let variables = serde_json::json!({ "input": input }).as_object().cloned().unwrap();
            let operation =
                Operation { query: query.to_owned(), variables, ..Operation::default() };
            let limits = campaigns_operation::Limits { complexity: 6 * 10_000, ..<_>::default() };
            let engine = Engine::new(true, limits, price, max_text, |_, _| Ok(()));
            engine.prepare(engine.look_up(operation)).is_err()
        };
        assert!(!refused(9_000));
        assert!(refused(10_000));
    }

    #[test]
    fn dashboard_queries_are_allowed_and_dumps_are_not() {
        let sends = |campaigns: usize, sends: usize, inner: &str| {
            format!(
                "{{ campaigns(first: {campaigns}) {{ nodes {{ name stats {{ sends openRate clickRate }} \
                 sends(first: {sends}) {{ nodes {{ id status {inner} }} }} }} }} }}"
            )
        };
        let contact = "contact { firstName email companies { name domain } sends(first: 5) { nodes { id status } } }";
        assert_eq!(refused(&sends(50, 20, contact)), None);
        let more = "contact { sends(first: 500) { nodes { id } } }";
        assert!(refused(&sends(500, 500, more)).unwrap().contains("cost"));
        assert!(refused(&sends(500, 500, "id")).unwrap().contains("cost"));
        let ids = vec!["\"x\""; 500].join(", ");
        assert!(
            refused(&format!(
                "{{ nodes(ids: [{ids}]) {{ ... on Campaign {{ {} }} }} }}",
                "sends(first: 500) { nodes { id } }"
            ))
            .unwrap()
            .contains("cost")
        );
    }

    #[test]
    fn the_work_of_the_database_is_part_of_the_cost() {
        let cost = |query: &str, variables: serde_json::Value| {
            let variables = variables.as_object().cloned().unwrap();
            let operation =
                Operation { query: query.to_owned(), variables, ..Operation::default() };
            let engine = Engine::new(true, <_>::default(), price, max_text, |_, _| Ok(()));
            engine
                .prepare(engine.look_up(operation))
                .unwrap_or_else(|error| panic!("{error:?}"))
                .cost()
        };
        let none = || serde_json::json!({});
        let list = |arguments: &str, selected: &str| {
            cost(&format!("{{ contacts(first: 1{arguments}) {{ {selected} }} }}"), none())
        };
        let plain = list("", "nodes { id }");
        let filtered = ", filter: { email: { eq: \"x\" }, or: [{ source: { ne: \"x\" } }] }";
        assert_eq!(list(filtered, "nodes { id }") - plain, 2 * CONDITION);
        let pattern = ", filter: { email: { contains: \"x\", in: [\"x\", \"y\"] } }";
        assert_eq!(list(pattern, "nodes { id }") - plain, PATTERN + CONDITION);
        let counted = list("", "totalCount nodes { id }") - plain;
        assert_eq!(counted, COUNT + 1);
        let both = list(pattern, "totalCount nodes { id }") - plain;
        assert_eq!(both, 2 * (PATTERN + CONDITION) + counted);
        let order =
            |field: &str| list(&format!(", orderBy: [{{ field: {field} }}]"), "nodes { id }");
        assert_eq!(order("CREATED_AT"), plain);
        assert_eq!(order("EMAIL") - plain, SORT);
        // in variables as in literals
        let query = "query ($f: ContactFilter, $o: [ContactOrder!]) { contacts(first: 1, filter: $f, orderBy: $o) { nodes { id } } }";
        let variables = serde_json::json!({
            "f": { "and": [{ "email": { "contains": "x" } }, { "not": { "source": { "isNull": true } } }] },
            "o": [{ "field": "EMAIL" }, { "field": "CREATED_AT" }],
        });
        assert_eq!(cost(query, variables) - plain, PATTERN + CONDITION + SORT);
        // engagement is a set of contacts of its own
        let opened = ", filter: { or: [{ opened: true }, { not: { clicked: true } }] }";
        assert_eq!(list(opened, "nodes { id }") - plain, 2 * SET);
        let of_numbers = |length: usize| {
            let rules = vec!["{ field: \"opened\", operator: \"=\", value: false }"; length];
            let rules = rules.join(" ");
            cost(
                &format!(
                    "{{ previewSegment(rules: {{ combinator: \"or\", rules: [{rules}] }}) {{ \
                     contacts {{ id }} }} }}"
                ),
                none(),
            )
        };
        assert!(of_numbers(30) > 30 * SET);
        // the stored rules of a segment, wherever they are tested
        for mutation in [
            "refreshSegment(id: \"x\") { segment { id } }",
            "addSegmentToList(campaignId: \"x\", segmentId: \"x\") { added }",
        ] {
            assert!(cost(&format!("mutation {{ {mutation} }}"), none()) > STORED_RULES);
        }
        // for each parent
        let nested = |arguments: &str| {
            let query = format!(
                "{{ campaigns(first: 50) {{ nodes {{ sends(first: 1{arguments}) {{ nodes {{ id }} }} }} }} }}"
            );
            cost(&query, none())
        };
        let filtered = nested(", filter: { status: { eq: SENT } }");
        assert_eq!(filtered - nested(""), 50 * CONDITION);
        // as many conditions as a filter may have are allowed, and expensive
        let many = vec!["{ email: { contains: \"x\" } }"; 500].join(" ");
        let cost = list(&format!(", filter: {{ or: [{many}] }}"), "nodes { id }");
        assert!((10_000..100_000).contains(&cost));
        let rules =
            vec!["{ field: \"title\", operator: \"contains\", value: \"x\" }"; 500].join(" ");
        let preview = format!(
            "{{ previewSegment(rules: {{ combinator: \"or\", rules: [{rules}] }}) {{ count }} }}"
        );
        let operation = Operation { query: preview, ..Operation::default() };
        let engine = Engine::new(true, <_>::default(), price, max_text, |_, _| Ok(()));
        assert!(engine.prepare(engine.look_up(operation)).unwrap().is_expensive());
    }

    #[test]
    fn introspection_costs_its_fields_and_nests_at_most_three_lists() {
        let possible = |levels: usize| {
            format!(
                "{{ __type(name: \"Node\") {{ {} name {} }} }}",
                "possibleTypes { interfaces { ".repeat(levels),
                "} } ".repeat(levels)
            )
        };
        assert_eq!(refused(&possible(1)), None);
        assert!(refused(&possible(2)).unwrap().contains("nest lists"));
        assert!(refused(&possible(8)).unwrap().contains("nest lists"));
        let cost = |query: &str| {
            let operation = Operation { query: query.to_owned(), ..Default::default() };
            let engine = Engine::new(true, <_>::default(), price, max_text, |_, _| Ok(()));
            engine.prepare(engine.look_up(operation)).map_or(usize::MAX, |prepared| prepared.cost())
        };
        assert_eq!(cost("{ __schema { queryType { name } } }"), 3);
        let types = cost("{ __schema { types { name } } }");
        assert!((50..500).contains(&types), "{types}");
        let arguments = cost("{ __schema { types { fields { args { name } } } } }");
        assert!(arguments > 5 * types, "{arguments}");
        // selections below a field are multiplied by the rows of the field
        let names: Vec<String> =
            (0..45).map(|at| format!("a{at}: fields {{ args {{ name }} }}")).collect();
        let repeated = cost(&format!("{{ __schema {{ types {{ {} }} }} }}", names.join(" ")));
        assert!(repeated > 40 * (arguments - types), "{repeated}");
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
        assert!(refused(&deep(6)).unwrap().contains("nested"));
    }
}
