//! Behind PgBouncer, which serves each transaction on any of its connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{
    Backend, Binary, Client, LOCK_WAITERS, Pooler, Socket, TestApp, TestDatabase, until,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

const UPDATE: &str =
    "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign { name } } }";

#[tokio::test]
async fn everything_works_behind_a_pooler_and_abandoned_statements_end() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let pooler = Pooler::start(&database).await;
    let url = pooler.url.clone();
    let statement_timeout = Some(Duration::from_mins(1));
    let app = TestApp::on_database(database)
        .options(move |options| Options { url, statement_timeout, ..options })
        .start()
        .await;
    assert!(app.service_database.is_pooled());
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let mut socket = Socket::of(&acme.member).await;
    let follow = "subscription ($after: String) { engagementEvents(after: $after) { \
                  node { type } } }";
    socket.subscribe("1", follow, json!({ "after": acme.member.feed_cursor().await })).await;
    // more requests at once than the pooler has connections
    let page = "{ campaigns(orderBy: [{ field: STATUS }]) { totalCount nodes { name stats { \
                openRate } sends(first: 3) { nodes { contact { email } } } } } }";
    let many = (0..24).map(|_| {
        let member = acme.member.clone();
        tokio::spawn(async move { member.data(page, json!({})).await })
    });
    for asked in many.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    acme.member
        .data(record, json!({ "input": [{ "sendId": made.sends[0], "type": "OPEN" }] }))
        .await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["type"], "OPEN");
    acme.member.data(UPDATE, json!({ "id": made.campaigns[0] })).await;
    acme.admin
        .data(
            "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }",
            json!({ "id": made.campaigns[1] }),
        )
        .await;
    // a client that disconnects
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    let (member, id) = (acme.member.clone(), made.campaigns[0]);
    let asked = tokio::spawn(async move { member.ask(UPDATE, json!({ "id": id })).await });
    until("it waits", Duration::from_secs(5), async || app.count(LOCK_WAITERS).await == 1).await;
    asked.abort();
    until("it ends", Duration::from_secs(5), async || app.count(LOCK_WAITERS).await == 0).await;
    lock.rollback().await.unwrap();
    // no setting of a transaction remains for the next user of the connection
    let shown = pooler.show("statement_timeout").await;
    assert_eq!(shown, "0");
}

#[tokio::test]
async fn a_pooler_is_named_at_startup() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let pooler = Pooler::start(&database).await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &pooler.url,
        "--jwt-secret",
        "a secret of the tests, 32 bytes or more",
    ];
    let mut binary = Binary::start(directory.path(), &arguments).await;
    let address = binary.address().await;
    let ready = reqwest::get(format!("{address}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    assert!(binary.log().contains("behind a pooler"), "{}", binary.log());
    assert_eq!(binary.terminate().await, 0);
}

/// A service with its default number of connections, behind a pooler with fewer or slightly more.
async fn behind(size: u32, settings: Settings) -> (TestApp, Pooler) {
    let database = TestDatabase::new(Backend::Postgres).await;
    let pooler = Pooler::of_size(&database, size).await;
    let url = pooler.url.clone();
    let statement_timeout = Some(Duration::from_mins(1));
    let app = TestApp::on_database(database)
        .settings(settings)
        .options(move |_| Options { statement_timeout, ..Options::new(url) })
        .start()
        .await;
    assert!(app.service_database.is_pooled());
    (app, pooler)
}

/// Another program with the same role and pooler, which runs statements and transactions of
/// different lengths without a pause.
struct Program {
    stops: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    runs: JoinHandle<()>,
}

impl Program {
    async fn start(pooler: &Pooler, seed: u64) -> Self {
        let connection = pooler.connect().await;
        let (stops, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stop, count) = (Arc::clone(&stops), Arc::clone(&done));
        let runs = tokio::spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            while !stop.load(Ordering::Relaxed) {
                let sleep = format!("SELECT pg_sleep({})", rng.random_range(0.0..0.1));
                if rng.random_bool(0.5) {
                    connection.execute_unprepared(&sleep).await.unwrap();
                } else {
                    let transaction = connection.begin().await.unwrap();
                    transaction.execute_unprepared("SELECT 1").await.unwrap();
                    transaction.execute_unprepared(&sleep).await.unwrap();
                    transaction.commit().await.unwrap();
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stops, done, runs }
    }

    /// Waits until it has run more statements.
    async fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        until("the other program goes on", Duration::from_secs(20), async || {
            assert!(!self.runs.is_finished(), "a statement of the other program failed");
            self.done.load(Ordering::Relaxed) > before + 2
        })
        .await;
    }

    async fn end(self) {
        self.goes_on().await;
        self.stops.store(true, Ordering::Relaxed);
        self.runs.await.expect("no statement of the other program fails");
    }
}

/// Clients that disconnect at random moments and repeat their requests.
fn hang_ups(client: &Client, asked: &[(&'static str, Json)], seed: u64) -> Vec<JoinHandle<()>> {
    (0..8)
        .map(|number| {
            let (client, asked) = (client.clone(), asked.to_vec());
            tokio::spawn(async move {
                let mut rng = ChaCha8Rng::seed_from_u64(seed + number);
                loop {
                    let (query, variables) = asked[rng.random_range(0..asked.len())].clone();
                    let patience = Duration::from_millis(rng.random_range(0..300));
                    tokio::time::timeout(patience, client.ask(query, variables)).await.ok();
                }
            })
        })
        .collect()
}

/// The durations of many requests, ascending.
async fn times(client: &Client, count: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        client.data("{ campaigns(first: 5) { nodes { name } } }", json!({})).await;
        times.push(started.elapsed());
    }
    times
}

fn percentile(times: &mut [Duration], of_100: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * of_100 / 100]
}

const RUNNING: &str = "pg_stat_activity WHERE datname = current_database() \
    AND application_name = 'campaigns' AND state <> 'idle'";

async fn hang_ups_delay_no_other(size: u32) {
    let (app, pooler) = behind(size, Settings::default()).await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(6).await;
    other.populated(6).await;
    let program = Program::start(&pooler, 973).await;
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    let asked = [
        // waits for the lock
        (UPDATE, json!({ "id": made.campaigns[0] })),
        (UPDATE, json!({ "id": made.campaigns[1] })),
        ("{ campaigns { totalCount nodes { stats { sends } } } }", json!({})),
    ];
    let (mut alone, mut attacked) = (Vec::new(), Vec::new());
    // alternating, since other tests use the processor as well
    for round in 0..5 {
        alone.extend(times(&other.member, 40).await);
        let clients = hang_ups(&acme.member, &asked, 974 + 100 * round);
        until("they wait", Duration::from_secs(10), async || app.count(LOCK_WAITERS).await > 0)
            .await;
        attacked.extend(times(&other.member, 80).await);
        program.goes_on().await;
        for client in clients {
            client.abort();
            client.await.ok();
        }
        // abandoned statements end although their lock is not released
        until("it ends", Duration::from_secs(10), async || app.count(LOCK_WAITERS).await == 0)
            .await;
    }
    let (most, usual) = (percentile(&mut attacked, 90), percentile(&mut alone, 99));
    let limit = usual.max(Duration::from_millis(20)) * 3;
    assert!(most < limit, "size {size}: {most:?}, and {usual:?} without hang-ups");
    lock.rollback().await.unwrap();
    // the next statements succeed, and so do the abandoned ones
    for (query, variables) in asked {
        acme.member.data(query, variables).await;
    }
    program.end().await;
    until("none is open", Duration::from_secs(10), async || app.count(RUNNING).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_delay_no_other_organization_or_program_behind_a_pooler_of_4() {
    hang_ups_delay_no_other(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_delay_no_other_organization_or_program_behind_a_pooler_of_8() {
    hang_ups_delay_no_other(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_delay_no_other_organization_or_program_behind_a_pooler_of_20() {
    hang_ups_delay_no_other(20).await;
}

#[tokio::test]
async fn timeouts_and_completions_cancel_no_other_program_behind_a_pooler() {
    let settings = Settings { query_timeout: Duration::from_millis(600), ..Settings::default() };
    let (app, pooler) = behind(4, settings).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let program = Program::start(&pooler, 976).await;
    let lock = app.sql.begin().await.unwrap();
    lock.execute_unprepared("UPDATE campaigns SET name = 'z'").await.unwrap();
    let variables = json!({ "id": made.campaigns[0] });
    let soon = Duration::from_secs(5);
    for _ in 0..5 {
        let answer = acme.member.ask(UPDATE, variables.clone()).await;
        assert_eq!(answer.code(), "TIMEOUT");
        assert_eq!(answer.error()["extensions"]["committed"], false);
        until("it ends", soon, async || app.count(LOCK_WAITERS).await == 0).await;
        let mut socket = Socket::of(&acme.member).await;
        for id in ["1", "2"] {
            socket.subscribe(id, UPDATE, variables.clone()).await;
        }
        until("they wait", soon, async || app.count(LOCK_WAITERS).await > 0).await;
        socket.say(json!({ "type": "complete", "id": "1" })).await;
        drop(socket);
        until("they end", soon, async || app.count(LOCK_WAITERS).await == 0).await;
        program.goes_on().await;
    }
    lock.rollback().await.unwrap();
    acme.member.data(UPDATE, variables).await;
    program.end().await;
}

#[tokio::test]
async fn abandoned_calls_are_stored_completely_or_not_at_all_behind_a_pooler() {
    let (app, pooler) = behind(4, Settings::default()).await;
    let acme = app.organization("acme").await;
    let mut rng = ChaCha8Rng::seed_from_u64(977);
    let made = acme.populated(4).await;
    let program = Program::start(&pooler, 978).await;
    let before = app.count("campaign_events").await;
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let mut calls = Vec::new();
    // the duration of a call on this machine
    let mut takes = Duration::ZERO;
    for number in 0..60 {
        let events: Vec<Json> = (0..20)
            .map(|_| {
                let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
                json!({ "id": id, "sendId": made.sends[0], "type": "OPEN" })
            })
            .collect();
        let asked = acme.member.ask(record, json!({ "input": events }));
        let started = Instant::now();
        if number < 3 {
            asked.await;
            takes = takes.max(started.elapsed());
        } else {
            let patience = takes.mul_f64(rng.random_range(0.0..1.5));
            tokio::time::timeout(patience, asked).await.ok();
        }
        calls.push(events);
    }
    until("none is open", Duration::from_secs(10), async || {
        app.count(&format!("{RUNNING} AND query NOT LIKE '%pg_sleep%'")).await == 0
    })
    .await;
    let (mut stored, mut repeated) = (0, 0);
    for events in &calls {
        let data = acme.member.data(record, json!({ "input": events })).await;
        let recorded = data["recordEvents"]["recorded"].as_u64().unwrap();
        assert!(recorded == 0 || recorded == 20, "{recorded} of 20 were not stored");
        *if recorded == 0 { &mut stored } else { &mut repeated } += 1;
    }
    assert!(stored > 0 && repeated > 0, "{stored} calls were stored, {repeated} were not");
    assert_eq!(app.count("campaign_events").await - before, 20 * 60);
    program.end().await;
}
