//! Changes by other programs because of which events cannot be filed or values are missing: each
//! command ends and names them.

use std::time::Duration;

use campaigns_tests::{Backend, Finished, TestApp, TestDatabase};
use uuid::Uuid;

use super::{campaigns, check, run};

const PATIENCE: Duration = Duration::from_mins(2);

async fn ended(database: &TestDatabase, arguments: &[&str]) -> Finished {
    let done = tokio::time::timeout(PATIENCE, campaigns(database, arguments)).await;
    done.unwrap_or_else(|_| panic!("{arguments:?} does not end"))
}

/// An organization with a campaign with this ID, and an event of it. Returns the event's ID.
async fn event_of(app: &TestApp, campaign: Uuid) -> Uuid {
    let acme = app.organization("acme").await;
    let (event, send) = (Uuid::new_v4(), Uuid::new_v4());
    let [org, send, campaign] = [acme.id, send, campaign];
    app.run(&format!(
        "INSERT INTO campaigns (id, org_id, name) VALUES ('{campaign}', '{org}', 'x');
         INSERT INTO contacts (org_id, first_name) VALUES ('{org}', 'x');
         INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id) SELECT '{send}', org_id, \
         '{campaign}', id FROM contacts WHERE org_id = '{org}';
         INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES ('{event}', '{org}', \
         '{send}', 'open')"
    ))
    .await;
    event
}

#[tokio::test]
async fn events_of_a_campaign_with_the_nil_id_are_named_and_each_command_ends() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let event = event_of(&app, Uuid::nil()).await;
    for arguments in [&["repair"][..], &["stats", "rebuild"]] {
        let done = ended(&app.database, arguments).await;
        assert_eq!(done.code, 1, "{arguments:?} {} {}", done.out, done.err);
        assert!(done.err.contains(&event.to_string()), "{}", done.err);
    }
    // it does not prevent other events from being filed
    let doctor = ended(&app.database, &["doctor"]).await;
    assert!(doctor.out.contains(&event.to_string()), "{}", doctor.out);
}

#[tokio::test]
async fn a_table_that_inherits_is_named_and_each_command_ends() {
    let app = TestApp::on(Backend::Postgres).start().await;
    event_of(&app, Uuid::new_v4()).await;
    app.run(
        "CREATE TABLE events_of_2026 (LIKE campaign_events INCLUDING ALL);
         ALTER TABLE events_of_2026 INHERIT campaign_events;
         INSERT INTO events_of_2026 (org_id, send_id, event_type, feed_position) SELECT org_id, send_id, \
         event_type, NULL FROM ONLY campaign_events",
    )
    .await;
    for arguments in [&["repair"][..], &["stats", "rebuild"]] {
        let done = ended(&app.database, arguments).await;
        assert_eq!(done.code, 1, "{arguments:?} {} {}", done.out, done.err);
        assert!(done.err.contains("in events_of_2026"), "{}", done.err);
    }
    let named = "events_of_2026 inherits from campaign_events";
    let checked = check(&app.database).await;
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains(named), "{}", checked.out);
    let doctor = ended(&app.database, &["doctor"]).await;
    assert!(doctor.out.contains(named), "{}", doctor.out);
    app.run("ALTER TABLE events_of_2026 NO INHERIT campaign_events").await;
    let repaired = ended(&app.database, &["repair"]).await;
    assert_eq!(repaired.code, 0, "{}", repaired.err);
    assert_eq!(check(&app.database).await.code, 0);
}

#[tokio::test]
async fn tables_that_inherit_and_links_with_a_nondeterministic_collation_are_not_adopted() {
    let statuses = campaigns_tests::Statuses::Documented;
    let database = TestDatabase::of_other_program(statuses).await;
    let sql = database.connect().await;
    run(
        &sql,
        "CREATE TABLE sends_of_2026 () INHERITS (campaign_sends);
         DROP VIEW clicks, every_event; CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE campaign_events ALTER COLUMN url TYPE text COLLATE ci",
    )
    .await;
    let refused = ended(&database, &["migrate", "--yes"]).await;
    assert_eq!(refused.code, 1, "{}", refused.out);
    for named in [
        "sends_of_2026 inherits from campaign_sends",
        "campaign_events.url has a collation that is not deterministic",
    ] {
        assert!(refused.err.contains(named), "{}", refused.err);
    }
    run(
        &sql,
        "ALTER TABLE sends_of_2026 NO INHERIT campaign_sends;
         ALTER TABLE campaign_events ALTER COLUMN url TYPE text COLLATE \"default\"",
    )
    .await;
    let adopted = ended(&database, &["migrate", "--yes"]).await;
    assert_eq!(adopted.code, 0, "{}", adopted.err);
}

#[tokio::test]
async fn a_value_that_an_enum_lacks_is_named() {
    for (kind, value) in [
        ("send_status", "bounced"),
        ("campaign_event_type", "click"),
        ("campaign_status", "paused"),
        ("contact_type", "lead"),
    ] {
        let app = TestApp::on(Backend::Postgres).start().await;
        let acme = app.organization("acme").await;
        acme.populated(6).await;
        app.run(&format!("ALTER TYPE {kind} RENAME VALUE '{value}' TO 'other_{value}'")).await;
        let named = format!("has no value {value}");
        let doctor = ended(&app.database, &["doctor"]).await;
        assert_eq!(doctor.code, 1);
        assert!(doctor.out.contains(&named), "{} {}", doctor.out, doctor.err);
        assert!(doctor.err.contains("problems"), "{}", doctor.err);
        let checked = check(&app.database).await;
        assert_eq!(checked.code, 1);
        assert!(checked.out.contains(&named), "{}", checked.out);
        let secret = ["serve", "--listen", "127.0.0.1:0", "--jwt-secret", super::SECRET];
        let served = ended(&app.database, &secret).await;
        assert_eq!(served.code, 1);
        assert!(served.err.contains(&named), "{}", served.err);
    }
}
