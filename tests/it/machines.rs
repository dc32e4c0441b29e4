//! Opens and clicks of machines are counted apart from those of humans.

use std::sync::Arc;

use campaigns_tests::{
    Backend, Binary, Organization, TestApp, TestDatabase, assert_exact, on_both_databases,
    on_every_database,
};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use uuid::Uuid;

/// A campaign with this number of delivered sends, and one that is queued. Returns the sends.
async fn sends(app: &TestApp, organization: &Organization, delivered: usize) -> Vec<Uuid> {
    let (org, campaign) = (app.literal(organization.id), app.literal(Uuid::new_v4()));
    app.run(&format!("INSERT INTO campaigns (id, org_id, name) VALUES ({campaign}, {org}, 'x')"))
        .await;
    let mut sends = Vec::new();
    for number in 0..=delivered {
        let (send, contact) = (Uuid::new_v4(), app.literal(Uuid::new_v4()));
        let status = if number < delivered { "delivered" } else { "queued" };
        app.run(&format!(
            "INSERT INTO contacts (id, org_id, first_name) VALUES ({contact}, {org}, 'x')"
        ))
        .await;
        app.run(&format!(
            "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status) VALUES ({}, \
             {org}, {campaign}, {contact}, '{status}')",
            app.literal(send)
        ))
        .await;
        sends.push(send);
    }
    sends
}

/// An event that another program writes.
async fn insert(app: &TestApp, organization: &Organization, send: Uuid, kind: &str, mark: &str) {
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, metadata) VALUES ({}, {}, \
         '{kind}', '{mark}')",
        app.literal(organization.id),
        app.literal(send)
    ))
    .await;
}

async fn stats(organization: &Organization) -> Json {
    let query = "{ stats { opens clicks uniqueOpens uniqueClicks machineOpens machineClicks \
                 uniqueHumanOpens uniqueHumanClicks openRate humanOpenRate humanClickRate \
                 precise: humanOpenRate(decimals: 3) } }";
    organization.member.data(query, json!({})).await["stats"].take()
}

#[on_every_database]
async fn machines_are_counted_apart_and_other_figures_stay(app: TestApp) {
    let acme = app.organization("acme").await;
    let sends = sends(&app, &acme, 3).await;
    // by a machine alone, by both, by a human, and of one that is not delivered yet
    let event = |send: usize, kind: &str, metadata: Json| {
        json!({ "sendId": sends[send], "type": kind, "metadata": metadata,
            "url": (kind == "CLICK").then_some("https://example.com/") })
    };
    let (machine, human) = (json!({ "machine": true }), json!({ "machine": "true" }));
    let input = json!([
        event(0, "OPEN", machine.clone()),
        event(0, "OPEN", machine.clone()),
        event(0, "CLICK", machine.clone()),
        event(1, "OPEN", machine.clone()),
        event(1, "OPEN", json!({})),
        event(1, "CLICK", json!({ "machine": 1 })),
        event(2, "OPEN", human),
        event(3, "OPEN", machine.clone()),
        event(3, "UNSUBSCRIBE", machine),
    ]);
    let record = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded \
                  } }";
    acme.member.data(record, json!({ "input": input })).await;
    let expected = json!({
        "opens": 6, "clicks": 2, "uniqueOpens": 4, "uniqueClicks": 2,
        "machineOpens": 4, "machineClicks": 1, "uniqueHumanOpens": 2, "uniqueHumanClicks": 1,
        "openRate": 133.3, "humanOpenRate": 66.7, "humanClickRate": 33.3, "precise": 66.667,
    });
    assert_eq!(stats(&acme).await, expected);
    assert_exact(&app.sql).await;
    assert_eq!(stats(&acme).await, expected);

    // an event is selected by what it shows
    let events = "query ($machine: Boolean!) { events(filter: { machine: $machine }) { totalCount \
                  nodes { machine metadata } } campaigns { nodes { events(filter: { machine: \
                  $machine }) { totalCount } } } }";
    for (machine, number) in [(true, 6), (false, 3)] {
        let data = acme.member.data(events, json!({ "machine": machine })).await;
        assert_eq!(data["events"]["totalCount"], number);
        assert_eq!(data["campaigns"]["nodes"][0]["events"]["totalCount"], number);
        for node in data["events"]["nodes"].as_array().unwrap() {
            assert_eq!(node["machine"], machine, "{node}");
            assert_eq!(node["metadata"]["machine"] == json!(true), machine, "{node}");
        }
    }
    let timeline = "{ campaigns { nodes { timeline(interval: DAY) { opens machineOpens \
                    machineClicks } } } }";
    let data = acme.member.data(timeline, json!({})).await;
    let buckets = data["campaigns"]["nodes"][0]["timeline"].as_array().unwrap();
    let sum = |name: &str| buckets.iter().filter_map(|of| of[name].as_i64()).sum::<i64>();
    assert_eq!([sum("opens"), sum("machineOpens"), sum("machineClicks")], [6, 4, 1]);
}

#[on_every_database]
async fn an_update_of_metadata_moves_the_counts(app: TestApp) {
    let acme = app.organization("acme").await;
    let sends = sends(&app, &acme, 1).await;
    insert(&app, &acme, sends[0], "open", "{}").await;
    let marks = [
        (r#"{"machine": true}"#, true),
        (r#"{"machine": true, "a": [1]}"#, true),
        (r#"{"machine": "true"}"#, false),
        (r#"{"machine": false, "machine": true}"#, true),
        (r#"{"machine": true, "machine": null}"#, false),
        (r#"{"\u006dachine": true}"#, true),
        (r#"{"Machine": true}"#, false),
        (r#"{"of": {"machine": true}}"#, false),
        (r#"[{"machine": true}]"#, false),
        (r#"[true, "machine"]"#, false),
        (r#"{"machine": [true]}"#, false),
        (r#""machine""#, false),
        ("null", false),
    ];
    for (mark, is_machine) in marks {
        app.run(&format!("UPDATE campaign_events SET metadata = '{mark}'")).await;
        let stats = stats(&acme).await;
        let (machines, humans) = (i64::from(is_machine), i64::from(!is_machine));
        assert_eq!(stats["machineOpens"], machines, "{mark}: {stats}");
        assert_eq!(stats["uniqueHumanOpens"], humans, "{mark}: {stats}");
        assert_eq!([&stats["opens"], &stats["uniqueOpens"]], [1, 1], "{mark}: {stats}");
        let query = "{ events { nodes { machine } } of: events(filter: { machine: true }) { \
                     totalCount } }";
        let data = acme.member.data(query, json!({})).await;
        assert_eq!(data["events"]["nodes"][0]["machine"], is_machine, "{mark}");
        assert_eq!(data["of"]["totalCount"], machines, "{mark}");
        assert_exact(&app.sql).await;
    }
    app.run("UPDATE campaign_events SET metadata = NULL").await;
    assert_eq!(stats(&acme).await["uniqueHumanOpens"], 1);
    app.run("DELETE FROM campaign_events").await;
    assert_exact(&app.sql).await;
    assert_eq!(stats(&acme).await["uniqueHumanOpens"], 0);
}

#[tokio::test]
async fn metadata_that_is_not_json_is_no_machines() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let sends = sends(&app, &acme, 1).await;
    for mark in [r#"{"machine": true"#, "machine", ""] {
        app.run(&format!(
            "PRAGMA ignore_check_constraints = ON; INSERT INTO campaign_events (org_id, send_id, \
             event_type, metadata) VALUES ({}, {}, 'open', '{mark}'); \
             PRAGMA ignore_check_constraints = OFF",
            app.literal(acme.id),
            app.literal(sends[0])
        ))
        .await;
    }
    assert_exact(&app.sql).await;
    let query = "{ stats { opens machineOpens uniqueHumanOpens } events(filter: { machine: false \
                 }) { nodes { machine } } }";
    let data = acme.member.data(query, json!({})).await;
    assert_eq!(data["stats"], json!({ "opens": 3, "machineOpens": 0, "uniqueHumanOpens": 1 }));
    assert_eq!(
        data["events"]["nodes"],
        json!([{ "machine": false }, { "machine": false }, {
        "machine": false }])
    );
    app.run("UPDATE campaign_events SET metadata = '{\"machine\": true}'").await;
    assert_exact(&app.sql).await;
    assert_eq!(stats(&acme).await["machineOpens"], 3);
}

#[on_both_databases]
async fn a_wrong_count_of_machines_is_named_and_mended(app: TestApp) {
    let acme = app.organization("acme").await;
    let sends = sends(&app, &acme, 2).await;
    insert(&app, &acme, sends[0], "open", r#"{"machine": true}"#).await;
    assert_exact(&app.sql).await;
    app.run("UPDATE campaign_counts SET machine_opens = 5, unique_human_opens = 2").await;
    let directory = tempfile::tempdir().unwrap();
    let stats = async |action: &str| {
        Binary::run(directory.path(), &["stats", action, "--database-url", &app.database.url]).await
    };
    let checked = stats("check").await;
    assert_eq!(checked.code, 1);
    for named in ["machine_opens is 5 and should be 1", "unique_human_opens is 2 and should be 0"] {
        assert!(checked.out.contains(named), "{}", checked.out);
    }
    assert_eq!(stats("rebuild").await.code, 0);
    assert_exact(&app.sql).await;
    assert_eq!(stats("check").await.code, 0);
}

#[tokio::test]
async fn machines_that_were_written_while_triggers_were_off_are_found() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let sends = sends(&app, &acme, 2).await;
    insert(&app, &acme, sends[0], "open", "{}").await;
    assert_exact(&app.sql).await;
    app.run(
        "ALTER TABLE campaign_events DISABLE TRIGGER ALL; UPDATE campaign_events SET metadata = \
         '{\"machine\": true}'; ALTER TABLE campaign_events ENABLE TRIGGER ALL",
    )
    .await;
    let directory = tempfile::tempdir().unwrap();
    let repaired =
        Binary::run(directory.path(), &["repair", "--database-url", &app.database.url]).await;
    assert_eq!(repaired.code, 0, "{} {}", repaired.out, repaired.err);
    assert_exact(&app.sql).await;
    assert_eq!(stats(&acme).await["machineOpens"], 1);
}

/// Undoes the migrations down to the one that counts machines apart.
async fn undo(database: &TestDatabase) {
    while campaigns_migration::down(&database.url).await.unwrap().as_deref()
        != Some("m0015_machines")
    {}
}

#[on_both_databases]
async fn events_of_before_are_counted_by_the_migration(app: TestApp) {
    upgrade(app).await;
}

#[tokio::test]
async fn events_of_before_are_counted_by_the_migration_on_adopted_tables() {
    upgrade(TestApp::adopted().start().await).await;
}

async fn upgrade(app: TestApp) {
    let mut organizations = Vec::new();
    for slug in ["one", "two", "three", "four"] {
        let organization = app.organization(slug).await;
        organization.populated(12).await;
        organizations.push(organization);
    }
    assert_exact(&app.sql).await;
    undo(&app.database).await;
    assert_exact(&app.sql).await;
    // written by the previous version, and in PostgreSQL not all of it is added to the counts
    app.run(
        "UPDATE campaign_events SET metadata = '{\"machine\": true}', event_type = 'open' WHERE \
         event_type = 'click' AND url IS NULL",
    )
    .await;
    // a run that is interrupted when it has counted one organization
    let counted = Arc::new(Notify::new());
    let (url, notify) = (app.database.url.clone(), Arc::clone(&counted));
    let interrupted = tokio::spawn(async move {
        campaigns_migration::up_telling(&url, move |_| notify.notify_one()).await
    });
    if app.database.backend == Backend::Postgres {
        counted.notified().await;
        interrupted.abort();
    }
    let _ = interrupted.await;
    campaigns_migration::up(&app.database.url).await.unwrap();
    assert_exact(&app.sql).await;
    for organization in &organizations {
        let stats = stats(organization).await;
        assert!(stats["machineOpens"].as_i64().unwrap() > 0, "{stats}");
    }
    // and what is written now
    app.run(
        "UPDATE campaign_events SET metadata = '{}' WHERE event_type = 'open' AND url IS NULL; \
         DELETE FROM campaign_events WHERE event_type = 'click'",
    )
    .await;
    assert_exact(&app.sql).await;
}

#[tokio::test]
async fn views_keep_their_privileges_when_the_migration_is_undone() {
    let app = TestApp::adopted().start().await;
    let readers = "information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_name \
                   LIKE '%\\_recounted'";
    assert_eq!(app.count(readers).await, 0);
    app.run("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC").await;
    undo(&app.database).await;
    assert_eq!(app.count(readers).await, 0);
    campaigns_migration::up(&app.database.url).await.unwrap();
    assert_eq!(app.count(readers).await, 0);
}
