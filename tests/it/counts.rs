//! Running counts equal a recount, regardless of the writer.

use std::time::{Duration, Instant};

use campaigns_scope::COUNT_TABLES;
use campaigns_tests::{
    Backend, Binary, Fixtures, MARKS, TestApp, TestDatabase, assert_exact, fold_all,
    on_every_database, until,
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Compares every count of every organization with a recount.
async fn compare(app: &TestApp) {
    let counts = app.service_database.counts();
    for organization in counts.organizations().await.unwrap() {
        for table in &COUNT_TABLES {
            let (differences, all) = counts.differences(table, organization).await.unwrap();
            assert_eq!(all, 0, "{} of {organization}: {differences:#?}", table.name);
        }
    }
}

/// A random write by SQL to rows of an organization.
fn write(app: &TestApp, rng: &mut ChaCha8Rng, organization: Uuid, made: &Fixtures) -> Vec<String> {
    let org = app.literal(organization);
    let some = |ids: &[Uuid], rng: &mut ChaCha8Rng| {
        let count = rng.random_range(1..12);
        let ids: Vec<String> = ids.sample(rng, count).map(|id| app.literal(*id)).collect();
        ids.join(", ")
    };
    let status = ["queued", "sent", "delivered", "bounced", "failed"].choose(rng).unwrap();
    let event = ["open", "click", "unsubscribe", "complaint", "bounce"].choose(rng).unwrap();
    let mark = [
        "{\"bounce_type\": \"soft\"}",
        "{\"bounce_type\": \"hard\", \"machine\": true}",
        "{\"machine\": false, \"machine\": true}",
        "{\"machine\": true, \"machine\": 1}",
        "[{\"machine\": true}]",
        "null",
    ];
    let mark = mark.iter().chain(&MARKS).collect::<Vec<_>>();
    let mark = mark.choose(rng).unwrap();
    let url = ["https://a.example/", "https://b.example/ä", ""].choose(rng).unwrap();
    let hour = rng.random_range(0..24);
    let (sends, events) = (some(&made.sends, rng), some(&made.events, rng));
    let send = app.literal(*made.sends.choose(rng).unwrap());
    let campaign = app.literal(*made.campaigns.choose(rng).unwrap());
    let contact = app.literal(*made.contacts.choose(rng).unwrap());
    let sql = match rng.random_range(0..22) {
        0 => format!("UPDATE campaign_sends SET status = '{status}' WHERE id IN ({sends})"),
        1 => format!(
            "UPDATE campaign_sends SET campaign_id = c.id FROM campaigns c WHERE c.id = {campaign} \
             AND campaign_sends.id IN ({sends})"
        ),
        2 => format!(
            "UPDATE campaign_sends SET contact_id = c.id FROM contacts c WHERE c.id = {contact} \
             AND campaign_sends.id IN ({sends})"
        ),
        3 => format!("UPDATE campaign_events SET event_type = '{event}' WHERE id IN ({events})"),
        4 => format!(
            "UPDATE campaign_events SET send_id = {send} \
             WHERE id IN ({events}) AND EXISTS (SELECT 1 FROM campaign_sends WHERE id = {send})"
        ),
        5 => format!("DELETE FROM campaign_sends WHERE id IN ({sends})"),
        6 => format!("DELETE FROM campaign_events WHERE id IN ({events})"),
        7 => format!("UPDATE campaign_events SET url = '{url}' WHERE id IN ({events})"),
        8 => {
            format!("UPDATE campaign_events SET url = NULL, metadata = NULL WHERE id IN ({events})")
        }
        9 => format!("UPDATE campaign_events SET metadata = '{mark}' WHERE id IN ({events})"),
        10 => format!(
            "UPDATE campaign_events SET occurred_at = '2026-03-01T{hour:02}:30:00+00:00', url = \
             '{url}' WHERE id IN ({events})"
        ),
        // in SQLite, not in the normal form of times
        11 => format!(
            "UPDATE campaign_events SET occurred_at = '2026-03-02T{hour:02}:15:00.250000000+00:00' \
             WHERE id IN ({events})"
        ),
        12 => format!("DELETE FROM campaigns WHERE id = {campaign}"),
        13 => format!("DELETE FROM contacts WHERE id = {contact}"),
        14 => format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status) \
             SELECT {org}, c.id, k.id, '{status}' FROM campaigns c, contacts k \
             WHERE c.id = {campaign} AND k.org_id = {org} LIMIT 5"
        ),
        15 => format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, metadata) \
             SELECT org_id, id, '{event}', '{mark}' FROM campaign_sends WHERE id IN ({sends})"
        ),
        16 => format!(
            "UPDATE campaign_events SET metadata = '{mark}', url = url WHERE event_type = '{event}'"
        ),
        17 => format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type) \
             SELECT id, org_id, id, '{event}' FROM campaign_sends WHERE id IN ({sends}) ON \
             CONFLICT (id) DO NOTHING"
        ),
        18 => format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type) \
             SELECT id, org_id, id, '{event}' FROM campaign_sends WHERE id IN ({sends}) \
             ON CONFLICT (id) DO UPDATE SET event_type = excluded.event_type, url = '{url}'"
        ),
        _ => format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url, metadata, occurred_at) \
             SELECT org_id, id, '{event}', '{url}', '{mark}', '2026-03-01T{hour:02}:59:59.5+00:00' \
             FROM campaign_sends WHERE id IN ({sends})"
        ),
    };
    if rng.random_bool(0.1) {
        return vec!["BEGIN".to_owned(), sql, "ROLLBACK".to_owned()];
    }
    vec![sql]
}

#[on_every_database]
async fn counts_equal_a_recount_regardless_of_the_sql_that_writes(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let of_acme = acme.populated(40).await;
    let of_other = other.populated(10).await;
    compare(&app).await;
    for round in 0..60 {
        for _ in 0..4 {
            let (organization, made) =
                if rng.random_bool(0.8) { (&acme, &of_acme) } else { (&other, &of_other) };
            let statements = write(&app, &mut rng, organization.id, made);
            if let [sql] = &statements[..] {
                app.run(sql).await;
            } else {
                let transaction = app.sql.begin().await.unwrap();
                transaction.execute_unprepared(&statements[1]).await.unwrap();
                transaction.rollback().await.unwrap();
            }
        }
        if rng.random_bool(0.5) {
            fold_all(&app.sql).await;
        }
        compare(&app).await;
        if round % 10 == 9 {
            // deletions that cascade
            app.run(&format!(
                "DELETE FROM campaign_events WHERE org_id = {}",
                app.literal(other.id)
            ))
            .await;
            acme.populated(5).await;
            assert_exact(&app.sql).await;
        }
    }
    fold_all(&app.sql).await;
    compare(&app).await;
    app.run("DELETE FROM organizations").await;
    fold_all(&app.sql).await;
    for table in &COUNT_TABLES {
        assert_eq!(app.count(table.name).await, 0, "{}", table.name);
    }
}

#[on_every_database]
async fn stats_check_names_a_wrong_count_and_stats_rebuild_corrects_it(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(20).await;
    fold_all(&app.sql).await;
    let directory = tempfile::tempdir().unwrap();
    let stats = async |action: &str| {
        Binary::run(directory.path(), &["stats", action, "--database-url", &app.database.url]).await
    };
    let right = stats("check").await;
    assert_eq!((right.code, right.err.as_str()), (0, ""), "{}", right.out);
    assert_eq!(right.out, "the counts of 1 organizations are correct\n");

    let campaign =
        app.rows("SELECT campaign_id, opens FROM campaign_counts WHERE opens > 0 LIMIT 1").await;
    let (id, opens): (Uuid, i64) = (
        campaign[0].try_get("", "campaign_id").unwrap(),
        campaign[0].try_get("", "opens").unwrap(),
    );
    app.run(&format!(
        "UPDATE campaign_counts SET opens = opens + 7 WHERE campaign_id = {}",
        app.literal(id)
    ))
    .await;
    for table in [
        "campaign_contact_counts",
        "campaign_hour_counts",
        "campaign_link_counts",
        "campaign_send_counts",
        "campaign_send_link_counts",
    ] {
        let column = if table == "campaign_contact_counts" { "suppressing" } else { "clicks" };
        app.run(&format!("UPDATE {table} SET {column} = {column} + 1")).await;
    }
    app.run("DELETE FROM campaign_hour_counts WHERE opens > 0").await;
    let wrong = stats("check").await;
    assert_eq!(wrong.code, 1);
    let named = format!(
        "campaign_counts of {}: campaign_id {id}: opens is {} and should be {opens}\n",
        acme.id,
        opens + 7
    );
    assert!(wrong.out.contains(&named), "{}", wrong.out);
    for table in &COUNT_TABLES {
        assert!(wrong.out.contains(&format!("{} of {}: ", table.name, acme.id)), "{}", wrong.out);
    }
    assert!(wrong.err.contains("rows of counts are wrong"), "{}", wrong.err);

    let rebuilt = stats("rebuild").await;
    assert_eq!(
        (rebuilt.code, rebuilt.out.as_str()),
        (0, "the counts of 1 organizations are stored\n")
    );
    assert_eq!(stats("check").await.code, 0);
    assert!(!made.campaigns.is_empty());
}

#[on_every_database]
async fn a_replaced_row_counts_with_its_new_values(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(12).await;
    let events: Vec<String> = made.events.iter().take(9).map(|id| app.literal(*id)).collect();
    let insert = format!(
        "INTO campaign_events (id, org_id, send_id, event_type) \
         SELECT id, org_id, send_id, 'complaint' FROM campaign_events WHERE id IN ({})",
        events.join(", ")
    );
    match app.database.backend {
        Backend::Sqlite => app.run(&format!("INSERT OR REPLACE {insert}")).await,
        Backend::Postgres => {
            app.run(&format!(
                "INSERT {insert} ON CONFLICT (id) DO UPDATE SET event_type = EXCLUDED.event_type, \
                 url = NULL"
            ))
            .await;
        }
    }
    compare(&app).await;
    if app.database.backend == Backend::Sqlite {
        // an insert that is ignored changes nothing
        app.run(&format!("INSERT OR IGNORE {insert}")).await;
        assert!(app.try_run(&format!("INSERT {insert}")).await.is_err());
        app.run(
            "REPLACE INTO campaign_sends (id, org_id, campaign_id, contact_id, status) SELECT \
             id, org_id, campaign_id, contact_id, 'failed' FROM campaign_sends LIMIT 3",
        )
        .await;
        compare(&app).await;
    }
}

/// Writes at random until it is stopped: events of any send, and updates and deletions of its own
/// events.
async fn write_until(
    database: DatabaseConnection,
    organization: Uuid,
    seed: u64,
    end: Instant,
) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut written = 0;
    while Instant::now() < end {
        let transaction = database.begin().await.unwrap();
        for _ in 0..rng.random_range(1..5) {
            let event = ["open", "click", "unsubscribe", "complaint"].choose(&mut rng).unwrap();
            let url = ["https://a.example/", "https://b.example/"].choose(&mut rng).unwrap();
            let mark = MARKS.choose(&mut rng).unwrap();
            let count = [1, 20, 300].choose(&mut rng).unwrap();
            let sql = match rng.random_range(0..8) {
                0 => format!(
                    "UPDATE campaign_sends SET status = 'delivered' WHERE error = 'of {seed}' AND \
                     status <> 'delivered'"
                ),
                1 => format!(
                    "UPDATE campaign_events SET event_type = '{event}', metadata = '{mark}' WHERE \
                     url = 'of {seed}'"
                ),
                2 => format!(
                    "DELETE FROM campaign_events WHERE id IN \
                     (SELECT id FROM campaign_events WHERE url = 'of {seed}' LIMIT 30)"
                ),
                3 => format!(
                    "INSERT INTO campaign_sends (org_id, campaign_id, contact_id, error) \
                     SELECT org_id, campaign_id, contact_id, 'of {seed}' FROM campaign_sends WHERE \
                     error IS NULL AND org_id = '{organization}' LIMIT 20"
                ),
                4 => format!("DELETE FROM campaign_sends WHERE error = 'of {seed}'"),
                5 => format!(
                    "INSERT INTO campaign_events (org_id, send_id, event_type, url) \
                     SELECT org_id, id, 'click', 'of {seed}' FROM campaign_sends WHERE error IS \
                     NULL AND org_id = '{organization}' ORDER BY random() LIMIT {count}"
                ),
                _ => format!(
                    "INSERT INTO campaign_events (org_id, send_id, event_type, url, metadata) \
                     SELECT org_id, id, '{event}', '{url}', '{mark}' FROM campaign_sends WHERE \
                     error IS NULL AND org_id = '{organization}' ORDER BY random() LIMIT {count}"
                ),
            };
            transaction
                .execute_unprepared(&sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            written += 1;
        }
        if rng.random_bool(0.1) {
            transaction.rollback().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
        }
    }
    written
}

#[tokio::test]
async fn simultaneous_writers_do_not_block_and_every_response_is_consistent() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let acme = app.organization("acme").await;
    acme.populated(40).await;
    let end = Instant::now() + Duration::from_secs(8);
    let mut writers = tokio::task::JoinSet::new();
    for seed in 0..6 {
        let connection = app.database.connect().await;
        writers.spawn(write_until(connection, acme.id, seed, end));
    }
    let api = acme.member.clone();
    let sends = app.rows("SELECT id FROM campaign_sends LIMIT 50").await;
    let sends: Vec<Uuid> = sends.iter().map(|row| row.try_get("", "id").unwrap()).collect();
    writers.spawn(async move {
        let mut calls = 0;
        while Instant::now() < end {
            let events: Vec<Json> = (0..10)
                .map(|number| {
                    json!({
                        "sendId": sends[(calls + number) % sends.len()], "type": "OPEN",
                    })
                })
                .collect();
            let record = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { \
                          recorded } }";
            let data = api.data(record, json!({ "input": events })).await;
            assert_eq!(data["recordEvents"]["recorded"], 10);
            calls += 1;
        }
        calls
    });
    // recounts, rebuilds and TRUNCATE meanwhile
    while Instant::now() < end {
        compare(&app).await;
        app.service_database.counts().rebuild(acme.id).await.unwrap();
        compare(&app).await;
        let query = "{ campaigns(first: 500) { nodes { stats { opens sends uniqueOpens } } } stats \
                     { opens sends uniqueOpens } }";
        acme.member.data(query, json!({})).await;
        if rng.random_bool(0.2) {
            app.run("TRUNCATE campaign_events").await;
        }
    }
    let mut written = Vec::new();
    while let Some(count) = writers.join_next().await {
        written.push(count.unwrap());
    }
    assert!(written.iter().all(|count| *count > 10), "{written:?}");
    compare(&app).await;
    fold_all(&app.sql).await;
    compare(&app).await;
    assert!(app.count("campaign_counts").await > 0);
    let deadlocks = "pg_stat_database WHERE datname = current_database() AND deadlocks > 0";
    assert_eq!(app.count(deadlocks).await, 0);

    app.run("TRUNCATE campaign_sends CASCADE").await;
    fold_all(&app.sql).await;
    for table in &COUNT_TABLES {
        assert_eq!(app.count(table.name).await, 0, "{}", table.name);
    }
    let repeatable = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; TRUNCATE campaign_events";
    let refused = app.sql.execute_unprepared(repeatable).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be truncated under REPEATABLE READ"), "{refused}");
    app.sql.execute_unprepared("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn replicated_rows_are_counted() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(12).await;
    // a session like that of a replication worker
    let send = app.literal(made.sends[0]);
    let transaction = app.sql.begin().await.unwrap();
    for sql in [
        "SET LOCAL session_replication_role = 'replica'".to_owned(),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT '{}', {send}, \
             'click', 'https://a.example/'",
            acme.id
        ),
        format!(
            "UPDATE campaign_events SET event_type = 'open' WHERE id = {}",
            app.literal(made.events[0])
        ),
        format!("UPDATE campaign_sends SET status = 'failed' WHERE id = {send}"),
        "UPDATE campaign_events SET metadata = '{\"machine\": true}' WHERE event_type = 'click'"
            .to_owned(),
        format!("DELETE FROM campaign_events WHERE id = {}", app.literal(made.events[1])),
        format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT org_id, \
             campaign_id, contact_id FROM campaign_sends WHERE id = {send}"
        ),
        format!(
            "UPDATE campaign_sends SET campaign_id = {} WHERE id = {send}",
            app.literal(made.campaigns[0])
        ),
    ] {
        transaction.execute_unprepared(&sql).await.unwrap();
    }
    transaction.commit().await.unwrap();
    compare(&app).await;
    fold_all(&app.sql).await;
    compare(&app).await;
    assert_exact(&app.sql).await;
}

#[tokio::test]
async fn the_migration_counts_existing_rows_while_others_write() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    acme.populated(30).await;
    while campaigns_migration::down(&app.database.url).await.unwrap().as_deref()
        != Some("m0008_counts")
    {}
    let end = Instant::now() + Duration::from_secs(3);
    let writer = tokio::spawn(write_until(app.database.connect().await, acme.id, 1, end));
    let before = app.count("campaign_events").await;
    let writes = async || app.count("campaign_events").await > before;
    until("the writer begins", Duration::from_mins(2), writes).await;
    campaigns_migration::up(&app.database.url).await.unwrap();
    compare(&app).await;
    assert!(writer.await.unwrap() > 10);
    compare(&app).await;
    fold_all(&app.sql).await;
    compare(&app).await;
    assert_exact(&app.sql).await;
}

#[on_every_database]
async fn the_list_of_counts_is_that_of_the_tables(app: TestApp) {
    for table in &COUNT_TABLES {
        let sql = match app.database.backend {
            Backend::Sqlite => format!("SELECT name FROM pragma_table_info('{}')", table.name),
            Backend::Postgres => format!(
                "SELECT CAST(attname AS text) AS name FROM pg_attribute WHERE attnum > 0 AND NOT \
                 attisdropped AND attrelid = '{}'::regclass",
                table.name
            ),
        };
        let rows = app.rows(&sql).await;
        let mut stored: Vec<String> =
            rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let mut listed = vec!["org_id".to_owned()];
        listed.extend(table.columns().split(", ").map(str::to_owned));
        stored.sort();
        listed.sort();
        assert_eq!(stored, listed, "{}", table.name);
    }
}
