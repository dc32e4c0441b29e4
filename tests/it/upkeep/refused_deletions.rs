//! Triggers and rules of other programs can prevent a change. The row and everything that depends on it then
//! stay as they were, and the row is not reported as missing.

use campaigns_tests::{Backend, Organization, TestApp, TestDatabase, on_both_databases};
use serde_json::json;
use uuid::Uuid;

use super::check;

/// An object that keeps the rows of a table: its name, and the statements that create and drop it.
struct Keeper {
    name: String,
    create: String,
    drop: String,
}

/// A trigger that skips a row before a change.
fn trigger(app: &TestApp, table: &str, change: &str, condition: &str) -> Keeper {
    let name = format!("keep_{table}");
    let (create, drop) = match app.database.backend {
        Backend::Postgres => (
            format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} \
                 THEN RETURN NULL; END IF; RETURN coalesce(NEW, OLD); END $$; CREATE TRIGGER {name} BEFORE \
                 {change} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
            ),
            format!("DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}"),
        ),
        Backend::Sqlite => (
            format!(
                "CREATE TRIGGER {name} BEFORE {change} ON {table} WHEN {condition} BEGIN SELECT \
                 RAISE(IGNORE); END"
            ),
            format!("DROP TRIGGER {name}"),
        ),
    };
    Keeper { name: format!("trigger {name}"), create, drop }
}

/// A trigger that fails after a deletion, at the end of its transaction if the database supports
/// that.
fn late(app: &TestApp, table: &str) -> Keeper {
    let (create, drop) = match app.database.backend {
        Backend::Postgres => (
            format!(
                "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'hunter2'; \
                 END $$; CREATE CONSTRAINT TRIGGER late AFTER DELETE ON {table} DEFERRABLE INITIALLY \
                 DEFERRED FOR EACH ROW EXECUTE FUNCTION late()"
            ),
            format!("DROP TRIGGER late ON {table}; DROP FUNCTION late"),
        ),
        Backend::Sqlite => (
            format!(
                "CREATE TRIGGER late AFTER DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'hunter2'); END"
            ),
            "DROP TRIGGER late".to_owned(),
        ),
    };
    let name = if app.database.backend == Backend::Postgres { "late" } else { "trigger" };
    Keeper { name: name.to_owned(), create, drop }
}

fn rule(table: &str, change: &str) -> Keeper {
    Keeper {
        name: "rule keep".to_owned(),
        create: format!("CREATE RULE keep AS ON {change} TO {table} DO INSTEAD NOTHING"),
        drop: format!("DROP RULE keep ON {table}"),
    }
}

/// Asserts that a refused deletion names the trigger or rule and changes nothing, and succeeds once
/// that is dropped.
async fn assert_refused(app: &TestApp, acme: &Organization, what: &str, id: Uuid, keeper: &Keeper) {
    app.run(&keeper.create).await;
    let before = app.deletable_rows().await;
    let query = format!("mutation ($id: ID!) {{ delete{what}(id: $id) {{ id }} }}");
    for _ in 0..2 {
        let answer = acme.admin.ask(&query, json!({ "id": id })).await;
        assert_eq!(answer.code(), "CONFLICT", "{} {:#}", keeper.create, answer.body);
        let message = answer.error()["message"].as_str().unwrap();
        assert!(message.contains(&keeper.name), "{message} {}", keeper.name);
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(app.deletable_rows().await, before, "{}", keeper.create);
    }
    app.run(&keeper.drop).await;
}

/// An organization with a campaign that has sends, events and a list, and with a segment of the list.
async fn populated(app: &TestApp) -> (Organization, Uuid, Uuid) {
    let acme = app.organization("acme").await;
    let made = acme.populated(12).await;
    let rows = app.rows("SELECT send_campaign_id AS id FROM campaign_events LIMIT 1").await;
    let campaign: Uuid = rows[0].try_get("", "id").unwrap();
    let segment = made.segments[0];
    let [org, id, segment_id] = [acme.id, campaign, segment].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id, segment_id) SELECT org_id, {id}, id, \
         {segment_id} FROM contacts WHERE org_id = {org} ON CONFLICT (campaign_id, contact_id) DO \
         UPDATE SET segment_id = EXCLUDED.segment_id"
    ))
    .await;
    (acme, campaign, segment)
}

#[on_both_databases]
async fn rows_that_a_trigger_keeps_are_deleted_completely_or_not_at_all(app: TestApp) {
    let (acme, campaign, segment) = populated(&app).await;
    for table in ["campaigns", "campaign_sends", "campaign_events", "campaign_lists"] {
        let keeper = trigger(&app, table, "DELETE", "true");
        assert_refused(&app, &acme, "Campaign", campaign, &keeper).await;
        assert_refused(&app, &acme, "Campaign", campaign, &late(&app, table)).await;
    }
    // one of the rows is enough
    let one = match app.database.backend {
        Backend::Postgres => {
            "CAST(OLD.contact_id AS text) = (SELECT min(CAST(id AS text)) FROM contacts)"
        }
        Backend::Sqlite => "OLD.contact_id = (SELECT min(id) FROM contacts)",
    };
    let keeper = trigger(&app, "campaign_lists", "DELETE", one);
    assert_refused(&app, &acme, "Campaign", campaign, &keeper).await;
    let keeper = trigger(&app, "campaign_segments", "DELETE", "true");
    assert_refused(&app, &acme, "Segment", segment, &keeper).await;
    let keeper = trigger(&app, "campaign_lists", "UPDATE", "OLD.segment_id IS NOT NULL");
    assert_refused(&app, &acme, "Segment", segment, &keeper).await;
    for (what, id) in [("Segment", segment), ("Campaign", campaign)] {
        let query = format!("mutation ($id: ID!) {{ delete{what}(id: $id) {{ id }} }}");
        acme.admin.data(&query, json!({ "id": id })).await;
        let again = acme.admin.ask(&query, json!({ "id": id })).await;
        assert_eq!(again.code(), "NOT_FOUND");
    }
}

#[tokio::test]
async fn rows_that_a_rule_keeps_are_deleted_completely_or_not_at_all() {
    for database in [TestDatabase::new(Backend::Postgres).await, TestDatabase::adopted().await] {
        let app = TestApp::on_database(database).start().await;
        let (acme, campaign, segment) = populated(&app).await;
        for table in ["campaigns", "campaign_sends", "campaign_events", "campaign_lists"] {
            assert_refused(&app, &acme, "Campaign", campaign, &rule(table, "DELETE")).await;
            let keeper = trigger(&app, table, "DELETE", "true");
            assert_refused(&app, &acme, "Campaign", campaign, &keeper).await;
        }
        assert_refused(&app, &acme, "Segment", segment, &rule("campaign_segments", "DELETE")).await;
        assert_refused(&app, &acme, "Segment", segment, &rule("campaign_lists", "UPDATE")).await;
        let checked = check(&app.database).await;
        assert_eq!(checked.code, 0, "{}", checked.out);
    }
}

#[on_both_databases]
async fn triggers_that_allow_a_deletion_do_not_prevent_it(app: TestApp) {
    let (acme, campaign, _) = populated(&app).await;
    app.run("CREATE TABLE gone (what text)").await;
    let tables = ["campaigns", "campaign_sends", "campaign_events", "campaign_lists"];
    for table in tables {
        let create = match app.database.backend {
            Backend::Postgres => format!(
                "CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO \
                 gone VALUES ('{table}'); RETURN OLD; END $$; CREATE TRIGGER note BEFORE DELETE ON {table} \
                 FOR EACH ROW EXECUTE FUNCTION note_{table}()"
            ),
            Backend::Sqlite => format!(
                "CREATE TRIGGER note_{table} BEFORE DELETE ON {table} BEGIN INSERT INTO gone VALUES \
                 ('{table}'); END"
            ),
        };
        app.run(&create).await;
    }
    let id = app.literal(campaign);
    let events = app.count(&format!("campaign_events WHERE send_campaign_id = {id}")).await;
    let query = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    acme.admin.data(query, json!({ "id": campaign })).await;
    // the rehearsal left nothing behind
    assert_eq!(app.count("gone WHERE what = 'campaigns'").await, 1);
    assert_eq!(app.count("gone WHERE what = 'campaign_events'").await, events);
}

#[on_both_databases]
async fn a_row_that_a_trigger_keeps_is_not_reported_as_missing(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let name = "mutation ($id: ID!, $name: String!) { updateCampaign(input: { id: $id, name: $name }) { \
                campaign { name } } }";
    let campaign: Uuid =
        app.rows("SELECT id FROM campaigns LIMIT 1").await[0].try_get("", "id").unwrap();
    let keeper = trigger(&app, "campaigns", "UPDATE", "true");
    app.run(&keeper.create).await;
    let answer = acme.member.ask(name, json!({ "id": campaign, "name": "new" })).await;
    assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
    assert!(answer.error()["message"].as_str().unwrap().contains(&keeper.name));
    app.run(&keeper.drop).await;
    let keeper = trigger(&app, "campaign_sends", "DELETE", "true");
    app.run(&keeper.create).await;
    let query = "mutation ($id: ID!) { deleteSend(id: $id) { id } }";
    let answer = acme.admin.ask(query, json!({ "id": made.sends[0] })).await;
    assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
    assert!(answer.error()["message"].as_str().unwrap().contains(&keeper.name));
}
