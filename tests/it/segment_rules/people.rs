//! Random contacts with values for all fields of rules, in the database and in memory.

use std::collections::HashMap;

use campaigns_entity::{
    campaign, company,
    contact::{self, ContactType},
    contact_company,
    event::{self, EventType},
    send, user,
};
use campaigns_scope::Scope;
use campaigns_tests::{Backend, TestApp};
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ActiveEnum, ActiveValue::Set, Iterable};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A contact for the evaluator: the values of each field.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) values: HashMap<&'static str, Vec<Json>>,
    pub(super) metadata: Json,
}

/// The random contacts and the rows that they refer to.
#[derive(Default)]
pub(super) struct World {
    pub(super) people: Vec<Person>,
    pub(super) campaigns: Vec<Uuid>,
}

pub(super) const TEXTS: &[&str] = &[
    "alpha",
    "Alpha",
    "ALPHA",
    "beta",
    "Zeta",
    "äther",
    "Äther",
    "Éclair",
    "éclair",
    "straße",
    "STRASSE",
    "Σίσυφος",
    "σίσυφοσ",
    "Жук",
    "жук",
    "ℵ",
    "100%",
    "100 %",
    "a_b",
    "aXb",
    "a\\b",
    "a'b",
    "\"quoted\"",
    "😀 smile",
    "😁",
    "İstanbul",
    "istanbul",
    "Kelvin \u{212A}",
    "kelvin k",
    "[b]",
    "a.b*c",
    "^$",
    "5",
    "true",
    "",
    "東京",
    "Acme, Inc.",
];

const URLS: &[&str] =
    &["https://example.com/", "https://example.com/Ä?a=1&b=%20", "https://EXAMPLE.com/sale", "x"];

/// Metadata with values of every type, under unusual keys.
fn metadata(rng: &mut ChaCha8Rng) -> Option<Json> {
    let scalars = [
        json!("alpha"),
        json!("Alpha"),
        json!("5"),
        json!("true"),
        json!(5),
        json!(5.0),
        json!(5.5),
        json!(-1),
        json!(0.1),
        json!(1e300),
        json!(9_007_199_254_740_993_i64),
        json!(true),
        json!(false),
        Json::Null,
        json!([]),
        json!(["alpha"]),
        json!({}),
        json!({ "a": 1 }),
    ];
    let mut scalar = || scalars.choose(rng).unwrap().clone();
    let whole = json!({
        "plan": scalar(), "score": scalar(), "it's \"odd\"": scalar(), "ключ": scalar(),
        "$x": scalar(),
        "0": scalar(), "deep": { "plan": scalar(), "0": scalar(), "a\\b": scalar() },
    });
    let mut kept = whole.as_object().unwrap().clone();
    kept.retain(|_, _| rng.random_bool(0.7));
    match rng.random_range(0..10) {
        0 => None,
        1 => Some(Json::Null),
        2 => Some(json!(["plan", { "plan": "alpha" }])),
        3 => Some(json!("plan")),
        4 => Some(json!({ "deep": ["alpha"], "plan": "alpha" })),
        _ => Some(Json::Object(kept)),
    }
}

fn text(rng: &mut ChaCha8Rng) -> Option<String> {
    rng.random_bool(0.8).then(|| (*TEXTS.choose(rng).unwrap()).to_owned())
}

fn time(rng: &mut ChaCha8Rng, now: DateTime<Utc>) -> DateTime<Utc> {
    let hours = [1, 11, 13, 36, 24 * 13, 24 * 15, 24 * 29 + 12, 24 * 31, 24 * 400];
    let at = now - TimeDelta::hours(*hours.choose(rng).unwrap());
    match rng.random_range(0..4) {
        0 => at.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(2),
        1 => at.trunc_subsecs(0),
        2 => at.trunc_subsecs(3),
        _ => at.trunc_subsecs(6),
    }
}

pub(super) fn shown(time: DateTime<Utc>) -> Json {
    json!(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Fills an organization.
#[expect(clippy::too_many_lines, reason = "a table after the other")]
pub(super) async fn make(app: &TestApp, scope: &Scope, rng: &mut ChaCha8Rng, size: usize) -> World {
    let now = Utc::now();
    let users = [Uuid::new_v4(), Uuid::new_v4()];
    for id in users {
        let email = Set(format!("{id}@example.com").into());
        let row = user::ActiveModel { id: Set(id), email, ..Default::default() };
        scope.insert::<user::Entity>(row).await.unwrap();
    }
    let types: Vec<ContactType> = ContactType::iter().collect();
    let mut world = World::default();
    let mut contacts = Vec::new();
    for _ in 0..size {
        let mut person = Person { id: Uuid::new_v4(), ..Default::default() };
        let mut of = |name: &'static str, rng: &mut ChaCha8Rng| {
            let value = text(rng);
            person.values.insert(name, value.iter().map(|text| json!(text)).collect());
            Set(value.map(Into::into))
        };
        let row = contact::ActiveModel {
            last_name: of("last_name", rng),
            email: of("email", rng),
            phone: of("phone", rng),
            title: of("title", rng),
            source: of("source", rng),
            city: of("city", rng),
            state: of("state", rng),
            postal_code: of("postal_code", rng),
            country: of("country", rng),
            address_line1: of("address_line1", rng),
            address_line2: of("address_line2", rng),
            ..Default::default()
        };
        let first_name = *TEXTS.choose(rng).unwrap();
        let of_type = *types.choose(rng).unwrap();
        let owner = users.choose(rng).copied().filter(|_| rng.random_bool(0.7));
        let (created, updated) = (time(rng, now), time(rng, now));
        let stored = metadata(rng);
        let values = &mut person.values;
        values.insert("first_name", vec![json!(first_name)]);
        values.insert("type", vec![json!(of_type.to_value())]);
        values.insert("owner_id", owner.iter().map(|id| json!(id)).collect());
        values.insert("id", vec![json!(person.id)]);
        values.insert("created_at", vec![shown(created)]);
        values.insert("updated_at", vec![shown(updated)]);
        person.metadata = stored.clone().unwrap_or_default();
        contacts.push(contact::ActiveModel {
            id: Set(person.id),
            first_name: Set(first_name.into()),
            r#type: Set(of_type),
            owner_id: Set(owner),
            created_at: Set(created.into()),
            updated_at: Set(updated.into()),
            metadata: Set(stored.map(Into::into)),
            ..row
        });
        world.people.push(person);
    }
    scope.insert_all::<contact::Entity>(contacts).await.unwrap();

    let mut companies = Vec::new();
    let mut columns = Vec::new();
    for _ in 0..8 {
        let row = company::ActiveModel {
            id: Set(Uuid::new_v4()),
            name: Set((*TEXTS.choose(rng).unwrap()).into()),
            domain: Set(text(rng).map(Into::into)),
            industry: Set(text(rng).map(Into::into)),
            size: Set(text(rng).map(Into::into)),
            ..Default::default()
        };
        columns.push([
            ("company.name", Some(row.name.clone().unwrap())),
            ("company.domain", row.domain.clone().unwrap()),
            ("company.industry", row.industry.clone().unwrap()),
            ("industry", row.industry.clone().unwrap()),
            ("company.size", row.size.clone().unwrap()),
        ]);
        companies.push(row);
    }
    let mut employments = Vec::new();
    for person in &mut world.people {
        let count = rng.random_range(0..3);
        for index in (0..companies.len()).collect::<Vec<_>>().sample(rng, count) {
            for (name, value) in &columns[*index] {
                person
                    .values
                    .entry(name)
                    .or_default()
                    .extend(value.iter().map(|text| json!(text.0)));
            }
            employments.push(contact_company::ActiveModel {
                id: Set(Uuid::new_v4()),
                contact_id: Set(person.id),
                company_id: companies[*index].id.clone(),
                is_primary: Set(false),
                ..Default::default()
            });
        }
    }
    scope.insert_all::<company::Entity>(companies).await.unwrap();
    scope.insert_all::<contact_company::Entity>(employments).await.unwrap();

    world.campaigns = (0..4).map(|_| Uuid::new_v4()).collect();
    let campaigns = world.campaigns.iter().map(|id| campaign::ActiveModel {
        id: Set(*id),
        name: Set("x".into()),
        ..Default::default()
    });
    scope.insert_all::<campaign::Entity>(campaigns.collect()).await.unwrap();
    let event_types: Vec<EventType> = EventType::iter().collect();
    let (mut sends, mut events) = (Vec::new(), Vec::new());
    for person in &mut world.people {
        let id = person.id;
        let mut note = |field, value| person.values.entry(field).or_default().push(value);
        let (mut last_sent, mut last) = (None, HashMap::<EventType, DateTime<Utc>>::new());
        let (mut number, mut opens, mut clicks, mut suppresses) = (0, 0, 0, false);
        for _ in 0..[0, 1, 1, 2, 4].choose(rng).copied().unwrap() {
            let campaign = *world.campaigns.choose(rng).unwrap();
            let sent_at = rng.random_bool(0.7).then(|| time(rng, now));
            let send = Uuid::new_v4();
            sends.push(send::ActiveModel {
                id: Set(send),
                campaign_id: Set(campaign),
                contact_id: Set(id),
                sent_at: Set(sent_at.map(Into::into)),
                ..Default::default()
            });
            number += 1;
            last_sent = last_sent.max(sent_at);
            note("received_campaign", json!(campaign));
            for _ in 0..rng.random_range(0..4) {
                let of_type = *event_types.choose(rng).unwrap();
                let at = time(rng, now);
                let url = rng.random_bool(0.8).then(|| *URLS.choose(rng).unwrap());
                let is_soft = of_type == EventType::Bounce && rng.random_bool(0.5);
                events.push(event::ActiveModel {
                    id: Set(Uuid::new_v4()),
                    send_id: Set(send),
                    event_type: Set(of_type),
                    // another program can store any URL
                    url: Set(url.map(Into::into)),
                    occurred_at: Set(at.into()),
                    metadata: Set(is_soft.then(|| json!({ "bounce_type": "soft" }).into())),
                    ..Default::default()
                });
                let latest = last.entry(of_type).or_insert(at);
                *latest = at.max(*latest);
                suppresses |= match of_type {
                    EventType::Open | EventType::Click => false,
                    EventType::Bounce => !is_soft,
                    _ => true,
                };
                match of_type {
                    EventType::Open => {
                        opens += 1;
                        note("opened_campaign", json!(campaign));
                    }
                    EventType::Click => {
                        clicks += 1;
                        note("clicked_campaign", json!(campaign));
                        if let Some(url) = url {
                            note("clicked_url", json!(url));
                        }
                    }
                    _ => {}
                }
            }
        }
        for (field, value) in [("sends", number), ("opens", opens), ("clicks", clicks)] {
            note(field, json!(value));
        }
        for (field, at) in [
            ("last_sent_at", last_sent),
            ("last_opened_at", last.get(&EventType::Open).copied()),
            ("last_clicked_at", last.get(&EventType::Click).copied()),
        ] {
            if let Some(at) = at {
                note(field, shown(at));
            }
        }
        for (field, of_type) in [
            ("opened", EventType::Open),
            ("clicked", EventType::Click),
            ("unsubscribed", EventType::Unsubscribe),
            ("complained", EventType::Complaint),
            ("bounced", EventType::Bounce),
        ] {
            note(field, json!(last.contains_key(&of_type)));
        }
        note("suppressed", json!(suppresses));
    }
    scope.insert_all::<send::Entity>(sends).await.unwrap();
    // some are added to the counts, others can be pending
    let later = events.split_off(events.len() / 2);
    scope.insert_all::<event::Entity>(events).await.unwrap();
    if app.database.backend == Backend::Postgres {
        app.rows("SELECT campaign_counts_fold()").await;
    }
    scope.insert_all::<event::Entity>(later).await.unwrap();
    world
}
