//! A mutation that runs out of time: a client can tell whether its changes are stored.

use std::time::Duration;

use campaigns_server::Settings;
use campaigns_tests::{Backend, TestApp, on_both_databases, until};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

const RECORD: &str = "mutation ($input: [RecordEventInput!]!) {
  recordEvents(input: $input) { recorded events { contact { companies { name } } } }
}";

async fn impatient(backend: Backend) -> TestApp {
    let settings = Settings { query_timeout: Duration::from_millis(500), ..Settings::default() };
    TestApp::on(backend).settings(settings).start().await
}

#[tokio::test]
async fn a_timeout_after_the_commit_reports_that_it_is_committed() {
    let app = impatient(Backend::Postgres).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let before = app.count("campaign_events").await;
    // the events can be recorded, but the companies in the result cannot be read
    let other = app.sql.begin().await.unwrap();
    let lock = "LOCK TABLE contact_companies IN ACCESS EXCLUSIVE MODE";
    other.execute_unprepared(lock).await.unwrap();
    let input = json!({ "input": [{ "sendId": made.sends[0], "type": "OPEN" }] });
    let answer = acme.member.ask(RECORD, input.clone()).await;
    assert_eq!(answer.code(), "TIMEOUT");
    assert_eq!(answer.error()["extensions"]["committed"], true);
    let message = answer.error()["message"].as_str().unwrap();
    assert!(message.contains("committed") && !message.contains("was canceled"), "{message}");
    assert_eq!(app.count("campaign_events").await, before + 1);
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn nothing_is_stored_after_a_timeout_before_the_commit() {
    let app = impatient(Backend::Postgres).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let before = app.count("campaign_events").await;
    let other = app.sql.begin().await.unwrap();
    other.execute_unprepared("LOCK TABLE campaign_events IN SHARE MODE").await.unwrap();
    let input = json!({ "input": [{ "sendId": made.sends[0], "type": "OPEN" }] });
    let answer = acme.member.ask(RECORD, input).await;
    assert_eq!(answer.code(), "TIMEOUT");
    assert_eq!(answer.error()["extensions"]["committed"], false);
    other.rollback().await.unwrap();
    let running = "pg_stat_activity WHERE datname = current_database() AND state <> 'idle' \
                   AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let is_over = async || app.count(running).await == 0;
    until("no statement runs any more", Duration::from_mins(2), is_over).await;
    assert_eq!(app.count("campaign_events").await, before);
}

#[tokio::test]
async fn each_field_of_a_mutation_reports_the_outcome_of_its_own_changes() {
    let app = impatient(Backend::Postgres).await;
    let acme = app.organization("acme").await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let data = acme.member.data(create, json!({})).await;
    let id = data["createCampaign"]["campaign"]["id"].clone();
    let other = app.sql.begin().await.unwrap();
    other.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    let two = "mutation ($id: ID!) {
      first: createSegment(input: { name: \"new\" }) { segment { id } }
      second: updateCampaign(input: { id: $id, name: \"y\" }) { campaign { id } }
    }";
    let answer = acme.member.ask(two, json!({ "id": id })).await;
    assert_eq!(answer.code(), "TIMEOUT");
    assert_eq!(answer.error()["path"], json!(["second"]));
    assert_eq!(answer.error()["extensions"]["committed"], false);
    other.rollback().await.unwrap();
    assert_eq!(app.count("campaign_segments").await, 1);
    assert_eq!(app.count("campaigns WHERE name = 'x'").await, 1);
}

#[on_both_databases]
async fn a_permanent_error_says_nothing_about_commits(app: TestApp) {
    let acme = app.organization("acme").await;
    let answer = acme
        .member
        .ask("mutation { createCampaign(input: { name: \" \" }) { campaign { id } } }", json!({}))
        .await;
    assert_eq!(
        answer.error()["extensions"],
        json!({ "code": "BAD_USER_INPUT", "field": "input.name" })
    );
}
