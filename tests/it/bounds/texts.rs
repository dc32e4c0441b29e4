//! Text that is not UTF-8, in the columns of text and of JSON. SQLite stores it, and blobs as well where a
//! table is not STRICT. PostgreSQL rejects it, as its databases are in UTF-8.

use std::collections::BTreeMap;

use campaigns_entity::{
    campaign, company, contact, contact_company, event, organization, segment, send, user,
};
use campaigns_tests::{Backend, Client, Socket, TestApp};
use sea_orm::{ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable};
use serde_json::{Value as Json, json};

use super::ids::{doctor, write_any};

/// Text that is stored, and how it is shown.
const STORED: [(&str, &str); 5] = [
    ("CAST(x'61ff62' AS TEXT)", "a\u{fffd}b"),
    ("CAST(x'61eda08062' AS TEXT)", "a\u{fffd}\u{fffd}\u{fffd}b"),
    ("x'61ff62'", "a\u{fffd}b"),
    ("CAST(x'610062' AS TEXT)", "a\0b"),
    ("CAST(x'61efbfbd62' AS TEXT)", "a\u{fffd}b"),
];

const EVERYTHING: &str = "{
    viewer { organization { id name slug } }
    campaigns(first: 100) { nodes { id name subject body channel creator { id email fullName }
        segments { id name } links { url clicks } } }
    contacts(first: 100) { nodes { id firstName lastName email phone title source city state country
        suppression { since } companies { id name domain industry size } } }
    segments(first: 100) { nodes { id name description } }
    sends(first: 100) { nodes { id error contact { id email } campaign { id name } } }
    events(first: 100) { nodes { id url } }
}";

/// The columns of text of a table.
fn texts<E: EntityTrait>() -> (&'static str, Vec<&'static str>) {
    let is_text = |column: &E::Column| *column.def().get_column_type() == ColumnType::Text;
    let columns = E::Column::iter().filter(is_text).map(|column| column.as_str());
    (E::default().table_name(), columns.collect())
}

fn tables() -> [(&'static str, Vec<&'static str>); 9] {
    [
        texts::<organization::Entity>(),
        texts::<user::Entity>(),
        texts::<contact::Entity>(),
        texts::<company::Entity>(),
        texts::<contact_company::Entity>(),
        texts::<campaign::Entity>(),
        texts::<segment::Entity>(),
        texts::<send::Entity>(),
        texts::<event::Entity>(),
    ]
}

/// The texts of an answer, by the names of their fields.
fn shown<'a>(value: &'a Json, of: &mut BTreeMap<&'a str, Vec<&'a Json>>) {
    match value {
        Json::Array(all) => {
            for one in all {
                shown(one, of);
            }
        }
        Json::Object(fields) => {
            for (name, field) in fields {
                if field.is_string() && name != "id" && name != "since" {
                    of.entry(name).or_default().push(field);
                }
                shown(field, of);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_shown_with_replacement_characters() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let follow =
        "subscription ($after: String) { engagementEvents(after: $after) { node { url } } }";
    for (stored, is_shown) in STORED {
        let statements = tables().map(|(table, columns)| {
            let set: Vec<String> =
                columns.iter().map(|column| format!("{column} = {stored}")).collect();
            format!("UPDATE {table} SET {}", set.join(", "))
        });
        write_any(&app, &statements).await;
        let data = acme.member.data(EVERYTHING, json!({})).await;
        let mut of = BTreeMap::new();
        shown(&data, &mut of);
        assert!(of.len() >= 15, "{of:?}");
        for (field, values) in of {
            assert!(values.iter().all(|value| *value == is_shown), "{stored} {field}: {values:?}");
        }
        // rows that are read as a whole
        let ids = [made.campaigns[0], made.contacts[0], made.segments[0], made.sends[0]];
        let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Campaign { text: subject } \
                     ... on Contact { text: email } ... on Segment { text: description } \
                     ... on Send { text: error } } }";
        let data = acme.member.data(nodes, json!({ "ids": ids })).await;
        assert_eq!(data["nodes"], json!(vec![json!({ "text": is_shown }); 4]), "{stored}");
        // new events of the feed
        let mut socket = Socket::of(&acme.member).await;
        socket.subscribe("1", follow, json!({ "after": acme.member.feed_cursor().await })).await;
        let event = format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, 'click', error \
             FROM campaign_sends WHERE id = {}",
            app.literal(made.sends[0])
        );
        write_any(&app, &[event]).await;
        assert_eq!(socket.next("1").await["engagementEvents"]["node"]["url"], is_shown);
        // and mutations of such rows
        let duplicate =
            "mutation ($id: ID!) { duplicateCampaign(id: $id) { campaign { subject } } }";
        let data = acme.member.data(duplicate, json!({ "id": made.campaigns[0] })).await;
        assert_eq!(data["duplicateCampaign"]["campaign"]["subject"], is_shown);
    }
}

/// The IDs of the pages of a list.
async fn pages(client: &Client, list: &str, order: &str, from_end: bool) -> Vec<String> {
    let (arguments, more, next) = if from_end {
        ("last: 1, before: $cursor", "hasPreviousPage", "startCursor")
    } else {
        ("first: 1, after: $cursor", "hasNextPage", "endCursor")
    };
    let query = format!(
        "query ($cursor: String) {{ {list}({arguments}, orderBy: [{order}]) {{ nodes {{ id }} \
         pageInfo {{ {more} {next} }} }} }}"
    );
    let (mut ids, mut cursor) = (Vec::new(), Json::Null);
    loop {
        let page = client.data(&query, json!({ "cursor": cursor })).await[list].take();
        let nodes = page["nodes"].as_array().unwrap().iter();
        ids.extend(nodes.map(|node| node["id"].as_str().unwrap().to_owned()));
        assert!(ids.len() < 100, "{list} {order} goes on for ever");
        if page["pageInfo"][more] == false {
            break;
        }
        cursor = page["pageInfo"][next].clone();
    }
    if from_end {
        ids.reverse();
    }
    ids
}

#[tokio::test]
async fn pages_by_such_text_neither_loop_nor_skip() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(9).await;
    let odd = ["61ff", "61efbfbd", "61fe", "6100", "61", "61ff00", "c3", "c3a4", "ff"];
    let set = |table: &str, column: &str, ids: &[uuid::Uuid]| -> Vec<String> {
        let rows = ids.iter().zip(odd.iter().cycle()).enumerate();
        rows.map(|(index, (id, hex))| {
            let value = format!("x'{hex}'");
            // a blob in place of text comes where its bytes are
            let value = if index % 3 == 2 { value } else { format!("CAST({value} AS TEXT)") };
            format!("UPDATE {table} SET {column} = {value} WHERE id = {}", app.literal(*id))
        })
        .collect()
    };
    for (table, column, list, field, ids) in [
        ("campaigns", "name", "campaigns", "NAME", &made.campaigns),
        ("contacts", "email", "contacts", "EMAIL", &made.contacts),
        ("segments", "name", "segments", "NAME", &made.segments),
    ] {
        let table = if table == "segments" { "campaign_segments" } else { table };
        write_any(&app, &set(table, column, ids)).await;
        for direction in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT id FROM {table} WHERE org_id = {} ORDER BY CAST({column} AS TEXT) {direction} NULLS LAST, id",
                app.literal(acme.id)
            );
            let expected: Vec<String> = app
                .rows(&sql)
                .await
                .iter()
                .map(|row| row.try_get::<uuid::Uuid>("", "id").unwrap().to_string())
                .collect();
            let order = format!("{{ field: {field}, direction: {direction} }}");
            for from_end in [false, true] {
                let ids = pages(&acme.member, list, &order, from_end).await;
                assert_eq!(ids, expected, "{list} {order} {from_end}");
            }
        }
    }
}

#[tokio::test]
async fn filters_and_rules_match_the_readable_parts_of_such_text() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let id = app.literal(made.contacts[0]);
    let others = format!("UPDATE contacts SET city = NULL WHERE id <> {id}");
    for stored in ["CAST(x'42c3a9ff00c384' AS TEXT)", "x'42c3a9ff00c384'"] {
        let odd = format!("UPDATE contacts SET city = {stored} WHERE id = {id}");
        write_any(&app, &[others.clone(), odd]).await;
        let count = async |filter: Json| {
            let query =
                "query ($filter: ContactFilter) { contacts(filter: $filter) { totalCount } }";
            acme.member.data(query, json!({ "filter": filter })).await["contacts"]["totalCount"]
                .take()
        };
        let selected = async |operator: &str, value: &str| {
            let rule = json!({ "field": "city", "operator": operator, "value": value });
            let query = "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }";
            let rules = json!({ "combinator": "and", "rules": [rule] });
            acme.member.data(query, json!({ "rules": rules })).await["previewSegment"]["count"]
                .take()
        };
        for (operator, rule, part, expected) in [
            ("startsWith", "beginsWith", "bÉ", 1),
            ("startsWith", "beginsWith", "é", 0),
            ("endsWith", "endsWith", "ä", 1),
            ("contains", "contains", "É", 1),
            ("contains", "contains", "B", 1),
            // the half of a character is none
            ("contains", "contains", "\u{a9}", 0),
            ("contains", "contains", "\u{fffd}", 0),
            ("eq", "=", "Bé", 0),
        ] {
            assert_eq!(
                count(json!({ "city": { operator: part } })).await,
                expected,
                "{operator} {part}"
            );
            assert_eq!(selected(rule, part).await, expected, "{rule} {part}");
        }
        assert_eq!(selected("doesNotContain", "x").await, made.contacts.len());
        assert_eq!(selected("doesNotContain", "b").await, made.contacts.len() - 1);
        assert_eq!(selected(">", "B").await, 1);
        assert_eq!(count(json!({ "city": { "contains": "" } })).await, 1);
    }
}

#[tokio::test]
async fn such_text_is_named_by_its_column() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(3).await;
    let id = app.literal(made.campaigns[0]);
    let healthy = doctor(&app).await;
    assert!(!healthy.contains("is not UTF-8"), "{healthy}");
    let all = tables()
        .into_iter()
        .flat_map(|(table, columns)| columns.into_iter().map(move |column| (table, column)));
    for (stored, (table, column)) in ["CAST(x'c3a961c3' AS TEXT)", "x'61'"].iter().cycle().zip(all)
    {
        let row = format!("id = (SELECT min(id) FROM {table})");
        let kept = format!("CREATE TABLE kept AS SELECT {column} AS it FROM {table} WHERE {row}");
        let odd = format!("UPDATE {table} SET {column} = {stored} WHERE {row}");
        write_any(&app, &[kept, odd]).await;
        let printed = doctor(&app).await;
        let wrong = format!("{table}.{column} is not UTF-8: 1\n");
        assert!(printed.contains(&wrong), "{wrong}{printed}");
        let back = format!("UPDATE {table} SET {column} = (SELECT it FROM kept) WHERE {row}");
        write_any(&app, &[back, "DROP TABLE kept".to_owned()]).await;
    }
    // text of any characters is fine
    let every = "ÄÖ\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}\u{7f}";
    write_any(&app, &[format!("UPDATE campaigns SET name = '{every}' WHERE id = {id}")]).await;
    assert!(!doctor(&app).await.contains("is not UTF-8"));
}

#[tokio::test]
async fn metadata_that_is_not_json_is_text() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let contacts = acme.populated(5).await.contacts.len();
    let everything = "{ campaigns(first: 100) { nodes { metadata stats { opens } } } contacts(first: 100) { nodes \
                      { metadata suppression { since } } } segments(first: 100) { nodes { metadata filterRules } } \
                      sends(first: 100) { nodes { metadata } } events(first: 100) { nodes { metadata } } stats { opens } }";
    let before = acme.member.data(everything, json!({})).await["stats"].take();
    for (stored, is_shown) in [
        ("'{\"a\": 1'", json!("{\"a\": 1")),
        ("''", json!("")),
        ("'{a: 1}'", json!("{a: 1}")),
        ("CAST(x'7bff' AS TEXT)", json!("{\u{fffd}")),
        ("CAST(x'7b2261223a22ff227d' AS TEXT)", json!({ "a": "\u{fffd}" })),
        ("x'ff'", json!("\u{fffd}")),
    ] {
        let tables = [
            "campaigns",
            "contacts",
            "campaign_segments",
            "campaign_lists",
            "campaign_sends",
            "campaign_events",
        ];
        let statements = tables.map(|table| {
            let is_bounce =
                if table == "campaign_events" { " WHERE event_type <> 'bounce'" } else { "" };
            format!("UPDATE {table} SET metadata = {stored}{is_bounce}")
        });
        write_any(&app, &statements).await;
        let data = acme.member.data(everything, json!({})).await;
        assert_eq!(data["campaigns"]["nodes"][0]["metadata"], is_shown, "{stored}");
        assert_eq!(data["contacts"]["nodes"][0]["metadata"], is_shown, "{stored}");
        assert_eq!(data["stats"], before);
        let query = "query ($filter: ContactFilter, $rules: JSON!) { contacts(filter: $filter) { totalCount } \
                     previewSegment(rules: $rules) { count } }";
        for (filter, rule, is_selected) in [
            (json!({ "hasKey": "a" }), json!(["metadata.a", "=", "x"]), false),
            (json!({ "contains": { "a": 2 } }), json!(["metadata.a.b", "=", 1]), false),
            (json!({ "contains": [1] }), json!(["metadata.b", "contains", "x"]), false),
            (json!({ "contains": 1 }), json!(["metadata.a", "between", [1, 2]]), false),
            (json!({ "contains": {} }), json!(["metadata.b", "null", null]), is_shown.is_object()),
        ] {
            let is_object = is_shown.is_object();
            let has_key = is_object && filter.get("hasKey").is_some();
            let rules = json!({ "combinator": "and", "rules": [
                { "field": rule[0], "operator": rule[1], "value": rule[2] },
            ] });
            let variables = json!({ "filter": { "metadata": filter }, "rules": rules });
            let data = acme.member.data(query, variables).await;
            let expected = if has_key || is_selected { contacts } else { 0 };
            assert_eq!(data["contacts"]["totalCount"], expected, "{stored} {filter}");
            let expected = if rule[1] == "null" { contacts } else { 0 };
            assert_eq!(data["previewSegment"]["count"], expected, "{stored} {rule}");
        }
        if !is_shown.is_object() {
            let printed = doctor(&app).await;
            for table in tables {
                assert!(
                    printed.contains(&format!("{table}.metadata is not a JSON object: ")),
                    "{printed}"
                );
            }
        }
    }
}
