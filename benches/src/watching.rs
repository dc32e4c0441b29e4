//! The cost of monitoring: a service whose metrics are scraped every second and that logs a line of JSON
//! for each operation, compared with a service without metrics and log.

use std::time::Duration;

use serde_json::json;

use crate::{load, percentile, service::Service};

/// The number of rounds, in each of which both services are measured. On a shared machine, measurements of
/// the same service differ by several percent, so the result is the median of many short rounds.
const ROUNDS: usize = 32;
/// The time for each service in a round.
const TIME: Duration = Duration::from_millis(1_500);
const CLIENTS: usize = 16;

const QUERIES: [(&str, &str); 2] = [
    ("list", "query List { campaigns(first: 20) { nodes { id name status sentAt } } }"),
    (
        "rates",
        "query Rates { campaigns(first: 20) { nodes { name stats { openRate clickRate } } } }",
    ),
];

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("watching: {CLIENTS} clients, {ROUNDS} rounds of {} ms", TIME.as_millis());
    let (unwatched, plain) = service.beside(&["--no-metrics"], &[("RUST_LOG", "off")]).await?;
    let metrics = format!("{}/metrics", service.address);
    let scraping = tokio::spawn(async move {
        while let Ok(metrics) = reqwest::get(&metrics).await {
            metrics.text().await.ok();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    for (name, query) in QUERIES {
        let ask = async |address: &str, time| {
            let request = load::request(address, &service.token, query, &json!({}));
            anyhow::Ok(load::of(address, vec![request], CLIENTS, time).await?.per_second)
        };
        let (watched, plain) = (&*service.address, &*plain);
        for address in [watched, plain] {
            ask(address, TIME).await?;
        }
        let mut rounds = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            // the services take turns to be measured first
            let (with, without) = if round % 2 == 0 {
                (ask(watched, TIME).await?, ask(plain, TIME).await?)
            } else {
                let without = ask(plain, TIME).await?;
                (ask(watched, TIME).await?, without)
            };
            rounds.push((with, without, with / without));
        }
        let quantile = |of: fn(&(f64, f64, f64)) -> f64, share| {
            let mut values: Vec<_> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            percentile(&values, share)
        };
        println!(
            "  {name:<6} {:>7.0} a second watched, {:>7.0} unwatched: {:.3} ({:.3} to {:.3} in half of the rounds)",
            quantile(|round| round.0, 0.5),
            quantile(|round| round.1, 0.5),
            quantile(|round| round.2, 0.5),
            quantile(|round| round.2, 0.25),
            quantile(|round| round.2, 0.75),
        );
    }
    scraping.abort();
    drop(unwatched);
    Ok(())
}
