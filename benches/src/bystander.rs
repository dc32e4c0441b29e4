//! The delay of single events from their call to a subscriber, while clients of the same or another
//! organization record 10,000 events a call.
//!
//! The clients with the large calls have the lowest priority, because they run on other machines in
//! production.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    follower::Follower,
    load::{self, Connection},
    number, percentile,
    service::{Service, rest},
    yield_to_the_service,
};

const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
/// The number of events of a large call.
const LARGE: usize = 10_000;
/// The length of each measurement.
const TIME: Duration = Duration::from_secs(30);
/// The interval between events.
const INTERVAL: Duration = Duration::from_millis(100);
/// The time limit for the last events.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    println!("delay of single events, beside clients that record {LARGE} events a call");
    let select = format!(
        "SELECT id FROM campaign_sends WHERE org_id <> '{}' LIMIT 10000",
        service.organization
    );
    let select = Statement::from_string(service.sql.get_database_backend(), select);
    let rows = service.sql.query_all_raw(select).await?;
    let others: Vec<Uuid> =
        rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
    // the last send is for the single events
    let own = &service.sends[..service.sends.len() - 1];
    for (clients, whose, token, sends) in [
        (0, "alone", &service.other, &others[..]),
        (1, "of another organization", &service.other, &others[..]),
        (4, "of another organization", &service.other, &others[..]),
        (1, "of its own", &service.token, own),
    ] {
        let flood = Flood::start(service, clients, token, sends);
        rest().await;
        let delays = delays(service).await?;
        let recorded = flood.end().await?;
        report(clients, whose, &delays, recorded);
        while service.count("campaign_event_changes").await? > 0 {
            rest().await;
        }
    }
    Ok(())
}

/// Clients with large calls.
struct Flood {
    ends: Arc<AtomicBool>,
    recorded: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<anyhow::Result<()>>>,
    started: Instant,
}

impl Flood {
    fn start(service: &Service, clients: usize, token: &str, sends: &[Uuid]) -> Self {
        let (ends, recorded) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..clients)
            .map(|_| {
                let (ends, recorded) = (Arc::clone(&ends), Arc::clone(&recorded));
                let (address, token) = (service.address.clone(), token.to_owned());
                let sends = sends.to_vec();
                tokio::task::spawn_blocking(move || {
                    yield_to_the_service();
                    let mut connection = Connection::open(&address)?;
                    while !ends.load(Ordering::Relaxed) {
                        let input: Vec<_> = (0..LARGE)
                            .map(|index| {
                                let send = sends[index % sends.len()];
                                json!({ "id": Uuid::new_v4(), "sendId": send, "type": "OPEN" })
                            })
                            .collect();
                        let input = json!({ "input": input });
                        connection.request(&load::request(&address, &token, RECORD, &input))?;
                        recorded.fetch_add(LARGE, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        Self { ends, recorded, clients, started: Instant::now() }
    }

    /// Ends the calls, and returns the number of recorded events a second.
    async fn end(self) -> anyhow::Result<f64> {
        let recorded = self.recorded.load(Ordering::Relaxed);
        let seconds = self.started.elapsed().as_secs_f64();
        self.ends.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(number(recorded) / seconds)
    }
}

/// The delays of single events in milliseconds: to the response of their call, and to a subscriber.
async fn delays(service: &Service) -> anyhow::Result<[Vec<f64>; 2]> {
    let send = service.sends[service.sends.len() - 1];
    let filter = json!({ "sendId": { "eq": send } });
    let mut follower = Follower::subscribe_to(service, filter).await?;
    let http = reqwest::Client::new();
    let total = (TIME.as_millis() / INTERVAL.as_millis()) as usize;
    let reading = tokio::spawn(async move {
        let mut came = HashMap::new();
        while came.len() < total {
            let (id, at) = follower.event().await?;
            came.insert(id, at);
        }
        anyhow::Ok(came)
    });
    let mut calls = Vec::with_capacity(total);
    let mut ticks = tokio::time::interval(INTERVAL);
    for _ in 0..total {
        ticks.tick().await;
        let (http, token) = (http.clone(), service.token.clone());
        let request = http.post(format!("{}/graphql", service.address)).bearer_auth(token);
        let id = Uuid::new_v4();
        let input = json!([{ "id": id, "sendId": send, "type": "OPEN" }]);
        let body = json!({ "query": RECORD, "variables": { "input": input } });
        calls.push(tokio::spawn(async move {
            let called = Instant::now();
            let answer = request.json(&body).send().await?.text().await?;
            anyhow::ensure!(!answer.contains("errors"), "{answer}");
            anyhow::Ok((id, called, called.elapsed()))
        }));
    }
    let came = tokio::time::timeout(TIMEOUT, reading).await???;
    let mut delays = [Vec::with_capacity(total), Vec::with_capacity(total)];
    for call in calls {
        let (id, called, answered) = call.await??;
        delays[0].push(answered.as_secs_f64() * 1_000.0);
        delays[1].push(came[&id].duration_since(called).as_secs_f64() * 1_000.0);
    }
    for delays in &mut delays {
        delays.sort_by(f64::total_cmp);
    }
    Ok(delays)
}

fn report(clients: usize, whose: &str, delays: &[Vec<f64>; 2], recorded: f64) {
    println!("  {clients} clients {whose}, {recorded:.0} events a second in large calls");
    for (what, delays) in ["the response", "the subscriber"].iter().zip(delays) {
        println!(
            "  {:>8.1} ms median, {:.1} ms 90 %, {:.1} ms 99 %, {:.1} ms longest to {what}",
            percentile(delays, 0.5),
            percentile(delays, 0.9),
            percentile(delays, 0.99),
            percentile(delays, 1.0),
        );
    }
}
