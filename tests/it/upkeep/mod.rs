//! Columns and counts that triggers maintain stay correct through restores, replication and writers
//! by SQL.

mod other_refusals;
mod refused_deletions;
mod replication;
mod restores;
mod sessions;
mod stuck;
mod switched;
mod waiting;
mod writers;

use std::time::{Duration, Instant};

use campaigns_tests::{Binary, Finished, Oracle, TestDatabase, fold_all};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// Runs SQL as another program does.
async fn run(sql: &DatabaseConnection, statement: &str) {
    let done = sql.execute_unprepared(statement).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn count(sql: &DatabaseConnection, from: &str) -> i64 {
    let query = format!("SELECT count(*) AS n FROM {from}");
    let statement = Statement::from_string(sql.get_database_backend(), query);
    sql.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

async fn campaigns(database: &TestDatabase, arguments: &[&str]) -> Finished {
    let directory = tempfile::tempdir().unwrap();
    let of_database = ["--database-url", &database.url];
    Binary::run(directory.path(), &[arguments, &of_database].concat()).await
}

/// Runs `campaigns serve --check` on a database.
async fn check(database: &TestDatabase) -> Finished {
    let arguments = ["serve", "--check", "--listen", "127.0.0.1:0", "--jwt-secret", SECRET];
    campaigns(database, &arguments).await
}

/// Asserts that `campaigns repair` repairs everything, and that nothing is left to repair. Returns
/// its output.
async fn repair(database: &TestDatabase) -> String {
    let repaired = campaigns(database, &["repair"]).await;
    assert_eq!(repaired.code, 0, "{} {}", repaired.out, repaired.err);
    let checked = check(database).await;
    assert_eq!(checked.code, 0, "{} {}", checked.out, checked.err);
    assert!(!checked.out.contains("turned off for a time"), "{}", checked.out);
    let counts = campaigns(database, &["stats", "check"]).await;
    assert_eq!(counts.code, 0, "{} {}", counts.out, counts.err);
    let again = campaigns(database, &["repair"]).await;
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "nothing had to be repaired\n"),
        "{}",
        again.err
    );
    repaired.out
}

/// Waits until the counts equal the oracle's, as long as the difference decreases.
async fn until_exact(sql: &DatabaseConnection) -> Oracle {
    let (mut least, mut since) = (usize::MAX, Instant::now());
    loop {
        fold_all(sql).await;
        let oracle = Oracle::of(sql).await;
        let differences = oracle.differences(sql).await;
        if differences.is_empty() {
            return oracle;
        }
        if differences.len() < least {
            (least, since) = (differences.len(), Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{}", differences.join("\n"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asserts that each event with a send is filed under it, and has its own position in the feed.
async fn assert_filed(sql: &DatabaseConnection, oracle: &Oracle) {
    let misfiled = "campaign_events AS e JOIN campaign_sends AS s ON s.id = e.send_id AND s.org_id \
                    = e.org_id WHERE e.send_campaign_id <> s.campaign_id OR e.send_contact_id <> \
                    s.contact_id";
    assert_eq!(count(sql, misfiled).await, 0);
    let statement = Statement::from_string(
        sql.get_database_backend(),
        "SELECT id, org_id, feed_position FROM campaign_events WHERE feed_position > 0 ORDER BY \
         feed_position",
    );
    let mut places: Vec<(Uuid, i64)> = Vec::new();
    let mut found = Vec::new();
    for row in sql.query_all_raw(statement).await.unwrap() {
        let organization: Uuid = row.try_get("", "org_id").unwrap();
        let place = (organization, row.try_get("", "feed_position").unwrap());
        assert!(!places.contains(&place), "{place:?} is the place of two events");
        places.push(place);
        found.push((organization, row.try_get::<Uuid>("", "id").unwrap()));
    }
    for (organization, events) in &oracle.events {
        for event in events {
            assert!(found.contains(&(*organization, *event)), "{event} is not in the feed");
        }
    }
}
