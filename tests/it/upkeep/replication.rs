//! Rows from logical replication, including the initial copy.

use std::time::{Duration, Instant};

use campaigns_tests::{Backend, Oracle, Postgres, TestApp, TestDatabase, assert_exact, until};
use sea_orm::DatabaseConnection;
use serde_json::json;

use super::{assert_filed, check, count, repair, run, until_exact};

const NEIGHBOURS: &str = "organizations, users, memberships, contacts, companies, \
     contact_companies, campaigns, campaign_segments, campaign_lists, campaign_sends";
/// The publications of the tables.
const PUBLICATIONS: [(&str, &str); 3] = [
    ("tables", "FOR TABLE {neighbours}, campaign_events"),
    (
        "columns",
        "FOR TABLE {neighbours}, campaign_events (id, org_id, send_id, event_type, url, \
         occurred_at, created_at, updated_at, metadata)",
    ),
    ("everything", "FOR ALL TABLES"),
];

async fn server() -> Postgres {
    Postgres::own_with(
        "wal_level=logical wal_retrieve_retry_interval=200ms max_replication_slots=40 \
         max_wal_senders=40 max_logical_replication_workers=16 max_sync_workers_per_subscription=4 \
         max_worker_processes=24",
    )
    .await
}

/// Subscribes a database to a publication of another database on the same server.
async fn subscribe(
    publisher: &DatabaseConnection,
    subscriber: &DatabaseConnection,
    from: &TestDatabase,
    name: &str,
) {
    // on the same server, the slot has to be created first
    run(publisher, &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"))
        .await;
    run(
        subscriber,
        &format!(
            "CREATE SUBSCRIPTION {name} CONNECTION '{}' PUBLICATION {name} WITH \
             (create_slot = false, slot_name = '{name}')",
            from.url
        ),
    )
    .await;
}

/// Disables a subscription, and keeps its slot.
async fn disable(subscriber: &DatabaseConnection, name: &str) {
    run(
        subscriber,
        &format!(
            "ALTER SUBSCRIPTION {name} DISABLE; ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"
        ),
    )
    .await;
}

/// Drops a subscription after all subscriptions of the server are disabled and idle. Otherwise, on
/// one server, dropping it waits for the slot of a copied table, which is created once all
/// transactions have ended.
async fn drop_subscription(
    publisher: &DatabaseConnection,
    subscriber: &DatabaseConnection,
    name: &str,
) {
    let replicating =
        "pg_stat_activity WHERE backend_type IN ('walsender', 'logical replication worker')";
    until("replication is at rest", Duration::from_mins(1), async || {
        count(publisher, replicating).await == 0
    })
    .await;
    run(subscriber, &format!("DROP SUBSCRIPTION {name}")).await;
}

/// Waits until a subscriber has all rows of its publisher.
async fn until_same(publisher: &DatabaseConnection, subscriber: &DatabaseConnection) {
    let mut since = Instant::now();
    let mut last = Vec::new();
    loop {
        let mut differ = Vec::new();
        for of in [
            "organizations",
            "contacts",
            "campaign_sends",
            "campaign_events",
            "campaigns",
            "campaign_sends WHERE status = 'failed'",
            "campaign_events WHERE url = 'https://moved.example/'",
        ] {
            let numbers = (count(publisher, of).await, count(subscriber, of).await);
            if numbers.0 != numbers.1 {
                differ.push((of, numbers));
            }
        }
        if differ.is_empty() {
            return;
        }
        if differ != last {
            (last, since) = (differ, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{last:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Writes of each kind by the publisher's programs.
const WRITES: [&str; 9] = [
    "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, 'click', \
     'https://x.example/' FROM campaign_sends LIMIT 30",
    "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT org_id, campaign_id, \
     contact_id FROM campaign_sends LIMIT 20",
    "UPDATE campaign_sends SET status = 'failed' WHERE id IN \
     (SELECT id FROM campaign_sends ORDER BY id LIMIT 7)",
    "UPDATE campaign_sends SET campaign_id = (SELECT id FROM campaigns WHERE org_id = \
     campaign_sends.org_id ORDER BY id LIMIT 1) WHERE id IN (SELECT id FROM campaign_sends ORDER \
     BY id LIMIT 9)",
    "UPDATE campaign_events SET url = 'https://moved.example/', event_type = 'click' WHERE id IN \
     (SELECT id FROM campaign_events ORDER BY id LIMIT 9)",
    "DELETE FROM campaign_events WHERE id IN (SELECT id FROM campaign_events ORDER BY id DESC \
     LIMIT 9)",
    "DELETE FROM campaign_sends WHERE id IN (SELECT id FROM campaign_sends ORDER BY id DESC LIMIT \
     9)",
    "DELETE FROM campaigns WHERE id = (SELECT campaign_id FROM campaign_sends ORDER BY id LIMIT 1)",
    "WITH s AS (INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT org_id, \
     campaign_id, contact_id FROM campaign_sends LIMIT 5 RETURNING id, org_id) \
     INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'unsubscribe' \
     FROM s",
];

#[tokio::test]
async fn a_subscriber_counts_what_the_initial_copy_and_replication_bring() {
    let postgres = server().await;
    let app = TestApp::on_database(postgres.database("publisher").await).start().await;
    let acme = app.organization("acme").await;
    acme.populated(12).await;
    app.run(
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, \
         (SELECT id FROM campaign_sends LIMIT 1), 'open' FROM campaign_sends, \
         generate_series(1, 30) LIMIT 2002",
    )
    .await;
    let mut subscribers = Vec::new();
    for (name, publishes) in PUBLICATIONS {
        let publishes = publishes.replace("{neighbours}", NEIGHBOURS);
        app.run(&format!("CREATE PUBLICATION {name} {publishes}")).await;
        let database = postgres.database(&format!("of_{name}")).await;
        let sql = database.connect_once().await;
        subscribe(&app.sql, &sql, &app.database, name).await;
        subscribers.push((name, database, sql));
    }
    for (name, database, sql) in &subscribers {
        until_same(&app.sql, sql).await;
        // with a service on it, which files events that were copied concurrently with their sends
        let subscriber =
            TestApp::on_database(TestDatabase::at(Backend::Postgres, &database.url)).start().await;
        let oracle = until_exact(sql).await;
        assert_filed(sql, &oracle).await;
        let theirs = subscriber.existing_organization(acme.id).await;
        let query = "{ stats { sends opens uniqueOpens clicks } events { totalCount } }";
        assert_eq!(
            theirs.member.data(query, json!({})).await,
            acme.member.data(query, json!({})).await,
            "{name}"
        );
    }
    for write in WRITES {
        app.run(write).await;
    }
    let of_publisher = Oracle::of(&app.sql).await;
    for (name, database, sql) in &subscribers {
        until_same(&app.sql, sql).await;
        // no service runs on it now, and no event is pending
        let oracle = assert_exact(sql).await;
        assert_eq!(oracle.events, of_publisher.events, "{name}");
        assert_filed(sql, &oracle).await;
        let checked = check(database).await;
        assert_eq!(checked.code, 0, "{name}: {}", checked.out);
    }
    app.run("TRUNCATE campaign_sends CASCADE").await;
    for (_, database, sql) in &subscribers {
        until_same(&app.sql, sql).await;
        assert_exact(sql).await;
        assert_eq!(count(sql, "campaign_counts").await, 0);
        repair(database).await;
    }
    for (name, _, sql) in &subscribers {
        disable(sql, name).await;
    }
    for (name, _, sql) in &subscribers {
        drop_subscription(&app.sql, sql, name).await;
    }
}

#[tokio::test]
async fn replication_continues_while_triggers_do_not_fire_and_is_repaired_later() {
    let postgres = server().await;
    let app = TestApp::on_database(postgres.database("publisher").await).start().await;
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    for (name, publishes) in &PUBLICATIONS[..2] {
        let publishes = publishes.replace("{neighbours}", NEIGHBOURS);
        app.run(&format!("CREATE PUBLICATION {name} {publishes}")).await;
        let database = postgres.database(&format!("of_{name}")).await;
        let sql = database.connect_once().await;
        // as after a restore of data: they do not fire for replication workers
        for table in ["campaign_events", "campaign_sends"] {
            run(
                &sql,
                &format!(
                    "ALTER TABLE {table} DISABLE TRIGGER ALL; ALTER TABLE {table} \
                     ENABLE TRIGGER ALL"
                ),
            )
            .await;
        }
        subscribe(&app.sql, &sql, &app.database, name).await;
        until_same(&app.sql, &sql).await;
        for write in WRITES {
            app.run(write).await;
        }
        until_same(&app.sql, &sql).await;
        let checked = check(&database).await;
        assert_eq!(checked.code, 1, "{}", checked.out);
        repair(&database).await;
        let oracle = assert_exact(&sql).await;
        assert_filed(&sql, &oracle).await;
        // from then on automatically
        for write in WRITES {
            app.run(write).await;
        }
        until_same(&app.sql, &sql).await;
        let oracle = assert_exact(&sql).await;
        assert_filed(&sql, &oracle).await;
        disable(&sql, name).await;
        drop_subscription(&app.sql, &sql, name).await;
    }
}
