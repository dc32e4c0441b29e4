//! The delay of events from their commit to a socket, at a thousand events a second.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{follower::Follower, number, percentile, service::Service};

const SECONDS: usize = 10;
/// The number of events of a transaction.
const BATCH: usize = 10;
/// The interval between transactions.
const INTERVAL: Duration = Duration::from_millis(10);

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("commit to socket, 1,000 events a second in transactions of {BATCH}, {SECONDS} s");
    let mut follower = Follower::subscribe(service).await?;
    let total = SECONDS * 1_000;
    let reading = tokio::spawn(async move {
        let mut came = HashMap::new();
        while came.len() < total {
            let (id, at) = follower.event().await?;
            came.insert(id, at);
        }
        anyhow::Ok(came)
    });
    let mut committed: Vec<(Uuid, Instant)> = Vec::with_capacity(total);
    let mut ticks = tokio::time::interval(INTERVAL);
    let started = Instant::now();
    while committed.len() < total {
        ticks.tick().await;
        let ids = service.insert(committed.len(), BATCH).await?;
        let now = Instant::now();
        committed.extend(ids.into_iter().map(|id| (id, now)));
    }
    let seconds = started.elapsed().as_secs_f64();
    let came = reading.await??;
    // an event that arrives before the commit returns has a delay of zero
    let mut delays: Vec<f64> = committed
        .iter()
        .map(|(id, at)| came[id].saturating_duration_since(*at).as_secs_f64() * 1_000.0)
        .collect();
    delays.sort_by(f64::total_cmp);
    println!("  {:>8.0} events a second were written", number(total) / seconds);
    for (name, share) in [("median", 0.5), ("99 %", 0.99), ("longest", 1.0)] {
        println!("  {:>8.1} ms {name}", percentile(&delays, share));
    }
    Ok(())
}
