//! The attacks of the hostile clients of the soak.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::{follower::Follower, service::Service};

/// One kind of attack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    NeverReads,
    FloodsUnknown,
    HalfMessages,
    ExpensivePages,
    Introspects,
    LongDocuments,
    ManyDocuments,
    LargeSubscriptions,
    LongLists,
    ManyConditions,
    LongAliases,
    Disconnects,
    DisconnectsUnknown,
    LargeCalls,
    LargeBodies,
}

const EXPENSIVE: &str = "{ campaigns(first: 20) { nodes { name sends(first: 500) { nodes { id status contact { firstName email } } } } } }";
const SUBSCRIBE: &str = "subscription ($filter: EngagementEventFilter) { engagementEvents(filter: $filter) { node { id } } }";
const CONTACTS: &str =
    "query ($filter: ContactFilter) { contacts(first: 1, filter: $filter) { nodes { id } } }";
const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";

impl Attack {
    pub(super) const ALL: [Self; 15] = [
        Self::NeverReads,
        Self::FloodsUnknown,
        Self::HalfMessages,
        Self::ExpensivePages,
        Self::Introspects,
        Self::LongDocuments,
        Self::ManyDocuments,
        Self::LargeSubscriptions,
        Self::LongLists,
        Self::ManyConditions,
        Self::LongAliases,
        Self::Disconnects,
        Self::DisconnectsUnknown,
        Self::LargeCalls,
        Self::LargeBodies,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NeverReads => "subscribes and never reads",
            Self::FloodsUnknown => "floods the service before it is authenticated",
            Self::HalfMessages => "starts a message of 8 MB and does not finish it",
            Self::ExpensivePages => "requests 90 expensive pages at once on a socket",
            Self::Introspects => "sends large and nested introspection queries",
            Self::LongDocuments => "sends documents that take long to validate",
            Self::ManyDocuments => "sends a different cacheable document each time",
            Self::LargeSubscriptions => "opens subscriptions with filters of 1 MB",
            Self::LongLists => "filters by 29,000 IDs, in lists of different lengths",
            Self::ManyConditions => "filters by 500 patterns",
            Self::LongAliases => "selects 500 rows with aliases of 250 bytes",
            Self::Disconnects => "disconnects while its operation runs",
            Self::DisconnectsUnknown => "disconnects from /readyz without a token",
            Self::LargeCalls => "records 10,000 events in a call",
            Self::LargeBodies => "sends 8 MB of JSON",
        }
    }

    /// The attacks whose description contains one of these words, or all of them if there are none.
    pub(super) fn with(words: &[String]) -> anyhow::Result<Vec<Self>> {
        let has = |attack: &Self| words.iter().any(|word| attack.name().contains(word.as_str()));
        let chosen: Vec<Self> =
            Self::ALL.into_iter().filter(|attack| words.is_empty() || has(attack)).collect();
        anyhow::ensure!(!chosen.is_empty(), "no attack's description contains these words");
        Ok(chosen)
    }

    /// Runs the attack until it is over or the service ends it.
    #[expect(clippy::too_many_lines, reason = "a list of attacks")]
    pub(super) async fn run(
        self,
        service: &Service,
        number: usize,
        made: &AtomicUsize,
    ) -> anyhow::Result<()> {
        let http = Client::new();
        let ask = async |query: &str, variables: Json| {
            // the operation may be refused
            service.execute_as(&http, &service.token, query, variables).await.ok();
            made.fetch_add(1, Ordering::Relaxed);
        };
        let round = made.load(Ordering::Relaxed);
        match self {
            Self::NeverReads => {
                let _follower = Follower::subscribe(service).await?;
                made.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
            Self::FloodsUnknown => {
                let mut peer = Follower::silent(&service.address).await?;
                let ping = json!({ "type": "ping", "payload": { "x": "y".repeat(60_000) } });
                loop {
                    made.fetch_add(1, Ordering::Relaxed);
                    peer.send(&ping).await?;
                }
            }
            Self::HalfMessages => {
                let mut peer = Follower::subscribe(service).await?;
                made.fetch_add(1, Ordering::Relaxed);
                // half of a text frame of 8 MB
                let mut frame = vec![0x81, 0x80 | 0x7f];
                frame.extend(8_000_000_u64.to_be_bytes());
                frame.extend([0; 4]);
                peer.stream().write_all(&frame).await?;
                for _ in 0..40 {
                    peer.stream().write_all(&[b' '; 10_000].repeat(10)).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
            Self::ExpensivePages => {
                let mut peer = Follower::silent(&service.address).await?;
                peer.authenticate(&service.token).await?;
                peer.message().await?;
                for id in 0_u64.. {
                    let payload = json!({ "query": EXPENSIVE });
                    let message =
                        json!({ "id": id.to_string(), "type": "subscribe", "payload": payload });
                    peer.send(&message).await?;
                    made.fetch_add(1, Ordering::Relaxed);
                    // the number of operations that the service accepts on a socket
                    if id >= 90 {
                        peer.ended().await?;
                    }
                }
            }
            Self::Introspects => {
                let nested = "possibleTypes { interfaces { ".repeat(6) + "name" + &"} } ".repeat(6);
                ask(&format!("{{ __type(name: \"Node\") {{ {nested} }} }}"), json!({})).await;
                let all = "__schema { types { name description fields { name description args { name description } } } }";
                let many: Vec<String> = (0..40).map(|at| format!("a{at}: {all}")).collect();
                ask(&format!("{{ {} }}", many.join(" ")), json!({})).await;
                ask(&format!("{{ {} }}", "__schema{types{name}} ".repeat(2_800)), json!({})).await;
            }
            Self::LongDocuments => {
                let unknown: Vec<String> =
                    (0..9_000).map(|at| format!("{}{at}", "x".repeat(200))).collect();
                ask(&format!("{{ viewer {{ {} }} }}", unknown.join(" ")), json!({})).await;
                let spreads: Vec<String> =
                    (0..400).map(|at| format!("fragment F{at} on Campaign {{ ...L }}")).collect();
                let fields = "id ".repeat(9_000);
                ask(
                    &format!(
                        "{{ feedCursor }} fragment L on Campaign {{ {fields} }} {}",
                        spreads.join(" ")
                    ),
                    json!({}),
                )
                .await;
                let name = "y".repeat(250);
                let variables: Vec<String> =
                    (0..60).map(|at| format!("$v{at}{round}: Int")).collect();
                ask(
                    &format!("query {name}({}) {{ viewer {{ subject }} }}", variables.join(" ")),
                    json!({}),
                )
                .await;
            }
            Self::ManyDocuments => {
                for at in 0..50 {
                    let fields = "id name status ".repeat(600);
                    ask(&format!("query Q{number}n{round}n{at} {{ viewer {{ subject }} campaigns @include(if: false) {{ nodes {{ {fields} }} }} }}"), json!({})).await;
                }
            }
            Self::LargeSubscriptions => {
                let mut peer = Follower::silent(&service.address).await?;
                peer.authenticate(&service.token).await?;
                for id in 0..90_u64 {
                    let payload = json!({ "query": SUBSCRIBE, "variables": { "filter": ids(25_000, 1_000) } });
                    peer.send(
                        &json!({ "id": id.to_string(), "type": "subscribe", "payload": payload }),
                    )
                    .await?;
                    made.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            Self::LongLists => {
                let lists = ids(29_000, 900 + (number * 31 + round) % 100);
                ask(CONTACTS, json!({ "filter": lists })).await;
            }
            Self::ManyConditions => {
                let conditions: Vec<Json> = (0..500)
                    .map(|at| json!({ "email": { "contains": format!("x{round}y{at}") } }))
                    .collect();
                ask(CONTACTS, json!({ "filter": { "or": conditions } })).await;
            }
            Self::LongAliases => {
                let keys: Vec<String> =
                    (0..40).map(|at| format!("{}{at}: id", "k".repeat(250))).collect();
                let nodes = keys.join(" ");
                ask(&format!("{{ contacts(first: 500) {{ edges {{ node {{ {nodes} }} }} nodes {{ {nodes} }} }} }}"), json!({})).await;
            }
            Self::Disconnects => {
                for _ in 0..50 {
                    let asking = service.execute_as(&http, &service.token, EXPENSIVE, json!({}));
                    tokio::time::timeout(Duration::from_millis(5), asking).await.ok();
                    made.fetch_add(1, Ordering::Relaxed);
                }
            }
            Self::DisconnectsUnknown => {
                for _ in 0..50 {
                    let asking = http.get(format!("{}/readyz", service.address)).send();
                    tokio::time::timeout(Duration::from_micros(1_500), asking).await.ok();
                    made.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Self::LargeCalls => {
                let sends = service.sends.iter().cycle().skip(number * 100).take(10_000);
                let input: Vec<Json> = sends
                    .map(|send| json!({ "id": Uuid::new_v4(), "sendId": send, "type": "OPEN" }))
                    .collect();
                ask(RECORD, json!({ "input": input })).await;
            }
            Self::LargeBodies => {
                let filters = vec![json!({}); 200_000];
                ask(CONTACTS, json!({ "filter": { "and": filters } })).await;
                let long = "x".repeat(7_000_000);
                ask(CONTACTS, json!({ "filter": { "email": { "eq": long } } })).await;
            }
        }
        Ok(())
    }
}

/// A filter by `count` IDs, in lists of `length` IDs.
fn ids(count: usize, length: usize) -> Json {
    let lists = (0..count / length).map(|_| {
        let ids: Vec<String> = (0..length).map(|_| Uuid::new_v4().to_string()).collect();
        json!({ "id": { "in": ids } })
    });
    json!({ "or": lists.collect::<Vec<_>>() })
}
