//! Keyset pages, compared with sorting in memory.

use std::collections::BTreeSet;

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use campaigns_tests::{Fixtures, Organization, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A list in the schema whose orders are tested.
struct List {
    /// The selection that leads to it from the root, with a place for its arguments.
    query: &'static str,
    /// The JSON pointer to it in the response.
    pointer: &'static str,
    order_type: &'static str,
    /// Each order field, with the selection that returns its value.
    fields: &'static [(&'static str, &'static str)],
}

const CAMPAIGNS: List = List {
    query: "campaigns(ARGUMENTS)",
    pointer: "/campaigns",
    order_type: "CampaignOrder",
    fields: &[
        ("NAME", "/name"),
        ("STATUS", "/status"),
        ("CHANNEL", "/channel"),
        ("SCHEDULED_AT", "/scheduledAt"),
        ("SENT_AT", "/sentAt"),
        ("CREATED_AT", "/createdAt"),
        ("UPDATED_AT", "/updatedAt"),
        ("SENDS", "/stats/sends"),
        ("OPEN_RATE", "/stats/openRate"),
        ("CLICK_RATE", "/stats/clickRate"),
        ("BOUNCE_RATE", "/stats/bounceRate"),
    ],
};

const CAMPAIGN_FIELDS: &str = "id name status channel scheduledAt sentAt createdAt updatedAt \
    stats { sends openRate clickRate bounceRate }";

const SENDS: List = List {
    query: "sends(ARGUMENTS)",
    pointer: "/sends",
    order_type: "SendOrder",
    fields: SEND_ORDERS,
};

const SENDS_OF_A_CAMPAIGN: List = List {
    query: "campaign(id: $campaign) { sends(ARGUMENTS)",
    pointer: "/campaign/sends",
    order_type: "SendOrder",
    fields: SEND_ORDERS,
};

const CONTACTS: List = List {
    query: "contacts(ARGUMENTS)",
    pointer: "/contacts",
    order_type: "ContactOrder",
    fields: &[
        ("LAST_NAME", "/lastName"),
        ("FIRST_NAME", "/firstName"),
        ("EMAIL", "/email"),
        ("CREATED_AT", "/createdAt"),
    ],
};

const SEGMENTS: List = List {
    query: "segments(ARGUMENTS)",
    pointer: "/segments",
    order_type: "SegmentOrder",
    fields: &[
        ("NAME", "/name"),
        ("CONTACT_COUNT", "/contactCount"),
        ("CAMPAIGNS_USED_IN", "/campaignsUsedIn"),
        ("CREATED_AT", "/createdAt"),
        ("UPDATED_AT", "/updatedAt"),
    ],
};

const SEND_ORDERS: &[(&str, &str)] = &[
    ("STATUS", "/status"),
    ("SENT_AT", "/sentAt"),
    ("DELIVERED_AT", "/deliveredAt"),
    ("CREATED_AT", "/createdAt"),
];

const SEND_FIELDS: &str = "id status sentAt deliveredAt createdAt";

#[test]
fn every_field_of_every_order_is_tested() {
    let mut tested = 0;
    for definition in parse_schema(campaigns_graphql::Api::sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::Enum(order) = &definition.node.kind else { continue };
        let name = definition.node.name.node.as_str();
        // `cursors` tests events
        if !name.ends_with("OrderField") || name == "EngagementEventOrderField" {
            continue;
        }
        let list = [&CAMPAIGNS, &SENDS, &CONTACTS, &SEGMENTS]
            .into_iter()
            .find(|list| name.strip_suffix("Field") == Some(list.order_type))
            .unwrap_or_else(|| panic!("{name}"));
        let of_list: BTreeSet<&str> = list.fields.iter().map(|(field, _)| *field).collect();
        let fields = order.values.iter().map(|value| value.node.value.node.as_str());
        assert_eq!(fields.collect::<BTreeSet<_>>(), of_list, "{name}");
        tested += 1;
    }
    assert_eq!(tested, 4);
}

/// The position of a status in its enum.
fn place(status: &str) -> Option<usize> {
    ["DRAFT", "SCHEDULED", "SENDING", "SENT", "PAUSED", "CANCELED"]
        .iter()
        .position(|known| *known == status)
        .or_else(|| {
            ["QUEUED", "SENT", "DELIVERED", "BOUNCED", "FAILED"]
                .iter()
                .position(|known| *known == status)
        })
}

fn compare(field: &str, a: &Json, b: &Json) -> std::cmp::Ordering {
    match (a, b) {
        (Json::String(a), Json::String(b)) if field == "STATUS" => place(a).cmp(&place(b)),
        (Json::String(a), Json::String(b)) if field.ends_with("_AT") => {
            let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
            time(a).cmp(&time(b))
        }
        // Rust compares text by its bytes in UTF-8, which is by code point
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (a, b) => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
    }
}

/// Compares sends. Their statuses have another order than those of campaigns, and SENT is in both.
fn compare_sends(field: &str, a: &Json, b: &Json) -> std::cmp::Ordering {
    let place = |value: &Json| {
        ["QUEUED", "SENT", "DELIVERED", "BOUNCED", "FAILED"].iter().position(|known| value == known)
    };
    if field == "STATUS" { place(a).cmp(&place(b)) } else { compare(field, a, b) }
}

struct Walk<'a> {
    client: &'a campaigns_tests::Client,
    list: &'a List,
    fields: &'a str,
    campaign: Option<Uuid>,
}

impl Walk<'_> {
    async fn page(&self, arguments: Json) -> Json {
        let List { query, pointer, order_type, .. } = self.list;
        let query = query.replace(
            "ARGUMENTS",
            "orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before",
        );
        let close = if self.campaign.is_some() { "}" } else { "" };
        let of = if self.campaign.is_some() { "$campaign: ID!, " } else { "" };
        let fields = self.fields;
        let query = format!(
            "query ({of}$orderBy: [{order_type}!], $first: Int, $after: String, $last: Int, \
             $before: String) {{ {query} {{ totalCount edges {{ cursor node {{ {fields} }} }} \
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} {close}"
        );
        let mut variables = arguments;
        if let Some(campaign) = self.campaign {
            variables["campaign"] = json!(campaign);
        }
        let mut data = self.client.data(&query, variables).await;
        data.pointer_mut(pointer).unwrap().take()
    }

    /// Walks the list in pages of random sizes, forwards or backwards, and returns its rows in
    /// order.
    async fn rows(&self, rng: &mut ChaCha8Rng, order: &Json, backwards: bool) -> Vec<Json> {
        let mut rows: Vec<Json> = Vec::new();
        let mut cursor = Json::Null;
        loop {
            let size = rng.random_range(1..8);
            let (count, from) = if backwards { ("last", "before") } else { ("first", "after") };
            let mut arguments = json!({ "orderBy": order, count: size });
            if !cursor.is_null() {
                arguments[from] = cursor.clone();
            }
            let page = self.page(arguments).await;
            let edges = page["edges"].as_array().unwrap();
            let nodes: Vec<Json> = edges.iter().map(|edge| edge["node"].clone()).collect();
            let info = &page["pageInfo"];
            assert!(edges.len() <= size);
            assert_eq!(
                info["startCursor"],
                edges.first().map_or(Json::Null, |edge| edge["cursor"].clone())
            );
            assert_eq!(
                info["endCursor"],
                edges.last().map_or(Json::Null, |edge| edge["cursor"].clone())
            );
            let (beyond, behind) = if backwards {
                ("hasPreviousPage", "hasNextPage")
            } else {
                ("hasNextPage", "hasPreviousPage")
            };
            assert_eq!(info[behind], !rows.is_empty(), "{order} {page:#}");
            if backwards {
                rows.splice(0..0, nodes);
            } else {
                rows.extend(nodes);
            }
            let total = page["totalCount"].as_u64().unwrap();
            assert_eq!(info[beyond], (rows.len() as u64) < total, "{order}");
            if info[beyond] == false {
                return rows;
            }
            cursor = info[if backwards { "startCursor" } else { "endCursor" }].clone();
        }
    }
}

fn sorted(mut rows: Vec<Json>, list: &List, order: &[(usize, bool)]) -> Vec<Json> {
    let compare = if list.order_type == "SendOrder" { compare_sends } else { compare };
    rows.sort_by(|a, b| {
        for (field, descending) in order {
            let (name, pointer) = list.fields[*field];
            let (a, b) = (a.pointer(pointer).unwrap(), b.pointer(pointer).unwrap());
            let ordering = match (a.is_null(), b.is_null()) {
                (true, true) => std::cmp::Ordering::Equal,
                (true, false) => std::cmp::Ordering::Greater,
                (false, true) => std::cmp::Ordering::Less,
                (false, false) if *descending => compare(name, b, a),
                (false, false) => compare(name, a, b),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a["id"].as_str().cmp(&b["id"].as_str())
    });
    rows
}

async fn every_order_walks_in_order(walk: &Walk<'_>, rng: &mut ChaCha8Rng, expected: usize) {
    let fields = walk.list.fields;
    let mut orders: Vec<Vec<(usize, bool)>> = vec![vec![]];
    for field in 0..fields.len() {
        orders.push(vec![(field, false)]);
        orders.push(vec![(field, true)]);
    }
    for _ in 0..14 {
        let some: Vec<usize> = (0..fields.len()).collect();
        let count = 2 + usize::from(rng.random_bool(0.5));
        let chosen: Vec<usize> = some.sample(rng, count).copied().collect();
        orders.push(chosen.into_iter().map(|field| (field, rng.random_bool(0.5))).collect());
    }
    for order in orders {
        let asked: Vec<Json> = order
            .iter()
            .map(|(field, descending)| {
                json!({
                    "field": fields[*field].0,
                    "direction": if *descending { "DESC" } else { "ASC" },
                })
            })
            .collect();
        for backwards in [false, true] {
            let rows = walk.rows(rng, &json!(asked), backwards).await;
            assert_eq!(rows.len(), expected);
            let in_memory = sorted(rows.clone(), walk.list, &order);
            assert_eq!(ids(&rows), ids(&in_memory), "{asked:?} backwards: {backwards}");
        }
    }
}

fn ids(rows: &[Json]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

async fn populated(app: &TestApp, size: usize) -> (Organization, Fixtures) {
    let acme = app.organization("acme").await;
    let made = acme.populated(size).await;
    app.organization("other").await.populated(6).await;
    (acme, made)
}

#[on_both_databases]
async fn campaigns_walk_in_any_order_both_ways_without_skipping_or_repeating(app: TestApp) {
    let (acme, made) = populated(&app, 23).await;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let walk =
        Walk { client: &acme.member, list: &CAMPAIGNS, fields: CAMPAIGN_FIELDS, campaign: None };
    every_order_walks_in_order(&walk, &mut rng, made.campaigns.len()).await;
}

#[on_both_databases]
async fn sends_walk_in_any_order_both_ways_without_skipping_or_repeating(app: TestApp) {
    let (acme, made) = populated(&app, 6).await;
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let walk = Walk { client: &acme.member, list: &SENDS, fields: SEND_FIELDS, campaign: None };
    every_order_walks_in_order(&walk, &mut rng, made.sends.len()).await;
}

#[on_both_databases]
async fn the_sends_of_a_campaign_walk_in_any_order_both_ways(app: TestApp) {
    let (acme, made) = populated(&app, 8).await;
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let campaign = *made.campaigns.last().unwrap();
    let count = app
        .rows(&format!(
            "SELECT count(*) AS n FROM campaign_sends WHERE campaign_id = {}",
            app.literal(campaign)
        ))
        .await[0]
        .try_get::<i64>("", "n")
        .unwrap();
    let walk = Walk {
        client: &acme.member,
        list: &SENDS_OF_A_CAMPAIGN,
        fields: SEND_FIELDS,
        campaign: Some(campaign),
    };
    every_order_walks_in_order(&walk, &mut rng, usize::try_from(count).unwrap()).await;
}

#[on_both_databases]
async fn contacts_walk_in_any_order_both_ways(app: TestApp) {
    let (acme, made) = populated(&app, 19).await;
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let fields = "id lastName firstName email createdAt";
    let walk = Walk { client: &acme.member, list: &CONTACTS, fields, campaign: None };
    every_order_walks_in_order(&walk, &mut rng, made.contacts.len()).await;
}

#[on_both_databases]
async fn segments_walk_in_any_order_both_ways(app: TestApp) {
    let (acme, made) = populated(&app, 9).await;
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    for number in 0..8 {
        app.run(&format!(
            "INSERT INTO campaign_segments (org_id, name, contact_count) VALUES ({}, 's{}', {})",
            app.literal(acme.id),
            number % 3,
            if number % 2 == 0 { "NULL" } else { "2" }
        ))
        .await;
    }
    let fields = "id name contactCount campaignsUsedIn createdAt updatedAt";
    let walk = Walk { client: &acme.member, list: &SEGMENTS, fields, campaign: None };
    every_order_walks_in_order(&walk, &mut rng, made.segments.len() + 8).await;
}

#[on_both_databases]
async fn the_sends_of_many_campaigns_are_the_pages_of_each(app: TestApp) {
    let (acme, _) = populated(&app, 10).await;
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for _ in 0..10 {
        let field = SEND_ORDERS.choose(&mut rng).unwrap().0;
        let direction = ["ASC", "DESC"].choose(&mut rng).unwrap();
        let page = ["first: 3", "last: 2", "first: 0"].choose(&mut rng).unwrap();
        let sends = format!(
            "sends({page}, orderBy: [{{ field: {field}, direction: {direction} }}], \
             filter: {{ not: {{ status: {{ eq: FAILED }} }} }}) \
             {{ totalCount nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }}"
        );
        let together = acme
            .member
            .data(&format!("{{ campaigns {{ nodes {{ id {sends} }} }} }}"), json!({}))
            .await;
        for campaign in together["campaigns"]["nodes"].as_array().unwrap() {
            let alone = acme
                .member
                .data(
                    &format!("query ($id: ID!) {{ campaign(id: $id) {{ id {sends} }} }}"),
                    json!({ "id": campaign["id"] }),
                )
                .await;
            assert_eq!(&alone["campaign"], campaign);
        }
    }
}

#[on_both_databases]
async fn a_cursor_outlives_its_row(app: TestApp) {
    let (acme, _) = populated(&app, 12).await;
    let query = "query ($after: String) { campaigns(first: 3, after: $after, orderBy: [{ field: \
                 NAME }]) { nodes { id } pageInfo { endCursor } } }";
    let first = acme.member.data(query, json!({})).await;
    let after = first["campaigns"]["pageInfo"]["endCursor"].clone();
    let second = acme.member.data(query, json!({ "after": after })).await;
    let last_of_first: Uuid =
        first["campaigns"]["nodes"][2]["id"].as_str().unwrap().parse().unwrap();
    app.run(&format!("DELETE FROM campaigns WHERE id = {}", app.literal(last_of_first))).await;
    assert_eq!(acme.member.data(query, json!({ "after": after })).await, second);
}

#[on_both_databases]
async fn a_cursor_of_another_order_is_refused(app: TestApp) {
    let (acme, _) = populated(&app, 6).await;
    let cursor = acme
        .member
        .data(
            "{ campaigns(first: 1, orderBy: [{ field: NAME }]) { pageInfo { endCursor } } }",
            json!({}),
        )
        .await["campaigns"]["pageInfo"]["endCursor"]
        .clone();
    for list in [
        "campaigns(after: $cursor)",
        "campaigns(after: $cursor, orderBy: [{ field: NAME, direction: DESC }])",
        "campaigns(after: $cursor, orderBy: [{ field: CHANNEL }])",
        "sends(after: $cursor)",
    ] {
        let query = format!("query ($cursor: String) {{ {list} {{ totalCount }} }}");
        let answer = acme.member.ask(&query, json!({ "cursor": cursor })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"), "{list}");
    }
}

#[on_both_databases]
async fn times_are_distinguished_by_a_microsecond(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    for (name, time) in [
        ("c", "2026-01-31T12:00:00.500001+00:00"),
        ("a", "2026-01-31T12:00:00+00:00"),
        // the same time as text in another format, as other programs write it
        ("b", "2026-01-31T12:00:00.500000+00:00"),
        ("d", "2026-01-31T12:00:01.000+00:00"),
    ] {
        app.run(&format!(
            "INSERT INTO campaigns (org_id, name, sent_at) VALUES ({org}, '{name}', '{time}')"
        ))
        .await;
    }
    let query = "query ($filter: CampaignFilter) { campaigns(filter: $filter, orderBy: [{ field: \
                 SENT_AT }]) { nodes { name sentAt } } }";
    let data = acme.member.data(query, json!({})).await;
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(data["campaigns"]["nodes"], @r#"
        [
          {
            "name": "a",
            "sentAt": "2026-01-31T12:00:00Z"
          },
          {
            "name": "b",
            "sentAt": "2026-01-31T12:00:00.500Z"
          },
          {
            "name": "c",
            "sentAt": "2026-01-31T12:00:00.500001Z"
          },
          {
            "name": "d",
            "sentAt": "2026-01-31T12:00:01Z"
          }
        ]
        "#);
    }
    let names = async |filter: Json| {
        let data = acme.member.data(query, json!({ "filter": { "sentAt": filter } })).await;
        let nodes = data["campaigns"]["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(names(json!({ "eq": "2026-01-31T13:00:00.5+01:00" })).await, "b");
    assert_eq!(names(json!({ "gt": "2026-01-31T12:00:00.5Z" })).await, "cd");
    assert_eq!(names(json!({ "lte": "2026-01-31T12:00:00.500Z" })).await, "ab");
    assert_eq!(names(json!({ "gte": "2026-01-31T12:00:01Z" })).await, "d");
}
