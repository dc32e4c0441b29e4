//! The contacts of stored segments.

use std::collections::BTreeSet;

use campaigns_entity::segment;
use campaigns_tests::{Backend, Organization, TestApp, on_both_databases};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    evaluator::{BOOLEAN, CAMPAIGN, ID, NUMBER, TEXT, TIME, operators},
    people,
};

/// Stores a segment with any rules, as another program could.
async fn store(acme: &Organization, rules: Json) -> Uuid {
    let id = Uuid::new_v4();
    let row = segment::ActiveModel {
        id: Set(id),
        name: Set("x".into()),
        filter_rules: Set(rules.into()),
        ..Default::default()
    };
    acme.scope.insert::<segment::Entity>(row).await.unwrap();
    id
}

fn ids(nodes: &Json) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

const REFRESH: &str =
    "mutation ($id: ID!) { refreshSegment(id: $id) { segment { id contactCount } } }";

#[on_both_databases]
async fn the_contacts_of_many_segments_are_paged_each_by_its_own_rules(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(95);
    let acme = app.organization("acme").await;
    people::make(&app, &acme.scope, &mut rng, 40).await;
    people::make(&app, &app.organization("other").await.scope, &mut rng, 5).await;
    for rules in [
        json!({}),
        json!({ "type": "customer" }),
        json!({ "opened": true }),
        json!({ "city": "nowhere" }),
        json!({ "combinator": "and", "rules": [{ "field": "last_name", "operator": "null" }] }),
    ] {
        store(&acme, rules).await;
    }
    let order = "[{ field: LAST_NAME, direction: DESC }, { field: CREATED_AT }]";
    let list = format!(
        "query ($first: Int, $after: String, $last: Int, $before: String) {{ segments {{ nodes {{ \
         id filterRules contacts(first: $first, after: $after, last: $last, before: $before, \
         orderBy: {order}) {{ totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor \
         startCursor }} edges {{ cursor node {{ id }} }} nodes {{ id }} }} }} }} }}"
    );
    let all = acme.member.data(&list, json!({ "first": 50 })).await["segments"]["nodes"].clone();
    let preview = "query ($rules: JSON!) { previewSegment(rules: $rules) { count \
                   contacts(first: 500) { id } } }";
    for segment in all.as_array().unwrap() {
        let whole = ids(&segment["contacts"]["nodes"]);
        assert_eq!(segment["contacts"]["totalCount"], whole.len());
        let shown = acme.member.data(preview, json!({ "rules": segment["filterRules"] })).await;
        let previewed: BTreeSet<String> =
            ids(&shown["previewSegment"]["contacts"]).into_iter().collect();
        assert_eq!(whole.iter().cloned().collect::<BTreeSet<_>>(), previewed);
        // forwards and backwards, three at a time, for all segments together
        for (size, cursor, on, edge) in [
            ("first", "after", "hasNextPage", "endCursor"),
            ("last", "before", "hasPreviousPage", "startCursor"),
        ] {
            let mut walked = Vec::new();
            let mut place = Json::Null;
            for _ in 0..20 {
                let data = acme.member.data(&list, json!({ size: 3, cursor: place })).await;
                let segments = data["segments"]["nodes"].as_array().unwrap();
                let page =
                    &segments.iter().find(|of| of["id"] == segment["id"]).unwrap()["contacts"];
                let back = if size == "first" { "hasPreviousPage" } else { "hasNextPage" };
                assert_eq!(page["pageInfo"][back], json!(!place.is_null()), "{page}");
                if size == "first" {
                    walked.extend(ids(&page["nodes"]));
                } else {
                    walked.splice(0..0, ids(&page["nodes"]));
                }
                if page["pageInfo"][on] == false {
                    break;
                }
                place = page["pageInfo"][edge].clone();
            }
            assert_eq!(walked, whole, "{}", segment["filterRules"]);
        }
    }
}

#[on_both_databases]
async fn a_segment_is_counted_when_it_is_refreshed(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(96);
    let acme = app.organization("acme").await;
    let world = people::make(&app, &acme.scope, &mut rng, 30).await;
    let id = store(&acme, json!({ "type": "customer" })).await;
    let customers =
        world.people.iter().filter(|person| person.values["type"] == [json!("customer")]).count();
    let data = acme.member.data(REFRESH, json!({ "id": id })).await;
    assert_eq!(data["refreshSegment"]["segment"], json!({ "id": id, "contactCount": customers }));
    let shown = "query ($id: ID!) { segment(id: $id) { contactCount } }";
    assert_eq!(
        acme.member.data(shown, json!({ "id": id })).await["segment"]["contactCount"],
        customers
    );
    app.run("UPDATE contacts SET type = 'customer'").await;
    assert_eq!(
        acme.member.data(shown, json!({ "id": id })).await["segment"]["contactCount"],
        customers
    );
    // many concurrently
    let refreshes = (0..8)
        .map(|_| {
            let client = acme.member.clone();
            tokio::spawn(async move { client.data(REFRESH, json!({ "id": id })).await })
        })
        .collect::<Vec<_>>();
    for refresh in refreshes {
        assert_eq!(refresh.await.unwrap()["refreshSegment"]["segment"]["contactCount"], 30);
    }
    let other = app.organization("other").await;
    for (client, id) in [(&other.member, json!(id)), (&acme.member, json!(Uuid::new_v4()))] {
        let answer = client.ask(REFRESH, json!({ "id": id })).await;
        assert_eq!((answer.code(), answer.field()), ("NOT_FOUND", "id"));
    }
    assert_eq!(acme.member.ask(REFRESH, json!({ "id": "x" })).await.code(), "BAD_USER_INPUT");
}

#[on_both_databases]
async fn unreadable_stored_rules_affect_only_their_own_segment(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    app.run(&format!("INSERT INTO contacts (org_id, first_name) VALUES ({org}, 'x')")).await;
    let good = store(&acme, json!({})).await;
    for (rules, field) in [
        (json!({ "planet": "Mars" }), "filterRules.planet"),
        (
            json!({
                "combinator": "and", "rules": [{ "field": "city", "operator": "~", "value": "x" }],
            }),
            "filterRules.rules.0.operator",
        ),
        (json!([]), "filterRules"),
        (json!("x"), "filterRules"),
    ] {
        let bad = store(&acme, rules.clone()).await;
        let one =
            "query ($id: ID!) { segment(id: $id) { id filterRules contacts { totalCount } } }";
        let answer = acme.member.ask(one, json!({ "id": bad })).await;
        assert_eq!((answer.code(), answer.field()), ("CONFLICT", field), "{rules}");
        let answer = acme.member.ask(REFRESH, json!({ "id": bad })).await;
        assert_eq!((answer.code(), answer.field()), ("CONFLICT", field), "{rules}");
        let all = acme
            .member
            .data("{ segments { nodes { id filterRules contactCount } } }", json!({}))
            .await;
        assert_eq!(all["segments"]["nodes"].as_array().unwrap().len(), 2);
        let data = acme.member.data(one, json!({ "id": good })).await;
        assert_eq!(data["segment"]["contacts"]["totalCount"], 1);
        // the error is only on the invalid segment
        let both = "{ segments { nodes { id contacts { nodes { id } } } } }";
        let answer = acme.member.ask(both, json!({})).await;
        assert_eq!((answer.code(), answer.field()), ("CONFLICT", field));
        let rename = "mutation ($id: ID!) { updateSegment(input: { id: $id, name: \"y\" }) { \
                      segment { name } } }";
        acme.member.data(rename, json!({ "id": bad })).await;
        let delete = "mutation ($id: ID!) { deleteSegment(id: $id) { id } }";
        acme.admin.data(delete, json!({ "id": bad })).await;
    }
}

#[on_both_databases]
async fn a_stored_number_that_a_double_cannot_hold_is_text_wherever_it_is_read(app: TestApp) {
    let acme = app.organization("acme").await;
    let (org, id) = (app.literal(acme.id), Uuid::new_v4());
    app.run(&format!("INSERT INTO contacts (org_id, first_name) VALUES ({org}, 'x')")).await;
    app.run(&format!(
        "INSERT INTO campaign_segments (id, org_id, name, filter_rules) VALUES \
         ({}, {org}, 'x', '{{\"metadata.n\": 1e400}}')",
        app.literal(id),
    ))
    .await;
    let one = "query ($id: ID!) { segment(id: $id) { filterRules contacts { totalCount } } }";
    let data = acme.member.data(one, json!({ "id": id })).await;
    assert!(data["segment"]["filterRules"]["metadata.n"].is_string(), "{data}");
    assert_eq!(data["segment"]["contacts"]["totalCount"], 0);
    let data = acme.member.data(REFRESH, json!({ "id": id })).await;
    assert_eq!(data["refreshSegment"]["segment"]["contactCount"], 0);
}

#[on_both_databases]
async fn no_one_is_selected_by_ids_of_another_organization(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(97);
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    people::make(&app, &acme.scope, &mut rng, 20).await;
    let world = people::make(&app, &other.scope, &mut rng, 20).await;
    let preview = "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }";
    for field in CAMPAIGN.iter().copied().chain(["id", "owner_id"]) {
        let values = match field {
            "id" | "owner_id" => world
                .people
                .iter()
                .filter_map(|person| person.values[field].first().cloned())
                .collect(),
            _ => world.campaigns.iter().map(|id| json!(id)).collect::<Vec<_>>(),
        };
        let rule = json!({ "field": field, "operator": "in", "value": values });
        let data = acme.member.data(preview, json!({ "rules": rule })).await;
        assert_eq!(data["previewSegment"]["count"], 0, "{field}");
        let data = other.member.data(preview, json!({ "rules": rule })).await;
        assert_ne!(data["previewSegment"]["count"], 0, "{field}");
    }
}

#[tokio::test]
async fn an_editor_can_query_the_fields_and_their_operators() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let query = "{ segmentFields { name label valueType operators values } }";
    let data = acme.member.data(query, json!({})).await;
    let fields = data["segmentFields"].as_array().unwrap();
    let mut documented =
        [TEXT, TIME, NUMBER, BOOLEAN, CAMPAIGN, ID, &["type", "metadata.KEY"]].concat();
    documented.sort_unstable();
    let mut named: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, documented);
    for field in fields {
        let name = field["name"].as_str().unwrap();
        let of: BTreeSet<&str> =
            field["operators"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
        assert_eq!(of, operators(name).into_iter().collect(), "{name}");
        assert_eq!(field["values"].is_array(), name == "type");
        assert!(!field["label"].as_str().unwrap().is_empty());
    }
}
