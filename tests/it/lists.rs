//! Adding contacts to lists and removing them.

use std::collections::BTreeSet;

use campaigns_tests::{Organization, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const ADD: &str = "mutation ($campaign: ID!, $contacts: [ID!]!) { \
    addContactsToList(campaignId: $campaign, contactIds: $contacts) \
    { added removed alreadyOnList campaign { id } } }";
const REMOVE: &str = "mutation ($campaign: ID!, $contacts: [ID!]!) { \
    removeContactsFromList(campaignId: $campaign, contactIds: $contacts) \
    { added removed alreadyOnList campaign { id } } }";

const ADD_SEGMENT: &str = "mutation ($campaign: ID!, $segment: ID!) { \
    addSegmentToList(campaignId: $campaign, segmentId: $segment) \
    { added removed alreadyOnList campaign { id list(first: 50) { totalCount nodes { segment { id \
    } contact { id } } } segments { id } } } }";

/// A segment with rules.
async fn segment(organization: &Organization, rules: Json) -> Uuid {
    let create = "mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { segment \
                  { id } } }";
    let input = json!({ "name": "x", "filterRules": rules });
    let data = organization.member.data(create, json!({ "input": input })).await;
    data["createSegment"]["segment"]["id"].as_str().unwrap().parse().unwrap()
}

/// A campaign.
async fn campaign(app: &TestApp, organization: &Organization) -> Uuid {
    let id = Uuid::new_v4();
    let (id_literal, org) = (app.literal(id), app.literal(organization.id));
    app.run(&format!("INSERT INTO campaigns (id, org_id, name) VALUES ({id_literal}, {org}, 'x')"))
        .await;
    id
}

/// `number` contacts.
async fn contacts(app: &TestApp, organization: &Organization, number: usize) -> Vec<Uuid> {
    let org = app.literal(organization.id);
    let ids: Vec<Uuid> = (0..number).map(|_| Uuid::new_v4()).collect();
    for some in ids.chunks(500) {
        let rows: Vec<String> =
            some.iter().map(|id| format!("({}, {org}, 'x')", app.literal(*id))).collect();
        app.run(&format!(
            "INSERT INTO contacts (id, org_id, first_name) VALUES {}",
            rows.join(", ")
        ))
        .await;
    }
    ids
}

/// The contacts on a list, by id.
async fn list(app: &TestApp, campaign: Uuid) -> Vec<Uuid> {
    let sql = format!(
        "SELECT contact_id FROM campaign_lists WHERE campaign_id = {} ORDER BY contact_id",
        app.literal(campaign)
    );
    app.rows(&sql).await.iter().map(|row| row.try_get("", "contact_id").unwrap()).collect()
}

fn counts(payload: &Json) -> [i64; 3] {
    ["added", "removed", "alreadyOnList"].map(|name| payload[name].as_i64().unwrap())
}

#[on_both_databases]
async fn contacts_are_added_to_a_list_once_and_removed_from_it(app: TestApp) {
    let acme = app.organization("acme").await;
    let (id, other) = (campaign(&app, &acme).await, campaign(&app, &acme).await);
    let some = contacts(&app, &acme, 6).await;
    let call = async |mutation: &str, name: &str, of: &[Uuid]| {
        let data = acme.admin.data(mutation, json!({ "campaign": id, "contacts": of })).await;
        assert_eq!(data[name]["campaign"]["id"], json!(id));
        counts(&data[name])
    };
    let add = async |of: &[Uuid]| call(ADD, "addContactsToList", of).await;
    let remove = async |of: &[Uuid]| call(REMOVE, "removeContactsFromList", of).await;
    assert_eq!(add(&[]).await, [0, 0, 0]);
    assert_eq!(add(&some[..3]).await, [3, 0, 0]);
    acme.member.data(ADD, json!({ "campaign": other, "contacts": some })).await;
    let before = app.rows("SELECT id, created_at FROM campaign_lists ORDER BY id").await;
    // a repeated contact counts once
    assert_eq!(add(&[some[2], some[3], some[0], some[3]]).await, [1, 0, 2]);
    let entries = app.count("campaign_lists").await;
    assert_eq!(entries, 4 + 6);
    let after = app.rows("SELECT id, created_at FROM campaign_lists ORDER BY id").await;
    let ids = |rows: &[sea_orm::QueryResult]| {
        rows.iter().map(|row| row.try_get::<Uuid>("", "id").unwrap()).collect::<BTreeSet<_>>()
    };
    assert!(ids(&before).is_subset(&ids(&after)), "those on the list stay as they are");

    assert_eq!(remove(&[]).await, [0, 0, 0]);
    assert_eq!(remove(&[some[0], some[5], some[0], some[3]]).await, [0, 2, 0]);
    let mut left = vec![some[1], some[2]];
    left.sort();
    assert_eq!(list(&app, id).await, left);
    assert_eq!(list(&app, other).await.len(), 6, "another campaign's list is another's");
    assert_eq!(remove(&some).await, [0, 2, 0]);
    assert!(list(&app, id).await.is_empty());
}

#[on_both_databases]
async fn an_entry_that_cannot_be_added_is_named_and_nothing_is_added(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let id = campaign(&app, &ours).await;
    let of_theirs = campaign(&app, &theirs).await;
    let some = contacts(&app, &ours, 3).await;
    let foreign = contacts(&app, &theirs, 1).await[0];
    ours.admin.data(ADD, json!({ "campaign": id, "contacts": [some[0]] })).await;
    for mutation in [ADD, REMOVE] {
        for (campaign, contacts, code, field) in [
            (json!(of_theirs), json!(some), "NOT_FOUND", "campaignId"),
            (json!(Uuid::new_v4()), json!([]), "NOT_FOUND", "campaignId"),
            (
                json!(id),
                json!([some[0], some[1], foreign, Uuid::new_v4()]),
                "NOT_FOUND",
                "contactIds.2",
            ),
            (json!(id), json!([Uuid::new_v4(), some[0]]), "NOT_FOUND", "contactIds.0"),
            (json!(id), json!([some[0], "unknown"]), "BAD_USER_INPUT", "contactIds.1"),
            (json!("none"), json!(some), "BAD_USER_INPUT", "campaignId"),
            (json!(id), json!(vec![some[0]; 10_001]), "LIMIT_EXCEEDED", "contactIds"),
        ] {
            let answer = ours
                .admin
                .ask(mutation, json!({ "campaign": campaign, "contacts": contacts }))
                .await;
            assert_eq!((answer.code(), answer.field()), (code, field), "{mutation} {campaign}");
            assert_eq!(list(&app, id).await, [some[0]]);
        }
    }
    assert!(list(&app, of_theirs).await.is_empty());
}

#[on_both_databases]
async fn a_member_cannot_remove_contacts_from_a_list(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme).await;
    let some = contacts(&app, &acme, 2).await;
    acme.member.data(ADD, json!({ "campaign": id, "contacts": some })).await;
    for (campaign, contacts) in [
        (json!(id), json!(some)),
        (json!(Uuid::new_v4()), json!([Uuid::new_v4()])),
        (json!("none"), json!(["unknown"])),
        (json!(id), json!(vec!["x"; 10_001])),
    ] {
        let answer =
            acme.member.ask(REMOVE, json!({ "campaign": campaign, "contacts": contacts })).await;
        assert_eq!(answer.code(), "FORBIDDEN");
    }
    assert_eq!(list(&app, id).await.len(), 2);
}

#[on_both_databases]
async fn the_number_of_statements_does_not_depend_on_the_number_of_contacts(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme).await;
    let some = contacts(&app, &acme, 3_000).await;
    let statements = async |mutation: &str, of: &[Uuid]| {
        acme.admin.data("{ campaigns { totalCount } }", json!({})).await;
        app.forget_statements();
        acme.admin.data(mutation, json!({ "campaign": id, "contacts": of })).await;
        app.statements().len()
    };
    assert_eq!(statements(ADD, &some[..1]).await, statements(ADD, &some[1..2_900]).await);
    // some are already on the list
    assert_eq!(statements(ADD, &some[..2]).await, statements(ADD, &some).await);
    assert_eq!(statements(REMOVE, &some[..1]).await, statements(REMOVE, &some).await);
    assert!(list(&app, id).await.is_empty());
}

#[on_both_databases]
async fn clients_that_add_and_remove_the_same_contacts_at_once_never_fail(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme).await;
    let some = contacts(&app, &acme, 300).await;
    let mut clients = JoinSet::new();
    for seed in 0..8 {
        let (admin, mut some) = (acme.admin.clone(), some.clone());
        clients.spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut change = 0;
            for _ in 0..12 {
                some.shuffle(&mut rng);
                let of = &some[..rng.random_range(1..300)];
                let (mutation, name) = if rng.random_bool(0.7) {
                    (ADD, "addContactsToList")
                } else {
                    (REMOVE, "removeContactsFromList")
                };
                let data = admin.data(mutation, json!({ "campaign": id, "contacts": of })).await;
                let [added, removed, already] = counts(&data[name]);
                if name == "addContactsToList" {
                    assert_eq!(added + already, i64::try_from(of.len()).unwrap());
                }
                change += added - removed;
            }
            change
        });
    }
    let mut sum = 0;
    while let Some(change) = clients.join_next().await {
        sum += change.unwrap();
    }
    // the list has exactly the contacts that were added and not removed
    assert_eq!(sum, app.count("campaign_lists").await);
}

#[on_both_databases]
async fn current_matches_of_a_segment_are_added_to_the_list_and_others_stay(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let id = campaign(&app, &ours).await;
    let some = contacts(&app, &ours, 8).await;
    contacts(&app, &theirs, 3).await;
    let named: Vec<String> = some[..5].iter().map(|id| app.literal(*id)).collect();
    app.run(&format!("UPDATE contacts SET country = 'DE' WHERE id IN ({})", named.join(", ")))
        .await;
    let germans = segment(
        &ours,
        json!({
            "combinator": "and", "rules": [{ "field": "country", "operator": "=", "value": "DE" }],
        }),
    )
    .await;
    let everyone = segment(&ours, json!({})).await;
    let empty = segment(&ours, json!({ "country": "nowhere" })).await;
    ours.member.data(ADD, json!({ "campaign": id, "contacts": [some[0], some[7]] })).await;
    let add = async |segment: Uuid| {
        let data =
            ours.member.data(ADD_SEGMENT, json!({ "campaign": id, "segment": segment })).await;
        data["addSegmentToList"].clone()
    };
    let payload = add(germans).await;
    assert_eq!(counts(&payload), [4, 0, 1]);
    assert_eq!(payload["campaign"]["segments"], json!([{ "id": germans }]));
    let from = |payload: &Json, segment: Json| {
        payload["campaign"]["list"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["segment"] == segment)
            .count()
    };
    assert_eq!((from(&payload, json!({ "id": germans })), from(&payload, Json::Null)), (4, 2));
    assert_eq!(counts(&add(empty).await), [0, 0, 0]);
    let payload = add(everyone).await;
    assert_eq!(counts(&payload), [2, 0, 6]);
    assert_eq!(
        (
            from(&payload, json!({ "id": germans })),
            from(&payload, json!({ "id": everyone })),
            from(&payload, Json::Null)
        ),
        (4, 2, 2)
    );
    assert_eq!(counts(&add(everyone).await), [0, 0, 8]);
    let mut all = some.clone();
    all.sort();
    assert_eq!(list(&app, id).await, all);
}

#[on_both_databases]
async fn a_segment_or_campaign_that_does_not_exist_adds_no_one(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    contacts(&app, &ours, 2).await;
    let (id, of_theirs) = (campaign(&app, &ours).await, campaign(&app, &theirs).await);
    let (own, foreign) = (segment(&ours, json!({})).await, segment(&theirs, json!({})).await);
    let broken = segment(&ours, json!({})).await;
    app.run(&format!(
        "UPDATE campaign_segments SET filter_rules = '{{\"nonsense\": 1}}' WHERE id = {}",
        app.literal(broken)
    ))
    .await;
    for (campaign, segment, code, field) in [
        (json!(id), json!(foreign), "NOT_FOUND", "segmentId"),
        (json!(id), json!(Uuid::new_v4()), "NOT_FOUND", "segmentId"),
        (json!(of_theirs), json!(own), "NOT_FOUND", "campaignId"),
        (json!(id), json!("x"), "BAD_USER_INPUT", "segmentId"),
        (json!("x"), json!(own), "BAD_USER_INPUT", "campaignId"),
        (json!(id), json!(broken), "CONFLICT", "filterRules.nonsense"),
    ] {
        let answer =
            ours.admin.ask(ADD_SEGMENT, json!({ "campaign": campaign, "segment": segment })).await;
        assert_eq!((answer.code(), answer.field()), (code, field));
    }
    assert_eq!(app.count("campaign_lists").await, 0);
}

#[on_both_databases]
async fn segments_and_contacts_that_are_added_at_once_are_added_once(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme).await;
    let some = contacts(&app, &acme, 800).await;
    let everyone = segment(&acme, json!({})).await;
    let mut clients = JoinSet::new();
    for seed in 0..9 {
        let (member, mut some) = (acme.member.clone(), some.clone());
        clients.spawn(async move {
            some.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            let (name, data) = if seed % 3 == 0 {
                let variables = json!({ "campaign": id, "contacts": some[..500] });
                ("addContactsToList", member.data(ADD, variables).await)
            } else {
                let variables = json!({ "campaign": id, "segment": everyone });
                ("addSegmentToList", member.data(ADD_SEGMENT, variables).await)
            };
            let [added, _, already] = counts(&data[name]);
            assert_eq!(added + already, if seed % 3 == 0 { 500 } else { 800 });
            added
        });
    }
    let mut added = 0;
    while let Some(of_one) = clients.join_next().await {
        added += of_one.unwrap();
    }
    assert_eq!((added, app.count("campaign_lists").await), (800, 800));
}

#[on_both_databases]
async fn a_segment_of_any_size_is_added_by_the_same_number_of_statements(app: TestApp) {
    let acme = app.organization("acme").await;
    let everyone = segment(&acme, json!({})).await;
    let statements = async |number: usize| {
        contacts(&app, &acme, number).await;
        let id = campaign(&app, &acme).await;
        acme.member.data("{ campaigns { totalCount } }", json!({})).await;
        app.forget_statements();
        let mutation = "mutation ($campaign: ID!, $segment: ID!) { \
                        addSegmentToList(campaignId: $campaign, segmentId: $segment) { added } }";
        acme.member.data(mutation, json!({ "campaign": id, "segment": everyone })).await;
        app.statements().len()
    };
    assert_eq!(statements(1).await, statements(2_000).await);
}
