//! A thousand sockets on one organization; then with fifty that never read.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use crate::{
    follower::Follower,
    number,
    service::{Service, rest},
};

const SOCKETS: usize = 1_000;
const SILENT: usize = 50;
const EVENTS: usize = 1_000;

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("fan-out to {SOCKETS} sockets of one organization");
    let before = service.memory()?;
    let bar = ProgressBar::new(SOCKETS as u64)
        .with_style(ProgressStyle::with_template("  {bar:30} {pos} of {len} sockets")?);
    let mut followers = Vec::with_capacity(SOCKETS);
    for _ in 0..SOCKETS {
        followers.push(Follower::subscribe(service).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    rest().await;
    let open = service.memory()?;
    println!(
        "  {:>8.1} kB a socket",
        number(open.saturating_sub(before)) / 1_024.0 / number(SOCKETS)
    );
    // the first time what is allocated once is allocated
    let (_, followers) = messages_a_second(service, followers).await?;
    let (alone, mut followers) = messages_a_second(service, followers).await?;
    println!("  {alone:>8.0} messages a second, memory {:.0} MB", megabytes(service.memory()?));

    // from now on these do not read
    let silent = followers.split_off(SOCKETS - SILENT);
    let mut beside = 0.0;
    for _ in 0..5 {
        (beside, followers) = messages_a_second(service, followers).await?;
    }
    println!(
        "  {beside:>8.0} messages a second beside {SILENT} that do not read: {:.2} of that; memory {:.0} MB",
        beside / alone,
        megabytes(service.memory()?)
    );
    drop(silent);
    Ok(())
}

/// Writes events, and reads them at every socket.
async fn messages_a_second(
    service: &Service,
    followers: Vec<Follower>,
) -> anyhow::Result<(f64, Vec<Follower>)> {
    let count = followers.len();
    let mut reading = JoinSet::new();
    let started = Instant::now();
    for mut follower in followers {
        reading.spawn(async move {
            follower.take(EVENTS).await?;
            anyhow::Ok(follower)
        });
    }
    for batch in 0..EVENTS / 50 {
        service.insert(batch * 50, 50).await?;
    }
    let mut followers = Vec::with_capacity(count);
    while let Some(read) = reading.join_next().await {
        followers.push(read??);
    }
    Ok((number(count * EVENTS) / started.elapsed().as_secs_f64(), followers))
}

fn megabytes(bytes: usize) -> f64 {
    number(bytes) / 1_024.0 / 1_024.0
}
