//! What it costs to watch the service: its metrics, which somebody asks for every second, and the line
//! of JSON that it logs for each operation; beside a service without either.

use std::time::Duration;

use serde_json::json;

use crate::{load, service::Service};

/// How often the two take turns, and how long each is asked then.
const ROUNDS: u32 = 8;
const TIME: Duration = Duration::from_secs(3);
const CLIENTS: usize = 16;

const QUESTIONS: [(&str, &str); 2] = [
    ("list", "query List { campaigns(first: 20) { nodes { id name status sentAt } } }"),
    (
        "rates",
        "query Rates { campaigns(first: 20) { nodes { name stats { openRate clickRate } } } }",
    ),
];

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("watching: {CLIENTS} clients, {ROUNDS} rounds of {} s", TIME.as_secs());
    let (unwatched, plain) = service.beside(&["--no-metrics"], &[("RUST_LOG", "off")]).await?;
    let metrics = format!("{}/metrics", service.address);
    let scraping = tokio::spawn(async move {
        while let Ok(metrics) = reqwest::get(&metrics).await {
            metrics.text().await.ok();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    for (name, query) in QUESTIONS {
        let ask = async |address: &str, time| {
            let request = load::request(address, &service.token, query, &json!({}));
            anyhow::Ok(load::of(address, vec![request], CLIENTS, time).await?.per_second)
        };
        let (mut with, mut without) = (0.0, 0.0);
        for address in [&service.address, &plain] {
            ask(address, TIME).await?;
        }
        for _ in 0..ROUNDS {
            with += ask(&service.address, TIME).await? / f64::from(ROUNDS);
            without += ask(&plain, TIME).await? / f64::from(ROUNDS);
        }
        println!(
            "  {name:<6} {with:>7.0} a second watched, {without:>7.0} unwatched: {:.3}",
            with / without
        );
    }
    scraping.abort();
    drop(unwatched);
    Ok(())
}
