//! Two thousand sockets for ten minutes, a hundred of them hostile, and another organization that reads
//! its dashboard and follows its events at the same time.
//!
//! Clients have the lowest priority, because they run on other machines in production. Exceptions are the
//! measured clients: the dashboard and the follower of the other organization, and the probe of
//! `/healthz`. With `sched_autogroup`, Linux first divides the cores between sessions and then applies
//! priorities, so PostgreSQL, which has its own session, would wait for the clients.
//!
//! The hostile clients belong to the same organization as the 1,900 sockets. Each of them repeats one of
//! the attacks in [`attacks`].

mod attacks;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use uuid::Uuid;

use crate::{follower::Follower, number, percentile, service::Service};
use attacks::Attack;

const HONEST: usize = 1_900;
const HOSTILE: usize = 100;
/// The length of each of the two measurements without the other clients: before they come, and after
/// they are gone. The slowest requests of a shorter one vary from run to run.
const IDLE: Duration = Duration::from_mins(1);
/// The interval between events for the followers.
const EVENT: Duration = Duration::from_millis(500);
/// The interval between requests of the other organization.
const EVERY: Duration = Duration::from_millis(50);

const DASHBOARD: &str = "{ campaigns(first: 20) { totalCount nodes { id name status sentAt } } }";
/// The setting that makes Linux divide the cores between sessions.
const AUTOGROUP: &str = "/proc/sys/kernel/sched_autogroup_enabled";
/// The interval between requests of `/healthz`.
const PROBE: Duration = Duration::from_millis(20);
/// The value of `--max-memory`.
pub(crate) const MEMORY: &str = "256MiB";

/// Runs the soak with the attacks whose description contains one of these words, or all attacks if there
/// are none.
pub(crate) async fn run(
    service: &Arc<Service>,
    length: Duration,
    words: &[String],
) -> anyhow::Result<()> {
    let made = Attack::with(words)?;
    println!(
        "soak: {} sockets, {HOSTILE} of them hostile, for {} s",
        HONEST + HOSTILE,
        length.as_secs()
    );
    warn_of_autogroups();
    let ended = Arc::new(AtomicBool::new(false));
    let mut idle = joined(dashboard(service, IDLE)).await?;
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
    let mut attackers = Vec::with_capacity(HOSTILE);
    for (number, attack) in made.iter().copied().cycle().take(HOSTILE).enumerate() {
        let (service, made) = (Arc::clone(service), Arc::new(AtomicUsize::new(0)));
        attackers.push((attack, Arc::clone(&made)));
        tasks.spawn(async move {
            loop {
                // the attack is repeated, however it ends
                let attacking = attack.run(&service, number, &made);
                timeout(Duration::from_mins(1), attacking).await.ok();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    let written = Arc::new(AtomicUsize::new(0));
    let writer = tasks.spawn(write(Arc::clone(service), Arc::clone(&written)));
    let (asking, following, probing) =
        (dashboard(service, length), feed(service, &ended), probe(service, &ended));
    let (mut most, mut largest) = (0, (0, String::new()));
    let asking = joined(asking);
    let mut asking = std::pin::pin!(asking);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let loaded = loop {
        tokio::select! {
            loaded = &mut asking => break loaded?,
            _ = seconds.tick() => {
                let memory = service.memory().unwrap_or(0);
                most = most.max(memory);
                let of_a_connection = largest_connection(service).await.unwrap_or_default();
                if of_a_connection.0 > largest.0 {
                    largest = of_a_connection;
                }
                bar.inc(1);
                bar.set_message(format!("{:.0} MB", number(memory) / 1_048_576.0));
            }
        }
    };
    bar.finish_and_clear();
    ended.store(true, Ordering::Relaxed);
    let (delays, health) = (joined(following).await?, joined(probing).await?);
    writer.abort();
    // wait for the last events
    tokio::time::sleep(Duration::from_secs(3)).await;
    let written = written.load(Ordering::Relaxed);
    tasks.shutdown().await;
    // wait for the end of abandoned operations
    tokio::time::sleep(Duration::from_secs(10)).await;
    idle.extend(joined(dashboard(service, IDLE)).await?);
    idle.sort_by(f64::total_cmp);
    report("another organization's dashboard, alone", &idle);
    report("the dashboard beside them", &loaded);
    println!("  {:>8.1} times the 99 % alone", percentile(&loaded, 0.99) / percentile(&idle, 0.99));
    report("from commit to socket, of its events", &delays);
    report("/healthz", &health);
    println!("  {:>8.0} MB of memory at most", number(most) / 1_048_576.0);
    println!(
        "  {:>8.0} MB of a connection of PostgreSQL at most, at: {}",
        number(largest.0) / 1_048_576.0,
        largest.1
    );
    println!(
        "  {:>8.0} events arrived at each of the {HONEST} honest sockets: {written} written one by one, the others by attacks",
        number(received.load(Ordering::Relaxed)) / number(HONEST)
    );
    for attack in made {
        let made = attackers.iter().filter(|(of, _)| *of == attack);
        let made: usize = made.map(|(_, made)| made.load(Ordering::Relaxed)).sum();
        println!("  {made:>8} times: {}", attack.name());
    }
    Ok(())
}

/// Inserts an event at each interval, and counts the events in `written`.
async fn write(service: Arc<Service>, written: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(EVENT);
    loop {
        ticks.tick().await;
        let first = written.load(Ordering::Relaxed);
        if service.insert(first, 1).await.is_ok() {
            written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn warn_of_autogroups() {
    if std::fs::read_to_string(AUTOGROUP).is_ok_and(|is_on| is_on.trim() == "1") {
        println!("  set {AUTOGROUP} to 0: while it is 1, clients take cores from PostgreSQL");
    }
}

/// The private memory in bytes of the largest PostgreSQL backend of the service's database, and the
/// beginning of its latest statement.
async fn largest_connection(service: &Service) -> anyhow::Result<(usize, String)> {
    let select = "SELECT pid, left(query, 300) AS statement FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let select = Statement::from_string(service.sql.get_database_backend(), select);
    let mut most = (0, String::new());
    for row in service.sql.query_all_raw(select).await? {
        let pid: i32 = row.try_get("", "pid")?;
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes =
            own.context("its memory")?.trim().trim_end_matches(" kB").parse::<usize>()?;
        if kilobytes * 1_024 > most.0 {
            most = (kilobytes * 1_024, row.try_get("", "statement")?);
        }
    }
    Ok(most)
}

type Measured = JoinHandle<anyhow::Result<Vec<f64>>>;

/// Measures on a separate thread, so that this program's load does not affect the result. Returns sorted
/// milliseconds.
fn on_own_thread<F: Future<Output = anyhow::Result<Vec<f64>>>>(
    measure: impl FnOnce() -> F + Send + 'static,
) -> Measured {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut took = runtime.block_on(measure())?;
        took.sort_by(f64::total_cmp);
        Ok(took)
    })
}

async fn joined(measured: Measured) -> anyhow::Result<Vec<f64>> {
    let joined = tokio::task::spawn_blocking(move || measured.join()).await?;
    joined.map_err(|_| anyhow::anyhow!("a measuring thread panicked"))?
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

/// Measures the requests of the other organization.
fn dashboard(service: &Arc<Service>, length: Duration) -> Measured {
    let service = Arc::clone(service);
    on_own_thread(move || async move {
        let client = reqwest::Client::new();
        let started = Instant::now();
        let mut ticks = tokio::time::interval(EVERY);
        let mut took = Vec::new();
        while started.elapsed() < length {
            ticks.tick().await;
            let asked = Instant::now();
            service.execute_as(&client, &service.other, DASHBOARD, json!({})).await?;
            took.push(milliseconds(asked));
        }
        Ok(took)
    })
}

/// Measures the requests of `/healthz`.
fn probe(service: &Arc<Service>, ended: &Arc<AtomicBool>) -> Measured {
    let (service, ended) = (Arc::clone(service), Arc::clone(ended));
    on_own_thread(move || async move {
        let client = reqwest::Client::new();
        let mut ticks = tokio::time::interval(PROBE);
        let mut took = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            ticks.tick().await;
            let asked = Instant::now();
            client.get(format!("{}/healthz", service.address)).send().await?.error_for_status()?;
            took.push(milliseconds(asked));
        }
        Ok(took)
    })
}

/// Measures the delay of events of the other organization from their commit to a follower.
fn feed(service: &Arc<Service>, ended: &Arc<AtomicBool>) -> Measured {
    let (service, ended) = (Arc::clone(service), Arc::clone(ended));
    on_own_thread(move || async move {
        let mut follower = Follower::of_token(&service, &service.other, json!({})).await?;
        let sql = service.database.connect_once().await;
        let mut took = Vec::new();
        let mut ticks = tokio::time::interval(EVERY);
        let mut early: HashMap<Uuid, Instant> = HashMap::new();
        while !ended.load(Ordering::Relaxed) {
            ticks.tick().await;
            let id = Uuid::new_v4();
            let insert = format!(
                "INSERT INTO campaign_events (id, org_id, send_id, event_type) SELECT '{id}', org_id, id, 'open' \
                 FROM campaign_sends WHERE org_id = '{}' LIMIT 1",
                service.other_organization
            );
            sql.execute_unprepared(&insert).await?;
            let committed = Instant::now();
            let came = loop {
                if let Some(came) = early.remove(&id) {
                    break came;
                }
                let (of, came) = follower.event().await?;
                early.insert(of, came);
            };
            took.push(came.saturating_duration_since(committed).as_secs_f64() * 1_000.0);
        }
        Ok(took)
    })
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
