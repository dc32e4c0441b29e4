//! Events, page by page: in the order of the feed, and by time.

use campaigns_tests::{Backend, TestApp, on_both_databases};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// The IDs that an SQL query selects, in its order.
async fn selected(app: &TestApp, sql: &str) -> Vec<String> {
    let rows = app.rows(sql).await;
    rows.iter().map(|row| row.try_get::<Uuid>("", "id").unwrap().to_string()).collect()
}

fn ids(connection: &Json) -> Vec<String> {
    let nodes = connection["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[on_both_databases]
async fn events_of_a_send_a_campaign_and_the_organization_come_in_feed_order(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(20).await;
    app.organization("other").await.populated(8).await;
    let org = app.literal(acme.id);
    let in_order = |condition: String| {
        format!(
            "SELECT e.id FROM campaign_events e JOIN campaign_sends s ON s.id = e.send_id WHERE \
             e.org_id = {org} AND {condition} ORDER BY feed_position"
        )
    };
    // the rows were inserted by one statement after the other
    let all = selected(&app, &in_order("true".to_owned())).await;
    assert_eq!(all, made.events.iter().map(Uuid::to_string).collect::<Vec<_>>());
    let data = acme.member.data("{ events(first: 500) { nodes { id } } }", json!({})).await;
    assert_eq!(ids(&data["events"]), all);
    let data = acme
        .member
        .data(
            "{ events(first: 500, orderBy: [{ field: FEED, direction: DESC }]) { nodes { id } } }",
            json!({}),
        )
        .await;
    assert_eq!(ids(&data["events"]), all.iter().rev().cloned().collect::<Vec<_>>());
    let data = acme
        .member
        .data(
            "{ campaigns(first: 50) { nodes { id events(first: 50) { totalCount nodes { id } } \
             sends(first: 50) { nodes { id events(first: 2) { totalCount nodes { id } pageInfo { \
             hasNextPage } } } } } } }",
            json!({}),
        )
        .await;
    let mut seen = 0;
    for campaign in data["campaigns"]["nodes"].as_array().unwrap() {
        let id = app.literal(campaign["id"].as_str().unwrap().parse().unwrap());
        let expected = selected(&app, &in_order(format!("s.campaign_id = {id}"))).await;
        assert_eq!(ids(&campaign["events"]), expected);
        assert_eq!(campaign["events"]["totalCount"], expected.len());
        for send in campaign["sends"]["nodes"].as_array().unwrap() {
            let id = app.literal(send["id"].as_str().unwrap().parse().unwrap());
            let expected = selected(&app, &in_order(format!("s.id = {id}"))).await;
            assert_eq!(ids(&send["events"]), expected[..expected.len().min(2)]);
            assert_eq!(send["events"]["pageInfo"]["hasNextPage"], expected.len() > 2);
            seen += expected.len();
        }
    }
    assert_eq!(seen, all.len());
}

#[on_both_databases]
async fn a_cursor_of_another_organization_is_refused(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    acme.populated(4).await;
    let data = acme.member.data("{ events(first: 1) { pageInfo { endCursor } } }", json!({})).await;
    let after = &data["events"]["pageInfo"]["endCursor"];
    let query = "query ($after: String) { events(after: $after, filter: { type: { eq: OPEN } }) { \
                 nodes { id } } }";
    acme.member.data(query, json!({ "after": after })).await;
    let refused = other.member.ask(query, json!({ "after": after })).await;
    assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "after"));
}

#[on_both_databases]
async fn events_move_with_their_send(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    let (to, whom) = (app.literal(made.campaigns[0]), app.literal(made.contacts[0]));
    let sends: Vec<String> = made.sends[..20].iter().map(|send| app.literal(*send)).collect();
    app.run(&format!(
        "UPDATE campaign_sends SET campaign_id = {to} WHERE id IN ({})",
        sends[..12].join(", ")
    ))
    .await;
    app.run(&format!(
        "UPDATE campaign_sends SET contact_id = {whom} WHERE id IN ({})",
        sends[6..].join(", ")
    ))
    .await;
    let events: Vec<String> = made.events[..20].iter().map(|event| app.literal(*event)).collect();
    app.run(&format!(
        "UPDATE campaign_events SET send_id = {} WHERE id IN ({})",
        sends[19],
        events.join(", ")
    ))
    .await;
    let strays = "campaign_events e JOIN campaign_sends s ON s.id = e.send_id WHERE \
                  e.send_campaign_id <> s.campaign_id OR e.send_contact_id <> s.contact_id";
    assert_eq!(app.count(strays).await, 0);
    // writes to the service's own columns have no effect
    app.run(
        "UPDATE campaign_events SET send_campaign_id = send_contact_id, send_contact_id = \
         send_campaign_id",
    )
    .await;
    assert_eq!(app.count(strays).await, 0);
}

#[on_both_databases]
async fn moving_a_send_does_not_update_its_events(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let times = async || {
        let rows = app
            .rows("SELECT CAST(updated_at AS text) AS time FROM campaign_events ORDER BY id")
            .await;
        rows.iter().map(|row| row.try_get::<String>("", "time").unwrap()).collect::<Vec<_>>()
    };
    let before = times().await;
    app.run(&format!("UPDATE campaign_sends SET campaign_id = {}", app.literal(made.campaigns[0])))
        .await;
    assert_eq!(times().await, before);
}

#[tokio::test]
async fn an_event_before_its_send_is_filed_once_the_send_exists() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let (org, send) = (app.literal(acme.id), app.literal(Uuid::new_v4()));
    let (campaign, contact) = (app.literal(made.campaigns[1]), app.literal(made.contacts[1]));
    let db = app.database.connect().await;
    let transaction = db.begin().await.unwrap();
    for sql in [
        "PRAGMA defer_foreign_keys = ON".to_owned(),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES \
             ({org}, {send}, 'open')"
        ),
        format!(
            "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id) VALUES \
             ({send}, {org}, {campaign}, {contact})"
        ),
    ] {
        transaction.execute_unprepared(&sql).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let strays = format!(
        "campaign_events WHERE send_id = {send} AND send_campaign_id = {campaign} AND \
         send_contact_id = {contact}"
    );
    assert_eq!(app.count(&strays).await, 1);
}

#[tokio::test]
async fn a_send_is_not_moved_in_a_snapshot_without_its_latest_events() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let db = app.database.connect().await;
    let mover = db.begin().await.unwrap();
    for sql in ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM campaigns"]
    {
        mover.execute_unprepared(sql).await.unwrap();
    }
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {send}, 'open')"
    ))
    .await;
    let moving = format!(
        "UPDATE campaign_sends SET campaign_id = {} WHERE id = {send}",
        app.literal(made.campaigns[0])
    );
    let refused = mover.execute_unprepared(&moving).await.unwrap_err();
    assert!(refused.to_string().contains("REPEATABLE READ"), "{refused}");
}

#[tokio::test]
async fn a_page_in_feed_order_ends_where_the_feed_is_settled() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let insert = format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {send}, 'open')"
    );
    let db = app.database.connect().await;
    let late = db.begin().await.unwrap();
    late.execute_unprepared(&insert).await.unwrap();
    // written second, committed first
    app.run(&insert).await;
    let counts = async || {
        let query = "{ feed: events { totalCount } latest: events(orderBy: [{ field: OCCURRED_AT \
                     }]) { totalCount } }";
        let data = acme.member.data(query, json!({})).await;
        let count =
            |name: &str| usize::try_from(data[name]["totalCount"].as_u64().unwrap()).unwrap();
        (count("feed"), count("latest"))
    };
    let stored = made.events.len();
    assert_eq!(counts().await, (stored, stored + 1));
    late.commit().await.unwrap();
    assert_eq!(counts().await, (stored + 2, stored + 2));
}
