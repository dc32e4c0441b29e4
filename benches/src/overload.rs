//! Ten times as many clients as keep the service busy, for a minute. Nine tenths of them belong to one
//! organization, and send the next request at once even if they are refused. The others belong to another
//! organization, whose requests should be delayed little.
//!
//! The clients of the flood have the lowest priority, because they run on other machines in production.

use std::time::Duration;

use serde_json::json;

use crate::{
    load::{self, Load},
    number,
    service::Service,
};

/// The number of clients that keep the service busy.
const ENOUGH: usize = 128;
/// The number of clients of the flood.
const FLOOD: usize = ENOUGH * 9;
/// The numbers of clients of the other organization: a tenth of all, and a few dashboards.
const OTHERS: [usize; 2] = [ENOUGH, 4];
/// The length of the flood.
const TIME: Duration = Duration::from_mins(1);
/// The length of the measurement without the flood.
const ALONE: Duration = Duration::from_secs(10);
/// The flood begins this long before the measurement, and ends this long after it.
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
