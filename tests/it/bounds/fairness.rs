//! Database connections: one organization does not starve the others, and abandoned work ends.

use std::time::{Duration, Instant};

use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{
    Backend, LOCK_WAITERS, Organization, Socket, TestApp, on_both_databases, until,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde_json::json;
use uuid::Uuid;

const UPDATE: &str =
    "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign { id } } }";

async fn campaign(organization: &Organization) -> Uuid {
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let data = organization.member.data(create, json!({})).await;
    data["createCampaign"]["campaign"]["id"].as_str().unwrap().parse().unwrap()
}

/// A transaction that has changed a campaign and stays open, so that other changes of it wait.
async fn hold(app: &TestApp, campaign: Uuid) -> DatabaseTransaction {
    let other = app.sql.begin().await.unwrap();
    let id = app.literal(campaign);
    other
        .execute_unprepared(&format!("UPDATE campaigns SET name = 'z' WHERE id = {id}"))
        .await
        .unwrap();
    other
}

/// The number of PostgreSQL statements that wait for a lock.
async fn waiting(app: &TestApp) -> i64 {
    app.count(LOCK_WAITERS).await
}

#[on_both_databases]
async fn an_organization_that_floods_leaves_the_others_room(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let newcomer = app.organization("newcomer").await;
    let held = campaign(&acme).await;
    let lock = hold(&app, held).await;
    let flood: Vec<_> = (0..18)
        .map(|_| {
            let member = acme.member.clone();
            tokio::spawn(async move { member.ask(UPDATE, json!({ "id": held })).await })
        })
        .collect();
    app.until_executing(18).await;
    let started = Instant::now();
    for _ in 0..20 {
        other.member.data("{ campaigns { totalCount nodes { name } } }", json!({})).await;
    }
    let ready = app.client(None).request(reqwest::Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    // so are organizations that arrive only now
    newcomer.member.data("{ campaigns { totalCount } }", json!({})).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(flood.iter().all(|asked| !asked.is_finished()));
    lock.rollback().await.unwrap();
    for asked in flood {
        let answer = asked.await.unwrap();
        let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
        assert!(["none", "UNAVAILABLE"].contains(&code), "{:#}", answer.body);
    }
}

#[tokio::test]
async fn the_number_of_waiting_operations_is_bounded() {
    let app = TestApp::on(Backend::Postgres)
        .options(|options| Options { max_connections: 4, max_waiting: 2, ..options })
        .start()
        .await;
    let acme = app.organization("acme").await;
    let held = campaign(&acme).await;
    let lock = hold(&app, held).await;
    let flood: Vec<_> = (0..10)
        .map(|_| {
            let member = acme.member.clone();
            tokio::spawn(async move { member.ask(UPDATE, json!({ "id": held })).await })
        })
        .collect();
    until("most are refused", Duration::from_secs(5), async || {
        flood.iter().filter(|asked| asked.is_finished()).count() == 7
    })
    .await;
    lock.rollback().await.unwrap();
    let mut refused = 0;
    for asked in flood {
        let answer = asked.await.unwrap();
        if answer.body.get("errors").is_some() {
            assert_eq!(answer.code(), "LIMIT_EXCEEDED");
            refused += 1;
        }
    }
    assert_eq!(refused, 7);
}

#[tokio::test]
async fn an_abandoned_statement_is_canceled_in_postgresql() {
    let settings = Settings { query_timeout: Duration::from_secs(30), ..Settings::default() };
    let app = TestApp::on(Backend::Postgres).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let held = campaign(&acme).await;
    let lock = hold(&app, held).await;
    let soon = Duration::from_secs(3);
    // a client that disconnects
    let member = acme.member.clone();
    let asked = tokio::spawn(async move { member.ask(UPDATE, json!({ "id": held })).await });
    until("it waits", soon, async || waiting(&app).await == 1).await;
    asked.abort();
    until("it ends with its client", soon, async || waiting(&app).await == 0).await;
    // an operation that is completed on a socket, and a socket that is closed
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", UPDATE, json!({ "id": held })).await;
    until("it waits", soon, async || waiting(&app).await == 1).await;
    socket.say(json!({ "type": "complete", "id": "1" })).await;
    until("it ends when it is completed", soon, async || waiting(&app).await == 0).await;
    socket.subscribe("2", UPDATE, json!({ "id": held })).await;
    until("it waits", soon, async || waiting(&app).await == 1).await;
    drop(socket);
    until("it ends with its socket", soon, async || waiting(&app).await == 0).await;
    lock.rollback().await.unwrap();
    // nothing was changed, and all connections can be used again
    for _ in 0..20 {
        let data = acme.member.data("{ campaigns { nodes { name } } }", json!({})).await;
        assert_eq!(data["campaigns"]["nodes"][0]["name"], "x");
    }
    acme.member.data(UPDATE, json!({ "id": held })).await;
}

#[tokio::test]
async fn a_statement_that_times_out_is_canceled_in_postgresql() {
    let settings = Settings { query_timeout: Duration::from_millis(300), ..Settings::default() };
    let app = TestApp::on(Backend::Postgres).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let held = campaign(&acme).await;
    let lock = hold(&app, held).await;
    let answer = acme.member.ask(UPDATE, json!({ "id": held })).await;
    assert_eq!(answer.code(), "TIMEOUT");
    assert_eq!(answer.error()["extensions"]["committed"], false);
    until("it ends", Duration::from_secs(3), async || waiting(&app).await == 0).await;
    lock.rollback().await.unwrap();
}

/// All combinations of three contacts.
const MANY: campaigns_scope::Sql = campaigns_scope::Sql::new(
    "SELECT count(*) AS n FROM contacts a CROSS JOIN contacts b CROSS JOIN contacts c \
     WHERE a.id < b.id AND b.id < c.id",
);

#[tokio::test]
async fn an_abandoned_statement_ends_on_the_only_connection() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend)
            .options(|options| Options { max_connections: 1, ..options })
            .start()
            .await;
        let acme = app.organization("acme").await;
        app.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             INSERT INTO contacts (org_id, first_name) SELECT {}, 'x' FROM n",
            app.literal(acme.id)
        ))
        .await;
        for _ in 0..3 {
            let scope = acme.scope.clone();
            let running = tokio::spawn(async move {
                scope.rows(MANY, scope.find::<campaigns_entity::contact::Entity>()).await.is_ok()
            });
            tokio::time::sleep(Duration::from_millis(200)).await;
            running.abort();
            let started = Instant::now();
            let data = acme.member.data("{ contacts { totalCount } }", json!({})).await;
            assert_eq!(data["contacts"]["totalCount"], 3000);
            assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        }
    }
}
