//! Recorded events, compared with INSERTs of the same rows into a copy of the table without triggers;
//! and a bulk load of events by SQL.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    load, number,
    service::{Service, rest},
};

const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
const TIME: Duration = Duration::from_secs(4);
/// The number of different calls, which are then repeated.
const CALLS: usize = 40;

/// A copy of the table of events with its constraints and indexes, but without its triggers.
const PLAIN: &str = "CREATE TABLE plain_events (LIKE campaign_events INCLUDING ALL);
    ALTER TABLE plain_events ALTER feed_position SET DEFAULT 0,
        ALTER send_campaign_id SET DEFAULT gen_random_uuid(), ALTER send_contact_id SET DEFAULT gen_random_uuid(),
        ADD FOREIGN KEY (org_id) REFERENCES organizations (id) ON DELETE CASCADE,
        ADD FOREIGN KEY (org_id, send_id) REFERENCES campaign_sends (org_id, id) ON DELETE CASCADE";

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    service.sql.execute_unprepared(PLAIN).await?;
    println!("intake, events a second; beside INSERTs into the table without triggers");
    println!(
        "  {:>7} {:>6} {:>14} {:>14} {:>8} {:>14}",
        "clients", "batch", "recordEvents", "INSERT", "ratio", "with triggers"
    );
    for clients in [1, 8] {
        for batch in [1, 100, 1_000] {
            let calls = (0..CALLS).map(|call| {
                let input: Vec<Json> = of_call(service, call, batch)
                    .map(|send| json!({ "sendId": send, "type": "OPEN" }))
                    .collect();
                load::request(&service.address, &service.token, RECORD, &json!({ "input": input }))
            });
            let recorded = load::of(&service.address, calls.collect(), clients, TIME).await?;
            let recorded = recorded.per_second * number(batch);
            settle(service).await?;
            let plain = inserted(service, "plain_events", clients, batch).await?;
            rest().await;
            let triggered = inserted(service, "campaign_events", clients, batch).await?;
            settle(service).await?;
            println!(
                "  {clients:>7} {batch:>6} {recorded:>14.0} {plain:>14.0} {:>8.2} {triggered:>14.0}",
                recorded / plain
            );
        }
    }
    load_all(service).await
}

/// The sends of one call. They belong to one campaign, as in a provider's report.
fn of_call(service: &Service, call: usize, batch: usize) -> impl Iterator<Item = Uuid> {
    let sends = &service.sends;
    (0..batch).map(move |index| sends[(call * batch + index) % sends.len()])
}

/// The events a second that clients insert by SQL, each of them one statement after the other.
async fn inserted(
    service: &Service,
    table: &'static str,
    clients: usize,
    batch: usize,
) -> anyhow::Result<f64> {
    let statements: Vec<String> = (0..CALLS)
        .map(|call| {
            let rows: Vec<String> = of_call(service, call, batch)
                .map(|send| format!("('{}', '{send}', 'open')", service.organization))
                .collect();
            format!("INSERT INTO {table} (org_id, send_id, event_type) VALUES {}", rows.join(", "))
        })
        .collect();
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for client in 0..clients {
        let connection: DatabaseConnection = service.database.connect().await;
        let statements = statements.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while started.elapsed() < TIME {
                let statement = &statements[(client + done * clients) % statements.len()];
                connection.execute_unprepared(statement).await?;
                done += 1;
            }
            connection.close().await?;
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(of_client) = tasks.join_next().await {
        done += of_client??;
    }
    Ok(number(done * batch) / started.elapsed().as_secs_f64())
}

/// Waits until all changes are counted.
async fn settle(service: &Service) -> anyhow::Result<()> {
    while service.count("campaign_event_changes").await? > 0 {
        rest().await;
    }
    rest().await;
    Ok(())
}

/// Inserts 1.2 million events in one statement.
async fn load_all(service: &Service) -> anyhow::Result<()> {
    let sql = &service.sql;
    sql.execute_unprepared(
        "CREATE TABLE loaded AS SELECT org_id, id AS send_id, \
         CAST(CASE WHEN random() < 0.7 THEN 'open' ELSE 'click' END AS campaign_event_type) AS event_type, \
         'https://example.com/' || floor(random() * 10) AS url, now() - random() * interval '60 days' AS occurred_at \
         FROM campaign_sends, generate_series(1, 60) ORDER BY random()",
    )
    .await?;
    let mut seconds = Vec::new();
    for table in ["plain_events", "campaign_events"] {
        sql.execute_unprepared(&format!("TRUNCATE {table}; CHECKPOINT")).await?;
        let started = Instant::now();
        let insert = format!(
            "INSERT INTO {table} (org_id, send_id, event_type, url, occurred_at) SELECT * FROM loaded"
        );
        sql.execute_unprepared(&insert).await?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let started = Instant::now();
    settle(service).await?;
    println!(
        "  1.2 million events by SQL: {:.1} s without triggers, {:.1} s with them, {:.2} of that; counted {:.1} s later",
        seconds[0],
        seconds[1],
        seconds[1] / seconds[0],
        started.elapsed().as_secs_f64()
    );
    sql.execute_unprepared("DROP TABLE loaded; DROP TABLE plain_events; TRUNCATE campaign_events")
        .await?;
    Ok(())
}
