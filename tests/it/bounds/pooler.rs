//! Behind PgBouncer, which serves each transaction on any of its connections.

use std::time::Duration;

use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{Backend, Binary, Pooler, Socket, TestApp, TestDatabase, populate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

const UPDATE: &str =
    "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign { name } } }";

#[tokio::test]
async fn everything_works_behind_a_pooler_and_what_nobody_waits_for_ends() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let pooler = Pooler::start(&database).await;
    let options = Options {
        max_connections: 8,
        statement_timeout: Some(Duration::from_secs(10)),
        ..Options::new(&pooler.url)
    };
    let settings = Settings { query_timeout: Duration::from_secs(30), ..Settings::default() };
    let app = TestApp::with_options(database, settings, options).await;
    assert!(app.door.is_pooled());
    let acme = app.organization("acme").await;
    let made = populate(&acme.scope, &mut ChaCha8Rng::seed_from_u64(970), 6).await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", "subscription { engagementEvents { node { type } } }", json!({})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // more at once than the pooler has connections
    let page = "{ campaigns(orderBy: [{ field: STATUS }]) { totalCount nodes { name stats { openRate } sends(first: 3) { nodes { contact { email } } } } } }";
    let many = (0..24).map(|_| {
        let member = acme.member.clone();
        tokio::spawn(async move { member.data(page, json!({})).await })
    });
    for asked in many.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    acme.member
        .data(record, json!({ "input": [{ "sendId": made.sends[0], "type": "OPEN" }] }))
        .await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["type"], "OPEN");
    acme.member.data(UPDATE, json!({ "id": made.campaigns[0] })).await;
    acme.admin
        .data(
            "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }",
            json!({ "id": made.campaigns[1] }),
        )
        .await;
    // a client that goes away
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    let (member, id) = (acme.member.clone(), made.campaigns[0]);
    let asked = tokio::spawn(async move { member.ask(UPDATE, json!({ "id": id })).await });
    let waiting =
        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    super::until("it waits", Duration::from_secs(5), async || app.count(waiting).await == 1).await;
    asked.abort();
    super::until("it ends", Duration::from_secs(5), async || app.count(waiting).await == 0).await;
    lock.rollback().await.unwrap();
    // nothing that was set for one transaction is left for whoever uses the connection next
    let shown = pooler.show("statement_timeout").await;
    assert_eq!(shown, "0");
}

#[tokio::test]
async fn the_program_says_at_its_start_that_it_is_behind_a_pooler() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let pooler = Pooler::start(&database).await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &pooler.url,
        "--jwt-secret",
        "a secret of the tests, 32 bytes or more",
    ];
    let mut binary = Binary::start(directory.path(), &arguments).await;
    let address = binary.address().await;
    let ready = reqwest::get(format!("{address}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    assert!(binary.log().contains("behind a pooler"), "{}", binary.log());
    assert_eq!(binary.terminate().await, 0);
}
