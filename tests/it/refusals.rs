//! Writes that are refused by constraints and triggers of other programs, and a database that
//! accepts no connections.

use std::time::Duration;

use campaigns_tests::{Backend, Organization, TestApp, TestDatabase, on_both_databases, until};
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const CREATE: &str =
    "mutation ($name: String!) { createCampaign(input: { name: $name }) { campaign { id } } }";

async fn delete(acme: &Organization, what: &str, id: Uuid) -> Result<Json, String> {
    let query = format!("mutation ($id: ID!) {{ delete{what}(id: $id) {{ id }} }}");
    let answer = acme.admin.ask(&query, json!({ "id": id })).await;
    if answer.body["errors"].is_null() {
        return Ok(answer.body["data"].clone());
    }
    assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
    Err(answer.error()["message"].as_str().unwrap().to_owned())
}

#[on_both_databases]
async fn rows_that_another_program_refers_to_are_deleted_completely_or_not_at_all(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let campaign = app.campaign_of(made.sends[0]).await;
    let id = app.literal(campaign);
    let contact = app.literal(made.contacts[0]);
    let segment = made.segments[0];
    app.run(&format!(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id, segment_id) VALUES \
         ({}, {id}, {contact}, {}) ON CONFLICT (campaign_id, contact_id) DO UPDATE SET segment_id \
         = EXCLUDED.segment_id",
        app.literal(acme.id),
        app.literal(segment)
    ))
    .await;
    let of_id = if app.database.backend == Backend::Postgres { "uuid" } else { "BLOB" };
    let one = async |table: &str| {
        let column = if table == "campaign_events" { "send_campaign_id" } else { "campaign_id" };
        let rows = app.rows(&format!("SELECT id FROM {table} WHERE {column} = {id}")).await;
        rows[0].try_get::<Uuid>("", "id").unwrap()
    };
    let of_events = app.count(&format!("campaign_events WHERE send_campaign_id = {id}")).await > 0;
    for (referred, row) in [
        ("campaigns", campaign),
        ("campaign_sends", one("campaign_sends").await),
        ("campaign_lists", one("campaign_lists").await),
        ("campaign_segments", segment),
    ] {
        let notes = format!("notes_of_{referred}");
        app.run(&format!("CREATE TABLE {notes} (row_id {of_id} REFERENCES {referred} (id))")).await;
        app.run(&format!("INSERT INTO {notes} VALUES ({})", app.literal(row))).await;
        let before = app.deletable_rows().await;
        let what = if referred == "campaign_segments" {
            ("Segment", segment)
        } else {
            ("Campaign", campaign)
        };
        let refused = delete(&acme, what.0, what.1).await.unwrap_err();
        assert!(refused.contains(&notes), "{refused}");
        assert_eq!(app.deletable_rows().await, before, "{referred}");
        app.run(&format!("DELETE FROM {notes}")).await;
    }
    // rows that cascade do not refuse it
    app.run(&format!(
        "CREATE TABLE drafts (row_id {of_id} REFERENCES campaigns (id) ON DELETE CASCADE)"
    ))
    .await;
    app.run(&format!("INSERT INTO drafts VALUES ({id})")).await;
    // a single send
    let send = one("campaign_sends").await;
    app.run(&format!("INSERT INTO notes_of_campaign_sends VALUES ({})", app.literal(send))).await;
    let refused = delete(&acme, "Send", send).await.unwrap_err();
    assert!(
        refused.contains("notes_of_campaign_sends") || refused.contains("FOREIGN KEY"),
        "{refused}"
    );
    app.run("DELETE FROM notes_of_campaign_sends").await;
    assert!(of_events);
    delete(&acme, "Campaign", campaign).await.unwrap();
    delete(&acme, "Segment", segment).await.unwrap();
    assert_eq!(app.count("drafts").await, 0);
    assert_eq!(app.count(&format!("campaign_events WHERE send_campaign_id = {id}")).await, 0);
}

#[on_both_databases]
async fn a_constraint_of_another_program_is_a_conflict_by_its_name(app: TestApp) {
    let acme = app.organization("acme").await;
    let is_postgres = app.database.backend == Backend::Postgres;
    app.run("CREATE UNIQUE INDEX one_of_a_name ON campaigns (org_id, name)").await;
    let trigger = if is_postgres {
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.name = 'bad' THEN RAISE EXCEPTION 'hunter2'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION refuse(); \
         ALTER TABLE campaigns ADD CONSTRAINT no_shouting CHECK (name <> upper(name))"
    } else {
        "CREATE TRIGGER refuse BEFORE INSERT ON campaigns WHEN NEW.name = 'bad' BEGIN \
         SELECT RAISE(ABORT, 'hunter2'); END"
    };
    app.run(trigger).await;
    acme.member.data(CREATE, json!({ "name": "a" })).await;
    let refused = async |name: &str| {
        let answer = acme.member.ask(CREATE, json!({ "name": name })).await;
        assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
        answer.error()["message"].as_str().unwrap().to_owned()
    };
    let unique = refused("a").await;
    assert!(
        unique.contains(if is_postgres { "one_of_a_name" } else { "campaigns.name" }),
        "{unique}"
    );
    let trigger = if is_postgres {
        "The trigger function refuse of the database does not allow this."
    } else {
        "A trigger of the database does not allow this."
    };
    assert_eq!(refused("bad").await, trigger);
    if is_postgres {
        assert!(refused("LOUD").await.contains("no_shouting"));
    }
    assert_eq!(app.count("campaigns").await, 1);
}

#[tokio::test]
async fn a_database_that_refuses_connections_is_unavailable_and_comes_back() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let name: String = app.rows("SELECT CAST(current_database() AS text) AS name").await[0]
        .try_get("", "name")
        .unwrap();
    let other = TestDatabase::at(
        Backend::Postgres,
        &app.database.url.replace(&format!("/{name}"), "/postgres"),
    );
    let sql = other.connect_once().await;
    let run = async |text: &str| sql.execute_unprepared(text).await.unwrap();
    run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    run(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    ))
    .await;
    let query = "{ campaigns { totalCount } }";
    for _ in 0..5 {
        let answer = acme.member.ask(query, json!({})).await;
        assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
        let message = answer.error()["message"].as_str().unwrap();
        assert_eq!(message, "The database cannot be reached. Try again later.");
    }
    run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    until("it is back", Duration::from_mins(1), async || {
        acme.member.ask(query, json!({})).await.body["errors"].is_null()
    })
    .await;
}
