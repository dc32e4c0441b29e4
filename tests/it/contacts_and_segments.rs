//! Contacts, companies, segments and lists.

use std::collections::BTreeSet;

use campaigns_entity::{company, contact_company};
use campaigns_tests::{Fixtures, Organization, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};
use uuid::Uuid;

async fn populated(app: &TestApp, size: usize) -> (Organization, Fixtures) {
    let acme = app.organization("acme").await;
    let made = acme.populated(size).await;
    app.organization("other").await.populated(6).await;
    // some bounces are soft
    app.run(
        "UPDATE campaign_events SET metadata = '{\"bounce_type\": \"soft\"}' WHERE event_type \
         = 'bounce' AND url IS NULL",
    )
    .await;
    (acme, made)
}

/// The IDs that an SQL query selects.
async fn selected(app: &TestApp, sql: &str) -> BTreeSet<Uuid> {
    app.rows(sql).await.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

async fn contacts(client: &campaigns_tests::Client, filter: Json) -> BTreeSet<Uuid> {
    let query = "query ($filter: ContactFilter) {
        contacts(filter: $filter, first: 500) { nodes { id } totalCount }
        sorted: contacts(filter: $filter, orderBy: [{ field: LAST_NAME }], first: 500) { nodes { \
        id } }
    }";
    let data = client.data(query, json!({ "filter": filter })).await;
    let ids = |list: &Json| -> BTreeSet<Uuid> {
        let nodes = list["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["id"].as_str().unwrap().parse().unwrap()).collect()
    };
    let selected = ids(&data["contacts"]);
    assert_eq!(data["contacts"]["totalCount"], selected.len());
    assert_eq!(ids(&data["sorted"]), selected);
    selected
}

#[on_both_databases]
async fn contacts_are_filtered_by_their_engagement(app: TestApp) {
    let (acme, made) = populated(&app, 40).await;
    let _held = app.hold_changes().await;
    // pending changes: some contacts lose their last event of a type, others get their first
    for (number, event) in made.events.iter().enumerate().filter(|(number, _)| number % 3 == 0) {
        let id = app.literal(*event);
        let kind = ["open", "click", "unsubscribe", "complaint"][number % 4];
        app.run(&if number % 2 == 0 {
            format!("DELETE FROM campaign_events WHERE id = {id}")
        } else {
            format!("UPDATE campaign_events SET event_type = '{kind}' WHERE id = {id}")
        })
        .await;
    }
    let org = app.literal(acme.id);
    let everyone: BTreeSet<Uuid> = made.contacts.iter().copied().collect();
    let soft = match app.database.backend {
        campaigns_tests::Backend::Sqlite => "json_extract(e.metadata, '$.bounce_type')",
        campaigns_tests::Backend::Postgres => "e.metadata ->> 'bounce_type'",
    };
    let suppressing = format!(
        "e.event_type IN ('unsubscribe', 'complaint') OR e.event_type = 'bounce' AND \
         coalesce({soft}, 'hard') <> 'soft'"
    );
    for (field, condition) in [
        ("opened", "e.event_type = 'open'"),
        ("clicked", "e.event_type = 'click'"),
        ("unsubscribed", "e.event_type = 'unsubscribe'"),
        ("complained", "e.event_type = 'complaint'"),
        ("bounced", "e.event_type = 'bounce'"),
        ("suppressed", suppressing.as_str()),
    ] {
        let did = selected(&app, &format!(
            "SELECT DISTINCT s.contact_id AS id FROM campaign_sends s JOIN campaign_events e ON \
             e.send_id = s.id WHERE s.org_id = {org} AND ({condition})"
        )).await;
        assert!(!did.is_empty() && did.len() < everyone.len(), "{field}");
        assert_eq!(contacts(&acme.member, json!({ field: true })).await, did, "{field}");
        let did_not: BTreeSet<Uuid> = everyone.difference(&did).copied().collect();
        assert_eq!(contacts(&acme.member, json!({ field: false })).await, did_not, "{field}");
        assert_eq!(
            contacts(&acme.member, json!({ "not": { field: true } })).await,
            did_not,
            "{field}"
        );
    }
}

#[on_both_databases]
async fn a_contact_shows_the_latest_event_that_suppresses_it(app: TestApp) {
    let (acme, _) = populated(&app, 40).await;
    let query = "{ contacts(first: 500) { nodes { id suppression { reason since event { id type \
                 bounceType occurredAt contact { id } campaign { id } send { id } } } } } }";
    let data = acme.member.data(query, json!({})).await;
    let soft = match app.database.backend {
        campaigns_tests::Backend::Sqlite => "json_extract(e.metadata, '$.bounce_type')",
        campaigns_tests::Backend::Postgres => "e.metadata ->> 'bounce_type'",
    };
    let mut reasons = BTreeSet::new();
    for contact in data["contacts"]["nodes"].as_array().unwrap() {
        let id: Uuid = contact["id"].as_str().unwrap().parse().unwrap();
        let rows = app
            .rows(&format!(
                "SELECT e.id, CAST(e.event_type AS text) AS type, s.id AS send, s.campaign_id AS \
                 campaign, e.occurred_at FROM campaign_events e JOIN campaign_sends s ON s.id = \
                 e.send_id WHERE s.contact_id = {} AND (e.event_type IN \
                 ('unsubscribe', 'complaint') OR e.event_type = 'bounce' AND coalesce({soft}, '') \
                 <> 'soft') ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1",
                app.literal(id)
            ))
            .await;
        let suppression = &contact["suppression"];
        let Some(row) = rows.first() else {
            assert_eq!(suppression, &Json::Null);
            continue;
        };
        let event: String = row.try_get("", "type").unwrap();
        let uuid = |name: &str| row.try_get::<Uuid>("", name).unwrap();
        let reason =
            if event == "bounce" { "HARD_BOUNCE".to_owned() } else { event.to_uppercase() };
        assert_eq!(suppression["reason"], reason);
        assert_eq!(suppression["since"], suppression["event"]["occurredAt"]);
        assert_eq!(
            suppression["event"],
            json!({
                "id": uuid("id"), "type": event.to_uppercase(),
                "bounceType": if event == "bounce" { json!("HARD") } else { Json::Null },
                "occurredAt": suppression["since"], "contact": { "id": id },
                "campaign": { "id": uuid("campaign") }, "send": { "id": uuid("send") },
            })
        );
        reasons.insert(reason);
    }
    assert_eq!(reasons.len(), 3);
}

#[on_both_databases]
async fn sends_and_events_are_deleted_by_admins_alone(app: TestApp) {
    let (acme, made) = populated(&app, 6).await;
    for (field, table, id, column) in [
        ("deleteEvent", "campaign_events", made.events[0], "id"),
        ("deleteSend", "campaign_sends", made.sends[1], "id"),
    ] {
        let mutation = format!("mutation ($id: ID!) {{ {field}(id: $id) {{ id }} }}");
        let row = format!("{table} WHERE {column} = {}", app.literal(id));
        assert_eq!(acme.member.ask(&mutation, json!({ "id": id })).await.code(), "FORBIDDEN");
        assert_eq!(app.count(&row).await, 1);
        assert_eq!(acme.admin.data(&mutation, json!({ "id": id })).await[field]["id"], json!(id));
        assert_eq!(app.count(&row).await, 0);
        assert_eq!(acme.admin.ask(&mutation, json!({ "id": id })).await.code(), "NOT_FOUND");
    }
    let of_send = format!("campaign_events WHERE send_id = {}", app.literal(made.sends[1]));
    assert_eq!(app.count(&of_send).await, 0);
}

#[on_both_databases]
async fn contacts_are_filtered_by_their_own_fields(app: TestApp) {
    let (acme, made) = populated(&app, 30).await;
    let org = app.literal(acme.id);
    let of =
        |condition: &str| format!("SELECT id FROM contacts WHERE org_id = {org} AND {condition}");
    for (filter, condition) in [
        (json!({ "type": { "in": ["LEAD", "OTHER"] } }), "type IN ('lead', 'other')"),
        (json!({ "type": { "notIn": ["LEAD"] } }), "type <> 'lead'"),
        (json!({ "lastName": { "isNull": true } }), "last_name IS NULL"),
        (json!({ "lastName": { "ne": "alpha" } }), "(last_name <> 'alpha' OR last_name IS NULL)"),
        (json!({ "email": { "in": ["100%", "a_b"] } }), "email IN ('100%', 'a_b')"),
        (
            json!({ "firstName": { "startsWith": "ALPH" } }),
            "first_name IN ('alpha', 'Alpha', 'ALPHA')",
        ),
        (
            json!({
                "city": { "isNull": true }, "country": { "isNull": true },
                "state": { "isNull": true }, "source": { "isNull": true },
            }),
            "true",
        ),
        (json!({ "metadata": { "hasKey": "x" } }), "false"),
    ] {
        assert_eq!(
            contacts(&acme.member, filter.clone()).await,
            selected(&app, &of(condition)).await,
            "{filter}"
        );
    }
    let one = json!({ "id": { "eq": made.contacts[3] } });
    assert_eq!(contacts(&acme.member, one).await, [made.contacts[3]].into());
}

#[on_both_databases]
async fn a_segment_is_created_changed_and_deleted(app: TestApp) {
    let acme = app.organization("acme").await;
    let fields =
        "segment { id name description filterRules contactCount campaignsUsedIn metadata }";
    let create = format!(
        "mutation ($input: CreateSegmentInput!) {{ createSegment(input: $input) {{ {fields} }} }}"
    );
    let update = format!(
        "mutation ($input: UpdateSegmentInput!) {{ updateSegment(input: $input) {{ {fields} }} }}"
    );
    let delete = "mutation ($id: ID!) { deleteSegment(id: $id) { id } }";
    let data = acme
        .member
        .data(
            &create,
            json!({ "input": { "name": "Buyers", "filterRules": { "type": "customer" } } }),
        )
        .await;
    let id = data["createSegment"]["segment"]["id"].clone();
    assert_eq!(
        data["createSegment"]["segment"],
        json!({
            "id": id, "name": "Buyers", "description": null, "filterRules": { "type": "customer" },
            "contactCount": 0, "campaignsUsedIn": 0, "metadata": {},
        })
    );
    let data = acme
        .member
        .data(
            &update,
            json!({ "input": { "id": id, "description": "who buy", "metadata": { "a": 1 } } }),
        )
        .await;
    assert_eq!(data["updateSegment"]["segment"]["description"], "who buy");
    assert_eq!(data["updateSegment"]["segment"]["filterRules"], json!({ "type": "customer" }));
    let data = acme
        .member
        .data(&update, json!({ "input": { "id": id, "description": null, "filterRules": {} } }))
        .await;
    assert_eq!(data["updateSegment"]["segment"]["description"], Json::Null);
    assert_eq!(data["updateSegment"]["segment"]["filterRules"], json!({}));
    assert_eq!(data["updateSegment"]["segment"]["metadata"], json!({ "a": 1 }));
    for (input, field) in [
        (json!({ "id": id, "name": " " }), "input.name"),
        (json!({ "id": id, "name": null }), "input.name"),
        (json!({ "id": id, "filterRules": null }), "input.filterRules"),
        (json!({ "id": id, "filterRules": [] }), "input.filterRules"),
        (json!({ "id": id, "metadata": 5 }), "input.metadata"),
        (json!({ "id": "x" }), "input.id"),
    ] {
        let answer = acme.member.ask(&update, json!({ "input": input })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", field), "{input}");
    }
    assert_eq!(acme.member.ask(delete, json!({ "id": id })).await.code(), "FORBIDDEN");
    assert_eq!(app.count("campaign_segments").await, 1);
    acme.admin.data(delete, json!({ "id": id })).await;
    assert_eq!(app.count("campaign_segments").await, 0);
    assert_eq!(acme.admin.ask(delete, json!({ "id": id })).await.code(), "NOT_FOUND");
}

#[on_both_databases]
async fn a_campaign_shows_its_list_and_the_segments_it_came_from(app: TestApp) {
    let (acme, _) = populated(&app, 15).await;
    let query = "{ campaigns(first: 50) { nodes { id segments { id name } list(first: 50) { \
                 totalCount nodes { id contact { id } segment { id } campaign { id } } } } } }";
    let data = acme.member.data(query, json!({})).await;
    let mut entries = 0;
    for campaign in data["campaigns"]["nodes"].as_array().unwrap() {
        let list = campaign["list"]["nodes"].as_array().unwrap();
        assert_eq!(campaign["list"]["totalCount"], list.len());
        entries += list.len();
        assert!(list.iter().all(|entry| entry["campaign"]["id"] == campaign["id"]));
        let of_entries: BTreeSet<&str> =
            list.iter().filter_map(|entry| entry["segment"]["id"].as_str()).collect();
        let shown = campaign["segments"].as_array().unwrap();
        assert_eq!(
            shown.iter().map(|segment| segment["id"].as_str().unwrap()).collect::<BTreeSet<_>>(),
            of_entries
        );
        assert!(shown.is_sorted_by_key(|segment| (
            segment["name"].as_str().unwrap(),
            segment["id"].as_str().unwrap()
        )));
    }
    let org = app.literal(acme.id);
    assert_eq!(
        app.count(&format!("campaign_lists WHERE org_id = {org}")).await,
        i64::try_from(entries).unwrap()
    );
    assert!(entries > 10);
}

#[on_both_databases]
async fn a_contact_shows_its_companies_the_main_one_first(app: TestApp) {
    let (acme, made) = populated(&app, 12).await;
    let mut rng = ChaCha8Rng::seed_from_u64(87);
    app.run("DELETE FROM contact_companies").await;
    let companies: Vec<(Uuid, &str)> =
        ["Zeta", "alpha", "Alpha", "Beta"].map(|name| (Uuid::new_v4(), name)).to_vec();
    for (id, name) in &companies {
        acme.scope
            .insert::<company::Entity>(company::ActiveModel {
                id: Set(*id),
                name: Set((*name).into()),
                size: Set(Some("11-50".into())),
                ..Default::default()
            })
            .await
            .unwrap();
    }
    let mut expected = std::collections::HashMap::new();
    for contact in &made.contacts {
        let count = rng.random_range(0..=3);
        let mut of: Vec<(bool, &str, Uuid)> = companies
            .sample(&mut rng, count)
            .enumerate()
            .map(|(index, (id, name))| (index != 0, *name, *id))
            .collect();
        for (secondary, _, id) in &of {
            acme.scope
                .insert::<contact_company::Entity>(contact_company::ActiveModel {
                    id: Set(Uuid::new_v4()),
                    contact_id: Set(*contact),
                    company_id: Set(*id),
                    is_primary: Set(!secondary),
                    ..Default::default()
                })
                .await
                .unwrap();
        }
        of.sort();
        expected.insert(
            contact.to_string(),
            of.into_iter()
                .map(|(_, name, id)| json!({ "id": id, "name": name, "size": "11-50" }))
                .collect::<Vec<_>>(),
        );
    }
    let data = acme
        .member
        .data("{ contacts(first: 500) { nodes { id companies { id name size } } } }", json!({}))
        .await;
    for contact in data["contacts"]["nodes"].as_array().unwrap() {
        assert_eq!(contact["companies"], json!(expected[contact["id"].as_str().unwrap()]));
    }
}
