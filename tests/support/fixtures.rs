//! Random rows.

use std::{cell::RefCell, thread};

use campaigns_entity::{
    StoredJson, StoredText,
    campaign::{self, CampaignStatus},
    company,
    contact::{self, ContactType},
    contact_company,
    event::{self, EventType},
    list_entry, segment,
    send::{self, SendStatus},
    user,
};
use campaigns_scope::Scope;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ActiveValue::Set, Iterable};
use uuid::Uuid;

use crate::Organization;

/// The IDs of the rows that [`Organization::populated`] created.
#[derive(Clone, Debug, Default)]
pub struct Fixtures {
    /// Users.
    pub users: Vec<Uuid>,
    /// Contacts.
    pub contacts: Vec<Uuid>,
    /// Companies.
    pub companies: Vec<Uuid>,
    /// Segments.
    pub segments: Vec<Uuid>,
    /// Campaigns.
    pub campaigns: Vec<Uuid>,
    /// List entries.
    pub entries: Vec<Uuid>,
    /// Sends.
    pub sends: Vec<Uuid>,
    /// Events.
    pub events: Vec<Uuid>,
}

/// The metadata of events: the second is a machine's, and no other.
pub const MARKS: [&str; 7] = [
    "{}",
    r#"{"machine": true}"#,
    r#"{"machine": "true"}"#,
    "{}",
    r#"{"machine": 1, "of": {"machine": true}}"#,
    r#"{"of": [{"machine": true}]}"#,
    r#"{"machine": false}"#,
];

/// Texts that are hard to sort, fold and compare.
const NAMES: &[&str] = &[
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
    "ℵ",
    "100%",
    "a_b",
    "a\\b",
    "😀 smile",
    "  padded  ",
    "\"quoted\"",
    "İstanbul",
    "istanbul",
    "z",
    "Kelvin \u{212A}",
    "newline\nhere",
    "<b>bold</b>",
    "[b]",
    "a-b&c#d~e",
];

impl Organization {
    /// Fills it with random rows, including nulls, ties and repetitions. Their number grows with
    /// `size`.
    ///
    /// A test gets the same rows in each run, and prints their seed if it fails.
    pub async fn populated(&self, size: usize) -> Fixtures {
        let seed = next_seed();
        println!("the seed of organization {} is {seed}", self.id);
        populate(&self.scope, &mut ChaCha8Rng::seed_from_u64(seed), size).await
    }
}

/// The next seed of the current test, derived from its name.
fn next_seed() -> u64 {
    thread_local! {
        static SEEDS: RefCell<ChaCha8Rng> = {
            let thread = thread::current();
            let name = thread.name().expect("a test runs on a thread with its name");
            // FNV-1a
            let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            RefCell::new(ChaCha8Rng::seed_from_u64(seed))
        };
    }
    SEEDS.with_borrow_mut(RngExt::random)
}

#[expect(clippy::too_many_lines, reason = "a table after the other")]
async fn populate(scope: &Scope, rng: &mut ChaCha8Rng, size: usize) -> Fixtures {
    let mut made = Fixtures::default();
    let base = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
    for number in 0..3 {
        let id = Uuid::new_v4();
        scope
            .insert::<user::Entity>(user::ActiveModel {
                id: Set(id),
                email: Set(format!("user{number}@example.com").into()),
                full_name: Set(Some(format!("User {number}").into())),
                ..Default::default()
            })
            .await
            .unwrap();
        made.users.push(id);
    }
    let kinds: Vec<ContactType> = ContactType::iter().collect();
    let contacts: Vec<_> = (0..size.max(4))
        .map(|_| contact::ActiveModel {
            id: Set(remember(&mut made.contacts)),
            first_name: Set(pick(rng, NAMES)),
            last_name: Set(rng.random_bool(0.8).then(|| pick(rng, NAMES))),
            email: Set(rng.random_bool(0.8).then(|| pick(rng, NAMES))),
            r#type: Set(*kinds.choose(rng).unwrap()),
            created_at: Set(time(rng, base).into()),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<contact::Entity>(contacts).await.unwrap();
    let companies: Vec<_> = (0..3)
        .map(|_| company::ActiveModel {
            id: Set(remember(&mut made.companies)),
            name: Set(pick(rng, NAMES)),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<company::Entity>(companies).await.unwrap();
    let mut employments = Vec::new();
    for contact in &made.contacts {
        let count = rng.random_range(0..3);
        for company in made.companies.sample(rng, count) {
            employments.push(contact_company::ActiveModel {
                id: Set(Uuid::new_v4()),
                contact_id: Set(*contact),
                company_id: Set(*company),
                is_primary: Set(false),
                ..Default::default()
            });
        }
    }
    scope.insert_all::<contact_company::Entity>(employments).await.unwrap();
    let segments: Vec<_> = (0..3)
        .map(|_| segment::ActiveModel {
            id: Set(remember(&mut made.segments)),
            name: Set(pick(rng, NAMES)),
            contact_count: Set(rng.random_bool(0.7).then(|| rng.random_range(0..5))),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<segment::Entity>(segments).await.unwrap();

    let statuses: Vec<CampaignStatus> = CampaignStatus::iter().collect();
    let campaigns: Vec<_> = (0..size.max(4))
        .map(|_| campaign::ActiveModel {
            id: Set(remember(&mut made.campaigns)),
            creator_id: Set(made.users.choose(rng).copied().filter(|_| rng.random_bool(0.6))),
            name: Set(pick(rng, NAMES)),
            subject: Set(rng.random_bool(0.6).then(|| pick(rng, NAMES))),
            channel: Set(pick(rng, &["email", "sms", "Push"])),
            status: Set(*statuses.choose(rng).unwrap()),
            scheduled_at: Set(rng.random_bool(0.5).then(|| time(rng, base).into())),
            sent_at: Set(rng.random_bool(0.6).then(|| time(rng, base).into())),
            created_at: Set(time(rng, base).into()),
            metadata: Set(metadata(rng).map(Into::into)),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<campaign::Entity>(campaigns).await.unwrap();

    let mut entries = Vec::new();
    for campaign in &made.campaigns {
        for contact in &made.contacts {
            if rng.random_bool(0.15) {
                entries.push(list_entry::ActiveModel {
                    id: Set(remember(&mut made.entries)),
                    campaign_id: Set(*campaign),
                    contact_id: Set(*contact),
                    segment_id: Set(made
                        .segments
                        .choose(rng)
                        .copied()
                        .filter(|_| rng.random_bool(0.5))),
                    ..Default::default()
                });
            }
        }
    }
    scope.insert_all::<list_entry::Entity>(entries).await.unwrap();

    let statuses: Vec<SendStatus> = SendStatus::iter().collect();
    // some campaigns have no sends
    let (_, sending) = made.campaigns.split_at(made.campaigns.len() / 4);
    let sends: Vec<_> = (0..size * 6)
        .map(|_| send::ActiveModel {
            id: Set(remember(&mut made.sends)),
            campaign_id: Set(*sending.choose(rng).unwrap()),
            contact_id: Set(*made.contacts.choose(rng).unwrap()),
            status: Set(*statuses.choose(rng).unwrap()),
            sent_at: Set(rng.random_bool(0.7).then(|| time(rng, base).into())),
            delivered_at: Set(rng.random_bool(0.5).then(|| time(rng, base).into())),
            created_at: Set(time(rng, base).into()),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<send::Entity>(sends).await.unwrap();

    let types: Vec<EventType> = EventType::iter().collect();
    let events: Vec<_> = MARKS
        .iter()
        .cycle()
        .take(size * 10)
        .map(|mark| event::ActiveModel {
            id: Set(remember(&mut made.events)),
            send_id: Set(*made.sends.choose(rng).unwrap()),
            event_type: Set(*types.choose(rng).unwrap()),
            url: Set(rng.random_bool(0.5).then(|| "https://example.com/".into())),
            occurred_at: Set(time(rng, base).into()),
            metadata: Set(Some(StoredJson(serde_json::from_str(mark).unwrap()))),
            ..Default::default()
        })
        .collect();
    scope.insert_all::<event::Entity>(events).await.unwrap();
    made
}

fn remember(ids: &mut Vec<Uuid>) -> Uuid {
    let id = Uuid::new_v4();
    ids.push(id);
    id
}

fn pick(rng: &mut ChaCha8Rng, from: &[&str]) -> StoredText {
    (*from.choose(rng).unwrap()).into()
}

/// One of a few times with up to six decimals: some are equal, and some differ by a microsecond.
fn time(rng: &mut ChaCha8Rng, base: DateTime<Utc>) -> DateTime<Utc> {
    let fractions = [0, 0, 500_000, 500_001, 120, 999_999];
    base + TimeDelta::seconds(rng.random_range(0..4))
        + TimeDelta::microseconds(*fractions.choose(rng).unwrap())
}

fn metadata(rng: &mut ChaCha8Rng) -> Option<serde_json::Value> {
    use serde_json::json;
    let values = [
        json!({}),
        json!({ "a": 1, "b": { "c": [1, 2, { "d": null }] } }),
        json!({ "a": 1.0, "tags": ["x", "y"] }),
        json!({ "a": "1", "deep": { "b": true } }),
        json!({ "A": 1, "tags": [["x"], "z"] }),
    ];
    values.choose(rng).cloned().filter(|_| rng.random_bool(0.9))
}
