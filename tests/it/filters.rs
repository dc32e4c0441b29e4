//! Filters: random trees over every filter input, compared with a simple evaluator.

use std::collections::{BTreeSet, HashMap};

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use campaigns_tests::{Client, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

/// The kind of a filter field.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Id,
    Text,
    Enum,
    Time,
    Number,
    Json,
    /// Whether a condition holds or an event of a type exists.
    Flag,
    /// The IDs of the segments of a campaign's list.
    Segments,
}

/// A list whose filter is tested.
pub(crate) struct List {
    name: &'static str,
    filter: &'static str,
    /// Each field of the filter, and the selection that returns its value. Flags have none.
    fields: &'static [(&'static str, Kind, &'static str)],
}

const CAMPAIGNS: List = List {
    name: "campaigns",
    filter: "CampaignFilter",
    fields: &[
        ("id", Kind::Id, "id"),
        ("name", Kind::Text, "name"),
        ("subject", Kind::Text, "subject"),
        ("channel", Kind::Text, "channel"),
        ("status", Kind::Enum, "status"),
        ("creatorId", Kind::Id, "creator { id }"),
        ("scheduledAt", Kind::Time, "scheduledAt"),
        ("sentAt", Kind::Time, "sentAt"),
        ("createdAt", Kind::Time, "createdAt"),
        ("updatedAt", Kind::Time, "updatedAt"),
        ("metadata", Kind::Json, "metadata"),
        ("segmentId", Kind::Segments, "segments { id }"),
    ],
};

const SEGMENTS: List = List {
    name: "segments",
    filter: "SegmentFilter",
    fields: &[
        ("id", Kind::Id, "id"),
        ("name", Kind::Text, "name"),
        ("description", Kind::Text, "description"),
        ("contactCount", Kind::Number, "contactCount"),
        ("createdAt", Kind::Time, "createdAt"),
        ("updatedAt", Kind::Time, "updatedAt"),
        ("metadata", Kind::Json, "metadata"),
    ],
};

const CONTACTS: List = List {
    name: "contacts",
    filter: "ContactFilter",
    fields: &[
        ("id", Kind::Id, "id"),
        ("firstName", Kind::Text, "firstName"),
        ("lastName", Kind::Text, "lastName"),
        ("email", Kind::Text, "email"),
        ("type", Kind::Enum, "type"),
        ("source", Kind::Text, "source"),
        ("city", Kind::Text, "city"),
        ("state", Kind::Text, "state"),
        ("country", Kind::Text, "country"),
        ("createdAt", Kind::Time, "createdAt"),
        ("metadata", Kind::Json, "metadata"),
        ("opened", Kind::Flag, ""),
        ("clicked", Kind::Flag, ""),
        ("unsubscribed", Kind::Flag, ""),
        ("complained", Kind::Flag, ""),
        ("bounced", Kind::Flag, ""),
        ("suppressed", Kind::Flag, ""),
    ],
};

const SENDS: List = List {
    name: "sends",
    filter: "SendFilter",
    fields: &[
        ("id", Kind::Id, "id"),
        ("campaignId", Kind::Id, "campaign { id }"),
        ("contactId", Kind::Id, "contact { id }"),
        ("status", Kind::Enum, "status"),
        ("sentAt", Kind::Time, "sentAt"),
        ("deliveredAt", Kind::Time, "deliveredAt"),
        ("createdAt", Kind::Time, "createdAt"),
        ("opened", Kind::Flag, ""),
        ("clicked", Kind::Flag, ""),
    ],
};

pub(crate) const EVENTS: List = List {
    name: "events",
    filter: "EngagementEventFilter",
    fields: &[
        ("id", Kind::Id, "id"),
        ("type", Kind::Enum, "type"),
        ("campaignId", Kind::Id, "campaign { id }"),
        ("contactId", Kind::Id, "contact { id }"),
        ("sendId", Kind::Id, "send { id }"),
        ("url", Kind::Text, "url"),
        ("occurredAt", Kind::Time, "occurredAt"),
        ("machine", Kind::Flag, "machine"),
    ],
};

const LISTS: [List; 5] = [CAMPAIGNS, SEGMENTS, CONTACTS, SENDS, EVENTS];

#[test]
fn every_field_of_every_filter_is_tested() {
    let mut tested = 0;
    for definition in parse_schema(campaigns_graphql::Api::sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::InputObject(input) = &definition.node.kind else { continue };
        let fields: BTreeSet<&str> =
            input.fields.iter().map(|field| field.node.name.node.as_str()).collect();
        // the other inputs filter by a single value
        if !fields.contains("and") {
            continue;
        }
        let name = definition.node.name.node.as_str();
        let list =
            LISTS.iter().find(|list| list.filter == name).unwrap_or_else(|| panic!("{name}"));
        let of_list = list.fields.iter().map(|(field, ..)| *field).chain(["and", "or", "not"]);
        assert_eq!(fields, of_list.collect(), "{name}");
        tested += 1;
    }
    assert_eq!(tested, LISTS.len());
}

/// A row: the value of each field of the filter.
pub(crate) type Row = HashMap<&'static str, Json>;

/// Simple case folding, for the letters of the tests' rows.
pub(crate) fn fold(text: &str) -> Vec<char> {
    text.chars()
        .map(|character| match character {
            'ς' => 'σ',
            '\u{212a}' => 'k',
            // lower case is more than one character: no simple folding
            'İ' => 'İ',
            other => {
                let mut lower = other.to_lowercase();
                match (lower.next(), lower.next()) {
                    (Some(one), None) => one,
                    _ => other,
                }
            }
        })
        .collect()
}

fn contains(text: &[char], part: &[char]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn json_contains(stored: &Json, part: &Json, top: bool) -> bool {
    match (stored, part) {
        (Json::Object(stored), Json::Object(part)) => part.iter().all(|(key, part)| {
            stored.get(key).is_some_and(|stored| json_contains(stored, part, false))
        }),
        (Json::Array(stored), Json::Array(part)) => {
            part.iter().all(|part| stored.iter().any(|stored| json_contains(stored, part, false)))
        }
        (Json::Array(stored), part) if top && !part.is_object() => stored.contains(part),
        (Json::Number(stored), Json::Number(part)) => stored.as_f64() == part.as_f64(),
        (stored, part) => !stored.is_object() && !stored.is_array() && stored == part,
    }
}

fn time(value: &Json) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    value.as_str().map(|text| chrono::DateTime::parse_from_rfc3339(text).unwrap())
}

fn operator(kind: Kind, name: &str, operand: &Json, value: &Json) -> bool {
    let one_of = || operand.as_array().unwrap().contains(value);
    let folded = |test: fn(&[char], &[char]) -> bool| {
        value.as_str().is_some_and(|text| test(&fold(text), &fold(operand.as_str().unwrap())))
    };
    let ordering = match kind {
        Kind::Time => time(value).zip(time(operand)).map(|(value, operand)| value.cmp(&operand)),
        Kind::Number if name != "in" && name != "notIn" => {
            Some(value.as_i64().unwrap().cmp(&operand.as_i64().unwrap()))
        }
        _ => None,
    };
    let compared = |test: fn(std::cmp::Ordering) -> bool| ordering.is_some_and(test);
    match name {
        "eq" if kind == Kind::Time => compared(std::cmp::Ordering::is_eq),
        "ne" if kind == Kind::Time => !compared(std::cmp::Ordering::is_eq),
        "eq" => operand == value,
        "ne" => operand != value,
        "in" => one_of(),
        "notIn" => !one_of(),
        "isNull" => value.is_null() == operand.as_bool().unwrap(),
        "contains" => folded(contains),
        "startsWith" => folded(<[char]>::starts_with),
        "endsWith" => folded(<[char]>::ends_with),
        "gt" => compared(std::cmp::Ordering::is_gt),
        "gte" => compared(std::cmp::Ordering::is_ge),
        "lt" => compared(std::cmp::Ordering::is_lt),
        "lte" => compared(std::cmp::Ordering::is_le),
        other => panic!("{other}"),
    }
}

fn of_segments(name: &str, operand: &Json, segments: &Json) -> bool {
    let segments = segments.as_array().unwrap();
    let has = |id: &Json| segments.contains(id);
    let any = || operand.as_array().unwrap().iter().any(has);
    match name {
        "eq" => has(operand),
        "ne" => !has(operand),
        "in" => any(),
        "notIn" => !any(),
        _ => segments.is_empty() == operand.as_bool().unwrap(),
    }
}

fn selects(list: &List, filter: &Json, row: &Row) -> bool {
    filter.as_object().unwrap().iter().all(|(field, operand)| {
        if operand.is_null() {
            return true;
        }
        let filters =
            || operand.as_array().unwrap().iter().map(|filter| selects(list, filter, row));
        match field.as_str() {
            "and" => return filters().all(|selected| selected),
            "or" => return filters().any(|selected| selected),
            "not" => return !selects(list, operand, row),
            _ => {}
        }
        let (field, kind, _) = list.fields.iter().find(|(name, ..)| name == field).unwrap();
        let value = &row[field];
        if *kind == Kind::Flag {
            return operand == value;
        }
        operand.as_object().unwrap().iter().all(|(name, operand)| match (kind, name.as_str()) {
            _ if operand.is_null() => true,
            (Kind::Segments, name) => of_segments(name, operand, value),
            (Kind::Json, "contains") => json_contains(value, operand, true),
            (Kind::Json, _) => value.as_object().unwrap().contains_key(operand.as_str().unwrap()),
            (kind, name) => operator(*kind, name, operand, value),
        })
    })
}

pub(crate) struct Maker<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) list: &'a List,
    pub(crate) rows: &'a [Row],
}

impl Maker<'_> {
    pub(crate) fn filter(&mut self, depth: usize) -> Json {
        let mut filter = Map::new();
        for _ in 0..self.rng.random_range(0..3) {
            let (field, kind, _) = *self.list.fields.choose(self.rng).unwrap();
            let of = self.field(field, kind);
            filter.insert(field.to_owned(), of);
        }
        if depth > 0 && self.rng.random_bool(0.7) {
            match self.rng.random_range(0..3) {
                0 => {
                    filter.insert("not".to_owned(), self.filter(depth - 1));
                }
                1 => {
                    filter.insert("and".to_owned(), self.filters(depth - 1));
                }
                _ => {
                    filter.insert("or".to_owned(), self.filters(depth - 1));
                }
            }
        }
        if self.rng.random_bool(0.05) {
            filter.insert("or".to_owned(), Json::Null);
        }
        Json::Object(filter)
    }

    fn filters(&mut self, depth: usize) -> Json {
        let count = self.rng.random_range(0..4);
        Json::Array((0..count).map(|_| self.filter(depth)).collect())
    }

    fn field(&mut self, field: &'static str, kind: Kind) -> Json {
        if kind == Kind::Flag {
            return [json!(true), json!(false), Json::Null].choose(self.rng).unwrap().clone();
        }
        if self.rng.random_bool(0.04) {
            return if self.rng.random_bool(0.5) { Json::Null } else { json!({}) };
        }
        let names: &[&str] = match kind {
            Kind::Id | Kind::Segments => &["eq", "ne", "in", "notIn", "isNull"],
            Kind::Enum => &["eq", "ne", "in", "notIn"],
            Kind::Json => &["contains", "hasKey"],
            Kind::Number => &["eq", "ne", "in", "notIn", "gt", "gte", "lt", "lte"],
            Kind::Time => &["eq", "ne", "gt", "gte", "lt", "lte", "isNull"],
            _ => &["eq", "ne", "in", "notIn", "contains", "startsWith", "endsWith", "isNull"],
        };
        let name = *names.choose(self.rng).unwrap();
        let operand = match name {
            "isNull" => json!(self.rng.random_bool(0.5)),
            "in" | "notIn" => {
                let count = self.rng.random_range(0..3);
                Json::Array((0..count).map(|_| self.value(field, kind)).collect())
            }
            "contains" | "startsWith" | "endsWith" if kind == Kind::Text => self.part(field),
            "hasKey" => json!(["a", "A", "tags", "deep", "b", "none"].choose(self.rng).unwrap()),
            _ => self.value(field, kind),
        };
        json!({ name: operand })
    }

    /// A value that some row can have.
    fn value(&mut self, field: &'static str, kind: Kind) -> Json {
        if kind == Kind::Json {
            return self.json();
        }
        let value = &self.rows.choose(self.rng).unwrap()[field];
        match kind {
            Kind::Segments => value.as_array().unwrap().choose(self.rng).cloned(),
            _ => Some(value.clone()).filter(|value| !value.is_null()),
        }
        .unwrap_or_else(|| match kind {
            Kind::Id | Kind::Segments => json!(Uuid::nil()),
            Kind::Time => json!("2026-05-28T20:26:42Z"),
            _ => json!("nothing"),
        })
    }

    fn json(&mut self) -> Json {
        let values = [
            json!({}),
            json!({ "a": 1 }),
            json!({ "a": 1.0 }),
            json!({ "b": { "c": [{}] } }),
            json!({ "b": { "c": [2, 1] } }),
            json!({ "tags": ["y"] }),
            json!({ "tags": [] }),
            json!({ "deep": { "b": true } }),
            json!({ "tags": [["x"]] }),
            json!({ "b": { "c": [{ "d": null }] } }),
            json!({ "a": "1" }),
            json!([]),
            json!("x"),
            json!({ "tags": "x" }),
        ];
        values.choose(self.rng).unwrap().clone()
    }

    /// A part of some row's text, possibly in the other case.
    fn part(&mut self, field: &'static str) -> Json {
        let text = self.value(field, Kind::Text).as_str().unwrap().chars().collect::<Vec<_>>();
        let start = self.rng.random_range(0..text.len());
        let end = self.rng.random_range(start..=text.len());
        let start = if self.rng.random_bool(0.3) { 0 } else { start };
        let part: String = text[start..end].iter().collect();
        match self.rng.random_range(0..3) {
            0 => json!(part),
            1 => json!(part.to_lowercase()),
            // ß becomes two letters in upper case, which is another text
            _ => json!(part.to_uppercase()),
        }
    }
}

/// The event types of each send and contact, by SQL: pairs of an ID and a type.
async fn happened(app: &TestApp) -> BTreeSet<(String, String)> {
    let soft = match app.database.backend {
        campaigns_tests::Backend::Sqlite => "json_extract(e.metadata, '$.bounce_type')",
        campaigns_tests::Backend::Postgres => "e.metadata ->> 'bounce_type'",
    };
    let mut happened = BTreeSet::new();
    let sql = format!(
        "SELECT s.id, s.contact_id, CAST(e.event_type AS text) AS type, coalesce({soft}, '') AS \
         bounce FROM campaign_events e JOIN campaign_sends s ON s.id = e.send_id"
    );
    for row in app.rows(&sql).await {
        let text = |name: &str| row.try_get::<String>("", name).unwrap();
        let what = match text("type").as_str() {
            "open" => "opened",
            "click" => "clicked",
            "unsubscribe" => "unsubscribed",
            "complaint" => "complained",
            _ => "bounced",
        };
        for id in ["id", "contact_id"] {
            let id = row.try_get::<Uuid>("", id).unwrap().to_string();
            let suppresses = match what {
                "bounced" => text("bounce") != "soft",
                "opened" | "clicked" => false,
                _ => true,
            };
            if suppresses {
                happened.insert((id.clone(), "suppressed".to_owned()));
            }
            happened.insert((id, what.to_owned()));
        }
    }
    happened
}

pub(crate) async fn rows(app: &TestApp, client: &Client, list: &List) -> Vec<Row> {
    let happened = happened(app).await;
    let List { name, fields, .. } = list;
    let selection: Vec<String> = fields
        .iter()
        .filter(|(.., shown)| !shown.is_empty())
        .map(|(name, _, shown)| format!("{name}: {shown}"))
        .collect();
    // the maximum number of aliases of an operation
    let query = format!("{{ {name}(first: 500) {{ nodes {{ {} }} }} }}", selection.join(" "));
    let data = client.data(&query, json!({})).await;
    let nodes = data[name]["nodes"].as_array().unwrap();
    let row = |node: &Json| {
        let value = |(name, kind, shown): &(&'static str, Kind, &str)| {
            let shows = &node[name];
            let value = match kind {
                Kind::Flag if shown.is_empty() => {
                    let id = node["id"].as_str().unwrap().to_owned();
                    json!(happened.contains(&(id, (*name).to_owned())))
                }
                Kind::Segments => {
                    shows.as_array().unwrap().iter().map(|segment| segment["id"].clone()).collect()
                }
                _ if shown.contains('{') => shows.get("id").cloned().unwrap_or(Json::Null),
                _ => shows.clone(),
            };
            (*name, value)
        };
        fields.iter().map(value).collect()
    };
    nodes.iter().map(row).collect()
}

#[on_both_databases]
async fn random_filters_select_the_same_rows_as_a_simple_evaluator(app: TestApp) {
    compare_with_evaluator(&app).await;
}

#[tokio::test]
async fn random_filters_select_the_same_where_a_collation_considers_other_texts_equal() {
    let app = TestApp::adopted().start().await;
    ignore_case(&app, "contacts, campaigns, campaign_segments").await;
    compare_with_evaluator(&app).await;
}

/// Gives all text of these tables a collation that ignores case, as another program may.
pub(crate) async fn ignore_case(app: &TestApp, tables: &str) {
    app.run(&format!(
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         DO $$ DECLARE of record; BEGIN \
           FOR of IN SELECT table_name, column_name FROM information_schema.columns \
             WHERE table_name = ANY(string_to_array('{tables}', ', ')) AND data_type = 'text' \
             AND table_schema = current_schema() \
           LOOP EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE ci', of.table_name, \
             of.column_name); END LOOP; END $$"
    ))
    .await;
}

async fn compare_with_evaluator(app: &TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(71);
    let acme = app.organization("acme").await;
    acme.populated(40).await;
    app.organization("other").await.populated(5).await;
    let org = app.literal(acme.id);
    for sql in [
        "UPDATE contacts SET city = last_name, state = email, country = first_name, source = \
         last_name",
        "UPDATE campaign_segments SET description = name WHERE contact_count IS NOT NULL",
        "UPDATE campaign_events SET url = (SELECT last_name FROM contacts JOIN campaign_sends s ON \
         s.contact_id = contacts.id WHERE s.id = send_id) WHERE event_type = 'click'",
        "UPDATE campaign_events SET metadata = '{\"bounce_type\": \"soft\"}' WHERE event_type = \
         'bounce' AND url IS NULL",
    ] {
        app.run(sql).await;
    }
    for (table, of) in [("contacts", 8), ("campaign_segments", 1)] {
        for (number, metadata) in [
            "{\"a\": 1, \"tags\": [\"x\", \"y\"]}",
            "{\"b\": {\"c\": [1, 2, {\"d\": null}]}}",
            "null",
        ]
        .iter()
        .enumerate()
        {
            app.run(&format!(
                "UPDATE {table} SET metadata = '{metadata}' WHERE id IN \
                 (SELECT id FROM {table} WHERE org_id = {org} ORDER BY id LIMIT {of} OFFSET {})",
                number * of
            ))
            .await;
        }
    }
    for list in LISTS {
        let rows = rows(app, &acme.member, &list).await;
        let List { name, filter: input, .. } = list;
        let query = format!(
            "query ($filter: {input}) {{ {name}(filter: $filter, first: 500) {{ totalCount nodes \
             {{ id }} }} }}"
        );
        let mut some = 0;
        for round in 0..250 {
            let filter = Maker { rng: &mut rng, list: &list, rows: &rows }.filter(round % 5);
            let data = acme.member.data(&query, json!({ "filter": filter })).await;
            let shown: Vec<&Json> =
                data[name]["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect();
            let expected: Vec<&Json> = rows
                .iter()
                .filter(|row| selects(&list, &filter, row))
                .map(|row| &row["id"])
                .collect();
            assert_eq!(shown, expected, "{name} {filter:#}");
            assert_eq!(data[name]["totalCount"], expected.len());
            some += usize::from(!expected.is_empty() && expected.len() < rows.len());
        }
        assert!(some > 40, "only {some} filters tell {name} apart");
    }
}

#[on_both_databases]
async fn sends_are_filtered_by_their_engagement(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(10).await;
    let list = |filter: Json| {
        let client = acme.member.clone();
        async move {
            let query = "query ($filter: SendFilter) { sends(filter: $filter, first: 500) { nodes \
                         { id opens clicks status } } }";
            client.data(query, json!({ "filter": filter })).await["sends"]["nodes"]
                .as_array()
                .unwrap()
                .clone()
        }
    };
    let all = list(json!({})).await;
    let count = |test: &dyn Fn(&Json) -> bool| all.iter().filter(|send| test(send)).count();
    for wanted in [true, false] {
        let opened = list(json!({ "opened": wanted })).await;
        assert_eq!(opened.len(), count(&|send| (send["opens"] != 0) == wanted));
        assert!(!opened.is_empty() && opened.len() < all.len());
        let clicked =
            list(json!({ "clicked": wanted, "status": { "in": ["DELIVERED", "SENT"] } })).await;
        assert_eq!(
            clicked.len(),
            count(&|send| {
                (send["clicks"] != 0) == wanted
                    && (send["status"] == "DELIVERED" || send["status"] == "SENT")
            })
        );
    }
    let neither = list(json!({ "not": { "or": [{ "opened": true }, { "clicked": true }] } })).await;
    assert_eq!(neither.len(), count(&|send| send["opens"] == 0 && send["clicks"] == 0));
}
