//! Fan-out of events to a thousand sockets of one organization; with fifty of them that never read; and to
//! five thousand sockets without filters and with a hundred different filters.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    follower::Follower,
    number,
    service::{Service, rest},
};

const SOCKETS: usize = 1_000;
const SILENT: usize = 50;
const EVENTS: usize = 1_000;
/// The number of sockets with filters.
const FILTERING: usize = 5_000;
/// The number of different filters.
const FILTERS: usize = 100;

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("fan-out to {SOCKETS} sockets of one organization");
    let before = service.memory()?;
    let followers = subscribed(service, SOCKETS, &[json!({})]).await?;
    rest().await;
    let open = service.memory()?;
    println!(
        "  {:>8.1} kB a socket",
        number(open.saturating_sub(before)) / 1_024.0 / number(SOCKETS)
    );
    // the first round includes allocations that happen once
    let (_, followers) = messages_a_second(service, followers, EVENTS, EVENTS).await?;
    let (alone, mut followers) = messages_a_second(service, followers, EVENTS, EVENTS).await?;
    println!("  {alone:>8.0} messages a second, memory {:.0} MB", megabytes(service.memory()?));

    // these sockets no longer read
    let silent = followers.split_off(SOCKETS - SILENT);
    let mut beside = 0.0;
    for _ in 0..5 {
        (beside, followers) = messages_a_second(service, followers, EVENTS, EVENTS).await?;
    }
    println!(
        "  {beside:>8.0} messages a second beside {SILENT} that do not read: {:.2} of that; memory {:.0} MB",
        beside / alone,
        megabytes(service.memory()?)
    );
    drop((silent, followers));
    rest().await;
    filtering(service).await
}

/// Compares the same number of messages to the same number of sockets: once all of them get the same
/// events, and once each filter selects the events of one group of contacts.
async fn filtering(service: &Service) -> anyhow::Result<()> {
    println!("fan-out to {FILTERING} sockets of one organization");
    let select = format!(
        "SELECT DISTINCT contact_id FROM campaign_sends WHERE org_id = '{}' ORDER BY contact_id",
        service.organization
    );
    let select = Statement::from_string(service.sql.get_database_backend(), select);
    let contacts: Vec<Uuid> = service
        .sql
        .query_all_raw(select)
        .await?
        .iter()
        .map(|row| row.try_get("", "contact_id"))
        .collect::<Result<_, _>>()?;
    let groups = contacts.chunks(contacts.len() / FILTERS);
    let filters: Vec<Json> =
        groups.map(|group| json!({ "contactId": { "in": group } })).take(FILTERS).collect();
    let each = service.sends.len() / FILTERS;

    let followers = subscribed(service, FILTERING, &[json!({})]).await?;
    let (_, followers) = messages_a_second(service, followers, each, each).await?;
    let (same, followers) = messages_a_second(service, followers, each, each).await?;
    drop(followers);
    rest().await;
    println!("  {same:>8.0} messages a second of the same events");
    let followers = subscribed(service, FILTERING, &filters).await?;
    let events = service.sends.len();
    let (_, followers) = messages_a_second(service, followers, events, each).await?;
    let (filtered, _) = messages_a_second(service, followers, events, each).await?;
    println!(
        "  {filtered:>8.0} messages a second by {FILTERS} filters, {:.2} of that, {:.0} events a second; memory {:.0} MB",
        filtered / same,
        filtered * number(FILTERS) / number(FILTERING),
        megabytes(service.memory()?)
    );
    Ok(())
}

/// Opens sockets with subscriptions, which use the filters in turn.
async fn subscribed(
    service: &Service,
    count: usize,
    filters: &[Json],
) -> anyhow::Result<Vec<Follower>> {
    let bar = ProgressBar::new(count as u64)
        .with_style(ProgressStyle::with_template("  {bar:30} {pos} of {len} sockets")?);
    let mut followers = Vec::with_capacity(count);
    for index in 0..count {
        let filter = filters[index % filters.len()].clone();
        followers.push(Follower::subscribe_to(service, filter).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(followers)
}

/// Writes `events` events, and reads `each` of them at every socket. Returns the messages a second.
async fn messages_a_second(
    service: &Service,
    followers: Vec<Follower>,
    events: usize,
    each: usize,
) -> anyhow::Result<(f64, Vec<Follower>)> {
    let count = followers.len();
    let mut reading = JoinSet::new();
    let started = Instant::now();
    for mut follower in followers {
        reading.spawn(async move {
            follower.take(each).await?;
            anyhow::Ok(follower)
        });
    }
    for batch in 0..events / 50 {
        service.insert(batch * 50, 50).await?;
    }
    let mut followers = Vec::with_capacity(count);
    while let Some(read) = reading.join_next().await {
        followers.push(read??);
    }
    Ok((number(count * each) / started.elapsed().as_secs_f64(), followers))
}

fn megabytes(bytes: usize) -> f64 {
    number(bytes) / 1_024.0 / 1_024.0
}
