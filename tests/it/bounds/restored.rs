//! Cursors that are ahead of the feed, as clients have them after a restore from a backup or a
//! failover that lost transactions.

use std::time::Duration;

use campaigns_tests::{Backend, Organization, Received, Socket, TestApp, on_both_databases};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { cursor node { id } } }";
const EVENTS: &str =
    "query ($after: String) { events(first: 100, after: $after) { nodes { id } } }";

async fn insert(app: &TestApp, organization: Uuid, send: Uuid, count: usize) {
    let (org, send) = (app.literal(organization), app.literal(send));
    app.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, {send}, 'open' \
         FROM n"
    ))
    .await;
}

async fn cursor(organization: &Organization) -> Json {
    organization.member.feed_cursor().await
}

/// The code, the field and the message with which a subscription is refused.
async fn refusal(organization: &Organization, after: &Json) -> Option<(String, String)> {
    let mut socket = Socket::of(&organization.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": after })).await;
    match socket.receive_within(Duration::from_millis(700)).await {
        Some(Received::Message(message)) if message["type"] == "error" => {
            let extensions = &message["payload"][0]["extensions"];
            Some((
                extensions["code"].as_str().unwrap().to_owned(),
                extensions["field"].as_str().unwrap().to_owned(),
            ))
        }
        _ => None,
    }
}

/// Whether a subscription is refused for its cursor.
async fn is_refused(organization: &Organization, after: &Json) -> bool {
    let why = refusal(organization, after).await;
    why == Some(("BAD_USER_INPUT".to_owned(), "after".to_owned()))
}

#[tokio::test]
async fn a_cursor_of_events_that_a_restore_lost_is_refused_permanently() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        let made = acme.populated(4).await;
        insert(&app, acme.id, made.sends[0], 5).await;
        let before = cursor(&acme).await;
        let backup = app.database.copy().await;
        // events after the backup, which a client has received
        insert(&app, acme.id, made.sends[0], 20).await;
        let after = cursor(&acme).await;
        assert_eq!(refusal(&acme, &after).await, None);

        let app = TestApp::on_database(backup).start().await;
        let acme = app.existing_organization(acme.id).await;
        // events before the backup still exist
        assert_eq!(refusal(&acme, &before).await, None);
        assert!(is_refused(&acme, &after).await);
        let answer = acme.member.ask(EVENTS, json!({ "after": after })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"));
        // also once the feed has passed the cursor's position again
        for _ in 0..50 {
            insert(&app, acme.id, made.sends[0], 1).await;
            assert_eq!(
                acme.member.ask(EVENTS, json!({ "after": after })).await.code(),
                "BAD_USER_INPUT"
            );
        }
        assert!(is_refused(&acme, &after).await);
        let since = acme.member.data(EVENTS, json!({ "after": before })).await;
        assert_eq!(since["events"]["nodes"].as_array().unwrap().len(), 50);
    }
}

#[on_both_databases]
async fn the_cursor_of_a_deleted_event_is_accepted(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    insert(&app, acme.id, made.sends[0], 5).await;
    let latest = cursor(&acme).await;
    app.run("DELETE FROM campaign_events").await;
    assert_eq!(refusal(&acme, &latest).await, None);
    insert(&app, acme.id, made.sends[0], 3).await;
    let data = acme.member.data(EVENTS, json!({ "after": latest })).await;
    assert_eq!(data["events"]["nodes"].as_array().unwrap().len(), 3);
}

#[on_both_databases]
async fn a_follower_gets_an_error_when_the_feed_goes_back(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(4).await;
    let theirs = other.populated(4).await;
    insert(&app, other.id, theirs.sends[0], 1).await;
    let mut beside = Socket::of(&other.member).await;
    beside.subscribe("1", FOLLOW, json!({ "after": other.member.feed_cursor().await })).await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": acme.member.feed_cursor().await })).await;
    insert(&app, acme.id, made.sends[0], 30).await;
    for _ in 0..30 {
        socket.next("1").await;
    }
    // as after a point-in-time recovery, as far as the service can detect it
    let back = "(SELECT max(feed_position) FROM campaign_events)";
    app.run(&format!("DELETE FROM campaign_events WHERE org_id = {}", app.literal(acme.id))).await;
    match app.database.backend {
        Backend::Sqlite => {
            app.run(&format!("UPDATE campaign_feed SET last_position = {back}")).await;
        }
        Backend::Postgres => {
            app.run(&format!("SELECT setval('campaign_feed_position', {back})")).await;
        }
    }
    let error = socket.message().await;
    assert_eq!(
        error["payload"]["errors"][0]["extensions"],
        json!({ "code": "BAD_USER_INPUT", "field": "after" }),
        "{error}"
    );
    assert_eq!(socket.message().await["type"], "complete");
    // a follower that saw no lost event continues
    insert(&app, other.id, theirs.sends[0], 1).await;
    beside.next("1").await;
    // a new subscription works
    socket.subscribe("2", FOLLOW, json!({ "after": acme.member.feed_cursor().await })).await;
    insert(&app, acme.id, made.sends[0], 1).await;
    socket.next("2").await;
}
