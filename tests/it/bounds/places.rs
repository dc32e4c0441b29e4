//! Places: the number of operations that are executed at once is bounded, and few of them are
//! expensive.

use std::time::Duration;

use campaigns_scope::Options;
use campaigns_tests::{Answer, Backend, LOCK_WAITERS, Organization, TestApp, until};
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde_json::json;
use tokio::task::JoinHandle;

const LIGHT: &str = "{ lists: campaigns(first: 1) { nodes { sends(first: 1) { nodes { id } } } } }";
/// Requests 20 times 500 rows.
const EXPENSIVE: &str =
    "{ campaigns(first: 20) { nodes { sends(first: 500) { nodes { id status } } } } }";

/// A service that executes at most this number of operations at once, with the default times.
async fn app(max_executing: usize) -> TestApp {
    TestApp::on(Backend::Postgres)
        .options(move |options| Options { max_executing, ..Options::new(options.url) })
        .start()
        .await
}

/// A lock that prevents all reads of sends.
async fn lock(app: &TestApp) -> DatabaseTransaction {
    let other = app.sql.begin().await.unwrap();
    other.execute_unprepared("LOCK TABLE campaign_sends IN ACCESS EXCLUSIVE MODE").await.unwrap();
    other
}

fn ask(organization: &Organization, query: &'static str) -> JoinHandle<Answer> {
    let member = organization.member.clone();
    tokio::spawn(async move { member.ask(query, json!({})).await })
}

async fn with_a_campaign(app: &TestApp, name: &str) -> Organization {
    let organization = app.organization(name).await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    organization.member.data(create, json!({})).await;
    organization
}

async fn until_waiting(app: &TestApp, wanted: i64) {
    let soon = Duration::from_secs(5);
    until("statements wait", soon, async || app.count(LOCK_WAITERS).await == wanted).await;
}

#[tokio::test]
async fn an_operation_that_cannot_start_in_time_is_retryable() {
    let app = app(2).await;
    let (acme, other) = (with_a_campaign(&app, "acme").await, with_a_campaign(&app, "other").await);
    let third = app.organization("third").await;
    let held = lock(&app).await;
    let first = ask(&acme, LIGHT);
    let others = ask(&other, LIGHT);
    until_waiting(&app, 2).await;

    // concurrently, because operations with a place time out while these wait
    let (second, late) = tokio::join!(
        ask(&acme, LIGHT),
        third.member.ask("{ campaigns { totalCount } }", json!({}))
    );
    let second = second.unwrap();
    assert_eq!((second.status, second.code()), (StatusCode::TOO_MANY_REQUESTS, "LIMIT_EXCEEDED"));
    assert_eq!(second.body["errors"][0]["extensions"]["retryable"], true);
    assert!(second.body.get("data").is_none());
    assert_eq!((late.status, late.code()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));

    held.rollback().await.unwrap();
    for asked in [first, others] {
        let answer = asked.await.unwrap();
        assert!(answer.body.get("errors").is_none(), "{:#}", answer.body);
    }
}

#[tokio::test]
async fn expensive_operations_leave_room_for_cheap_ones() {
    let app = app(16).await;
    let (acme, other) = (with_a_campaign(&app, "acme").await, with_a_campaign(&app, "other").await);
    let held = lock(&app).await;
    let expensive: Vec<_> = (0..4).map(|_| ask(&acme, EXPENSIVE)).collect();
    // there are two places, of which one is reserved for others
    until_waiting(&app, 1).await;
    let others = ask(&other, EXPENSIVE);
    until_waiting(&app, 2).await;
    acme.member.data("{ campaigns { totalCount } }", json!({})).await;
    assert!(expensive.iter().all(|asked| !asked.is_finished()));
    held.rollback().await.unwrap();
    for asked in expensive.into_iter().chain([others]) {
        let answer = asked.await.unwrap();
        assert!(answer.body.get("errors").is_none(), "{:#}", answer.body);
    }
}
