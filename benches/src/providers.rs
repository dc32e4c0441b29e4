//! Webhooks of a provider, compared with `recordEvents` of the same batches. Each event is new, and each request of the
//! provider is signed by itself, as SendGrid does it.

use std::time::Duration;

use anyhow::ensure;
use campaigns_tests::{Client, Sender};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    load, number,
    service::{Service, rest},
};

const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
const TIME: Duration = Duration::from_secs(4);
const AGENT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15";
/// The times that each is measured, in turns.
const ROUNDS: usize = 3;
/// More events than a service takes in a round: single ones, and those in batches.
const SINGLE: usize = 30_000;
const BATCHED: usize = 300_000;

pub(crate) async fn run(service: &Service) -> anyhow::Result<()> {
    let client = Client::new(service.address.clone(), service.token.clone());
    let sender = Sender::new(&client, "SENDGRID").await;
    println!("providers, opens a second; beside recordEvents of the same batches");
    println!(
        "  {:>7} {:>6} {:>14} {:>14} {:>8}",
        "clients", "batch", "webhook", "recordEvents", "ratio"
    );
    // SendGrid repeats events under other IDs, so those of a send in the same second are one
    let mut second = chrono::Utc::now().timestamp();
    for clients in [1, 8] {
        for batch in [1, 100, 1_000] {
            let (mut ratios, mut best) = (Vec::new(), (0.0_f64, 0.0_f64));
            for _ in 0..ROUNDS {
                let calls = if batch == 1 { SINGLE } else { BATCHED / batch };
                second -= 100;
                let posted = |call| posted(service, &sender, (call, batch), second);
                let posted = (0..calls).map(posted).collect();
                let posted = measured(service, posted, clients, batch).await?;
                let recorded = (0..calls).map(|call| recorded(service, call, batch)).collect();
                let recorded = measured(service, recorded, clients, batch).await?;
                ratios.push(posted / recorded);
                best = (best.0.max(posted), best.1.max(recorded));
            }
            ratios.sort_by(f64::total_cmp);
            let ratio = ratios[ROUNDS / 2];
            println!("  {clients:>7} {batch:>6} {:>14.0} {:>14.0} {ratio:>8.2}", best.0, best.1);
        }
    }
    let stats = sender.stats(&client).await;
    ensure!(stats["unmatched"] == 0 && stats["unreadable"] == 0, "{stats}");
    Ok(())
}

/// Events a second. Waits until they are counted.
async fn measured(
    service: &Service,
    requests: Vec<Vec<u8>>,
    clients: usize,
    batch: usize,
) -> anyhow::Result<f64> {
    let most = requests.len() * batch;
    let before = service.count("campaign_events").await?;
    let load = load::of(&service.address, requests, clients, TIME).await?;
    let new = usize::try_from(service.count("campaign_events").await? - before)?;
    // clients that have sent all their requests begin again
    ensure!(4 * new < 3 * most, "there are too few different events: {new} of {most}");
    let expected = load.per_second * TIME.as_secs_f64() * number(batch);
    ensure!(number(new) > 0.9 * expected, "{new} events are new, of about {expected:.0}");
    while service.count("campaign_event_changes").await? > 0 {
        rest().await;
    }
    rest().await;
    Ok(load.per_second * number(batch))
}

/// The sends of one call. They belong to one campaign, as in a provider's report.
fn of_call(service: &Service, call: usize, batch: usize) -> impl Iterator<Item = Uuid> {
    let sends = &service.sends;
    (0..batch).map(move |index| sends[(call * batch + index) % sends.len()])
}

/// A request of a provider. The first event of each send is in this second.
fn posted(
    service: &Service,
    sender: &Sender,
    (call, batch): (usize, usize),
    second: i64,
) -> Vec<u8> {
    let event = |(index, send): (usize, Uuid)| {
        let round = (call * batch + index) / service.sends.len();
        let at = second - i64::try_from(round).unwrap_or_default();
        json!({
            "event": "open", "email": "k@alderpine.example", "timestamp": at, "useragent": AGENT,
            "sg_event_id": Uuid::new_v4(), "sg_message_id": format!("{}.recvd-7c0de5a1f0-1.0", send.simple()),
            "send_id": send, "ip": "198.51.100.7", "sg_machine_open": false, "sg_content_type": "html",
        })
    };
    let events: Vec<Json> = of_call(service, call, batch).enumerate().map(event).collect();
    let (headers, body) = sender.signed(&Json::from(events).to_string());
    load::post(&service.address, &sender.path, &headers, &body)
}

/// The same events by the API.
fn recorded(service: &Service, call: usize, batch: usize) -> Vec<u8> {
    let now = chrono::Utc::now();
    let event = |send: Uuid| {
        json!({
            "id": Uuid::new_v4(), "sendId": send, "type": "OPEN", "occurredAt": now,
            "metadata": { "provider": "SENDGRID", "messageId": "v3ImAmDsLycZeIVJd6xGtA", "userAgent": AGENT },
        })
    };
    let input: Vec<Json> = of_call(service, call, batch).map(event).collect();
    load::request(&service.address, &service.token, RECORD, &json!({ "input": input }))
}
