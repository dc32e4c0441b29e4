//! What a database makes of each session: its encoding, and the defaults of its settings.

use std::time::Duration;

use campaigns_tests::{Backend, Postgres, TestApp, TestDatabase};
use sea_orm::DatabaseConnection;
use serde_json::json;
use uuid::Uuid;

use super::{campaigns, check, run};

const PATIENCE: Duration = Duration::from_mins(1);
const DELETE: &str = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";

/// The database without what the last parameter of its address names.
fn name(database: &TestDatabase) -> &str {
    database.url.rsplit('/').next().expect("an address has a slash")
}

/// What each command answers that has to refuse a database.
async fn refusals(database: &TestDatabase) -> Vec<String> {
    let mut refusals = Vec::new();
    let secret = ["serve", "--listen", "127.0.0.1:0", "--jwt-secret", super::SECRET];
    for arguments in [&["migrate"][..], &["migrate", "--plan"], &["doctor"], &["repair"], &secret] {
        let done = campaigns(database, arguments).await;
        assert_eq!(done.code, 1, "{arguments:?} {} {}", done.out, done.err);
        refusals.push(done.err);
    }
    let checked = check(database).await;
    assert_eq!(checked.code, 1, "{} {}", checked.out, checked.err);
    refusals.push(checked.out);
    refusals
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused_by_name() {
    let postgres = Postgres::own_with("fsync=off").await;
    let server = postgres.empty_database("server").await;
    for encoding in ["SQL_ASCII", "LATIN1", "EUC_JP"] {
        let sql = server.connect().await;
        let name = encoding.to_lowercase();
        run(
            &sql,
            &format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE \
                 template0"
            ),
        )
        .await;
        sql.close().await.unwrap();
        let url = server.url.replace("/server", &format!("/{name}"));
        let database = TestDatabase::at(Backend::Postgres, &url);
        for refusal in refusals(&database).await {
            assert!(
                refusal.contains(&format!("the encoding of the database is {encoding}")),
                "{refusal}"
            );
        }
    }
}

#[tokio::test]
async fn sessions_in_which_triggers_do_not_fire_are_refused_by_name() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let sql = database.connect().await;
    let set =
        format!("ALTER DATABASE \"{}\" SET session_replication_role = replica", name(&database));
    run(&sql, &set).await;
    for refusal in refusals(&database).await {
        assert!(
            refusal.contains("session_replication_role is \"replica\" by default"),
            "{refusal}"
        );
    }
}

/// Sets defaults of sessions that would change what statements mean, or end them early.
async fn set_defaults(sql: &DatabaseConnection, database: &TestDatabase, isolation: &str) {
    for setting in [
        &format!("default_transaction_isolation = '{isolation}'"),
        "default_transaction_deferrable = on",
        "statement_timeout = '200ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '10s'",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "row_security = off",
    ] {
        run(sql, &format!("ALTER DATABASE \"{}\" SET {setting}", name(database))).await;
    }
}

#[tokio::test]
async fn migrations_and_commands_end_with_any_defaults_of_sessions() {
    for isolation in ["repeatable read", "serializable"] {
        let database = TestDatabase::empty(Backend::Postgres).await;
        let sql = database.connect().await;
        set_defaults(&sql, &database, isolation).await;
        for arguments in [&["migrate"][..], &["stats", "rebuild"], &["doctor"], &["repair"]] {
            let done = tokio::time::timeout(PATIENCE, campaigns(&database, arguments)).await;
            let done = done.unwrap_or_else(|_| panic!("{arguments:?} does not end"));
            assert_eq!(done.code, 0, "{arguments:?} {} {}", done.out, done.err);
        }
        let down = async {
            for _ in campaigns_migration::names() {
                campaigns_migration::down(&database.url).await.unwrap().expect("one is left");
            }
        };
        tokio::time::timeout(PATIENCE, down).await.expect("it ends");
    }
}

#[tokio::test]
async fn concurrent_changes_of_a_row_succeed_with_any_default_isolation() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let sql = database.connect().await;
    let isolation = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_isolation = 'repeatable read'",
        name(&database)
    );
    run(&sql, &isolation).await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    acme.populated(5).await;
    let campaign: Uuid =
        app.rows("SELECT id FROM campaigns LIMIT 1").await[0].try_get("", "id").unwrap();
    let rename = "mutation ($id: ID!, $name: String!) { updateCampaign(input: { id: $id, name: $name }) { campaign { id } } }";
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let member = acme.member.clone();
        changes.spawn(async move {
            let name = format!("{number}");
            member.data(rename, json!({ "id": campaign, "name": name })).await
        });
    }
    changes.join_all().await;
    acme.admin.data(DELETE, json!({ "id": campaign })).await;
}
