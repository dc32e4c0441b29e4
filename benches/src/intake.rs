//! Events in, beside plain INSERTs of the same rows.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::{
    number,
    service::{Service, rest},
};

const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
const AT_LEAST: Duration = Duration::from_secs(4);

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("intake, events a second, one call after the other");
    println!("  {:>6} {:>14} {:>14} {:>8}", "batch", "recordEvents", "INSERT", "ratio");
    for batch in [1, 100, 1_000] {
        let recorded = rate(batch, async |done| {
            let input: Vec<Json> = (0..batch)
                .map(|index| {
                    let send = service.sends[(done + index) % service.sends.len()];
                    json!({ "sendId": send, "type": "OPEN" })
                })
                .collect();
            service.ask(RECORD, json!({ "input": input })).await.map(|_| ())
        })
        .await?;
        rest().await;
        let inserted =
            rate(batch, async |done| service.insert(done, batch).await.map(|_| ())).await?;
        rest().await;
        println!("  {batch:>6} {recorded:>14.0} {inserted:>14.0} {:>8.2}", recorded / inserted);
    }
    Ok(())
}

/// How many events a second a call takes.
async fn rate(
    batch: usize,
    call: impl AsyncFn(usize) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < AT_LEAST {
        call(done).await?;
        done += batch;
    }
    Ok(number(done) / started.elapsed().as_secs_f64())
}
