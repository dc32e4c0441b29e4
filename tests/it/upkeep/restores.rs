//! Dumps restored by PostgreSQL's programs, with each of their options.

use std::{collections::BTreeSet, path::Path, process::Command};

use campaigns_tests::{
    Backend, Oracle, TestApp, TestDatabase, assert_exact, fold_all, postgres_program,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    assert_filed, check, count, repair, run,
    waiting::{assert_receives, follow},
};

/// A database with rows of two organizations and pending changes.
async fn source() -> TestDatabase {
    let app = TestApp::on(Backend::Postgres).start().await;
    for slug in ["acme", "other"] {
        app.organization(slug).await.populated(10).await;
    }
    fold_all(&app.sql).await;
    let database = app.database.copy().await;
    let sql = database.connect_once().await;
    run(
        &sql,
        "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, \
         'click', 'https://x.example/' FROM campaign_sends LIMIT 20",
    )
    .await;
    assert!(count(&sql, "campaign_event_changes").await > 0);
    sql.close().await.unwrap();
    database
}

/// Runs a program of PostgreSQL in a directory. Errors are expected if rows exist already.
fn program(directory: &Path, name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(postgres_program(name));
    let done = command.args(arguments).current_dir(directory).output().unwrap();
    if !done.status.success() {
        eprintln!("{name} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    done.status.success()
}

/// Asserts that a restored database has the rows of its source, correct counts, and each event once
/// in the feed, also after more writes.
async fn assert_restored(name: &str, database: &TestDatabase, source: &Oracle) {
    let sql = database.connect_once().await;
    let oracle = assert_exact(&sql).await;
    assert_eq!(oracle.events, source.events, "{name}");
    assert_filed(&sql, &oracle).await;
    let app =
        TestApp::on_database(TestDatabase::at(Backend::Postgres, &database.url)).start().await;
    for (organization, events) in &oracle.events {
        let organization = app.existing_organization(*organization).await;
        let mut follower = follow(&organization).await;
        let data = organization
            .member
            .data("{ events(first: 500) { totalCount nodes { id campaign { id } } } }", json!({}))
            .await;
        let nodes = data["events"]["nodes"].as_array().unwrap();
        let ids: BTreeSet<Uuid> =
            nodes.iter().map(|node| node["id"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!((&ids, nodes.len()), (events, events.len()), "{name}");
        assert_receives(&app, &organization, &mut follower, &BTreeSet::new()).await;
    }
    run(
        &sql,
        "UPDATE campaign_sends SET status = 'failed' WHERE status = 'sent'; DELETE FROM \
         campaign_sends WHERE status = 'bounced'",
    )
    .await;
    let oracle = assert_exact(&sql).await;
    assert_filed(&sql, &oracle).await;
    sql.close().await.unwrap();
}

#[tokio::test]
async fn a_restored_database_counts_correctly_after_any_way_to_restore() {
    let source = source().await;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let of_source = Oracle::of(&source.connect_once().await).await;
    assert!(program(at, "pg_dump", &["-Fc", "-f", "whole.dump", &source.url]));
    assert!(program(at, "pg_dump", &["-f", "whole.sql", &source.url]));
    assert!(program(at, "pg_dump", &["--clean", "--if-exists", "-f", "clean.sql", &source.url]));
    for way in ["whole", "-j2", "sections", "psql"] {
        let database = TestDatabase::empty(Backend::Postgres).await;
        let into = ["-d", &database.url];
        match way {
            "whole" => assert!(program(at, "pg_restore", &[&into[..], &["whole.dump"]].concat())),
            "-j2" => assert!(program(
                at,
                "pg_restore",
                &[&into[..], &["-j", "2", "whole.dump"]].concat()
            )),
            "sections" => {
                for section in ["pre-data", "data", "post-data"] {
                    let section = format!("--section={section}");
                    assert!(program(
                        at,
                        "pg_restore",
                        &[&into[..], &[&section, "whole.dump"]].concat()
                    ));
                }
            }
            _ => assert!(program(
                at,
                "psql",
                &[&into[..], &["-q", "-v", "ON_ERROR_STOP=1", "-f", "whole.sql"]].concat()
            )),
        }
        // the triggers fire, but were missing during the restore
        let checked = check(&database).await;
        assert_eq!(checked.code, 0, "{way}: {}", checked.out);
        assert!(checked.out.contains("recreated, as by a restore"), "{way}: {}", checked.out);
        assert_restored(way, &database, &of_source).await;
        let repaired = repair(&database).await;
        assert!(
            repaired.starts_with("compared  the counts of 2 organizations"),
            "{way}: {repaired}"
        );
    }
    // into an existing database
    for way in ["pg_restore", "psql"] {
        let app = TestApp::on(Backend::Postgres).start().await;
        app.organization("former").await.populated(5).await;
        let database = app.database.copy().await;
        drop(app);
        let into = ["-d", &database.url];
        if way == "psql" {
            assert!(program(
                at,
                "psql",
                &[&into[..], &["-q", "-v", "ON_ERROR_STOP=1", "-f", "clean.sql"]].concat()
            ));
        } else {
            assert!(program(
                at,
                "pg_restore",
                &[&into[..], &["--clean", "--if-exists", "whole.dump"]].concat()
            ));
        }
        assert_eq!(check(&database).await.code, 0);
        assert_restored(way, &database, &of_source).await;
        repair(&database).await;
    }
}

#[tokio::test]
async fn the_data_of_a_dump_counts_once_in_a_migrated_database() {
    let source = source().await;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let of_source = Oracle::of(&source.connect_once().await).await;
    assert!(program(at, "pg_dump", &["-Fc", "-f", "whole.dump", &source.url]));
    assert!(program(at, "pg_dump", &["--data-only", "-f", "data.sql", &source.url]));
    for way in ["--disable-triggers", "with triggers", "replica"] {
        let database = TestDatabase::new(Backend::Postgres).await;
        let into = ["-d", &database.url];
        // the rows of migrations exist already, so each of these reports errors
        let done = match way {
            "--disable-triggers" => program(
                at,
                "pg_restore",
                &[&into[..], &["--data-only", "--disable-triggers", "whole.dump"]].concat(),
            ),
            "with triggers" => {
                program(at, "psql", &[&into[..], &["-q", "-f", "data.sql"]].concat())
            }
            _ => program(
                at,
                "psql",
                &[
                    &into[..],
                    &["-q", "-c", "SET session_replication_role = replica", "-f", "data.sql"],
                ]
                .concat(),
            ),
        };
        assert!(done || way == "--disable-triggers", "{way}");
        let checked = check(&database).await;
        if way == "--disable-triggers" {
            assert_eq!(checked.code, 1, "{}", checked.out);
            assert!(
                checked.out.contains(
                    "campaign_counts_row on campaign_sends does not fire in sessions of replication"
                ),
                "{}",
                checked.out
            );
            // counts are correct before the repair, and new rows count once
            let sql = database.connect_once().await;
            assert_exact(&sql).await;
            run(
                &sql,
                "BEGIN; INSERT INTO campaign_events (org_id, send_id, event_type) SELECT \
                 org_id, id, 'open' FROM campaign_sends LIMIT 5",
            )
            .await;
            assert_exact(&sql).await;
            run(&sql, "ROLLBACK").await;
            let repaired = repair(&database).await;
            assert!(
                repaired.contains("restored  campaign_feed_enter on campaign_events"),
                "{repaired}"
            );
        } else {
            assert_eq!(checked.code, 0, "{}", checked.out);
            assert!(
                checked.out.contains("`campaigns repair` compares and corrects the counts"),
                "{}",
                checked.out
            );
        }
        assert_restored(way, &database, &of_source).await;
        repair(&database).await;
    }
}

#[tokio::test]
async fn a_plain_database_is_loaded_without_triggers() {
    // sends and events of a program that knows only the documented columns
    let source = TestDatabase::new(Backend::Postgres).await;
    while campaigns_migration::down(&source.url).await.unwrap().as_deref() != Some("m0007_feed") {}
    let sql = source.connect_once().await;
    let org = Uuid::new_v4();
    run(
        &sql,
        &format!(
            "INSERT INTO organizations (id, name, slug) VALUES ('{org}', 'theirs', 'theirs');
         INSERT INTO campaigns (org_id, name) VALUES ('{org}', 'x');
         INSERT INTO contacts (org_id, first_name) SELECT '{org}', 'x' FROM generate_series(1, 20);
         INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT '{org}', c.id, k.id \
         FROM campaigns c, contacts k;
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'open' FROM \
         campaign_sends, generate_series(1, 100)"
        ),
    )
    .await;
    let of_source = Oracle::of(&sql).await;
    let directory = tempfile::tempdir().unwrap();
    let tables = ["organizations", "campaigns", "contacts", "campaign_sends", "campaign_events"];
    let mut arguments = vec![
        "--data-only",
        "--disable-triggers",
        "--column-inserts",
        "--rows-per-insert=500",
        "-f",
        "data.sql",
    ];
    for table in tables {
        arguments.extend(["-t", table]);
    }
    arguments.push(&source.url);
    assert!(program(directory.path(), "pg_dump", &arguments));
    let database = TestDatabase::new(Backend::Postgres).await;
    assert!(program(
        directory.path(),
        "psql",
        &["-d", &database.url, "-q", "-v", "ON_ERROR_STOP=1", "-f", "data.sql"]
    ));
    let sql = database.connect_once().await;
    assert_eq!(count(&sql, "campaign_events WHERE feed_position IS NULL").await, 2_000);
    assert_eq!(check(&database).await.code, 1);
    let repaired = repair(&database).await;
    assert!(repaired.contains("filed     2000 events under their sends"), "{repaired}");
    let oracle = assert_exact(&sql).await;
    assert_eq!(oracle.events, of_source.events);
    assert_filed(&sql, &oracle).await;
}
