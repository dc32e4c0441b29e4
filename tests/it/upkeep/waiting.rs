//! Events that arrive before their sends, or while triggers are off: they are pending, and nothing
//! fails.

use std::collections::BTreeSet;

use campaigns_tests::{
    Backend, Organization, Socket, TestApp, TestDatabase, assert_exact, on_both_databases,
    until_at_most,
};
use sea_orm::DatabaseConnection;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{assert_filed, count, run, until_exact};

/// A contact on the list of a campaign, and a send and an event for it that are not stored yet.
struct Late {
    campaign: Uuid,
    contact: Uuid,
    send: String,
    event: String,
    id: Uuid,
}

impl Late {
    async fn new(app: &TestApp, organization: &Organization, kind: &str) -> Self {
        let [campaign, contact, send, id] = [(); 4].map(|()| Uuid::new_v4());
        let [org, campaign_id, contact_id, send_id, event_id] =
            [organization.id, campaign, contact, send, id].map(|id| app.literal(id));
        for statement in [
            format!("INSERT INTO campaigns (id, org_id, name) VALUES ({campaign_id}, {org}, 'x')"),
            format!(
                "INSERT INTO contacts (id, org_id, first_name, email) VALUES \
                 ({contact_id}, {org}, 'x', 'x@example.com')"
            ),
            format!(
                "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) VALUES \
                 ({org}, {campaign_id}, {contact_id})"
            ),
        ] {
            app.run(&statement).await;
        }
        // of an earlier campaign
        let earlier = app.literal(Uuid::new_v4());
        app.run(&format!(
            "INSERT INTO campaigns (id, org_id, name) VALUES ({earlier}, {org}, 'earlier')"
        ))
        .await;
        Self {
            campaign,
            contact,
            send: format!(
                "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status) \
                 VALUES ({send_id}, {org}, {earlier}, {contact_id}, 'delivered')"
            ),
            event: format!(
                "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES \
                 ({event_id}, {org}, {send_id}, '{kind}')"
            ),
            id,
        }
    }

    /// Whether the contact is suppressed, and the numbers of sends that are queued and suppressed.
    async fn queued(&self, organization: &Organization) -> (bool, i64, i64) {
        let query = "query ($id: ID!) { contact(id: $id) { suppression { reason } } }";
        let data = organization.member.data(query, json!({ "id": self.contact })).await;
        let queue = "mutation ($id: ID!) { queueSends(campaignId: $id) { queued suppressed } }";
        let queued = organization.member.data(queue, json!({ "id": self.campaign })).await;
        let number = |name: &str| queued["queueSends"][name].as_i64().unwrap();
        (!data["contact"]["suppression"].is_null(), number("queued"), number("suppressed"))
    }
}

/// The IDs of an organization's events, in feed order and by time.
async fn listed(organization: &Organization) -> [Vec<String>; 2] {
    let query = "{ feed: events(first: 500) { totalCount nodes { id campaign { id } contact { id } \
                 send { id } } } latest: events(first: 500, orderBy: [{ field: OCCURRED_AT }]) { \
                 totalCount nodes { id campaign { id } contact { id } } } }";
    let data = organization.member.data(query, json!({})).await;
    ["feed", "latest"].map(|name| {
        let nodes = data[name]["nodes"].as_array().unwrap();
        assert_eq!(data[name]["totalCount"], nodes.len());
        nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    })
}

/// A follower of an organization's events from now on.
pub(super) async fn follow(organization: &Organization) -> Socket {
    let cursor = organization.member.feed_cursor().await;
    let mut socket = Socket::of(&organization.member).await;
    let follow = "subscription ($after: String) { engagementEvents(after: $after) { node { id \
                  campaign { id } } } }";
    socket.subscribe("1", follow, json!({ "after": cursor })).await;
    socket
}

/// Asserts that a follower receives each of these events once, and then a new event.
pub(super) async fn assert_receives(
    app: &TestApp,
    organization: &Organization,
    socket: &mut Socket,
    events: &BTreeSet<Uuid>,
) {
    let late = Late::new(app, organization, "open").await;
    app.run(&late.send).await;
    app.run(&late.event).await;
    let mut received = BTreeSet::new();
    loop {
        let event: Json = socket.next("1").await["engagementEvents"]["node"].clone();
        let id: Uuid = event["id"].as_str().unwrap().parse().unwrap();
        assert!(event["campaign"]["id"].is_string());
        if id == late.id {
            break;
        }
        assert!(received.insert(id), "{id} comes twice");
    }
    assert_eq!(&received, events);
}

#[on_both_databases]
async fn an_event_before_its_send_counts_and_suppresses_as_soon_as_the_send_exists(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(6).await;
    let before = listed(&acme).await;
    let (late, other) =
        (Late::new(&app, &acme, "unsubscribe").await, Late::new(&app, &acme, "open").await);
    let mut follower = follow(&acme).await;
    let sql = app.database.connect_once().await;
    match app.database.backend {
        // as a replication worker
        Backend::Postgres => run(&sql, "SET session_replication_role = replica").await,
        Backend::Sqlite => run(&sql, "PRAGMA foreign_keys = off").await,
    }
    run(&sql, &late.event).await;
    run(&sql, &other.event).await;
    // it is not shown anywhere, and nothing fails
    assert_eq!(listed(&acme).await, before);
    let data = acme
        .member
        .data("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": late.id }))
        .await;
    assert!(data["node"].is_null());
    assert_exact(&app.sql).await;
    run(&sql, &late.send).await;
    assert_eq!(late.queued(&acme).await, (true, 0, 1));
    run(&sql, &other.send).await;
    assert_eq!(other.queued(&acme).await, (false, 1, 0));
    let [feed, latest] = listed(&acme).await;
    assert_eq!(feed, [before[0].clone(), vec![late.id.to_string(), other.id.to_string()]].concat());
    assert_eq!(latest.len(), feed.len());
    let oracle = assert_exact(&app.sql).await;
    assert_filed(&app.sql, &oracle).await;
    assert_receives(&app, &acme, &mut follower, &[late.id, other.id].into()).await;
    sql.close().await.unwrap();
}

#[on_both_databases]
async fn an_event_that_loses_its_send_leaves_the_feed_and_returns_to_its_position(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let mut follower = follow(&acme).await;
    let before = listed(&acme).await;
    let sql = app.database.connect_once().await;
    match app.database.backend {
        Backend::Postgres => run(&sql, "SET session_replication_role = replica").await,
        Backend::Sqlite => run(&sql, "PRAGMA foreign_keys = off").await,
    }
    let sends: Vec<String> = made.sends[..12].iter().map(|id| app.literal(*id)).collect();
    let sends = sends.join(", ");
    run(&sql, &format!("CREATE TABLE kept AS SELECT * FROM campaign_sends WHERE id IN ({sends})"))
        .await;
    run(&sql, &format!("DELETE FROM campaign_sends WHERE id IN ({sends})")).await;
    let oracle = assert_exact(&app.sql).await;
    let [feed, latest] = listed(&acme).await;
    assert!(feed.len() < before[0].len());
    assert_eq!((feed.len(), latest.len()), (oracle.events[&acme.id].len(), feed.len()));
    run(&sql, "INSERT INTO campaign_sends SELECT * FROM kept").await;
    assert_eq!(listed(&acme).await, before);
    let oracle = assert_exact(&app.sql).await;
    assert_filed(&app.sql, &oracle).await;
    // followers have already received them
    assert_receives(&app, &acme, &mut follower, &BTreeSet::new()).await;
    sql.close().await.unwrap();
}

#[tokio::test]
async fn an_event_before_its_send_in_one_transaction_is_filed_with_it() {
    for database in [TestDatabase::new(Backend::Postgres).await, TestDatabase::adopted().await] {
        let app = TestApp::on_database(database).start().await;
        let acme = app.organization("acme").await;
        let late = Late::new(&app, &acme, "unsubscribe").await;
        let mut follower = follow(&acme).await;
        app.run(
            "DO $$ DECLARE k record; BEGIN FOR k IN SELECT conname FROM pg_constraint \
             WHERE contype = 'f' AND conrelid = 'campaign_events'::regclass LOOP EXECUTE \
             format('ALTER TABLE campaign_events ALTER CONSTRAINT %I DEFERRABLE INITIALLY \
             DEFERRED', k.conname); END LOOP; END $$",
        )
        .await;
        app.run(&format!("BEGIN; {}; {}; COMMIT", late.event, late.send)).await;
        assert_eq!(late.queued(&acme).await, (true, 0, 1));
        let oracle = assert_exact(&app.sql).await;
        assert_filed(&app.sql, &oracle).await;
        // both in one statement
        let both = Late::new(&app, &acme, "unsubscribe").await;
        app.run(&format!("WITH s AS ({} RETURNING 1) {}", both.send, both.event)).await;
        assert_eq!(both.queued(&acme).await, (true, 0, 1));
        assert_exact(&app.sql).await;
        assert_receives(&app, &acme, &mut follower, &[late.id, both.id].into()).await;
    }
}

#[tokio::test]
async fn an_event_and_its_send_that_are_written_at_once_find_each_other() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let lates =
        [Late::new(&app, &acme, "unsubscribe").await, Late::new(&app, &acme, "click").await];
    let mut follower = follow(&acme).await;
    let sessions: [DatabaseConnection; 2] =
        [app.database.connect_once().await, app.database.connect_once().await];
    for sql in &sessions {
        run(sql, "SET session_replication_role = replica; BEGIN").await;
    }
    // neither transaction sees the uncommitted row of the other
    for late in &lates {
        run(&sessions[0], &late.event).await;
        run(&sessions[1], &late.send).await;
    }
    for sql in &sessions {
        run(sql, "COMMIT").await;
    }
    let oracle = until_exact(&app.sql).await;
    assert_filed(&app.sql, &oracle).await;
    assert_eq!(lates[0].queued(&acme).await, (true, 0, 1));
    let events = lates.iter().map(|late| late.id).collect();
    assert_receives(&app, &acme, &mut follower, &events).await;
}

#[tokio::test]
async fn a_backlog_of_events_is_filed_in_steps_and_those_without_a_send_delay_nothing() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    acme.populated(10).await;
    let org = app.literal(acme.id);
    app.run("ALTER TABLE campaign_events DISABLE TRIGGER USER").await;
    // the same number without a send, including the first and the last in the order of sends
    app.run(&format!(
        "BEGIN; SET LOCAL session_replication_role = replica; \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'open' FROM \
         campaign_sends, generate_series(1, 60); \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, \
         gen_random_uuid(), 'open' FROM generate_series(1, 4000); \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, send, 'open' FROM \
         generate_series(1, 1500), (VALUES ('00000000-0000-0000-0000-000000000001'::uuid), \
         ('ffffffff-ffff-ffff-ffff-ffffffffffff')) AS v(send); COMMIT"
    ))
    .await;
    // with any values of these columns
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, feed_position, \
         send_campaign_id, send_contact_id) SELECT {org}, id, 'click', NULL, campaign_id, \
         contact_id FROM campaign_sends LIMIT 5"
    ))
    .await;
    assert_eq!(
        count(&app.sql, "campaign_events WHERE feed_position IS NULL").await,
        60 * 60 + 7000 + 5
    );
    app.run("ALTER TABLE campaign_events ENABLE TRIGGER USER").await;
    let oracle = until_exact(&app.sql).await;
    let waiting = "campaign_events WHERE feed_position IS NULL";
    let number = async || count(&app.sql, waiting).await;
    until_at_most("events are filed", 7000, number).await;
    assert_eq!(oracle.events[&acme.id].len(), 100 + 60 * 60 + 5);
    let oracle = assert_exact(&app.sql).await;
    assert_filed(&app.sql, &oracle).await;
    let data = acme.member.data("{ events { totalCount } }", json!({})).await;
    assert_eq!(data["events"]["totalCount"], 100 + 60 * 60 + 5);
}

#[tokio::test]
async fn an_index_has_only_pending_events_and_finds_none_at_once() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    acme.populated(20).await;
    app.run(
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'open' \
         FROM campaign_sends, generate_series(1, 200)",
    )
    .await;
    // with and without statistics
    for analyze in ["SELECT 1", "ANALYZE"] {
        app.run(analyze).await;
        let sql = app.database.connect_once().await;
        let scanned =
            "pg_stat_xact_user_tables WHERE relname = 'campaign_events' AND seq_tup_read > 0";
        run(
            &sql,
            "BEGIN; SELECT * FROM \
             campaign_events_file_waiting('00000000-0000-0000-0000-000000000000', 1000)",
        )
        .await;
        run(
            &sql,
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT org_id, \
             campaign_id, contact_id FROM campaign_sends",
        )
        .await;
        run(
            &sql,
            "SET LOCAL session_replication_role = replica; INSERT INTO campaign_sends \
             (org_id, campaign_id, contact_id) SELECT org_id, campaign_id, contact_id FROM \
             campaign_sends LIMIT 50",
        )
        .await;
        assert_eq!(count(&sql, scanned).await, 0);
        run(&sql, "ROLLBACK").await;
        sql.close().await.unwrap();
    }
}
