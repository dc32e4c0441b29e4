//! Compares the bytes that the service draws from its budgets with the bytes that it has allocated.
//!
//! Each use of memory is driven far beyond its bound. The allocator of this process counts
//! allocated bytes, and the budgets drawn bytes: the two differ by less than a factor of two. The
//! tests run one after the other, since the allocator counts for all of the process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conditions;
mod peer;

use std::{alloc::System, time::Duration};

use campaigns_scope::{ByteLimits, Options};
use campaigns_server::Settings;
use campaigns_tests::{Backend, Organization, TestApp, until};
use peer::Peer;
use serde_json::{Value as Json, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by the running test.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The bytes of cached operations.
const KEPT: usize = 4 << 20;
/// The bytes of the process.
const PROCESS: usize = 64 << 20;
/// Allocations of an idle process.
const NOISE: usize = 256 << 10;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The allocated bytes, once they no longer change.
async fn settled() -> usize {
    let mut last = allocated();
    let mut calm = 0;
    while calm < 5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = allocated();
        calm = if now.abs_diff(last) < 32 << 10 { calm + 1 } else { 0 };
        last = now;
    }
    last
}

struct Service {
    app: TestApp,
    acme: Organization,
    sends: Vec<Uuid>,
}

impl Service {
    async fn start() -> Self {
        let bytes = ByteLimits { process: PROCESS, ..ByteLimits::default() };
        let mut settings = Settings::default();
        settings.limits.operation.kept = KEPT;
        settings.limits.operation.complexity = 1_000_000;
        let app = TestApp::on(Backend::Sqlite)
            .settings(settings)
            .options(move |options| Options { max_connections: 4, bytes, ..options })
            .start()
            .await;
        let acme = app.organization("acme").await;
        let made = acme.populated(8).await;
        Self { app, acme, sends: made.sends }
    }

    fn held(&self) -> usize {
        self.app.service_database.budgets().process().held()
    }

    /// Waits until all bytes beyond these are returned.
    async fn until_held(&self, bytes: usize) {
        let is_back = async || self.held() <= bytes;
        until("it is given back", Duration::from_mins(2), is_back).await;
    }

    async fn metric(&self, name: &str) -> usize {
        let text = reqwest::get(format!("{}/metrics", self.app.address)).await.unwrap();
        let text = text.text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a size")]
        let value = value.parse::<f64>().unwrap() as usize;
        value
    }

    async fn socket(&self) -> Peer {
        Peer::open(&self.app.address, self.acme.member.token.as_ref().unwrap()).await
    }
}

fn compare(what: &str, allocated: usize, known: usize) {
    eprintln!("{what}: {} KiB allocated, {} KiB known", allocated >> 10, known >> 10);
    assert!(known > 1 << 20, "{what}: the test drives too little of it, {known} bytes");
    assert!(allocated < 2 * known + NOISE, "{what}: {allocated} allocated, {known} known");
    assert!(known < 2 * allocated + NOISE, "{what}: {allocated} allocated, {known} known");
}

/// Ten times as many operations as fit into the cache, each with a different name.
async fn operations_that_are_kept(
    service: &Service,
    what: &str,
    document: impl Fn(usize) -> String,
) {
    let name = "campaigns_operation_cache_bytes";
    let (before, kept_before) = (settled().await, service.metric(name).await);
    service.acme.member.post(&json!({ "query": document(0) })).await;
    let one = service.metric(name).await - kept_before;
    assert!(one > 0, "{what}: the document is not kept");
    for number in 1..=10 * KEPT / one {
        service.acme.member.post(&json!({ "query": document(number) })).await;
        // what the test remembers
        service.app.forget_statements();
    }
    let known = service.metric(name).await;
    assert!(known <= KEPT && known > KEPT * 3 / 4, "{what}: {known}");
    compare(what, settled().await.saturating_sub(before) + kept_before, known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::too_many_lines, reason = "a kind of holding after the other")]
async fn accounted_bytes_equal_allocated_bytes() {
    let _alone = ALONE.lock().await;
    let each = |count: usize, of: &str| {
        let all: Vec<String> = (0..count).map(|at| format!("a{at}: {of}")).collect();
        all.join(" ")
    };
    let campaigns = each(
        20,
        "campaigns(first: 1) { nodes { id name subject channel status createdAt updatedAt body \
         sentAt scheduledAt metadata creator { id fullName } } }",
    );
    let skipped = format!(
        "viewer {{ subject }} campaigns @include(if: false) {{ nodes {{ {} }} }}",
        "id name subject status ".repeat(80)
    );
    let ids = vec![format!("\"{}\"", Uuid::nil()); 400].join(", ");
    let literals = format!("campaigns(filter: {{ id: {{ in: [{ids}] }} }}) {{ nodes {{ id }} }}");
    let objects = format!(
        "campaigns(filter: {{ metadata: {{ contains: {{ a: [{}] }} }} }}) {{ nodes {{ id }} }}",
        "{a:1} ".repeat(400)
    );
    let schema = each(
        15,
        "__schema { types { name description fields { name args { name type { kind name } } } } }",
    );
    let kinds = [
        ("kept operations", campaigns),
        ("kept operations with directives", skipped),
        ("kept operations with literals", literals),
        ("kept operations with objects", objects),
        ("kept questions about the schema", schema),
    ];
    for (what, selections) in kinds {
        // each on its own service
        let service = Service::start().await;
        service.acme.member.data("{ viewer { subject } }", json!({})).await;
        operations_that_are_kept(&service, what, |number| {
            format!("query Q{number} {{ {selections} }}")
        })
        .await;
    }
    let service = Service::start().await;
    service.acme.member.data("{ viewer { subject } }", json!({})).await;
    operations_that_are_kept(&service, "kept faults", |number| {
        let name = format!("{}{number}", "x".repeat(200));
        let unknown: Vec<String> = (0..45).map(|at| format!("{name}{at}")).collect();
        format!("query {name} {{ viewer {{ {} }} }}", unknown.join(" "))
    })
    .await;

    let service = Service::start().await;
    let few = "subscription { engagementEvents { node { id } } }";
    let mut warm = service.socket().await;
    warm.subscribe(0, few, json!({})).await;
    warm.catch_up().await;

    let (before, held) = (settled().await, service.held());
    let mut sockets = Vec::new();
    for _ in 0..200 {
        let mut socket = service.socket().await;
        socket.subscribe(0, few, json!({})).await;
        socket.catch_up().await;
        sockets.push(socket);
    }
    compare("sockets", settled().await - before, service.held() - held);

    let (before, held) = (settled().await, service.held());
    for (number, socket) in sockets.iter_mut().enumerate() {
        for id in 1..10 {
            // each in its own group
            let query =
                format!("subscription S{number}n{id} {{ engagementEvents {{ node {{ id }} }} }}");
            socket.subscribe(id, &query, json!({})).await;
        }
        assert_eq!(socket.catch_up().await, Some(Vec::new()));
    }
    compare("subscriptions", settled().await - before, service.held() - held);
    drop(sockets);

    let ids: Vec<String> = (0..1_000).map(|_| Uuid::new_v4().to_string()).collect();
    let many = vec![json!({ "id": { "in": ids } }); 20];
    let urls: Vec<String> =
        (0..200).map(|at| format!("https://x.example/{at}/{}", "y".repeat(2_000))).collect();
    let parts: Vec<Json> = (0..400)
        .map(|at| json!({ "url": { "contains": format!("{at}{}", "é".repeat(900)) } }))
        .collect();
    for (what, filter) in [
        ("subscriptions with many ids", json!({ "or": many })),
        ("subscriptions with long texts", json!({ "url": { "in": urls } })),
        ("subscriptions with patterns", json!({ "or": parts })),
        (
            "subscriptions with many small filters",
            json!({ "and": vec![json!({ "not": { "sendId": { "isNull": true } } }); 450] }),
        ),
    ] {
        let query = "subscription ($filter: EngagementEventFilter) { \
                     engagementEvents(filter: $filter) { node { id } } }";
        let mut socket = service.socket().await;
        let (before, held) = (settled().await, service.held());
        let mut open = 0;
        for id in 0..90 {
            socket.subscribe(id, query, json!({ "filter": filter })).await;
            // the organization's share is half of the free bytes
            if socket.catch_up().await.is_none_or(|received| !received.is_empty()) {
                break;
            }
            open += 1;
        }
        assert!(service.held() <= PROCESS / 2 + (1 << 20));
        eprintln!("{what}: {open} are open");
        let mut socket = if open < 90 {
            // that socket may have been closed
            drop(socket);
            service.until_held(held).await;
            let mut socket = service.socket().await;
            for id in 0..open / 2 {
                socket.subscribe(id, query, json!({ "filter": filter })).await;
            }
            socket
        } else {
            socket
        };
        assert_eq!(socket.catch_up().await, Some(Vec::new()));
        compare(what, settled().await - before, service.held() - held);
        drop(socket);
        service.until_held(held).await;
    }

    // the log of the feed, for the only following socket, since the first one has not answered
    // pings
    drop(warm);
    let mut follower = service.socket().await;
    follower.subscribe(0, few, json!({})).await;
    follower.catch_up().await;
    let (before, held) = (settled().await, service.held());
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let metadata: serde_json::Map<String, Json> =
        (0..20).map(|at| (format!("key{at}"), json!("x".repeat(50)))).collect();
    let events =
        vec![json!({ "sendId": service.sends[0], "type": "OPEN", "metadata": metadata }); 500];
    for _ in 0..20 {
        service.acme.member.data(record, json!({ "input": events })).await;
        // the reader has them in the log before the socket gets them
        follower.receive_responses(events.len()).await;
        // what the test remembers
        service.app.forget_statements();
    }
    compare("the log of the feed", settled().await.saturating_sub(before), service.held() - held);
}
