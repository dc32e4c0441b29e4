//! Mixed load with random faults: PostgreSQL restarts or crashes, connections are cut, replicas are
//! killed, the disk is full, a table is locked.
//!
//! Three replicas serve one database, and one of them is never killed. Clients record events with their
//! own IDs, and repeat calls that were not acknowledged. Programs insert events by SQL, in transactions
//! that stay open for a while. Dashboards read figures. Followers disconnect from time to time and
//! continue after their last cursor, at any replica.
//!
//! In the end, the stored events are the acknowledged ones, each follower received each of them once and
//! in order, the running counts are correct, no client got INTERNAL, and the replica that was never
//! killed has no more memory, files or tasks than before.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use campaigns_tests::no_space;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    follower::Follower,
    number,
    service::{self, Service},
};

const CLIENTS: usize = 4;
const PROGRAMS: usize = 2;
const DASHBOARDS: usize = 4;
const FOLLOWERS: usize = 4;
/// The number of replicas that are killed.
const MORTAL: usize = 2;
/// The time limit for the end of running work.
const SETTLE: Duration = Duration::from_secs(90);

const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
const DASHBOARD: &str = "{ campaigns(first: 20) { totalCount nodes { name stats { sends opens uniqueOpens openRate } \
    timeline(interval: HOUR) { start opens } } } }";
const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { cursor node { id } } }";

const SPACE: &str = "DROP TRIGGER IF EXISTS a_no_space ON campaign_events";
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";
const LOCK: &str = "BEGIN; LOCK TABLE campaigns; SELECT pg_sleep(2); COMMIT";

/// The shared state of all tasks, and their results.
struct World {
    service: Service,
    /// The addresses of the replicas. The first is never killed.
    replicas: Vec<String>,
    written: Mutex<Written>,
    /// The number of responses by error code.
    codes: Mutex<BTreeMap<String, usize>>,
    /// Violations of the guarantees.
    violations: Mutex<Vec<String>>,
    faults: Mutex<BTreeMap<&'static str, usize>>,
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Written {
    acknowledged: HashSet<Uuid>,
    /// A connection was lost while they were committed.
    in_doubt: HashSet<Uuid>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn any_replica(&self, rng: &mut ChaCha8Rng) -> &str {
        self.replicas.choose(rng).expect("there are replicas")
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    fn add_violation(&self, violation: String) {
        let mut violations = lock(&self.violations);
        if violations.len() < 20 {
            violations.push(violation);
        }
    }

    /// Sends an operation to a replica. Returns `None` if it can be retried.
    async fn send(&self, http: &reqwest::Client, address: &str, body: &Json) -> Option<Json> {
        let request = http.post(format!("{address}/graphql")).bearer_auth(&self.service.token);
        let answer: Result<Json, _> = async { request.json(body).send().await?.json().await }.await;
        let code = match &answer {
            Err(_) => "no answer".to_owned(),
            Ok(answer) => match answer.pointer("/errors/0/extensions/code") {
                Some(code) => code.as_str().unwrap_or_default().to_owned(),
                None => "OK".to_owned(),
            },
        };
        let known = ["OK", "no answer", "UNAVAILABLE", "TIMEOUT", "LIMIT_EXCEEDED"];
        if !known.contains(&code.as_str()) {
            self.add_violation(format!("{code}: {answer:?}"));
        }
        let is_ok = code == "OK";
        *lock(&self.codes).entry(code).or_default() += 1;
        answer.ok().filter(|_| is_ok)
    }
}

pub(crate) async fn run(service: Service, length: Duration) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut mortals = Vec::new();
    for index in 0..MORTAL {
        let log = directory.path().join(format!("replica-{index}.log"));
        mortals.push(Mortal::new(&service.database.url, log)?);
    }
    let replicas = std::iter::once(service.address.clone())
        .chain(mortals.iter().map(|mortal| format!("http://{}", mortal.address)));
    let world = Arc::new(World {
        replicas: replicas.collect(),
        service,
        written: Mutex::default(),
        codes: Mutex::default(),
        violations: Mutex::default(),
        faults: Mutex::default(),
        over: watch::Sender::new(false),
    });
    for mortal in &mut mortals {
        mortal.start()?;
    }
    let http = reqwest::Client::new();
    let start =
        world.service.execute_as(&http, &world.service.token, "{ feedCursor }", json!({})).await?;
    let start = start["feedCursor"].as_str().context("a cursor")?.to_owned();

    println!(
        "faults: {CLIENTS} clients, {PROGRAMS} programs, {DASHBOARDS} dashboards, {FOLLOWERS} followers for {} s",
        length.as_secs()
    );
    let mut writers = JoinSet::new();
    for index in 0..CLIENTS {
        writers.spawn(client(Arc::clone(&world), index));
    }
    for index in 0..PROGRAMS {
        writers.spawn(program(Arc::clone(&world), index));
    }
    for index in 0..DASHBOARDS {
        writers.spawn(dashboard(Arc::clone(&world), index));
    }
    let mut followers = JoinSet::new();
    let heard: Vec<Arc<Mutex<Vec<Uuid>>>> = (0..FOLLOWERS).map(|_| Arc::default()).collect();
    for (index, heard) in heard.iter().enumerate() {
        followers.spawn(follow(Arc::clone(&world), index, start.clone(), Arc::clone(heard)));
    }
    sleep(Duration::from_secs(15)).await;
    let before = Resources::of(&world).await?;
    let bar = ProgressBar::new(length.as_secs())
        .with_style(ProgressStyle::with_template("  {bar:30} {elapsed} of {len} s  {msg}")?);
    let began = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    while began.elapsed() < length {
        inject(&world, &mut mortals, &mut rng).await?;
        let rest = Duration::from_millis(rng.random_range(4_000..16_000));
        sleep(rest.min(length.saturating_sub(began.elapsed()))).await;
        bar.set_position(began.elapsed().as_secs());
        let events = lock(&world.written).acknowledged.len();
        bar.set_message(format!("{events} events, {} violations", lock(&world.violations).len()));
    }
    world.over.send_replace(true);
    for mortal in &mut mortals {
        mortal.start()?;
    }
    timeout(SETTLE, async { while writers.join_next().await.is_some() {} })
        .await
        .context("the writers end")?;
    bar.finish_and_clear();
    let stored = stored(&world).await?;
    check(&world, &stored, &heard).await?;
    followers.abort_all();
    sleep(Duration::from_secs(15)).await;
    let after = Resources::of(&world).await?;
    check_counts(&world).await?;
    for mortal in &mortals {
        let log = std::fs::read_to_string(&mortal.log)?;
        for line in log.lines().filter(|line| line.contains("\"ERROR\"")) {
            world.add_violation(line.to_owned());
        }
    }
    report(&world, stored.len(), &before, &after);
    let violations = lock(&world.violations);
    ensure!(violations.is_empty(), "violations: {violations:#?}");
    Ok(())
}

/// A replica that is killed and restarted at the same address.
struct Mortal {
    address: String,
    url: String,
    log: PathBuf,
    process: Option<Child>,
}

impl Mortal {
    fn new(url: &str, log: PathBuf) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        Ok(Self { address, url: url.to_owned(), log, process: None })
    }

    /// Starts it unless it is running.
    fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_none() {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
            let process = service::command(&self.url, &self.address)?
                .env("RUST_LOG", "warn")
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()?;
            self.process = Some(process);
        }
        Ok(())
    }

    async fn stop(&mut self, gently: bool) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        if gently && let Some(id) = process.id() {
            let term = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
            ensure!(term.success(), "cannot terminate a replica");
            let ended = timeout(Duration::from_secs(15), process.wait()).await;
            let ended = ended.context("a terminated replica does not end")??;
            ensure!(ended.success(), "a terminated replica ended with {ended}");
        } else {
            process.kill().await?;
        }
        Ok(())
    }
}

/// Injects a random fault.
async fn inject(world: &World, mortals: &mut [Mortal], rng: &mut ChaCha8Rng) -> anyhow::Result<()> {
    let sql = &world.service.sql;
    let which = ["restart", "crash", "cut", "kill", "kill", "terminate", "disk full", "lock"];
    let which = *which.choose(rng).context("a fault")?;
    *lock(&world.faults).entry(which).or_default() += 1;
    match which {
        "restart" => world.service.postgres.restart("fast").await,
        "crash" => world.service.postgres.restart("immediate").await,
        // the statement's own connection may be cut
        "cut" => drop(sql.execute_unprepared(CUT).await),
        "lock" => drop(sql.execute_unprepared(LOCK).await),
        "disk full" => {
            if execute(world, &no_space("campaign_events")).await.is_ok() {
                sleep(Duration::from_secs(3)).await;
            }
            execute(world, SPACE).await?;
        }
        _ => {
            let mortal = rng.random_range(0..mortals.len());
            mortals[mortal].stop(which == "terminate").await?;
            sleep(Duration::from_millis(rng.random_range(0..3_000))).await;
            mortals[mortal].start()?;
        }
    }
    Ok(())
}

/// Runs a statement, and retries it if the connection is lost.
async fn execute(world: &World, statement: &str) -> anyhow::Result<()> {
    let mut failed = None;
    for _ in 0..20 {
        match world.service.sql.execute_unprepared(statement).await {
            Ok(_) => return Ok(()),
            Err(error) => failed = Some(error),
        }
        sleep(Duration::from_millis(200)).await;
    }
    Err(failed.context("it failed")?.into())
}

/// Records events with its own IDs, and repeats calls until they are acknowledged.
async fn client(world: Arc<World>, index: usize) {
    let http = reqwest::Client::new();
    let mut rng = ChaCha8Rng::seed_from_u64(100 + index as u64);
    while !world.is_over() {
        let ids: Vec<Uuid> = (0..rng.random_range(1..20)).map(|_| Uuid::new_v4()).collect();
        let events: Vec<Json> = ids
            .iter()
            .map(|id| {
                let send = world.service.sends.choose(&mut rng).expect("there are sends");
                let kind = ["OPEN", "OPEN", "CLICK", "UNSUBSCRIBE"].choose(&mut rng);
                let url = (kind == Some(&"CLICK")).then_some("https://example.com");
                json!({ "id": id, "sendId": send, "type": kind, "url": url })
            })
            .collect();
        let body = json!({ "query": RECORD, "variables": { "input": events } });
        loop {
            let address = world.any_replica(&mut rng).to_owned();
            if world.send(&http, &address, &body).await.is_some() {
                lock(&world.written).acknowledged.extend(ids);
                break;
            }
            sleep(Duration::from_millis(rng.random_range(50..500))).await;
        }
        sleep(Duration::from_millis(rng.random_range(0..300))).await;
    }
}

/// Inserts events by SQL, in transactions that stay open for a while; some are rolled back.
async fn program(world: Arc<World>, index: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(200 + index as u64);
    let organization = world.service.organization;
    while !world.is_over() {
        let ids: Vec<Uuid> = (0..rng.random_range(1..10)).map(|_| Uuid::new_v4()).collect();
        let rows: Vec<String> = ids
            .iter()
            .map(|id| {
                let send = world.service.sends.choose(&mut rng).expect("there are sends");
                format!("('{id}', '{organization}', '{send}', 'open')")
            })
            .collect();
        let insert = format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES {}",
            rows.join(", ")
        );
        if let Ok(transaction) = world.service.sql.begin().await {
            let inserted = transaction.execute_unprepared(&insert).await.is_ok();
            sleep(Duration::from_millis(rng.random_range(0..300))).await;
            if inserted && rng.random_bool(0.8) {
                let committed = transaction.commit().await.is_ok();
                let mut written = lock(&world.written);
                if committed {
                    written.acknowledged.extend(ids);
                } else {
                    written.in_doubt.extend(ids);
                }
            } else {
                transaction.rollback().await.ok();
            }
        }
        sleep(Duration::from_millis(rng.random_range(0..300))).await;
    }
}

/// Reads figures, and checks that they are consistent.
async fn dashboard(world: Arc<World>, index: usize) {
    let http = reqwest::Client::new();
    let mut rng = ChaCha8Rng::seed_from_u64(300 + index as u64);
    while !world.is_over() {
        let address = world.any_replica(&mut rng).to_owned();
        let answer = world.send(&http, &address, &json!({ "query": DASHBOARD })).await;
        let campaigns =
            answer.as_ref().and_then(|answer| answer["data"]["campaigns"]["nodes"].as_array());
        for campaign in campaigns.into_iter().flatten() {
            let of = |name: &str| campaign["stats"][name].as_i64().unwrap_or(-1);
            if !(0 <= of("uniqueOpens") && of("uniqueOpens") <= of("opens").min(of("sends"))) {
                world.add_violation(format!("impossible figures: {campaign}"));
            }
        }
        sleep(Duration::from_millis(rng.random_range(50..300))).await;
    }
}

/// Follows the feed at any replica, and continues after its last cursor when it is disconnected.
async fn follow(world: Arc<World>, index: usize, start: String, heard: Arc<Mutex<Vec<Uuid>>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(400 + index as u64);
    let mut cursor = start;
    loop {
        let address = world.any_replica(&mut rng).to_owned();
        let stay = Duration::from_secs(rng.random_range(5..60));
        let following = follow_once(&world, &address, &mut cursor, &heard);
        timeout(stay, following).await.ok();
        sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
    }
}

async fn follow_once(
    world: &World,
    address: &str,
    cursor: &mut String,
    heard: &Mutex<Vec<Uuid>>,
) -> anyhow::Result<()> {
    let mut follower = Follower::silent(address).await?;
    follower.authenticate(&world.service.token).await?;
    let payload = json!({ "query": FOLLOW, "variables": { "after": &*cursor } });
    follower.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
    loop {
        let message = follower.message().await?;
        match message["type"].as_str() {
            Some("next") => {
                let event = &message["payload"]["data"]["engagementEvents"];
                let id = event["node"]["id"].as_str().and_then(|id| id.parse().ok());
                let (Some(id), Some(at)) = (id, event["cursor"].as_str()) else {
                    world.add_violation(format!("a follower received {message}"));
                    return Ok(());
                };
                lock(heard).push(id);
                at.clone_into(cursor);
            }
            Some("error") => {
                let code = message["payload"][0]["extensions"]["code"].as_str();
                if !matches!(code, Some("UNAVAILABLE" | "TIMEOUT" | "LIMIT_EXCEEDED")) {
                    world.add_violation(format!("a follower was refused: {message}"));
                }
                return Ok(());
            }
            _ => {}
        }
    }
}

/// The stored events, in the order of the feed.
async fn stored(world: &World) -> anyhow::Result<Vec<Uuid>> {
    let select = format!(
        "SELECT id FROM campaign_events WHERE org_id = '{}' ORDER BY feed_position",
        world.service.organization
    );
    let select = Statement::from_string(world.service.sql.get_database_backend(), select);
    let rows = world.service.sql.query_all_raw(select).await?;
    Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
}

/// Compares the stored events with the acknowledged ones, and with the events of each follower.
async fn check(
    world: &World,
    stored: &[Uuid],
    heard: &[Arc<Mutex<Vec<Uuid>>>],
) -> anyhow::Result<()> {
    {
        let there: HashSet<&Uuid> = stored.iter().collect();
        let written = lock(&world.written);
        let lost = written.acknowledged.iter().filter(|id| !there.contains(id)).count();
        let is_known =
            |id: &Uuid| written.acknowledged.contains(id) || written.in_doubt.contains(id);
        let unknown = stored.iter().filter(|id| !is_known(id)).count();
        if lost + unknown > 0 {
            world.add_violation(format!("{lost} events were lost, {unknown} were never recorded"));
        }
    }
    let began = Instant::now();
    let is_behind = || heard.iter().any(|heard| lock(heard).len() < stored.len());
    while is_behind() && began.elapsed() < SETTLE {
        sleep(Duration::from_millis(100)).await;
    }
    for (index, heard) in heard.iter().enumerate() {
        let heard = lock(heard);
        if heard.as_slice() != stored {
            let differs = heard.iter().zip(stored).position(|(heard, stored)| heard != stored);
            world.add_violation(format!(
                "follower {index} received {} of {} events, the first different one at {differs:?}",
                heard.len(),
                stored.len()
            ));
        }
    }
    Ok(())
}

async fn check_counts(world: &World) -> anyhow::Result<()> {
    let check = ["stats", "check", "--database-url", &world.service.database.url];
    let checked = Command::new(service::program()?).args(check).output().await?;
    if !checked.status.success() {
        world.add_violation(String::from_utf8_lossy(&checked.stdout).into_owned());
    }
    Ok(())
}

/// The resources of the replica that is never killed.
struct Resources {
    megabytes: f64,
    files: usize,
    tasks: usize,
}

impl Resources {
    async fn of(world: &World) -> anyhow::Result<Self> {
        let metrics = reqwest::get(format!("{}/metrics", world.service.address)).await?;
        let metrics = metrics.text().await?;
        let tasks = metrics.lines().find_map(|line| line.strip_prefix("campaigns_tasks "));
        Ok(Self {
            megabytes: number(world.service.memory()?) / 1_048_576.0,
            files: world.service.files()?,
            tasks: tasks.context("a number of tasks")?.trim().parse()?,
        })
    }
}

fn report(world: &World, stored: usize, before: &Resources, after: &Resources) {
    println!("  faults: {:?}", lock(&world.faults));
    println!("  answers: {:?}", lock(&world.codes));
    println!("  {stored:>8} events are stored, {} of them in doubt", {
        lock(&world.written).in_doubt.len()
    });
    for (when, Resources { megabytes, files, tasks }) in
        [("at first", before), ("in the end", after)]
    {
        println!("  {megabytes:>8.0} MB, {files} files, {tasks} tasks {when}");
    }
    println!("  {:>8} violations", lock(&world.violations).len());
}
