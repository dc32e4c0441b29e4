//! Two thousand sockets for ten minutes, a hundred of them hostile, and another organization that
//! asks for its dashboard beside them.
//!
//! Clients run with the lowest priority, as they have machines of their own elsewhere; all but the
//! dashboard, whose waiting is what is measured.
//!
//! The hostile ones belong to the same organization as the others. A quarter of them never read; a
//! quarter flood the service before they say who they are; a quarter begin messages of 8 MB and do
//! not end them; a quarter ask for the dearest pages they may, as many at once as they may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinSet, time::timeout};

use crate::{follower::Follower, number, percentile, service::Service};

const HONEST: usize = 1_900;
const HOSTILE: usize = 100;
/// How long the other organization asks alone, for comparison.
const IDLE: Duration = Duration::from_secs(30);
/// How often there is an event for the followers.
const EVENT: Duration = Duration::from_millis(500);
/// How often the other organization asks.
const EVERY: Duration = Duration::from_millis(50);

const DASHBOARD: &str = "{ campaigns(first: 20) { totalCount nodes { id name status sentAt } } }";
const DEAREST: &str = "{ campaigns(first: 20) { nodes { name sends(first: 500) { nodes { id status contact { firstName email } } } } } }";

pub(crate) async fn run(service: &Arc<Service>, length: Duration) -> anyhow::Result<()> {
    println!(
        "soak: {} sockets, {HOSTILE} of them hostile, for {} s",
        HONEST + HOSTILE,
        length.as_secs()
    );
    let idle = dashboard(service, IDLE).await?;
    report("another organization, alone", &idle);
    let bar = ProgressBar::new(length.as_secs())
        .with_style(ProgressStyle::with_template("  {bar:30} {elapsed} of {len} s  {msg}")?);
    let mut tasks = JoinSet::new();
    let received = Arc::new(AtomicUsize::new(0));
    for _ in 0..HONEST {
        let mut follower = Follower::subscribe(service).await?;
        let received = Arc::clone(&received);
        tasks.spawn(async move {
            while follower.take(1).await.is_ok() {
                received.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for kind in 0..HOSTILE {
        let service = Arc::clone(service);
        tasks.spawn(async move {
            loop {
                // it reconnects, however it ends
                let attack = attack(&service, kind % 4);
                timeout(Duration::from_mins(1), attack).await.ok();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    let written = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (service, written) = (Arc::clone(service), Arc::clone(&written));
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(EVENT);
            loop {
                ticks.tick().await;
                let first = written.load(Ordering::Relaxed);
                if service.insert(first, 1).await.is_ok() {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    let mut most = 0;
    let asking = dashboard(service, length);
    let mut asking = std::pin::pin!(asking);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let loaded = loop {
        tokio::select! {
            loaded = &mut asking => break loaded?,
            _ = seconds.tick() => {
                let memory = service.memory().unwrap_or(0);
                most = most.max(memory);
                bar.inc(1);
                bar.set_message(format!("{:.0} MB", number(memory) / 1_048_576.0));
            }
        }
    };
    bar.finish_and_clear();
    writer.abort();
    // let events in flight arrive
    tokio::time::sleep(Duration::from_secs(3)).await;
    let written = written.load(Ordering::Relaxed);
    tasks.abort_all();
    report("beside them", &loaded);
    println!("  {:>8.1} times the 99 % alone", percentile(&loaded, 0.99) / percentile(&idle, 0.99));
    println!("  {:>8.0} MB of memory at most", number(most) / 1_048_576.0);
    println!(
        "  {:>8.2} % of the events arrived at each of the {HONEST} that read",
        100.0 * number(received.load(Ordering::Relaxed)) / number(written * HONEST)
    );
    Ok(())
}

/// How long each request of the other organization takes, in milliseconds, sorted. It asks from a
/// thread of its own, so that what is measured is the service and not this program.
async fn dashboard(service: &Arc<Service>, length: Duration) -> anyhow::Result<Vec<f64>> {
    let service = Arc::clone(service);
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::new();
            let started = Instant::now();
            let mut ticks = tokio::time::interval(EVERY);
            let mut took = Vec::new();
            while started.elapsed() < length {
                ticks.tick().await;
                let asked = Instant::now();
                service.ask_as(&client, &service.other, DASHBOARD, json!({})).await?;
                took.push(asked.elapsed().as_secs_f64() * 1_000.0);
            }
            took.sort_by(f64::total_cmp);
            anyhow::Ok(took)
        })
    });
    let joined = tokio::task::spawn_blocking(move || asking.join()).await?;
    joined.map_err(|_| anyhow::anyhow!("the other organization's thread panicked"))?
}

fn report(who: &str, took: &[f64]) {
    println!(
        "  {:>8.1} ms median, {:.1} ms 99 %, {:.0} ms longest of {}: {who}",
        percentile(took, 0.5),
        percentile(took, 0.99),
        percentile(took, 1.0),
        took.len()
    );
}

/// One attack, until the service ends it.
async fn attack(service: &Service, kind: usize) -> anyhow::Result<()> {
    match kind {
        0 => {
            // subscribes and never reads again
            let _follower = Follower::subscribe(service).await?;
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        1 => {
            let mut peer = Follower::silent(&service.address).await?;
            let ping = json!({ "type": "ping", "payload": { "x": "y".repeat(60_000) } });
            loop {
                peer.say(&ping).await?;
            }
        }
        2 => {
            let mut peer = Follower::subscribe(service).await?;
            // half of a text frame of 8 MB
            let mut frame = vec![0x81, 0x80 | 127];
            frame.extend(8_000_000_u64.to_be_bytes());
            frame.extend([0; 4]);
            peer.stream().write_all(&frame).await?;
            for _ in 0..40 {
                peer.stream().write_all(&[b' '; 10_000].repeat(10)).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        _ => {
            let mut peer = Follower::silent(&service.address).await?;
            peer.introduce(&service.token).await?;
            peer.message().await?;
            for id in 0_u64.. {
                let payload = json!({ "query": DEAREST });
                peer.say(&json!({ "id": id.to_string(), "type": "subscribe", "payload": payload }))
                    .await?;
                // as many at once as the service accepts on a socket
                if id >= 90 {
                    peer.ended().await?;
                }
            }
        }
    }
    Ok(())
}
