//! Replaced connections: after a long statement, a connection is closed and another one opened,
//! because the PostgreSQL backend keeps the memory that it needed to plan the statement.

use std::time::Duration;

use async_graphql::futures_util::future::join_all;
use campaigns_scope::Options;
use campaigns_tests::{Backend, Organization, TestApp, TestDatabase, until};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value as Json, json};

const SOON: Duration = Duration::from_mins(1);
const QUERY: &str = "query ($filter: ContactFilter) { contacts(filter: $filter) { totalCount } }";

/// Its statement is longer than 16 KiB.
fn long() -> Json {
    let conditions: Vec<Json> =
        (0..400).map(|n| json!({ "firstName": { "contains": format!("{n}") } })).collect();
    json!({ "filter": { "or": conditions } })
}

/// A service with one connection for organizations, and one organization. The connection has run a
/// short statement.
async fn app() -> (TestApp, Organization) {
    let app = TestApp::on(Backend::Postgres);
    let app = app.options(|options| Options { max_connections: 3, ..options }).start().await;
    let acme = app.organization("acme").await;
    acme.member.data(QUERY, json!({})).await;
    (app, acme)
}

/// The process IDs of the backends of the service's connections.
async fn processes(sql: &DatabaseConnection) -> Vec<i32> {
    let select = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'campaigns' ORDER BY pid";
    let statement = Statement::from_string(DbBackend::Postgres, select);
    let rows = sql.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "pid").unwrap()).collect()
}

#[tokio::test]
async fn a_connection_that_ran_a_long_statement_is_replaced_before_one_is_needed() {
    let (app, acme) = app().await;
    let sql = app.database.connect_once().await;
    let before = processes(&sql).await;
    acme.member.data(QUERY, long()).await;
    // without another request
    until("its process ends, and another one takes its place", SOON, async || {
        let now = processes(&sql).await;
        let is_new = |pid: &&i32| !before.contains(pid);
        now.len() == before.len() && now.iter().filter(is_new).count() == 1
    })
    .await;
    let now = processes(&sql).await;
    acme.member.data(QUERY, json!({})).await;
    assert_eq!(processes(&sql).await, now, "the request found it open");
}

#[tokio::test]
async fn requests_wait_while_a_connection_is_replaced_and_none_fails() {
    let (app, acme) = app().await;
    let globex = app.organization("globex").await;
    for round in 0..10 {
        let (long, others) = tokio::join!(
            acme.member.ask(QUERY, long()),
            join_all((0..8).map(|n| {
                let member = if n % 2 == 0 { &acme.member } else { &globex.member };
                member.ask(QUERY, json!({}))
            }))
        );
        for answer in others.into_iter().chain([long]) {
            assert!(answer.body["errors"].is_null(), "{round}: {:#}", answer.body);
        }
    }
    let sql = app.database.connect_once().await;
    let all = processes(&sql).await;
    assert!(all.len() <= 3, "{all:?}");
}

#[tokio::test]
async fn a_refused_replacement_occupies_no_place() {
    let (app, acme) = app().await;
    let row = &app.rows("SELECT CAST(current_database() AS text) AS name").await[0];
    let name: String = row.try_get("", "name").unwrap();
    let url = app.database.url.replace(&format!("/{name}"), "/postgres");
    let sql = TestDatabase::at(Backend::Postgres, &url).connect_once().await;
    let allow = async |allowed: bool| {
        let alter = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}");
        sql.execute_unprepared(&alter).await.unwrap();
    };
    // more often than there are connections
    for _ in 0..5 {
        allow(false).await;
        acme.member.data(QUERY, long()).await;
        // including idle ones
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{name}' AND application_name = 'campaigns'"
        );
        sql.execute_unprepared(&end).await.unwrap();
        let answer = acme.member.ask(QUERY, json!({})).await;
        assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
        allow(true).await;
        until("the place is free", SOON, async || {
            acme.member.ask(QUERY, json!({})).await.body["errors"].is_null()
        })
        .await;
    }
}
