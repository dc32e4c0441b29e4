//! Ten times as many clients as it takes to keep the service busy, for a minute. Nine tenths of them are
//! of one organization, and ask again at once however they are answered; the others are of another
//! organization, which should hardly notice.
//!
//! The clients of the flood run with the lowest priority, as they have machines of their own elsewhere.

use std::time::Duration;

use serde_json::json;

use crate::{
    load::{self, Load},
    number,
    service::Service,
};

/// How many clients keep the service busy.
const ENOUGH: usize = 128;
/// The clients of the organization that floods.
const FLOOD: usize = ENOUGH * 9;
/// The clients of the other one: a tenth of all, and a few dashboards.
const OTHERS: [usize; 2] = [ENOUGH, 4];
/// How long the flood lasts, and how long the other one asks without it.
const TIME: Duration = Duration::from_mins(1);
const ALONE: Duration = Duration::from_secs(10);
/// The flood begins before the other one asks, and ends after it.
const MARGIN: Duration = Duration::from_secs(2);

const QUERY: &str = "{ campaigns(first: 20) { nodes { name stats { openRate } sends(first: 10) { nodes { status contact { email } } } } } }";

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    let request = |token| load::request(&service.address, token, QUERY, &json!({}));
    let other = async |clients, time| {
        load::of(&service.address, vec![request(&service.other)], clients, time).await
    };
    println!("overload: {FLOOD} clients of one organization, for {} s", TIME.as_secs());
    other(ENOUGH, ALONE / 5).await?;
    for clients in OTHERS {
        let alone = other(clients, ALONE).await?;
        report(clients, "alone", &alone);
        let request = request(&service.token);
        let flood = load::flood(service.address.clone(), request, FLOOD, TIME + 2 * MARGIN);
        let flood = tokio::spawn(flood);
        tokio::time::sleep(MARGIN).await;
        let beside = other(clients, TIME).await?;
        let memory = service.memory()?;
        let flood = flood.await??;
        report(clients, "beside the flood", &beside);
        println!("  {:>8.1} times the 99 % alone", beside.p99 / alone.p99);
        println!(
            "  {:>8.0} a second of the flood are answered, {:.0} refused; {:.0} MB of memory",
            flood.answered,
            flood.refused,
            number(memory) / 1_048_576.0
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        report(clients, "a second after it", &other(clients, ALONE / 2).await?);
    }
    Ok(())
}

fn report(clients: usize, when: &str, load: &Load) {
    println!(
        "  {:>8.0} a second, {:.1} ms median, {:.1} ms 99 %: {clients} clients of the other, {when}",
        load.per_second, load.median, load.p99
    );
}
