//! Clients that disconnect during a look-up of readiness, an organization or memberships.

use std::time::{Duration, Instant};

use campaigns_server::Settings;
use campaigns_tests::{Backend, LOCK_WAITERS, TestApp, on_both_databases, until};
use chrono::Utc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};
use uuid::Uuid;

const READ: &str = "{ campaigns { totalCount } }";
const SOON: Duration = Duration::from_secs(10);

/// The backends whose statement contains this word and waits for a lock.
async fn waiting(app: &TestApp, word: &str) -> Vec<i32> {
    let sql = format!("SELECT pid FROM {LOCK_WAITERS} AND query LIKE '%{word}%'");
    app.rows(&sql).await.iter().map(|row| row.try_get("", "pid").unwrap()).collect()
}

#[on_both_databases]
async fn clients_that_hang_up_on_readiness_and_look_ups_delay_no_other(app: TestApp) {
    let mut hanging_up = JoinSet::new();
    for seed in 0..4 {
        let address = app.address.trim_start_matches("http://").to_owned();
        hanging_up.spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(990 + seed);
            loop {
                let mut peer = TcpStream::connect(&address).await.unwrap();
                let request = if rng.random_bool(0.5) {
                    "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()
                } else {
                    let token = TestApp::token(Uuid::from_bytes(rng.random()), "member", "x");
                    format!(
                        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                         content-length: 30\r\nauthorization: Bearer {token}\r\n\r\n{{"
                    )
                };
                peer.write_all(request.as_bytes()).await.unwrap();
                // usually while its statement runs
                tokio::time::sleep(Duration::from_micros(rng.random_range(0..4_000))).await;
            }
        });
    }
    let mut times = Vec::new();
    for _ in 0..30 {
        let (_, client) = app.newcomer().await;
        let started = Instant::now();
        client.data(READ, json!({})).await;
        times.push(started.elapsed());
        let started = Instant::now();
        let ready = app.client(None).request(Method::GET, "/readyz").send().await.unwrap();
        assert_eq!(ready.status(), 200);
        times.push(started.elapsed());
    }
    hanging_up.shutdown().await;
    times.sort_unstable();
    let most = times[times.len() * 9 / 10];
    assert!(most < Duration::from_secs(1), "{times:?}");
}

#[tokio::test]
async fn a_look_up_of_an_organization_is_shared_and_outlives_the_request_that_started_it() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let (_, client) = app.newcomer().await;
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    app.forget_statements();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.data(READ, json!({})).await })
    };
    let first = ask();
    until("it waits", SOON, async || waiting(&app, "organizations").await.len() == 1).await;
    let process = waiting(&app, "organizations").await;
    let others: Vec<_> = (0..10).map(|_| ask()).collect();
    first.abort();
    for other in &others[..5] {
        other.abort();
    }
    // the remaining clients wait for the same statement
    let ready = app.client(None).request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(waiting(&app, "organizations").await, process);
    lock.rollback().await.unwrap();
    for other in others.into_iter().skip(5) {
        assert_eq!(other.await.unwrap()["campaigns"]["totalCount"], 0);
    }
    let looked_up =
        app.statements().iter().filter(|sent| sent.sql.contains("organizations")).count();
    assert_eq!(looked_up, 1);
}

#[tokio::test]
async fn a_look_up_of_memberships_is_shared_and_outlives_the_request_that_started_it() {
    let settings =
        Settings { membership_admin_roles: Some(vec!["admin".to_owned()]), ..Settings::default() };
    let app = TestApp::on(Backend::Postgres).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
    app.run(&format!(
        "INSERT INTO users (id, org_id, auth_id, email) VALUES \
         ('{id}', '{0}', '{subject}', 'x@example.com'); \
         INSERT INTO memberships (org_id, user_id, role) VALUES ('{0}', '{id}', 'member')",
        acme.id
    ))
    .await;
    let expires = Utc::now().timestamp() + 600;
    let client = app.client(Some(TestApp::sign(&json!({ "sub": subject, "exp": expires }))));
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE").await.unwrap();
    app.forget_statements();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.data(READ, json!({})).await })
    };
    let first = ask();
    until("it waits", SOON, async || waiting(&app, "memberships").await.len() == 1).await;
    let process = waiting(&app, "memberships").await;
    let second = ask();
    first.abort();
    let alive = app.client(None).request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(alive.status(), 200);
    assert_eq!(waiting(&app, "memberships").await, process);
    lock.rollback().await.unwrap();
    assert_eq!(second.await.unwrap()["campaigns"]["totalCount"], 0);
    let looked_up = app.statements().iter().filter(|sent| sent.sql.contains("memberships")).count();
    assert_eq!(looked_up, 1);
}

#[tokio::test]
async fn statements_are_canceled_while_a_look_up_takes_long() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let id = acme.member.data(create, json!({})).await["createCampaign"]["campaign"]["id"].clone();
    let update = "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign \
                  { id } } }";
    let (_, client) = app.newcomer().await;
    let [of_organizations, of_campaigns] =
        [app.sql.begin().await.unwrap(), app.sql.begin().await.unwrap()];
    of_campaigns.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    // cached organizations need no look-up
    acme.member.data(READ, json!({})).await;
    let other = app.database.connect_once().await;
    of_organizations
        .execute_unprepared("LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let _looking = tokio::spawn(async move { client.ask(READ, json!({})).await });
    let count = async |word: &str| {
        let statement = format!("SELECT pid FROM {LOCK_WAITERS} AND query LIKE '%{word}%'");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, statement);
        other.query_all_raw(statement).await.unwrap().len()
    };
    until("a look-up waits", SOON, async || count("organizations").await == 1).await;
    let member = acme.member.clone();
    let asked = tokio::spawn(async move { member.ask(update, json!({ "id": id })).await });
    until("a change waits", SOON, async || count("UPDATE").await == 1).await;
    asked.abort();
    // a cancel request that waited for the look-up would fail after two seconds
    let ended = timeout(Duration::from_millis(1_500), async {
        while count("UPDATE").await > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(ended.await.is_ok(), "the abandoned statement has not ended");
    assert_eq!(count("organizations").await, 1);
}
