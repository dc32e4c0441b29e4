//! Errors of a task, and reads that do not end, make it fail as panics do.

use std::time::Duration;

use campaigns_server::Settings;
use campaigns_tests::{Backend, Client, Organization, Socket, TestApp, on_both_databases, until};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use uuid::Uuid;

use crate::watching::of_this_process;

const PATIENCE: Duration = Duration::from_mins(1);
const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { node { type } } }";

fn settings() -> Settings {
    Settings { task_patience: Duration::from_secs(1), ..Settings::default() }
}

/// The status and the text of `/readyz`.
async fn ready(client: &Client) -> (StatusCode, String) {
    let response = client.request(Method::GET, "/readyz").send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn until_it_fails(client: &Client, task: &str) {
    let text = format!("the task \"{task}\" keeps failing; the log says why\n");
    let fails = (StatusCode::SERVICE_UNAVAILABLE, text);
    until("it is not ready", PATIENCE, async || ready(client).await == fails).await;
}

async fn until_ready(client: &Client) {
    until("it is ready", PATIENCE, async || ready(client).await.0 == StatusCode::OK).await;
}

/// A socket that follows the feed and has received an event.
async fn follow(app: &TestApp, organization: &Organization, send: Uuid) -> Socket {
    let cursor = organization.member.feed_cursor().await;
    let mut socket = Socket::of(&organization.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": cursor })).await;
    open(app, organization, send).await;
    socket.next("1").await;
    socket
}

async fn open(app: &TestApp, organization: &Organization, send: Uuid) {
    let [org, send] = [organization.id, send].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {send}, 'open')"
    ))
    .await;
}

#[on_both_databases(settings = settings())]
async fn a_reader_that_gets_errors_makes_the_service_unready_until_it_works(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut socket = follow(&app, &acme, made.sends[0]).await;
    until_ready(&acme.member).await;
    // it is detected although there are no new events
    app.run("ALTER TABLE campaign_events RENAME COLUMN metadata TO extra").await;
    until_it_fails(&acme.member, "feed reader").await;
    assert!(of_this_process(&app, "campaigns_feed_stalled_seconds").await >= 1.0);
    app.run("ALTER TABLE campaign_events RENAME COLUMN extra TO metadata").await;
    until_ready(&acme.member).await;
    open(&app, &acme, made.sends[0]).await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["type"], json!("OPEN"));
    assert!(of_this_process(&app, "campaigns_feed_stalled_seconds").await < 1.0);
}

#[tokio::test]
async fn a_table_that_is_locked_for_long_makes_the_service_unready_until_it_is_free() {
    let app = TestApp::on(Backend::Postgres).settings(settings()).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let _socket = follow(&app, &acme, made.sends[0]).await;
    until_ready(&acme.member).await;
    let other = app.database.connect_once().await;
    let transaction = other.begin().await.unwrap();
    let lock = "LOCK TABLE campaign_events IN ACCESS EXCLUSIVE MODE";
    transaction.execute_unprepared(lock).await.unwrap();
    until_it_fails(&acme.member, "feed reader").await;
    assert!(of_this_process(&app, "campaigns_feed_stalled_seconds").await >= 1.0);
    transaction.rollback().await.unwrap();
    until_ready(&acme.member).await;
}

#[tokio::test]
async fn a_keeper_that_gets_errors_makes_the_service_unready_until_it_works() {
    let app = TestApp::on(Backend::Postgres).settings(settings()).start().await;
    let acme = app.organization("acme").await;
    until_ready(&acme.member).await;
    app.run("ALTER TABLE campaign_counts RENAME COLUMN sends TO sent_messages").await;
    let made = acme.populated(4).await;
    open(&app, &acme, made.sends[0]).await;
    until_it_fails(&acme.member, "counts keeper").await;
    app.run("ALTER TABLE campaign_counts RENAME COLUMN sent_messages TO sends").await;
    until_ready(&acme.member).await;
}
