//! Filters: random trees, held against an evaluator written in the plainest way.

use std::collections::{BTreeSet, HashMap};

use campaigns_tests::{Fixtures, TestApp, on_both_databases, populate};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value as Json, json};

const FIELDS: &str =
    "id name subject channel status creator { id } scheduledAt sentAt createdAt updatedAt metadata";

/// A campaign as it is shown, with the segments of its list.
struct Row {
    shown: Json,
    segments: BTreeSet<String>,
}

/// Simple case folding, as far as the letters of the fixtures go.
fn fold(text: &str) -> Vec<char> {
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

fn operator(name: &str, operand: &Json, value: &Json) -> bool {
    let one_of = || operand.as_array().unwrap().contains(value);
    let folded = |test: fn(&[char], &[char]) -> bool| {
        value.as_str().is_some_and(|text| test(&fold(text), &fold(operand.as_str().unwrap())))
    };
    let compared = |test: fn(std::cmp::Ordering) -> bool| {
        time(value).is_some_and(|value| test(value.cmp(&time(operand).unwrap())))
    };
    match name {
        "eq" if time_like(operand) => compared(std::cmp::Ordering::is_eq),
        "ne" if time_like(operand) => !compared(std::cmp::Ordering::is_eq),
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

fn time_like(value: &Json) -> bool {
    value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok())
}

fn of_segments(name: &str, operand: &Json, segments: &BTreeSet<String>) -> bool {
    let has = |id: &Json| segments.contains(id.as_str().unwrap());
    let any = || operand.as_array().unwrap().iter().any(has);
    match name {
        "eq" => has(operand),
        "ne" => !has(operand),
        "in" => any(),
        "notIn" => !any(),
        _ => segments.is_empty() == operand.as_bool().unwrap(),
    }
}

fn selects(filter: &Json, row: &Row) -> bool {
    filter.as_object().unwrap().iter().all(|(field, operand)| {
        if operand.is_null() {
            return true;
        }
        let filters = || operand.as_array().unwrap().iter().map(|filter| selects(filter, row));
        match field.as_str() {
            "and" => filters().all(|selected| selected),
            "or" => filters().any(|selected| selected),
            "not" => !selects(operand, row),
            _ => operand.as_object().unwrap().iter().all(|(name, operand)| {
                if operand.is_null() {
                    return true;
                }
                match field.as_str() {
                    "segmentId" => of_segments(name, operand, &row.segments),
                    "metadata" if name == "contains" => {
                        json_contains(&row.shown["metadata"], operand, true)
                    }
                    "metadata" => row.shown["metadata"]
                        .as_object()
                        .unwrap()
                        .contains_key(operand.as_str().unwrap()),
                    "creatorId" => operator(
                        name,
                        operand,
                        row.shown.pointer("/creator/id").unwrap_or(&Json::Null),
                    ),
                    field => operator(name, operand, &row.shown[field]),
                }
            }),
        }
    })
}

struct Maker<'a> {
    rng: &'a mut ChaCha8Rng,
    rows: &'a [Row],
    made: &'a Fixtures,
}

impl Maker<'_> {
    fn filter(&mut self, depth: usize) -> Json {
        let mut filter = Map::new();
        for _ in 0..self.rng.random_range(0..3) {
            let field = *[
                "id",
                "name",
                "subject",
                "channel",
                "status",
                "creatorId",
                "scheduledAt",
                "sentAt",
                "createdAt",
                "metadata",
                "segmentId",
            ]
            .choose(self.rng)
            .unwrap();
            let of = self.field(field);
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

    fn field(&mut self, field: &str) -> Json {
        if self.rng.random_bool(0.04) {
            return if self.rng.random_bool(0.5) { Json::Null } else { json!({}) };
        }
        let names: &[&str] = match field {
            "id" | "creatorId" | "segmentId" => &["eq", "ne", "in", "notIn", "isNull"],
            "status" => &["eq", "ne", "in", "notIn"],
            "metadata" => &["contains", "hasKey"],
            field if field.ends_with("At") => &["eq", "ne", "gt", "gte", "lt", "lte", "isNull"],
            _ => &["eq", "ne", "in", "notIn", "contains", "startsWith", "endsWith", "isNull"],
        };
        let name = *names.choose(self.rng).unwrap();
        let operand = match name {
            "isNull" => json!(self.rng.random_bool(0.5)),
            "in" | "notIn" => {
                let count = self.rng.random_range(0..3);
                Json::Array((0..count).map(|_| self.value(field)).collect())
            }
            "contains" | "startsWith" | "endsWith" if field != "metadata" => self.part(field),
            "hasKey" => json!(["a", "A", "tags", "deep", "b", "none"].choose(self.rng).unwrap()),
            _ => self.value(field),
        };
        json!({ name: operand })
    }

    /// A value that some row may have.
    fn value(&mut self, field: &str) -> Json {
        let id = |ids: &[uuid::Uuid], rng: &mut ChaCha8Rng| json!(ids.choose(rng).unwrap());
        match field {
            "id" => id(&self.made.campaigns, self.rng),
            "creatorId" => id(&self.made.users, self.rng),
            "segmentId" => id(&self.made.segments, self.rng),
            "metadata" => [
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
            ]
            .choose(self.rng)
            .unwrap()
            .clone(),
            field => {
                let row = self.rows.choose(self.rng).unwrap();
                match &row.shown[field] {
                    Json::Null if field.ends_with("At") => row.shown["createdAt"].clone(),
                    Json::Null => json!("nothing"),
                    value => value.clone(),
                }
            }
        }
    }

    /// A part of some row's text, perhaps in the other case.
    fn part(&mut self, field: &str) -> Json {
        let text = self.value(field).as_str().unwrap().chars().collect::<Vec<_>>();
        let start = self.rng.random_range(0..text.len());
        let end = self.rng.random_range(start..=text.len());
        let start = if self.rng.random_bool(0.3) { 0 } else { start };
        let part: String = text[start..end].iter().collect();
        match self.rng.random_range(0..3) {
            0 => json!(part),
            1 => json!(part.to_lowercase()),
            // ß is two letters in upper case, and so another text
            _ => json!(part.to_uppercase()),
        }
    }
}

async fn rows(app: &TestApp, client: &campaigns_tests::Client) -> Vec<Row> {
    let mut segments: HashMap<String, BTreeSet<String>> = HashMap::new();
    for row in app
        .rows("SELECT campaign_id, segment_id FROM campaign_lists WHERE segment_id IS NOT NULL")
        .await
    {
        let id = |name: &str| row.try_get::<uuid::Uuid>("", name).unwrap().to_string();
        segments.entry(id("campaign_id")).or_default().insert(id("segment_id"));
    }
    let data = client
        .data(&format!("{{ campaigns(first: 500) {{ nodes {{ {FIELDS} }} }} }}"), json!({}))
        .await;
    data["campaigns"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shown| Row {
            shown: shown.clone(),
            segments: segments.remove(shown["id"].as_str().unwrap()).unwrap_or_default(),
        })
        .collect()
}

on_both_databases! {
    async fn random_filters_select_what_the_plain_evaluator_selects(app: TestApp) {
        let mut rng = ChaCha8Rng::seed_from_u64(71);
        let acme = app.organization("acme").await;
        let made = populate(&acme.scope, &mut rng, 40).await;
        populate(&app.organization("other").await.scope, &mut rng, 5).await;
        let rows = rows(&app, &acme.member).await;
        let query = "query ($filter: CampaignFilter) { campaigns(filter: $filter, first: 500) { totalCount nodes { id } } }";
        let mut some = 0;
        for round in 0..250 {
            let filter = Maker { rng: &mut rng, rows: &rows, made: &made }.filter(round % 5);
            let data = acme.member.data(query, json!({ "filter": filter })).await;
            let shown: Vec<&str> = data["campaigns"]["nodes"].as_array().unwrap().iter()
                .map(|node| node["id"].as_str().unwrap()).collect();
            let expected: Vec<&str> = rows.iter()
                .filter(|row| selects(&filter, row))
                .map(|row| row.shown["id"].as_str().unwrap()).collect();
            assert_eq!(shown, expected, "{filter:#}");
            assert_eq!(data["campaigns"]["totalCount"], expected.len());
            some += usize::from(!expected.is_empty() && expected.len() < rows.len());
        }
        assert!(some > 80, "only {some} filters tell rows apart");
    }

    async fn sends_are_filtered_by_what_became_of_them(app: TestApp) {
        let mut rng = ChaCha8Rng::seed_from_u64(72);
        let acme = app.organization("acme").await;
        populate(&acme.scope, &mut rng, 10).await;
        let list = |filter: Json| {
            let client = acme.member.clone();
            async move {
                let query = "query ($filter: SendFilter) { sends(filter: $filter, first: 500) { nodes { id opens clicks status } } }";
                client.data(query, json!({ "filter": filter })).await["sends"]["nodes"].as_array().unwrap().clone()
            }
        };
        let all = list(json!({})).await;
        let count = |test: &dyn Fn(&Json) -> bool| all.iter().filter(|send| test(send)).count();
        for wanted in [true, false] {
            let opened = list(json!({ "opened": wanted })).await;
            assert_eq!(opened.len(), count(&|send| (send["opens"] != 0) == wanted));
            assert!(!opened.is_empty() && opened.len() < all.len());
            let clicked = list(json!({ "clicked": wanted, "status": { "in": ["DELIVERED", "SENT"] } })).await;
            assert_eq!(clicked.len(), count(&|send| {
                (send["clicks"] != 0) == wanted && (send["status"] == "DELIVERED" || send["status"] == "SENT")
            }));
        }
        let neither = list(json!({ "not": { "or": [{ "opened": true }, { "clicked": true }] } })).await;
        assert_eq!(neither.len(), count(&|send| send["opens"] == 0 && send["clicks"] == 0));
    }
}
