//! Migrations beside writers, and databases after a restore.

use std::time::{Duration, Instant};

use campaigns_tests::{Backend, Binary, Postgres, TestApp, TestDatabase, serve_arguments};
use sea_orm::{ConnectionTrait, IsolationLevel, Statement, TransactionTrait};
use uuid::Uuid;

const FEED: &str = "m0007_feed";

async fn count(connection: &sea_orm::DatabaseConnection, from: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {from}");
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// A database from before the feed, with `events` events.
async fn before_the_feed(events: usize) -> (TestDatabase, Uuid) {
    let database = TestDatabase::empty(Backend::Postgres).await;
    campaigns_migration::up(&database.url).await.unwrap();
    while campaigns_migration::down(&database.url).await.unwrap().as_deref() != Some(FEED) {}
    let sql = database.connect().await;
    let org = Uuid::new_v4();
    for statement in [
        format!("INSERT INTO organizations (id, name, slug) VALUES ('{org}', 'x', 'x')"),
        format!("INSERT INTO campaigns (org_id, name) VALUES ('{org}', 'x')"),
        format!(
            "INSERT INTO contacts (org_id, first_name) SELECT '{org}', 'x' FROM \
             generate_series(1, 100)"
        ),
        format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT '{org}', c.id, \
             k.id FROM campaigns c, contacts k"
        ),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) \
             SELECT '{org}', s.id, 'open' FROM campaign_sends s, generate_series(1, {events} / 100)"
        ),
    ] {
        sql.execute_unprepared(&statement).await.unwrap();
    }
    sql.close().await.unwrap();
    (database, org)
}

#[tokio::test]
async fn the_feed_is_added_to_a_large_table_while_others_write_to_it() {
    let (database, org) = before_the_feed(60_000).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..3 {
        let (connection, stopped) = (database.connect().await, stopped.clone());
        writers.spawn(async move {
            let (mut longest, mut written) = (Duration::ZERO, 0);
            while !*stopped.borrow() {
                let sql = match number {
                    0 => format!(
                        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT \
                         '{org}', id, 'click' FROM campaign_sends LIMIT 5"
                    ),
                    1 => "UPDATE campaign_events SET url = 'https://x.example' WHERE id = \
                          (SELECT id FROM campaign_events ORDER BY random() LIMIT 1)"
                        .to_owned(),
                    _ => "DELETE FROM campaign_events WHERE id = \
                          (SELECT id FROM campaign_events WHERE event_type = 'open' LIMIT 1)"
                        .to_owned(),
                };
                let started = Instant::now();
                connection.execute_unprepared(&sql).await.unwrap();
                longest = longest.max(started.elapsed());
                written += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (longest, written)
        });
    }
    let steps: std::sync::Arc<std::sync::Mutex<Vec<campaigns_migration::Progress>>> =
        <_>::default();
    let reported = steps.clone();
    let applied = campaigns_migration::up_telling(&database.url, move |progress| {
        reported.lock().unwrap().push(progress);
    });
    assert_eq!(applied.await.unwrap()[0], FEED);
    stop.send_replace(true);
    while let Some(writer) = writers.join_next().await {
        let (longest, written) = writer.unwrap();
        // no lock was held while the whole table was processed; the limit allows for a slow machine
        assert!(longest < Duration::from_secs(3) && written > 20, "{longest:?}, {written}");
    }
    assert!(steps.lock().unwrap().iter().filter(|step| step.done.is_some()).count() > 5);
    let sql = database.connect().await;
    let all = count(&sql, "campaign_events").await;
    assert_eq!(
        count(&sql, "(SELECT DISTINCT feed_position FROM campaign_events) AS positions").await,
        all
    );
    assert_eq!(
        count(
            &sql,
            "campaign_events e JOIN campaign_sends s ON s.id = e.send_id AND \
             s.campaign_id = e.send_campaign_id AND s.contact_id = \
             e.send_contact_id"
        )
        .await,
        all
    );
    assert_eq!(
        count(&sql, "pg_index WHERE indrelid = 'campaign_events'::regclass AND NOT indisvalid")
            .await,
        0
    );
    assert_eq!(
        count(
            &sql,
            "pg_attribute WHERE attrelid = 'campaign_events'::regclass AND attname \
             IN ('feed_position', 'send_campaign_id', 'send_contact_id') AND \
             attnotnull"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn an_interrupted_migration_continues() {
    let (database, _) = before_the_feed(20_000).await;
    for milliseconds in [30, 120, 300] {
        let url = database.url.clone();
        let run = tokio::spawn(async move { campaigns_migration::up(&url).await });
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        run.abort();
        run.await.ok();
    }
    // as an interrupted CREATE INDEX leaves it
    let sql = database.connect().await;
    sql.execute_unprepared(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = \
         to_regclass('campaign_events_feed')",
    )
    .await
    .unwrap();
    campaigns_migration::up(&database.url).await.unwrap();
    assert_eq!(count(&sql, "campaign_events WHERE feed_position IS NULL").await, 0);
    assert_eq!(
        count(&sql, "pg_index WHERE indrelid = 'campaign_events'::regclass AND NOT indisvalid")
            .await,
        0
    );
}

#[tokio::test]
async fn a_send_is_moved_only_in_a_snapshot_with_its_latest_events() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let (send, contact) = (made.sends[0], made.contacts[3]);
    let mover = format!("UPDATE campaign_sends SET contact_id = '{contact}' WHERE id = '{send}'");
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let transaction = app.sql.begin_with_config(Some(level), None).await.unwrap();
        let refused = transaction.execute_unprepared(&mover).await.unwrap_err().to_string();
        assert!(refused.contains(&level.to_string()), "{refused}");
        transaction.rollback().await.unwrap();
    }
    app.run(&mover).await;
    let of_others =
        format!("campaign_events WHERE send_id = '{send}' AND send_contact_id <> '{contact}'");
    assert_eq!(app.count(&of_others).await, 0);
}

#[tokio::test]
async fn triggers_that_a_restore_left_off_are_detected_at_startup() {
    let (_postgres, database) = Postgres::own().await;
    let sql = database.connect().await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = serve_arguments(&database.url);
    // as pg_restore --disable-triggers leaves them
    sql.execute_unprepared(
        "ALTER TABLE campaign_events DISABLE TRIGGER ALL; ALTER TABLE \
         campaign_events ENABLE TRIGGER ALL",
    )
    .await
    .unwrap();
    let refused = Binary::run(directory.path(), &arguments).await;
    assert_eq!(refused.code, 1);
    for said in [
        "`campaigns repair` corrects both",
        "campaign_feed_enter on campaign_events does not fire in sessions of replication",
    ] {
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    assert!(!refused.err.contains("on campaign_sends"), "{}", refused.err);
    let repaired =
        Binary::run(directory.path(), &["repair", "--database-url", &database.url]).await;
    assert_eq!(repaired.code, 0, "{}", repaired.err);
    let mut binary = Binary::start(directory.path(), &arguments).await;
    binary.address().await;
    assert_eq!(binary.terminate().await, 0);
    sql.execute_unprepared("ALTER TABLE campaign_events DISABLE TRIGGER campaign_feed_change")
        .await
        .unwrap();
    let refused = Binary::run(directory.path(), &arguments).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("campaign_feed_change on campaign_events is turned off"),
        "{}",
        refused.err
    );
}
