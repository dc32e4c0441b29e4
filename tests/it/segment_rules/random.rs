//! Random trees.

use campaigns_tests::{Client, TestApp, on_both_databases};
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{
    evaluator::{BOOLEAN, CAMPAIGN, ID, NUMBER, TEXT, TIME, operators, selects},
    people::{self, Person, TEXTS, World},
};
use crate::filters::ignore_case;

const METADATA: &[&str] = &[
    "metadata.plan",
    "metadata.score",
    "metadata.it's \"odd\"",
    "metadata.ключ",
    "metadata.$x",
    "metadata.0",
    "metadata.deep.plan",
    "metadata.deep.0",
    "metadata.deep.a\\b",
    "metadata.none",
    "metadata.deep",
];

struct Maker<'a> {
    rng: &'a mut ChaCha8Rng,
    world: &'a World,
    /// Every field with every operator that it supports. Each is used before any is repeated.
    left: Vec<(&'static str, &'static str)>,
}

fn every_rule() -> Vec<(&'static str, &'static str)> {
    let fields = [TEXT, TIME, NUMBER, BOOLEAN, CAMPAIGN, ID, &["type"], METADATA].concat();
    let rules = fields
        .into_iter()
        .flat_map(|field| operators(field).into_iter().map(move |operator| (field, operator)));
    rules.collect()
}

impl Maker<'_> {
    fn group(&mut self, depth: usize) -> Json {
        let mut rules: Vec<Json> = Vec::new();
        for _ in 0..self.rng.random_range(0..4) {
            let inner = depth > 0 && self.rng.random_bool(0.4);
            let mut rule = if inner { self.group(depth - 1) } else { self.rule() };
            if self.rng.random_bool(0.05) {
                rule["muted"] = json!(true);
            }
            if self.rng.random_bool(0.05) {
                rule["disabled"] = json!(true);
            }
            rules.push(rule);
        }
        let combinator = if self.rng.random_bool(0.5) { "and" } else { "or" };
        let mut group = json!({ "combinator": combinator, "rules": rules, "id": "g-1" });
        if self.rng.random_bool(0.5) {
            group["not"] = json!(self.rng.random_bool(0.5));
        }
        group
    }

    fn rule(&mut self) -> Json {
        if self.left.is_empty() {
            self.left = every_rule();
        }
        let (field, operator) = self.left.swap_remove(self.rng.random_range(0..self.left.len()));
        let value = match operator {
            "null" | "notNull" => {
                if self.rng.random_bool(0.5) {
                    json!("")
                } else {
                    Json::Null
                }
            }
            "in" | "notIn" => {
                let count = self.rng.random_range(0..4);
                self.list(field, count)
            }
            "between" | "notBetween" => self.list(field, 2),
            _ if operator.contains("ontain") || operator.ends_with("With") => self.part(field),
            "=" | "!=" => self.value(field),
            _ => loop {
                // booleans cannot be ordered
                let value = self.value(field);
                if !value.is_boolean() {
                    break value;
                }
            },
        };
        json!({
            "field": field, "operator": operator, "value": value, "valueSource": "value", "id": "r",
        })
    }

    /// A flat object.
    fn flat(&mut self) -> Json {
        let fields =
            ["type", "industry", "city", "opened", "opens", "metadata.plan", "owner_id", "country"];
        let mut object = Map::new();
        for _ in 0..self.rng.random_range(0..3) {
            let field = *fields.choose(self.rng).unwrap();
            object.insert(field.to_owned(), self.value(field));
        }
        Json::Object(object)
    }

    fn list(&mut self, field: &'static str, count: usize) -> Json {
        let mut items: Vec<Json> = Vec::new();
        while items.len() < count {
            let item = self.value(field);
            let ordered = count != 2
                || items.first().is_none_or(|first| {
                    std::mem::discriminant(first) == std::mem::discriminant(&item)
                });
            if !item.is_boolean() && ordered {
                items.push(item);
            }
        }
        let is_plain =
            |item: &Json| item.as_str().is_some_and(|text| !text.is_empty() && !text.contains(','));
        if items.iter().all(is_plain) && self.rng.random_bool(0.5) {
            let texts: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            return json!(texts.join([",", ", ", " , "].choose(self.rng).unwrap()));
        }
        Json::Array(items)
    }

    /// A value that the field can have.
    fn value(&mut self, field: &'static str) -> Json {
        if field.starts_with("metadata.") {
            let values = [
                json!("alpha"),
                json!("5"),
                json!("true"),
                json!(5),
                json!(5.5),
                json!(0.1),
                json!(-3.25),
                json!(1e300),
                json!(9_007_199_254_740_992.0),
                json!(9_007_199_254_740_993_i64),
                json!(true),
                json!(false),
            ];
            return values.choose(self.rng).unwrap().clone();
        }
        if NUMBER.contains(&field) {
            let values = [
                json!(0),
                json!(1),
                json!(2),
                json!(1.5),
                json!(3),
                json!(-1),
                json!(1e300),
                json!("2"),
                json!(i64::MAX),
            ];
            return values.choose(self.rng).unwrap().clone();
        }
        if TIME.contains(&field) && self.rng.random_bool(0.5) {
            return json!(
                ["-12h", "-2d", "-2w", "-30d", "-20w", "-4000000000w"].choose(self.rng).unwrap()
            );
        }
        let person = self.world.people.choose(self.rng).unwrap();
        let value = person.values.get(field).and_then(|values| values.choose(self.rng)).cloned();
        let value = value.unwrap_or_else(|| match field {
            _ if TIME.contains(&field) => json!("2026-05-28T20:26:42+02:00"),
            _ if CAMPAIGN.contains(&field) || ID.contains(&field) => json!(Uuid::nil()),
            _ => json!(TEXTS.choose(self.rng).unwrap()),
        });
        match value.as_str() {
            // only the date
            Some(time) if TIME.contains(&field) && self.rng.random_bool(0.3) => json!(time[..10]),
            _ => value,
        }
    }

    /// A part of some text, possibly in the other case.
    fn part(&mut self, field: &'static str) -> Json {
        let text = if field.starts_with("metadata.") { json!("alpha") } else { self.value(field) };
        let text: Vec<char> = text.as_str().unwrap().chars().collect();
        let start =
            if self.rng.random_bool(0.3) { 0 } else { self.rng.random_range(0..=text.len()) };
        let end = self.rng.random_range(start..=text.len());
        let end = if self.rng.random_bool(0.3) { text.len() } else { end };
        let part: String = text[start..end].iter().collect();
        match self.rng.random_range(0..3) {
            0 => json!(part),
            1 => json!(part.to_lowercase()),
            _ => json!(part.to_uppercase()),
        }
    }
}

/// The IDs that each of the rules selects, by last name, first name and ID.
async fn previews(client: &Client, rules: &[Json]) -> Vec<Vec<Uuid>> {
    let variables: Vec<String> =
        (0..rules.len()).map(|index| format!("$r{index}: JSON!")).collect();
    let fields: Vec<String> = (0..rules.len())
        .map(|index| {
            format!(
                "p{index}: previewSegment(rules: $r{index}) {{ count \
                 contacts(first: 500) {{ id }} }}"
            )
        })
        .collect();
    let query = format!("query ({}) {{ {} }}", variables.join(", "), fields.join(" "));
    let variables: Map<String, Json> = rules
        .iter()
        .enumerate()
        .map(|(index, rules)| (format!("r{index}"), rules.clone()))
        .collect();
    let data = client.data(&query, Json::Object(variables)).await;
    (0..rules.len())
        .map(|index| {
            let preview = &data[format!("p{index}")];
            let contacts = preview["contacts"].as_array().unwrap();
            assert_eq!(preview["count"], contacts.len(), "{:#}", rules[index]);
            contacts
                .iter()
                .map(|contact| contact["id"].as_str().unwrap().parse().unwrap())
                .collect()
        })
        .collect()
}

fn expected(world: &World, rules: &Json, now: DateTime<Utc>) -> Vec<Uuid> {
    let selected = world.people.iter().filter(|person| selects(rules, person, now));
    let key = |person: &&Person| {
        let name =
            |field| person.values[field].first().map(|name| name.as_str().unwrap().to_owned());
        let last_name = name("last_name");
        (last_name.is_none(), last_name, name("first_name"), person.id)
    };
    let mut selected: Vec<&Person> = selected.collect();
    selected.sort_by_key(key);
    selected.into_iter().map(|person| person.id).collect()
}

#[on_both_databases]
async fn random_rules_select_the_same_contacts_as_a_simple_evaluator(app: TestApp) {
    compare_with_evaluator(&app).await;
}

#[tokio::test]
async fn random_rules_select_the_same_where_a_collation_considers_other_texts_equal() {
    let app = TestApp::adopted().start().await;
    ignore_case(&app, "contacts, companies").await;
    compare_with_evaluator(&app).await;
}

async fn compare_with_evaluator(app: &TestApp) {
    let seed = std::env::var("RULES_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(91);
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    people::make(app, &other.scope, &mut rng, 10).await;
    let world = people::make(app, &acme.scope, &mut rng, 60).await;
    let mut maker = Maker { rng: &mut rng, world: &world, left: every_rule() };
    let mut rules: Vec<Json> = (0..300).map(|round| maker.group(1 + round % 4)).collect();
    // and each rule separately
    maker.left = every_rule();
    while !maker.left.is_empty() {
        rules.push(maker.rule());
    }
    rules.extend((0..25).map(|_| maker.flat()));
    let mut some = 0;
    for batch in rules.chunks(25) {
        let shown = previews(&acme.member, batch).await;
        let now = Utc::now();
        for (rules, shown) in batch.iter().zip(shown) {
            let expected = expected(&world, rules, now);
            assert_eq!(shown, expected, "{rules:#}\n{:#?}", differ(&world, &shown, &expected));
            some += usize::from(!expected.is_empty() && expected.len() < world.people.len());
        }
    }
    assert!(some > 300, "only {some} rules tell contacts apart");
}

/// A person who is selected by only one of them.
fn differ<'a>(world: &'a World, shown: &[Uuid], expected: &[Uuid]) -> Option<&'a Person> {
    world.people.iter().find(|person| shown.contains(&person.id) != expected.contains(&person.id))
}
