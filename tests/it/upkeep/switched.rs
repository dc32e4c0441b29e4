//! Triggers that are turned off and on: nothing counts twice, missing counts are found, and one
//! command repairs them.

use std::time::Duration;

use campaigns_tests::{
    Backend, Binary, Oracle, TestApp, TestDatabase, assert_exact, fold_all, on_both_databases,
    serve_arguments, until,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use super::{assert_filed, campaigns, check, count, repair, run, until_exact};

const TABLES: [&str; 2] = ["campaign_events", "campaign_sends"];

/// A database with rows of one organization.
async fn filled(backend: Backend) -> (TestDatabase, DatabaseConnection, Uuid) {
    let app = TestApp::on(backend).start().await;
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    let database = app.database.copy().await;
    let sql = database.connect_once().await;
    (database, sql, acme.id)
}

/// SQL that changes each trigger of a table.
fn each_trigger(table: &str, enable: &str) -> String {
    format!(
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = \
         '{table}'::regclass AND NOT tgisinternal LOOP EXECUTE \
         format('ALTER TABLE {table} {enable} %I', t.tgname); END LOOP; END $$"
    )
}

/// Writes of each kind.
fn writes() -> Vec<String> {
    let send = "(SELECT id FROM campaign_sends WHERE status <> 'bounced' ORDER BY id LIMIT 1)";
    vec![
        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT org_id, campaign_id, \
         contact_id FROM campaign_sends LIMIT 3"
            .to_owned(),
        "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, \
         'click', 'https://x.example/' FROM campaign_sends LIMIT 5"
            .to_owned(),
        format!("UPDATE campaign_sends SET status = 'bounced' WHERE id = {send}"),
        "UPDATE campaign_events SET event_type = 'complaint' WHERE id = \
         (SELECT id FROM campaign_events WHERE event_type = 'open' ORDER BY id LIMIT 1)"
            .to_owned(),
        "DELETE FROM campaign_events WHERE id = (SELECT id FROM campaign_events ORDER BY id LIMIT \
         1)"
        .to_owned(),
        format!("DELETE FROM campaign_sends WHERE id = {send}"),
        format!(
            "UPDATE campaign_sends SET campaign_id = (SELECT id FROM campaigns ORDER BY id \
             LIMIT 1) WHERE id = {send}"
        ),
    ]
}

#[tokio::test]
async fn however_triggers_are_enabled_nothing_counts_twice() {
    // each way to enable all triggers, and the sessions in which everything counts afterwards
    for (enable, origin, replica) in [
        ("ENABLE TRIGGER", true, false),
        ("ENABLE ALWAYS TRIGGER", true, true),
        ("ENABLE REPLICA TRIGGER", false, true),
        ("DISABLE TRIGGER", false, false),
    ] {
        for (session, counts) in [("origin", origin), ("replica", replica)] {
            let (database, sql, _) = filled(Backend::Postgres).await;
            assert_exact(&sql).await;
            for table in TABLES {
                run(&sql, &each_trigger(table, enable)).await;
            }
            run(&sql, &format!("SET session_replication_role = {session}")).await;
            for write in writes() {
                let before = stored_clicks(&sql).await;
                let new = write.contains("'click'");
                run(&sql, &write).await;
                fold_all(&sql).await;
                let after = stored_clicks(&sql).await;
                assert!(
                    after - before <= if new { 5 } else { 0 },
                    "{enable} in {session}: {write}: {before} {after}"
                );
                if counts {
                    assert_exact(&sql).await;
                }
            }
            let exact = Oracle::of(&sql).await.differences(&sql).await.is_empty();
            assert_eq!(exact, counts, "{enable} in {session}");
            run(&sql, "SET session_replication_role = origin").await;
            let checked = check(&database).await;
            // all triggers fire always
            let fires = enable == "ENABLE ALWAYS TRIGGER";
            assert_eq!(checked.code == 0, fires, "{enable}: {}", checked.out);
            assert!(
                fires || checked.out.contains("`campaigns repair` corrects both"),
                "{}",
                checked.out
            );
            // `stats rebuild` refuses as well
            let refused = campaigns(&database, &["stats", "rebuild"]).await;
            assert_eq!(refused.code == 0, fires, "{enable}: {}", refused.err);
            repair(&database).await;
            let oracle = assert_exact(&sql).await;
            assert_filed(&sql, &oracle).await;
            for write in writes() {
                run(&sql, &write).await;
            }
            assert_exact(&sql).await;
        }
    }
}

async fn stored_clicks(sql: &DatabaseConnection) -> i64 {
    let query = "SELECT coalesce(CAST(sum(clicks) AS bigint), 0) AS clicks FROM campaign_counts";
    let statement = Statement::from_string(sql.get_database_backend(), query);
    sql.query_one_raw(statement).await.unwrap().unwrap().try_get("", "clicks").unwrap()
}

#[tokio::test]
async fn each_trigger_of_a_table_in_each_state_counts_nothing_twice() {
    let (database, sql, _) = filled(Backend::Postgres).await;
    fold_all(&sql).await;
    let triggers = Statement::from_string(
        sql.get_database_backend(),
        "SELECT CAST(relname AS text) AS of_table, CAST(tgname AS text) AS trigger FROM pg_trigger \
         JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND tgname LIKE \
         'campaign_counts_%' AND relname IN ('campaign_events', 'campaign_sends') ORDER BY 1, 2",
    );
    let triggers = sql.query_all_raw(triggers).await.unwrap();
    assert_eq!(triggers.len(), 10);
    for row in triggers {
        let (table, trigger): (String, String) =
            (row.try_get("", "of_table").unwrap(), row.try_get("", "trigger").unwrap());
        for state in ["ENABLE", "ENABLE REPLICA", "ENABLE ALWAYS"] {
            for session in ["origin", "replica"] {
                run(
                    &sql,
                    &format!(
                        "BEGIN; ALTER TABLE {table} {state} TRIGGER {trigger}; SET \
                         LOCAL session_replication_role = {session}"
                    ),
                )
                .await;
                let before = stored_clicks(&sql).await;
                run(
                    &sql,
                    "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT \
                     org_id, id, 'click', 'https://y.example/' FROM campaign_sends LIMIT 5",
                )
                .await;
                fold_all(&sql).await;
                let counted = stored_clicks(&sql).await - before;
                assert!(counted == 5 || counted == 0, "{trigger} {state} {session}: {counted}");
                run(&sql, "ROLLBACK").await;
            }
        }
    }
    assert_eq!(check(&database).await.code, 0);
}

#[tokio::test]
async fn a_send_that_bounces_after_triggers_were_off_counts_once() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    app.run("UPDATE campaign_sends SET status = 'delivered'").await;
    app.run(
        "ALTER TABLE campaign_sends DISABLE TRIGGER USER; ALTER TABLE campaign_sends ENABLE \
         TRIGGER USER",
    )
    .await;
    let delivered = async || {
        let data =
            acme.member.data("{ stats { delivered bounced sends } }", serde_json::json!({})).await;
        (data["stats"]["delivered"].as_i64().unwrap(), data["stats"]["bounced"].as_i64().unwrap())
    };
    let before = delivered().await;
    app.run(
        "UPDATE campaign_sends SET status = 'bounced' WHERE id = \
         (SELECT id FROM campaign_sends LIMIT 1)",
    )
    .await;
    assert_eq!(delivered().await, (before.0 - 1, before.1 + 1));
    assert_exact(&app.sql).await;
}

#[tokio::test]
async fn triggers_that_were_off_for_a_time_are_detected_once_they_are_on() {
    let (database, sql, _) = filled(Backend::Postgres).await;
    let checked = check(&database).await;
    assert!(checked.code == 0 && !checked.out.contains("note    triggers"), "{}", checked.out);
    for (off, on) in [
        ("DISABLE TRIGGER campaign_counts_update", "ENABLE TRIGGER campaign_counts_update"),
        ("DISABLE TRIGGER campaign_counts_insert", "ENABLE TRIGGER campaign_counts_insert"),
    ] {
        // each is enabled in its original mode
        run(&sql, &format!("ALTER TABLE campaign_sends {off}")).await;
        run(&sql, "UPDATE campaign_sends SET status = 'failed' WHERE status = 'delivered'").await;
        run(
            &sql,
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status) SELECT \
             org_id, campaign_id, contact_id, 'delivered' FROM campaign_sends LIMIT 3",
        )
        .await;
        run(&sql, &format!("ALTER TABLE campaign_sends {on}")).await;
        let checked = check(&database).await;
        assert_eq!(checked.code, 0, "{}", checked.out);
        assert!(
            checked.out.contains("note    triggers were turned off for a time"),
            "{}",
            checked.out
        );
        let doctor = campaigns(&database, &["doctor", "--rows", "100"]).await;
        let trigger = off.rsplit(' ').next().unwrap();
        assert!(doctor.out.contains(&format!("  {trigger} on campaign_sends\n")), "{}", doctor.out);
        assert_eq!(campaigns(&database, &["stats", "check"]).await.code, 1);
        let repaired = repair(&database).await;
        assert!(repaired.contains("counted   organization"), "{repaired}");
        assert_exact(&sql).await;
    }
    // if nothing was written meanwhile, the counts are compared and not counted again
    let enable = each_trigger("campaign_events", "ENABLE ALWAYS TRIGGER");
    run(
        &sql,
        &format!("BEGIN; ALTER TABLE campaign_events DISABLE TRIGGER USER; {enable}; COMMIT"),
    )
    .await;
    let repaired = repair(&database).await;
    assert!(repaired.starts_with("compared  the counts of 1 organizations"), "{repaired}");
}

#[tokio::test]
async fn stats_rebuild_corrects_counts_that_triggers_have_missed() {
    let (database, sql, _) = filled(Backend::Postgres).await;
    for table in TABLES {
        run(&sql, &format!("ALTER TABLE {table} DISABLE TRIGGER ALL")).await;
    }
    for write in writes() {
        run(&sql, &write).await;
    }
    for table in TABLES {
        let enable = each_trigger(table, "ENABLE ALWAYS TRIGGER");
        run(&sql, &format!("ALTER TABLE {table} ENABLE TRIGGER ALL; {enable}")).await;
    }
    let wrong = campaigns(&database, &["stats", "check"]).await;
    assert_eq!(wrong.code, 1);
    assert!(wrong.out.contains("should be"), "{}", wrong.out);
    let rebuilt = campaigns(&database, &["stats", "rebuild"]).await;
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.err);
    assert_eq!(campaigns(&database, &["stats", "check"]).await.code, 0);
    let oracle = assert_exact(&sql).await;
    assert_filed(&sql, &oracle).await;
    // events that are filed during the count count once
    for write in writes() {
        run(&sql, &write).await;
    }
    assert_exact(&sql).await;
}

#[tokio::test]
async fn references_that_are_not_checked_are_found_and_checked_again() {
    let (database, sql, _) = filled(Backend::Postgres).await;
    run(&sql, "ALTER TABLE campaign_sends DISABLE TRIGGER ALL").await;
    run(&sql, &each_trigger("campaign_sends", "ENABLE ALWAYS TRIGGER")).await;
    // the events of deleted sends stay, because the triggers of references are off
    run(
        &sql,
        "DELETE FROM campaign_sends WHERE id IN (SELECT send_id FROM campaign_events LIMIT 3)",
    )
    .await;
    let checked = check(&database).await;
    assert_eq!(checked.code, 1, "{}", checked.out);
    assert!(checked.out.contains("references of campaign_sends are turned off"), "{}", checked.out);
    let repaired = repair(&database).await;
    assert!(repaired.contains("restored  references of campaign_sends"), "{repaired}");
    assert_exact(&sql).await;
    for write in writes() {
        run(&sql, &write).await;
    }
    assert_exact(&sql).await;
}

#[tokio::test]
async fn a_running_service_logs_that_triggers_do_not_fire() {
    let (database, sql, _) = filled(Backend::Postgres).await;
    let directory = tempfile::tempdir().unwrap();
    let mut service = Binary::start(directory.path(), &serve_arguments(&database.url)).await;
    service.address().await;
    run(&sql, "ALTER TABLE campaign_events DISABLE TRIGGER campaign_counts_insert").await;
    let said = async |words: &str| {
        until(words, Duration::from_mins(2), async || service.log().contains(words)).await;
    };
    said("campaign_counts_insert on campaign_events is turned off").await;
    run(&sql, "ALTER TABLE campaign_events ENABLE TRIGGER campaign_counts_insert").await;
    said("triggers were turned off for a time").await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn a_trigger_that_was_dropped_is_created_again() {
    for backend in [Backend::Postgres, Backend::Sqlite] {
        let (database, sql, _) = filled(backend).await;
        let drops: &[&str] = match backend {
            Backend::Postgres => &[
                "DROP TRIGGER campaign_feed_enter ON campaign_events",
                "DROP TRIGGER campaign_counts_row ON campaign_sends",
                "DROP TRIGGER campaign_counts_update ON campaign_sends",
                "DROP TRIGGER campaign_counts_guard ON campaign_counts",
            ],
            Backend::Sqlite => &[
                "DROP TRIGGER campaign_events_enter_feed",
                "DROP TRIGGER campaign_counts_send_update",
                "DROP TRIGGER campaign_events_filed",
            ],
        };
        for drop in drops {
            run(&sql, drop).await;
        }
        for write in writes() {
            run(&sql, &write).await;
        }
        let checked = check(&database).await;
        assert_eq!(checked.code, 1, "{}", checked.out);
        assert!(checked.out.contains("is missing"), "{}", checked.out);
        let repaired = repair(&database).await;
        assert!(repaired.contains("restored  campaign_"), "{repaired}");
        let oracle = assert_exact(&sql).await;
        assert_filed(&sql, &oracle).await;
    }
}

#[tokio::test]
async fn positions_that_a_writer_sets_are_made_unique() {
    let (database, sql, org) = filled(Backend::Postgres).await;
    run(&sql, "ALTER TABLE campaign_events DISABLE TRIGGER ALL").await;
    // positions from another database: some already in use, some not yet
    run(
        &sql,
        &format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, feed_position, \
             send_campaign_id, send_contact_id) SELECT org_id, id, 'open', row_number() OVER (), \
             campaign_id, contact_id FROM campaign_sends WHERE org_id = '{org}' LIMIT 40"
        ),
    )
    .await;
    run(
        &sql,
        "UPDATE campaign_events SET feed_position = 100000 WHERE id = \
         (SELECT id FROM campaign_events WHERE feed_position IS NOT NULL LIMIT 1)",
    )
    .await;
    run(&sql, "ALTER TABLE campaign_events ENABLE TRIGGER ALL").await;
    let doctor = campaigns(&database, &["doctor"]).await;
    assert!(
        doctor.out.contains("campaign_events have the place of another event in the feed"),
        "{}",
        doctor.out
    );
    let repaired = repair(&database).await;
    assert!(repaired.contains("events to the end of the feed"), "{repaired}");
    let oracle = assert_exact(&sql).await;
    assert_filed(&sql, &oracle).await;
    // new events come after all of them
    run(
        &sql,
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'open' \
         FROM campaign_sends LIMIT 1",
    )
    .await;
    assert!(count(&sql, "campaign_events WHERE feed_position > 100000").await > 0);
}

#[tokio::test]
async fn the_list_of_triggers_is_that_of_the_database() {
    for database in [TestDatabase::new(Backend::Postgres).await, TestDatabase::adopted().await] {
        let sql = database.connect_once().await;
        let query = "SELECT tgname || ' on ' || relname AS name FROM pg_trigger JOIN pg_class ON \
                     pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT \
                     tgisinternal AND proname LIKE 'campaign\\_%' AND relname <> 'organizations' ORDER BY 1";
        let rows = sql
            .query_all_raw(Statement::from_string(sql.get_database_backend(), query))
            .await
            .unwrap();
        let there: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let mut listed = campaigns_scope::triggers(true);
        listed.sort();
        listed.retain(|name| there.contains(name) || !name.starts_with("zz_"));
        assert_eq!(there, listed);
    }
    let database = TestDatabase::new(Backend::Sqlite).await;
    let sql = database.connect_once().await;
    let query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN \
                 ('campaign_events', 'campaign_sends') AND name NOT LIKE '%_times_on_%' AND name \
                 NOT LIKE '%_updated_at' ORDER BY 1";
    let rows =
        sql.query_all_raw(Statement::from_string(sql.get_database_backend(), query)).await.unwrap();
    let there: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    let mut listed = campaigns_scope::triggers(false);
    listed.sort();
    assert_eq!(there, listed);
}

#[on_both_databases]
async fn counts_are_the_same_after_undoing_and_repeating_the_migration(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    app.run(
        "UPDATE campaign_events SET url = 'https://a.example/', event_type = 'click' WHERE \
         event_type = 'open'",
    )
    .await;
    for _ in 0..2 {
        while campaigns_migration::down(&app.database.url).await.unwrap().as_deref()
            != Some("m0014_upkeep")
        {}
        assert_exact(&app.sql).await;
        app.run(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, \
             'click', 'https://a.example/' FROM campaign_sends LIMIT 3",
        )
        .await;
        assert_exact(&app.sql).await;
        campaigns_migration::up(&app.database.url).await.unwrap();
        app.run(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, \
             'click', 'https://a.example/' FROM campaign_sends LIMIT 3",
        )
        .await;
        let oracle = until_exact(&app.sql).await;
        assert_filed(&app.sql, &oracle).await;
    }
}
