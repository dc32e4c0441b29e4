//! The tables that migrations create, as the service and other programs use them.

use std::collections::BTreeMap;

use campaigns_entity::{
    campaign, company, contact, contact_company, event, list_entry, membership, message_id,
    organization, provider_key, provider_path, provider_webhook, segment, send, user,
};
use campaigns_tests::{Backend, Statuses, TestApp, TestDatabase, on_both_databases};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ColumnType, ConnectionTrait, EntityTrait, IdenStatic, Iterable,
    Statement,
};
use serde_json::json;
use uuid::Uuid;

/// The type of each column, as the database names it, and whether it can be null.
type Columns = BTreeMap<String, (String, bool)>;

fn of_entity<E: EntityTrait>(backend: Backend) -> (String, Columns) {
    let columns = E::Column::iter().map(|column| {
        let definition = column.def();
        let postgres = backend == Backend::Postgres;
        let kind = match definition.get_column_type() {
            ColumnType::Uuid => if postgres { "uuid" } else { "BLOB" }.to_owned(),
            ColumnType::Text | ColumnType::String(_) => {
                if postgres { "text" } else { "TEXT" }.to_owned()
            }
            ColumnType::TimestampWithTimeZone => {
                if postgres { "timestamp with time zone" } else { "TEXT" }.to_owned()
            }
            ColumnType::Date => if postgres { "date" } else { "TEXT" }.to_owned(),
            ColumnType::JsonBinary => if postgres { "jsonb" } else { "TEXT" }.to_owned(),
            ColumnType::Integer => if postgres { "integer" } else { "INTEGER" }.to_owned(),
            ColumnType::BigInteger => if postgres { "bigint" } else { "INTEGER" }.to_owned(),
            ColumnType::Blob => if postgres { "bytea" } else { "BLOB" }.to_owned(),
            ColumnType::Boolean => if postgres { "boolean" } else { "INTEGER" }.to_owned(),
            ColumnType::Decimal(_) => if postgres { "numeric" } else { "REAL" }.to_owned(),
            ColumnType::Enum { name, .. } => {
                if postgres {
                    name.to_string()
                } else {
                    "TEXT".to_owned()
                }
            }
            other => panic!("{other:?}"),
        };
        (column.as_str().to_owned(), (kind, definition.is_null()))
    });
    (E::default().table_name().to_owned(), columns.collect())
}

async fn of_table(app: &TestApp, table: &str) -> Columns {
    let sql = match app.database.backend {
        Backend::Sqlite => format!(
            "SELECT name, upper(type) AS type, CAST(\"notnull\" = 0 AS TEXT) AS nullable FROM \
             pragma_table_info('{table}')"
        ),
        Backend::Postgres => format!(
            "SELECT column_name AS name, CASE data_type WHEN 'USER-DEFINED' THEN udt_name ELSE \
             data_type END AS type, CASE is_nullable WHEN 'YES' THEN '1' ELSE '0' END AS nullable \
             FROM information_schema.columns WHERE table_name = '{table}'"
        ),
    };
    app.rows(&sql)
        .await
        .iter()
        .map(|row| {
            let text = |name: &str| row.try_get::<String>("", name).unwrap();
            (text("name"), (text("type"), text("nullable") == "1"))
        })
        .collect()
}

async fn row(app: &TestApp, sql: &str) -> sea_orm::QueryResult {
    app.rows(sql).await.swap_remove(0)
}

/// The tables that the service adopts.
const ADOPTED: [&str; 5] =
    ["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"];

/// The columns that the service adds to each adopted table.
async fn added() -> Vec<(&'static str, Vec<String>)> {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let found = database.connect().await;
    let mut added = Vec::new();
    for table in ADOPTED {
        let sql = format!(
            "SELECT CAST(attname AS text) AS attname FROM pg_attribute WHERE attrelid = '{table}'::regclass"
        );
        let sql = Statement::from_string(found.get_database_backend(), sql);
        let rows = found.query_all_raw(sql).await.unwrap();
        let documented: Vec<String> =
            rows.iter().map(|row| row.try_get("", "attname").unwrap()).collect();
        let columns = match table {
            "campaigns" => of_entity::<campaign::Entity>(Backend::Postgres),
            "campaign_segments" => of_entity::<segment::Entity>(Backend::Postgres),
            "campaign_lists" => of_entity::<list_entry::Entity>(Backend::Postgres),
            "campaign_sends" => of_entity::<send::Entity>(Backend::Postgres),
            _ => of_entity::<event::Entity>(Backend::Postgres),
        };
        let columns = columns.1.into_keys().filter(|name| !documented.contains(name));
        added.push((table, columns.collect::<Vec<_>>()));
    }
    found.close().await.unwrap();
    assert!(added.iter().any(|(table, columns)| *table == "campaign_events" && columns.len() > 3));
    added
}

/// The columns that triggers fill. In PostgreSQL, an event that is not filed has no values there,
/// and the service does not read it.
const FILLED: [(&str, &[&str]); 1] =
    [("campaign_events", &["feed_position", "send_campaign_id", "send_contact_id"])];

#[on_both_databases]
async fn added_columns_make_no_join_of_other_programs_ambiguous(app: TestApp) {
    for (table, added) in added().await {
        for other in ADOPTED {
            let columns = of_table(&app, other).await;
            for column in &added {
                assert_eq!(
                    columns.contains_key(column),
                    other == table,
                    "{table}.{column} {other}"
                );
            }
        }
    }
    // columns of sends without a table name
    app.rows(
        "SELECT campaign_id, contact_id, event_type, s.status FROM campaign_events e \
         JOIN campaign_sends s ON s.id = send_id JOIN campaigns c ON c.id = campaign_id",
    )
    .await;
}

#[on_both_databases]
async fn entities_are_the_tables_column_by_column(app: TestApp) {
    let backend = app.database.backend;
    for (table, columns) in [
        of_entity::<organization::Entity>(backend),
        of_entity::<user::Entity>(backend),
        of_entity::<membership::Entity>(backend),
        of_entity::<contact::Entity>(backend),
        of_entity::<company::Entity>(backend),
        of_entity::<contact_company::Entity>(backend),
        of_entity::<campaign::Entity>(backend),
        of_entity::<segment::Entity>(backend),
        of_entity::<list_entry::Entity>(backend),
        of_entity::<send::Entity>(backend),
        of_entity::<event::Entity>(backend),
        of_entity::<provider_webhook::Entity>(backend),
        of_entity::<provider_path::Entity>(backend),
        of_entity::<provider_key::Entity>(backend),
        of_entity::<message_id::Entity>(backend),
    ] {
        let mut of_table = of_table(&app, &table).await;
        for name in FILLED.iter().filter(|(of, _)| *of == table).flat_map(|(_, names)| *names) {
            let (_, is_nullable) = of_table.get_mut(*name).unwrap();
            assert_eq!(*is_nullable, backend == Backend::Postgres);
            *is_nullable = false;
        }
        assert_eq!(columns, of_table, "{table}");
    }
}

#[on_both_databases]
async fn a_row_that_sql_writes_gets_every_default_and_is_shown(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    app.run(&format!("INSERT INTO contacts (org_id, first_name) VALUES ({org}, 'Ann')")).await;
    app.run(&format!("INSERT INTO campaigns (org_id, name) VALUES ({org}, 'By hand')")).await;
    app.run(&format!(
        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) \
         SELECT {org}, campaigns.id, contacts.id FROM campaigns, contacts"
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, id, 'click' FROM \
         campaign_sends"
    ))
    .await;
    app.run(&format!("INSERT INTO campaign_segments (org_id, name) VALUES ({org}, 'All')")).await;
    app.run(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) SELECT org_id, \
         campaign_id, contact_id FROM campaign_sends",
    )
    .await;
    let query = "{ campaigns { nodes { id channel status createdAt updatedAt metadata stats { \
                 sends clicks } sends { nodes { id status sentAt clicks metadata contact { \
                 firstName type metadata } } } } } }";
    let data = acme.member.data(query, json!({})).await;
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(data["campaigns"]["nodes"][0], {
            ".id" => "[id]", ".createdAt" => "[time]", ".updatedAt" => "[time]",
            ".sends.nodes[].id" => "[id]",
        }, @r#"
        {
          "channel": "email",
          "createdAt": "[time]",
          "id": "[id]",
          "metadata": {},
          "sends": {
            "nodes": [
              {
                "clicks": 1,
                "contact": {
                  "firstName": "Ann",
                  "metadata": {},
                  "type": "LEAD"
                },
                "id": "[id]",
                "metadata": {},
                "sentAt": null,
                "status": "QUEUED"
              }
            ]
          },
          "stats": {
            "clicks": 1,
            "sends": 1
          },
          "status": "DRAFT",
          "updatedAt": "[time]"
        }
        "#);
    }
    let id: Uuid = data["campaigns"]["nodes"][0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
    let of_row: Uuid = row(&app, "SELECT id FROM campaigns").await.try_get("", "id").unwrap();
    assert_eq!(id, of_row);
}

#[on_both_databases]
async fn an_update_by_sql_moves_updated_at_and_an_insert_keeps_it(app: TestApp) {
    let acme = app.organization("acme").await;
    app.run(&format!(
        "INSERT INTO campaigns (org_id, name, created_at, updated_at) \
         VALUES ({}, 'x', '2020-01-01T00:00:00.000+00:00', '2020-01-02T00:00:00.100000+00:00')",
        app.literal(acme.id)
    ))
    .await;
    let shown = async || {
        let query = "{ campaigns { nodes { createdAt updatedAt } } }";
        acme.member.data(query, json!({})).await["campaigns"]["nodes"][0].take()
    };
    assert_eq!(
        shown().await,
        json!({ "createdAt": "2020-01-01T00:00:00Z", "updatedAt": "2020-01-02T00:00:00.100Z" })
    );
    app.run("UPDATE campaigns SET name = 'y', sent_at = '2021-01-01T00:00:00.120000+00:00'").await;
    let after = shown().await;
    assert_eq!(after["createdAt"], "2020-01-01T00:00:00Z");
    let moved = chrono::DateTime::parse_from_rfc3339(after["updatedAt"].as_str().unwrap()).unwrap();
    assert!(chrono::Utc::now() - moved.to_utc() < chrono::TimeDelta::minutes(1));
}

#[on_both_databases]
async fn the_database_refuses_references_to_another_organization(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let of_ours = ours.populated(4).await;
    let of_theirs = theirs.populated(4).await;
    let org = app.literal(ours.id);
    let id = |id: Uuid| app.literal(id);
    let (campaign, contact) = (id(of_ours.campaigns[0]), id(of_ours.contacts[0]));
    let (their_campaign, their_contact) = (id(of_theirs.campaigns[0]), id(of_theirs.contacts[0]));
    app.run("DELETE FROM campaign_lists").await;
    for sql in [
        format!(
            "INSERT INTO campaigns (org_id, name, creator_id) VALUES ({org}, 'x', {})",
            id(of_theirs.users[0])
        ),
        format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) VALUES \
             ({org}, {their_campaign}, {contact})"
        ),
        format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) VALUES \
             ({org}, {campaign}, {their_contact})"
        ),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {}, 'open')",
            id(of_theirs.sends[0])
        ),
        format!(
            "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) VALUES \
             ({org}, {their_campaign}, {contact})"
        ),
        format!(
            "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) VALUES \
             ({org}, {campaign}, {their_contact})"
        ),
        format!(
            "INSERT INTO campaign_lists (org_id, campaign_id, contact_id, segment_id) VALUES \
             ({org}, {campaign}, {contact}, {})",
            id(of_theirs.segments[0])
        ),
        format!(
            "INSERT INTO contacts (org_id, first_name, owner_id) VALUES ({org}, 'x', {})",
            id(of_theirs.users[0])
        ),
        format!("UPDATE campaign_sends SET campaign_id = {their_campaign} WHERE org_id = {org}"),
        format!("UPDATE campaigns SET org_id = {} WHERE org_id = {org}", app.literal(theirs.id)),
    ] {
        let refused = app.try_run(&sql).await.expect_err(&sql);
        assert!(refused.to_string().to_lowercase().contains("foreign key"), "{sql}: {refused}");
    }
}

#[on_both_databases]
async fn the_service_refuses_references_to_another_organization_by_itself(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let of_ours = ours.populated(4).await;
    let of_theirs = theirs.populated(4).await;
    let row = || campaign::ActiveModel {
        id: Set(Uuid::new_v4()),
        name: Set("x".into()),
        ..Default::default()
    };
    let foreign = campaign::ActiveModel { creator_id: Set(Some(of_theirs.users[0])), ..row() };
    let refused = ours.scope.insert::<campaign::Entity>(foreign.clone()).await.unwrap_err();
    assert!(matches!(
        refused,
        campaigns_scope::Error::ReferenceNotFound { column: "creator_id", .. }
    ));
    let refused =
        ours.scope.update::<campaign::Entity>(of_ours.campaigns[0], foreign).await.unwrap_err();
    assert!(matches!(
        refused,
        campaigns_scope::Error::ReferenceNotFound { column: "creator_id", .. }
    ));
    // a row is stored in the scope's organization even if it names another one, and stays there
    let elsewhere = campaign::ActiveModel { org_id: Set(theirs.id), ..row() };
    let inserted = ours.scope.insert::<campaign::Entity>(elsewhere.clone()).await.unwrap();
    assert_eq!(inserted.org_id, ours.id);
    let updated =
        ours.scope.update::<campaign::Entity>(inserted.id, elsewhere).await.unwrap().unwrap();
    assert_eq!((updated.org_id, updated.id), (ours.id, inserted.id));
}

/// The tables of providers' webhooks, which refer to no other table.
const OF_WEBHOOKS: [&str; 9] = [
    "campaign_provider_webhooks",
    "campaign_provider_paths",
    "campaign_provider_keys",
    "campaign_provider_stats",
    "campaign_provider_tokens",
    "campaign_provider_reports",
    "campaign_message_ids",
    "campaign_unmatched_events",
    "campaign_awaited_messages",
];

/// Inserts a row with any values.
fn row_of(app: &TestApp, table: &str, organization: Uuid) -> String {
    let (org, id) = (app.literal(organization), app.literal(Uuid::new_v4()));
    let bytes = if app.database.backend == Backend::Postgres { "'\\x00'" } else { "x'00'" };
    let time = "'2026-01-01T00:00:00+00:00'";
    let (columns, values) = match table {
        "campaign_provider_webhooks" => (
            "id, name, provider, is_enabled, topic_arns, created_at, updated_at",
            format!("{id}, 'x', 'SES', true, '[]', {time}, {time}"),
        ),
        "campaign_provider_paths" => ("id, token", format!("{id}, 'x'")),
        "campaign_provider_keys" => (
            "id, webhook_id, place, sealed, hint, created_at",
            format!("{id}, {id}, 0, {bytes}, 'x', {time}"),
        ),
        "campaign_provider_stats" => ("id, webhook_id, accepted", format!("{id}, {id}, 1")),
        "campaign_provider_tokens" => {
            ("webhook_id, token, events, until", format!("{id}, {bytes}, {bytes}, {time}"))
        }
        "campaign_provider_reports" => {
            ("webhook_id, id, received_at", format!("{id}, {id}, {time}"))
        }
        "campaign_message_ids" => ("send_id, message_id, compared", format!("{id}, 'x', 'x'")),
        "campaign_unmatched_events" => {
            ("webhook_id, id, details, received_at", format!("{id}, {id}, '{{}}', {time}"))
        }
        _ => ("message_id, webhook_id, event_id", format!("'x', {id}, {id}")),
    };
    format!("INSERT INTO {table} (org_id, {columns}) VALUES ({org}, {values})")
}

#[on_both_databases]
async fn deleting_a_row_clears_or_deletes_references_to_it(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let entries = app.count("campaign_lists").await;
    app.run("DELETE FROM campaign_segments").await;
    assert_eq!(app.count("campaign_lists").await, entries);
    assert_eq!(app.count("campaign_lists WHERE segment_id IS NOT NULL OR org_id IS NULL").await, 0);
    app.run("DELETE FROM users").await;
    assert_eq!(app.count("campaigns").await, i64::try_from(made.campaigns.len()).unwrap());
    assert_eq!(app.count("campaigns WHERE creator_id IS NOT NULL OR org_id IS NULL").await, 0);
    app.run(&format!("DELETE FROM contacts WHERE id = {}", app.literal(made.contacts[0]))).await;
    assert_eq!(
        app.count(&format!("campaign_sends WHERE contact_id = {}", app.literal(made.contacts[0])))
            .await,
        0
    );
    for table in OF_WEBHOOKS {
        app.run(&row_of(&app, table, acme.id)).await;
    }
    app.run("DELETE FROM organizations").await;
    let tables =
        ["users", "contacts", "campaigns", "campaign_sends", "campaign_events", "campaign_lists"];
    for table in tables.into_iter().chain(OF_WEBHOOKS) {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
}

#[on_both_databases]
async fn the_database_refuses_invalid_values(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    for (columns, values) in [
        ("status", "'SENT'"),
        ("status", "'gone'"),
        ("status", "NULL"),
        ("channel", "NULL"),
        ("name", "NULL"),
        ("sent_at", "'someday'"),
        ("sent_at", "'2026-02-30T00:00:00+00:00'"),
        ("metadata", "'{'"),
        ("created_at", "NULL"),
        ("updated_at", "NULL"),
    ] {
        let name = if columns == "name" { "" } else { ", name" };
        let named = if columns == "name" { "" } else { ", 'x'" };
        let sql = format!(
            "INSERT INTO campaigns (org_id, {columns}{name}) VALUES ({org}, {values}{named})"
        );
        assert!(app.try_run(&sql).await.is_err(), "{sql}");
    }
    if app.database.backend == Backend::Postgres {
        for time in ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"] {
            let sql = format!(
                "INSERT INTO campaigns (org_id, name, sent_at) VALUES ({org}, 'x', '{time}')"
            );
            assert!(app.try_run(&sql).await.is_err(), "{sql}");
        }
    } else {
        for (column, value) in [
            ("id", "'00000000-0000-0000-0000-000000000000'"),
            ("id", "x'00'"),
            ("sent_at", "'2026-01-31 12:00:00'"),
            ("sent_at", "'2026-01-31T12:00:00Z'"),
            ("sent_at", "'2026-01-31T13:00:00+01:00'"),
            ("sent_at", "5"),
            ("sent_at", "'2026-01-31T12:00:00.+00:00'"),
            ("sent_at", "'2026-01-31T12:00:00.5x+00:00'"),
        ] {
            let sql = format!(
                "INSERT INTO campaigns (org_id, name, {column}) VALUES ({org}, 'x', {value})"
            );
            assert!(app.try_run(&sql).await.is_err(), "{sql}");
        }
    }
    assert_eq!(app.count("campaigns").await, 0);
    // nullable columns are null
    app.run(&format!("INSERT INTO campaigns (org_id, name, metadata) VALUES ({org}, 'x', NULL)"))
        .await;
    let data = acme.member.data("{ campaigns { nodes { metadata } } }", json!({})).await;
    assert_eq!(data["campaigns"]["nodes"][0]["metadata"], json!({}));
    // JSON's null is null as well
    app.run("UPDATE campaigns SET metadata = 'null'").await;
    let query = "{ campaigns(filter: { metadata: { contains: {} } }) { nodes { metadata } } }";
    let data = acme.member.data(query, json!({})).await;
    assert_eq!(data["campaigns"]["nodes"][0]["metadata"], json!({}));
}

#[on_both_databases]
async fn times_take_their_one_form_however_fast_they_are_written(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    // all within a millisecond, the resolution of SQLite's clock
    app.run(&format!(
        "INSERT INTO campaigns (org_id, name, created_at, updated_at) VALUES \
         ({org}, 'x', '2020-01-01T00:00:00+00:00', '2020-01-01T00:00:00.5+00:00');
         UPDATE campaigns SET name = 'y';
         UPDATE campaigns SET sent_at = '2026-01-01T00:00:00.500000+00:00';
         UPDATE campaigns SET scheduled_at = '2026-01-01T00:00:00.000+00:00', sent_at = \
         '2026-01-01T00:00:00.1200+00:00'"
    ))
    .await;
    let query = "{ campaigns(filter: { sentAt: { eq: \"2026-01-01T00:00:00.12Z\" }, scheduledAt: { \
                 eq: \"2026-01-01T00:00:00Z\" } }) { nodes { updatedAt } } }";
    let shown = async || {
        let data = acme.member.data(query, json!({})).await;
        data["campaigns"]["nodes"][0]["updatedAt"].as_str().unwrap().to_owned()
    };
    let before = shown().await;
    assert!(before.as_str() > "2026-06");
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    app.run("UPDATE campaigns SET name = 'z'").await;
    assert!(shown().await > before);
}

async fn tables(database: &TestDatabase) -> Vec<String> {
    let sql = match database.backend {
        Backend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER \
             BY name"
        }
        Backend::Postgres => {
            "SELECT CAST(table_name AS text) AS name FROM information_schema.tables WHERE \
             table_schema = 'public' ORDER BY name"
        }
    };
    let connection = database.connect().await;
    let rows = connection
        .query_all_raw(Statement::from_string(connection.get_database_backend(), sql))
        .await
        .unwrap();
    let names = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    connection.close().await.unwrap();
    names
}

async fn run(database: &TestDatabase, sql: &str) {
    let connection = database.connect().await;
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

async fn up_and_down(backend: Backend) {
    let database = TestDatabase::empty(backend).await;
    let applied = campaigns_migration::up(&database.url).await.unwrap();
    assert_eq!(applied, campaigns_migration::names());
    let made = tables(&database).await;
    assert!(made.contains(&"campaign_events".to_owned()));
    assert!(campaigns_migration::up(&database.url).await.unwrap().is_empty());
    for name in campaigns_migration::names().iter().rev() {
        assert_eq!(campaigns_migration::down(&database.url).await.unwrap().as_ref(), Some(name));
    }
    assert_eq!(campaigns_migration::down(&database.url).await.unwrap(), None);
    assert!(tables(&database).await.is_empty());
    let status = campaigns_migration::status(&database.url).await.unwrap();
    assert!(status.iter().all(|(_, applied)| !applied));
    campaigns_migration::up(&database.url).await.unwrap();
    assert_eq!(tables(&database).await, made);
}

#[tokio::test]
async fn migrations_go_up_and_down_and_up_again_on_sqlite() {
    up_and_down(Backend::Sqlite).await;
}

#[tokio::test]
async fn migrations_go_up_and_down_and_up_again_on_postgres() {
    up_and_down(Backend::Postgres).await;
}

async fn two_at_once(backend: Backend) {
    let database = TestDatabase::empty(backend).await;
    let runs = (0..4).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { campaigns_migration::up(&url).await })
    });
    let mut applied = 0;
    for run in runs.collect::<Vec<_>>() {
        applied += run.await.unwrap().unwrap().len();
    }
    assert_eq!(applied, campaigns_migration::names().len());
}

#[tokio::test]
async fn migrations_at_once_do_not_disturb_each_other_on_sqlite() {
    two_at_once(Backend::Sqlite).await;
}

#[tokio::test]
async fn migrations_at_once_do_not_disturb_each_other_on_postgres() {
    two_at_once(Backend::Postgres).await;
}

async fn foreign_table(backend: Backend) {
    let database = TestDatabase::empty(backend).await;
    run(&database, "CREATE TABLE campaign_sends (id integer)").await;
    let refused = campaigns_migration::up(&database.url).await.unwrap_err();
    assert!(refused.to_string().contains("campaign_sends"), "{refused}");
    assert_eq!(tables(&database).await, ["campaign_sends"]);
}

#[tokio::test]
async fn a_table_of_another_program_stops_the_migration_on_sqlite() {
    foreign_table(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_table_of_another_program_stops_the_migration_on_postgres() {
    foreign_table(Backend::Postgres).await;
}

/// Existing tables of neighbours: another program's tables with additional and different columns.
#[tokio::test]
async fn existing_neighbours_stay_as_they_are() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let common = "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES \
                  organizations ON DELETE CASCADE, created_at timestamptz NOT NULL DEFAULT now(), \
                  updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'";
    run(
        &database,
        &format!(
        "CREATE TABLE organizations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT \
         NULL, slug text NOT NULL UNIQUE, logo_url text, domain text, created_at timestamptz NOT \
         NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb);
         CREATE TYPE contact_type AS ENUM ('lead', 'prospect', 'customer', 'partner', 'other');
         CREATE TABLE users ({common}, auth_id uuid UNIQUE, email text NOT NULL, full_name text, \
         avatar_url text, phone text, timezone text DEFAULT 'UTC', is_active boolean NOT NULL \
         DEFAULT true, last_sign_in_at timestamptz);
         CREATE TABLE contacts ({common}, owner_id uuid, first_name text NOT NULL, last_name text, \
         email text, phone text, type contact_type NOT NULL DEFAULT 'lead', title text, source \
         text, avatar_url text, address_line1 text, address_line2 text, \
           city text, state text, postal_code text, country text, favourite_colour text)"
    ),
    )
    .await;
    campaigns_migration::up(&database.url).await.unwrap();
    let app = TestApp::on_database(database).start().await;
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let of_ours = ours.populated(4).await;
    let of_theirs = theirs.populated(4).await;
    assert_eq!(app.count("contacts WHERE favourite_colour IS NULL").await, 8);
    // a neighbour's table has no key by which the database could check the organization, so the
    // service does
    let refused = ours
        .scope
        .insert::<send::Entity>(send::ActiveModel {
            id: Set(Uuid::new_v4()),
            campaign_id: Set(of_ours.campaigns[0]),
            contact_id: Set(of_theirs.contacts[0]),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        campaigns_scope::Error::ReferenceNotFound { column: "contact_id", .. }
    ));
    app.run("DELETE FROM users").await;
    assert_eq!(app.count("campaigns WHERE creator_id IS NOT NULL").await, 0);

    for _ in campaigns_migration::names() {
        campaigns_migration::down(&app.database.url).await.unwrap();
    }
    assert_eq!(tables(&app.database).await, ["contacts", "organizations", "users"]);
    assert_eq!(app.count("contacts").await, 8);
}

#[tokio::test]
async fn only_its_owner_can_read_the_key_of_cursors_despite_default_privileges() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let sql = database.connect_once().await;
    sql.execute_unprepared("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC").await.unwrap();
    campaigns_migration::up(&database.url).await.unwrap();
    let app = TestApp::on_database(database).start().await;
    let readers = "information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_name";
    assert!(app.count(&format!("{readers} = 'campaign_counts'")).await > 0);
    assert_eq!(app.count(&format!("{readers} = 'campaign_cursor_key'")).await, 0);
    // each database has its own key
    let other = TestApp::on(Backend::Postgres).start().await;
    let key = async |app: &TestApp| -> Vec<u8> {
        app.rows("SELECT key FROM campaign_cursor_key").await[0].try_get("", "key").unwrap()
    };
    assert_ne!(key(&app).await, [0; 32]);
    assert_eq!(key(&app).await.len(), 32);
    assert_ne!(key(&app).await, key(&other).await);
    assert_eq!(key(&TestApp::on(Backend::Sqlite).start().await).await.len(), 32);
}

#[tokio::test]
async fn a_role_that_could_serve_before_an_upgrade_can_serve_after_it() {
    let database = TestDatabase::new(Backend::Postgres).await;
    while campaigns_migration::down(&database.url).await.unwrap().unwrap() != "m0012_horizons" {}
    let sql = database.connect_once().await;
    let [service, viewer] =
        ["service", "viewer"].map(|of| format!("{of}_{}", Uuid::new_v4().simple()));
    sql.execute_unprepared(&format!(
        "CREATE ROLE {service}; CREATE ROLE {viewer}; \
         REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC; \
         GRANT EXECUTE ON FUNCTION campaign_feed_settled(bigint), campaign_feed_draw(integer), \
           campaign_feed_holder() TO {service}; \
         GRANT EXECUTE ON FUNCTION campaign_feed_settled(bigint), campaign_feed_draw(integer) TO \
         {viewer}"
    ))
    .await
    .unwrap();
    campaigns_migration::up(&database.url).await.unwrap();
    let may = async |role: &str, what: &str| -> bool {
        let select =
            format!("SELECT {what} AS may", what = what.replace("ROLE", &format!("'{role}'")));
        let select = Statement::from_string(sql.get_database_backend(), select);
        sql.query_one_raw(select).await.unwrap().unwrap().try_get("", "may").unwrap()
    };
    for (what, is_viewers) in [
        ("has_function_privilege(ROLE, 'campaign_feed_settled_for(uuid)', 'EXECUTE')", true),
        ("has_function_privilege(ROLE, 'campaign_feed_draw_for(uuid, integer)', 'EXECUTE')", true),
        ("has_table_privilege(ROLE, 'campaign_cursor_key', 'SELECT')", false),
    ] {
        assert!(may(&service, what).await, "{what}");
        assert_eq!(may(&viewer, what).await, is_viewers, "{what}");
    }
    sql.execute_unprepared(&format!(
        "DROP OWNED BY {service}, {viewer}; DROP ROLE {service}, {viewer}"
    ))
    .await
    .unwrap();
}
