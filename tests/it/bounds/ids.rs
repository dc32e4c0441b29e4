//! IDs that are none: values of other kinds in SQLite where no CHECK holds, and the nil UUID, by which the
//! triggers know events without a send.

use campaigns_tests::{Backend, Binary, Socket, TestApp, on_both_databases};
use sea_orm::ConnectionTrait;
use serde_json::json;
use uuid::Uuid;

/// Runs SQL as a program that rebuilt the tables of SQLite without types, CHECKs and references would.
pub(super) async fn write_any(app: &TestApp, statements: &[String]) {
    let sql = app.database.connect_once().await;
    for prepare in [
        "PRAGMA ignore_check_constraints = on",
        "PRAGMA foreign_keys = off",
        "PRAGMA writable_schema = on",
        "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table'",
        "PRAGMA writable_schema = reset",
    ] {
        sql.execute_unprepared(prepare).await.unwrap();
    }
    for statement in statements {
        let done = sql.execute_unprepared(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// What `doctor` prints, with every row.
pub(super) async fn doctor(app: &TestApp) -> String {
    let here = tempfile::tempdir().unwrap();
    let arguments = ["doctor", "--rows", "100000", "--database-url", &app.database.url];
    let finished = Binary::run(here.path(), &arguments).await;
    assert!(!finished.err.contains("INTERNAL") && finished.code <= 1, "{}", finished.err);
    finished.out
}

/// What other programs store in place of 16 bytes.
const ODD: [&str; 9] = [
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
    "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'",
    "'a0eebc999c0b4ef8bb6d6bb9bd380a11'",
    "'sixteen bytes...'",
    "CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS BLOB)",
    "CAST(x'ff' AS TEXT)",
    "x''",
    "7",
];

const EVERYTHING: &str = "{
    viewer { user { id } organization { id } }
    stats { sends opens }
    campaigns(first: 100) { totalCount nodes { id creator { id } stats { opens } segments { id } links { url }
        timeline(interval: DAY) { opens } list(first: 100) { totalCount nodes { id segment { id } } }
        sends(first: 100) { totalCount nodes { id } } events(first: 100) { totalCount nodes { id } } } }
    contacts(first: 100) { totalCount nodes { id suppression { since } companies { id }
        sends(first: 100) { nodes { id } } } }
    segments(first: 100) { totalCount nodes { id campaignsUsedIn contacts(first: 100) { nodes { id } } } }
    sends(first: 100) { totalCount nodes { id opens } }
    events(first: 100) { totalCount nodes { id } }
    feedCursor
}";

/// Changes that read many rows.
const CHANGES: [&str; 4] = [
    "mutation ($campaign: ID!, $segment: ID!) { addSegmentToList(campaignId: $campaign, segmentId: $segment) \
     { added alreadyOnList } }",
    "mutation ($campaign: ID!) { queueSends(campaignId: $campaign) { queued alreadyQueued } }",
    "mutation ($campaign: ID!) { duplicateCampaign(id: $campaign) { campaign { id } } }",
    "mutation ($campaign: ID!) { deleteCampaign(id: $campaign) { id } }",
];

/// The columns of IDs that other programs write.
const COLUMNS: [(&str, &[&str]); 10] = [
    ("campaigns", &["id", "org_id", "creator_id"]),
    ("campaign_segments", &["id", "org_id"]),
    ("campaign_lists", &["id", "org_id", "campaign_id", "segment_id", "contact_id"]),
    ("campaign_sends", &["id", "org_id", "campaign_id", "contact_id"]),
    ("campaign_events", &["id", "org_id", "send_id"]),
    ("contacts", &["id", "org_id", "owner_id"]),
    ("contact_companies", &["id", "org_id", "contact_id", "company_id"]),
    ("companies", &["id", "org_id"]),
    ("users", &["id", "org_id", "auth_id"]),
    ("memberships", &["id", "org_id", "user_id"]),
];

/// An organization in which each table has rows, and rows that the last ones do not refer to.
async fn filled(app: &TestApp) -> (campaigns_tests::Organization, campaigns_tests::Fixtures) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    app.run(&format!(
        "INSERT INTO memberships (org_id, user_id, role) VALUES ({}, {}, 'member')",
        app.literal(acme.id),
        app.literal(made.users[0])
    ))
    .await;
    (acme, made)
}

#[tokio::test]
async fn rows_with_other_values_than_ids_are_left_out_and_named_on_sqlite() {
    for (table, columns) in COLUMNS {
        let app = TestApp::on(Backend::Sqlite).start().await;
        let (acme, _) = filled(&app).await;
        for column in columns {
            let row = format!("rowid = (SELECT max(rowid) FROM {table})");
            write_any(
                &app,
                &[
                    "DROP TABLE IF EXISTS kept".to_owned(),
                    format!("CREATE TABLE kept AS SELECT {column} AS it FROM {table} WHERE {row}"),
                ],
            )
            .await;
            for (index, odd) in ODD.into_iter().enumerate() {
                write_any(&app, &[format!("UPDATE {table} SET {column} = {odd} WHERE {row}")])
                    .await;
                let answer = acme.member.ask(EVERYTHING, json!({})).await;
                assert!(answer.is_without_errors(), "{table}.{column} {odd} {:#}", answer.body);
                if index % 4 == 0 {
                    let printed = doctor(&app).await;
                    let wrong = format!("{table}.{column} is not an ID: 1\n");
                    assert!(printed.contains(&wrong), "{odd}: {wrong} is not in\n{printed}");
                    assert!(!printed.contains("cannot be checked"), "{printed}");
                }
            }
            let back = format!("UPDATE {table} SET {column} = (SELECT it FROM kept) WHERE {row}");
            write_any(&app, &[back]).await;
        }
    }
}

#[tokio::test]
async fn changes_and_repairs_pass_rows_with_other_values_than_ids_on_sqlite() {
    for (table, columns) in COLUMNS {
        for column in columns {
            let app = TestApp::on(Backend::Sqlite).start().await;
            let (acme, made) = filled(&app).await;
            let campaign = app.literal(made.campaigns[0]);
            write_any(
                &app,
                &[
                    format!("UPDATE campaigns SET status = 'draft' WHERE id = {campaign}"),
                    format!("UPDATE campaign_segments SET filter_rules = '{{}}' WHERE id = {}", app.literal(made.segments[0])),
                    format!("UPDATE {table} SET {column} = 'odd' WHERE rowid = (SELECT max(rowid) FROM {table})"),
                ],
            )
            .await;
            let here = tempfile::tempdir().unwrap();
            for command in ["stats check", "repair", "stats rebuild"] {
                let mut arguments: Vec<&str> = command.split(' ').collect();
                arguments.extend(["--database-url", &app.database.url]);
                let finished = Binary::run(here.path(), &arguments).await;
                assert!(finished.code <= 1, "{table}.{column} {command}: {}", finished.err);
                assert!(
                    !finished.err.contains("decod"),
                    "{table}.{column} {command}: {}",
                    finished.err
                );
            }
            for change in CHANGES {
                let variables =
                    json!({ "campaign": made.campaigns[0], "segment": made.segments[0] });
                let answer = acme.admin.ask(change, variables).await;
                let is_known = |code: &&str| ["NOT_FOUND", "CONFLICT"].contains(code);
                assert!(
                    answer.is_without_errors() || answer.codes().iter().all(is_known),
                    "{table}.{column} {change} {:#}",
                    answer.body
                );
            }
            let send = format!(
                "SELECT id FROM campaign_sends WHERE typeof(id) = 'blob' AND typeof(org_id) = 'blob' AND \
                 typeof(campaign_id) = 'blob' AND typeof(contact_id) = 'blob' AND org_id = {} LIMIT 1",
                app.literal(acme.id)
            );
            let Some(send) = app.rows(&send).await.pop() else { continue };
            let send: Uuid = send.try_get("", "id").unwrap();
            let mut socket = Socket::of(&acme.member).await;
            let follow =
                "subscription ($after: String) { engagementEvents(after: $after) { node { id } } }";
            socket
                .subscribe("1", follow, json!({ "after": acme.member.feed_cursor().await }))
                .await;
            let record = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { events { id } } }";
            let input = json!({ "input": [{ "sendId": send, "type": "OPEN" }] });
            let recorded =
                acme.member.data(record, input).await["recordEvents"]["events"][0]["id"].take();
            assert_eq!(
                socket.next("1").await["engagementEvents"]["node"]["id"],
                recorded,
                "{table}.{column}"
            );
        }
    }
}

#[on_both_databases]
async fn the_nil_uuid_is_an_id_like_others_except_of_campaigns_and_contacts(app: TestApp) {
    let (acme, made) = filled(&app).await;
    let nil = app.literal(Uuid::nil());
    let sql = app.database.connect_once().await;
    let without = match app.database.backend {
        Backend::Postgres => "SET session_replication_role = replica",
        Backend::Sqlite => "PRAGMA foreign_keys = off",
    };
    sql.execute_unprepared(without).await.unwrap();
    for (table, id) in [
        ("campaigns", made.campaigns[0]),
        ("contacts", made.contacts[0]),
        ("campaign_segments", made.segments[0]),
        ("companies", made.companies[0]),
        ("users", made.users[0]),
        ("campaign_lists", made.entries[0]),
        ("campaign_sends", made.sends[0]),
        ("campaign_events", made.events[0]),
    ] {
        let set = |from: &str, to: &str| format!("UPDATE {table} SET id = {to} WHERE id = {from}");
        let before = app.literal(id);
        sql.execute_unprepared(&set(&before, &nil)).await.unwrap();
        let answer = acme.member.ask(EVERYTHING, json!({})).await;
        assert!(answer.is_without_errors(), "{table} {:#}", answer.body);
        let node = "query ($id: ID!) { node(id: $id) { id } }";
        let shown = acme.member.data(node, json!({ "id": Uuid::nil() })).await["node"]["id"].take();
        let is_node = table != "campaign_lists" && table != "users";
        assert!(!is_node || shown == json!(Uuid::nil()), "{table} {shown}");
        let is_named = table == "campaigns" || table == "contacts";
        let printed = doctor(&app).await;
        let wrong = format!("{table}.id is the nil UUID: 1\n");
        assert_eq!(printed.contains(&wrong), is_named, "{printed}");
        sql.execute_unprepared(&set(&nil, &before)).await.unwrap();
    }
}
