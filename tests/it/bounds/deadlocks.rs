//! The same events from several clients at once, as in a provider's retries.

use std::time::{Duration, Instant};

use campaigns_tests::{Backend, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const RECORD: &str = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { \
    recorded duplicates } }";
const UPDATE: &str =
    "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated unchanged } }";

/// The number of deadlocks that PostgreSQL has detected in the database.
async fn deadlocks(app: &TestApp) -> i64 {
    if app.database.backend == Backend::Sqlite {
        return 0;
    }
    app.run("SELECT pg_stat_clear_snapshot()").await;
    let sql = "SELECT deadlocks AS count FROM pg_stat_database WHERE datname = current_database()";
    app.rows(sql).await[0].try_get("", "count").unwrap()
}

/// The position in the feed of each of these events.
async fn positions(app: &TestApp, ids: &[Uuid]) -> Vec<i64> {
    let mut positions = Vec::new();
    for id in ids {
        let sql =
            format!("SELECT feed_position FROM campaign_events WHERE id = {}", app.literal(*id));
        positions.push(app.rows(&sql).await[0].try_get("", "feed_position").unwrap());
    }
    positions
}

#[on_both_databases]
async fn the_same_batch_from_five_clients_in_different_orders_is_recorded_once(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut rng = ChaCha8Rng::seed_from_u64(920);
    let made = acme.populated(8).await;
    let before = app.count("campaign_events").await;
    for _ in 0..5 {
        let mut batch: Vec<Json> = (0..200)
            .map(|number| {
                json!({
                    "id": Uuid::new_v4(), "sendId": made.sends[number % made.sends.len()],
                    "type": if number % 3 == 0 { "BOUNCE" } else { "OPEN" },
                })
            })
            .collect();
        let started = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..5 {
            batch.shuffle(&mut rng);
            let (member, input) = (acme.member.clone(), batch.clone());
            calls.spawn(async move { member.data(RECORD, json!({ "input": input })).await });
        }
        let mut recorded = 0;
        while let Some(data) = calls.join_next().await {
            recorded += data.unwrap()["recordEvents"]["recorded"].as_i64().unwrap();
        }
        assert_eq!(recorded, 200);
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    }
    assert_eq!(app.count("campaign_events").await, before + 1_000);
    assert_eq!(deadlocks(&app).await, 0);
}

#[on_both_databases]
async fn batches_and_reports_that_overlap_in_part_never_deadlock(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let pool: Vec<(Uuid, Uuid)> =
        (0..400).map(|number| (Uuid::new_v4(), made.sends[number % made.sends.len()])).collect();
    let end = Instant::now() + Duration::from_secs(4);
    let mut clients = JoinSet::new();
    for seed in 0..12 {
        let (member, pool) = (acme.member.clone(), pool.clone());
        clients.spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut calls = 0;
            while Instant::now() < end {
                let mut some = pool.clone();
                some.shuffle(&mut rng);
                some.truncate(rng.random_range(1..120));
                if rng.random_bool(0.3) {
                    let input: Vec<Json> = some
                        .iter()
                        .map(|(_, send)| json!({ "id": send, "status": "DELIVERED" }))
                        .collect();
                    member.data(UPDATE, json!({ "input": input })).await;
                } else {
                    let kind = if rng.random_bool(0.5) { "BOUNCE" } else { "OPEN" };
                    let input: Vec<Json> = some
                        .iter()
                        .map(|(id, send)| json!({ "id": id, "sendId": send, "type": kind }))
                        .collect();
                    member.data(RECORD, json!({ "input": input })).await;
                }
                calls += 1;
            }
            calls
        });
    }
    let mut calls = 0;
    while let Some(done) = clients.join_next().await {
        calls += done.unwrap();
    }
    assert!(calls > 12);
    let ids: Vec<String> = pool.iter().map(|(id, _)| app.literal(*id)).collect();
    let stored = app.count(&format!("campaign_events WHERE id IN ({})", ids.join(", "))).await;
    assert!((1..=400).contains(&stored));
    assert_eq!(deadlocks(&app).await, 0);
}

#[on_both_databases]
async fn events_keep_the_order_of_the_input_regardless_of_their_ids(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut ids: Vec<Uuid> = (0..300).map(|_| Uuid::new_v4()).collect();
    // one is repeated, and keeps its first place
    let again = ids[5];
    ids.push(again);
    let input: Vec<Json> =
        ids.iter().map(|id| json!({ "id": id, "sendId": made.sends[0], "type": "OPEN" })).collect();
    let data = acme.member.data(RECORD, json!({ "input": input })).await;
    assert_eq!(data["recordEvents"], json!({ "recorded": 300, "duplicates": 1 }));
    ids.pop();
    let positions = positions(&app, &ids).await;
    assert!(positions.is_sorted(), "{positions:?}");
}

#[tokio::test]
async fn writers_cannot_choose_positions_in_the_feed() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let latest = app.rows("SELECT max(feed_position) AS p FROM campaign_events").await;
    let latest: i64 = latest[0].try_get("", "p").unwrap();
    let id = Uuid::new_v4();
    for position in [1, latest + 1_000_000] {
        app.run(&format!(
            "DELETE FROM campaign_events WHERE id = '{id}'; \
             INSERT INTO campaign_events (id, org_id, send_id, event_type, feed_position) \
             VALUES ('{id}', {org}, {send}, 'open', {position})"
        ))
        .await;
        let given = positions(&app, &[id]).await[0];
        assert!(given > latest && given < latest + 1_000, "{given}");
    }
    // a position drawn in one transaction is not accepted in another
    let drawn = app.rows("SELECT unnest(campaign_feed_draw(3)) AS p").await;
    let drawn: i64 = drawn[1].try_get("", "p").unwrap();
    app.run(&format!(
        "UPDATE campaign_events SET feed_position = 5 WHERE id = '{id}'; DELETE FROM \
         campaign_events WHERE id = '{id}'; \
         INSERT INTO campaign_events (id, org_id, send_id, event_type, feed_position) \
         VALUES ('{id}', {org}, {send}, 'open', {drawn})"
    ))
    .await;
    assert!(positions(&app, &[id]).await[0] > drawn);
}
