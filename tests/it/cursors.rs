//! Cursors of events: they reveal nothing about other organizations, are the same in every list,
//! and cursors of earlier versions are accepted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campaigns_tests::{
    Backend, Fixtures, Organization, Socket, TestApp, TestDatabase, on_both_databases,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const EVENTS: &str = "query ($after: String, $orderBy: [EngagementEventOrder!]) { \
    events(first: 100, after: $after, orderBy: $orderBy) { edges { cursor node { id } } pageInfo { \
    startCursor endCursor } } }";
const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { cursor node { id } } }";

async fn populated(app: &TestApp, slug: &str) -> (Organization, Fixtures) {
    let organization = app.organization(slug).await;
    let made = organization.populated(4).await;
    app.run("DELETE FROM campaign_events").await;
    (organization, made)
}

/// Inserts `count` events of a send.
async fn insert(app: &TestApp, organization: Uuid, send: Uuid, count: usize) {
    let (org, send) = (app.literal(organization), app.literal(send));
    app.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, {send}, 'open' \
         FROM n"
    ))
    .await;
}

/// The edges of an organization's events, in an order.
async fn edges(organization: &Organization, order: &Json, after: &Json) -> Vec<Json> {
    let variables = json!({ "orderBy": order, "after": after });
    let data = organization.member.data(EVENTS, variables).await;
    data["events"]["edges"].as_array().unwrap().clone()
}

async fn feed_cursor(organization: &Organization) -> Json {
    organization.member.feed_cursor().await
}

/// An organization's stored events: position, key, and time.
async fn stored(app: &TestApp, organization: Uuid) -> Vec<(i64, Uuid, String)> {
    let occurred = match app.database.backend {
        Backend::Postgres => "to_json(occurred_at) #>> '{}'",
        Backend::Sqlite => "occurred_at",
    };
    let sql = format!(
        "SELECT feed_position, id, {occurred} AS occurred FROM campaign_events WHERE org_id = {} \
         ORDER BY feed_position",
        app.literal(organization)
    );
    let rows = app.rows(&sql).await;
    rows.iter()
        .map(|row| {
            let (position, id) = (row.try_get("", "feed_position"), row.try_get("", "id"));
            (position.unwrap(), id.unwrap(), row.try_get("", "occurred").unwrap())
        })
        .collect()
}

/// The incarnation of the feed.
async fn incarnation(app: &TestApp) -> String {
    match app.database.backend {
        Backend::Sqlite => String::new(),
        Backend::Postgres => {
            let rows = app.rows("SELECT campaign_feed_incarnation() AS incarnation").await;
            rows[0].try_get("", "incarnation").unwrap()
        }
    }
}

/// A cursor of the feed as earlier versions created it, without encryption.
fn of_before(organization: Uuid, position: i64, id: Uuid, incarnation: &str) -> String {
    let parts = json!([format!("{organization} event Feed+"), position, id, incarnation]);
    URL_SAFE_NO_PAD.encode(parts.to_string())
}

fn orders() -> [Json; 4] {
    [
        json!([{ "field": "FEED" }]),
        json!([{ "field": "FEED", "direction": "DESC" }]),
        json!([{ "field": "OCCURRED_AT" }]),
        json!([{ "field": "OCCURRED_AT" }, { "field": "FEED" }]),
    ]
}

#[on_both_databases]
async fn a_cursor_of_an_event_reveals_nothing_and_is_the_same_everywhere(app: TestApp) {
    let (acme, made) = populated(&app, "acme").await;
    let (other, of_other) = populated(&app, "other").await;
    insert(&app, acme.id, made.sends[0], 2).await;
    // a position with many more digits
    match app.database.backend {
        Backend::Postgres => app.run("SELECT setval('campaign_feed_position', 123456789012)").await,
        Backend::Sqlite => app.run("UPDATE campaign_feed SET last_position = 123456789012").await,
    }
    insert(&app, other.id, of_other.sends[0], 5).await;
    insert(&app, acme.id, made.sends[0], 2).await;
    let replica = TestApp::on_database(TestDatabase::at(app.database.backend, &app.database.url))
        .start()
        .await;
    let elsewhere = replica.existing_organization(acme.id).await;
    let rows = stored(&app, acme.id).await;
    let feed = incarnation(&app).await;
    for order in orders() {
        let shown = edges(&acme, &order, &Json::Null).await;
        assert_eq!(shown.len(), 4);
        assert_eq!(edges(&elsewhere, &order, &Json::Null).await, shown);
        let texts: Vec<&str> = shown.iter().map(|edge| edge["cursor"].as_str().unwrap()).collect();
        assert!(texts.iter().all(|text| text.len() == texts[0].len()), "{texts:?}");
        for text in texts {
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            let shows = |part: &[u8]| {
                !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
            };
            for (position, id, _) in &rows {
                assert!(!shows(position.to_string().as_bytes()) || position.to_string().len() < 4);
                assert!(!shows(&position.to_be_bytes()) && !shows(&position.to_le_bytes()));
                assert!(!shows(id.to_string().as_bytes()) && !shows(id.as_bytes()));
            }
            assert!(
                !shows(acme.id.to_string().as_bytes())
                    && !shows(feed.as_bytes())
                    && !shows(b"event")
            );
        }
        // each is accepted by the other replica as well
        for (index, edge) in shown.iter().enumerate() {
            assert_eq!(edges(&elsewhere, &order, &edge["cursor"]).await, shown[index + 1..]);
        }
    }
    let last = edges(&acme, &orders()[0], &Json::Null).await.pop().unwrap();
    assert_eq!(feed_cursor(&acme).await, last["cursor"]);
    assert_eq!(feed_cursor(&elsewhere).await, last["cursor"]);
    let mut socket = Socket::of(&elsewhere.member).await;
    let before = edges(&acme, &orders()[0], &Json::Null).await[2]["cursor"].clone();
    socket.subscribe("1", FOLLOW, json!({ "after": before })).await;
    assert_eq!(socket.next("1").await["engagementEvents"], last);
}

#[on_both_databases]
async fn a_cursor_of_an_earlier_version_is_still_accepted(app: TestApp) {
    let (acme, made) = populated(&app, "acme").await;
    insert(&app, acme.id, made.sends[0], 4).await;
    let (rows, feed) = (stored(&app, acme.id).await, incarnation(&app).await);
    let shown = edges(&acme, &orders()[0], &Json::Null).await;
    for (index, (position, id, _)) in rows.iter().enumerate() {
        let cursor = json!(of_before(acme.id, *position, *id, &feed));
        assert_eq!(edges(&acme, &orders()[0], &cursor).await, shown[index + 1..]);
    }
    let by_time = edges(&acme, &orders()[2], &Json::Null).await;
    let first = by_time[0]["node"]["id"].as_str().unwrap();
    let (_, id, occurred) = rows.iter().find(|(_, id, _)| id.to_string() == first).unwrap();
    let parts = json!([format!("{} event OccurredAt+", acme.id), occurred, id]);
    let cursor = json!(URL_SAFE_NO_PAD.encode(parts.to_string()));
    assert_eq!(edges(&acme, &orders()[2], &cursor).await, by_time[1..]);
    let mut socket = Socket::of(&acme.member).await;
    let cursor = of_before(acme.id, rows[1].0, rows[1].1, &feed);
    socket.subscribe("1", FOLLOW, json!({ "after": cursor })).await;
    for edge in &shown[2..] {
        assert_eq!(socket.next("1").await["engagementEvents"], *edge);
    }
    // also for a deleted event
    app.run(&format!("DELETE FROM campaign_events WHERE id = {}", app.literal(rows[1].1))).await;
    assert_eq!(edges(&acme, &orders()[0], &json!(cursor)).await, shown[2..]);
}

#[on_both_databases]
async fn a_forged_cursor_reveals_nothing_about_other_organizations(app: TestApp) {
    let (acme, made) = populated(&app, "acme").await;
    let (other, of_other) = populated(&app, "other").await;
    insert(&app, acme.id, made.sends[0], 3).await;
    insert(&app, other.id, of_other.sends[0], 50).await;
    let (own, theirs) = (stored(&app, acme.id).await, stored(&app, other.id).await);
    let feed = incarnation(&app).await;
    // positions below and above those of other organizations
    for position in [theirs[10].0, theirs[49].0, theirs[49].0 + 1_000_000] {
        for id in [Uuid::new_v4(), theirs[10].1, own[0].1] {
            let cursor = of_before(acme.id, position, id, &feed);
            let query = "query ($after: String) { events(after: $after) { nodes { id } } }";
            let answer = acme.member.ask(query, json!({ "after": cursor })).await;
            assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"), "{position}");
        }
    }
}

#[on_both_databases]
async fn a_cursor_of_another_organization_or_order_or_a_changed_one_is_refused(app: TestApp) {
    let (acme, made) = populated(&app, "acme").await;
    let (other, of_other) = populated(&app, "other").await;
    insert(&app, acme.id, made.sends[0], 3).await;
    insert(&app, other.id, of_other.sends[0], 3).await;
    let refused = async |organization: &Organization, order: &Json, cursor: &str| {
        let answer =
            organization.member.ask(EVENTS, json!({ "after": cursor, "orderBy": order })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"), "{cursor}");
    };
    let shown = edges(&acme, &orders()[0], &Json::Null).await;
    let cursor = shown[1]["cursor"].as_str().unwrap();
    refused(&other, &orders()[0], cursor).await;
    for order in &orders()[1..] {
        refused(&acme, order, cursor).await;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    for index in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[index] ^= 4;
        refused(&acme, &orders()[0], &URL_SAFE_NO_PAD.encode(changed)).await;
    }
    for length in [1, 2, 17, bytes.len() - 1] {
        refused(&acme, &orders()[0], &URL_SAFE_NO_PAD.encode(&bytes[..length])).await;
    }
    let mut socket = Socket::of(&other.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": cursor })).await;
    let message = socket.message().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "BAD_USER_INPUT", "{message}");
    // nor is a cursor that another database has encrypted, for an organization with the same ID
    let database = TestDatabase::empty(app.database.backend).await;
    campaigns_migration::up(&database.url).await.unwrap();
    let elsewhere = TestApp::on_database(database).start().await;
    let id = elsewhere.literal(acme.id);
    elsewhere
        .run(&format!("INSERT INTO organizations (id, name, slug) VALUES ({id}, 'x', 'x')"))
        .await;
    refused(&elsewhere.existing_organization(acme.id).await, &orders()[0], cursor).await;
}
