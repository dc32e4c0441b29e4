//! Followers: the cost of many that are behind, transactions that delay the feed, and the data that
//! is kept for followers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use campaigns_tests::{
    Binary, Postgres, Socket, TestApp, on_both_databases, serve_arguments, until,
};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const FOLLOW: &str = "subscription ($after: String, $filter: EngagementEventFilter) { \
    engagementEvents(after: $after, filter: $filter) { cursor node { id campaign { name } contact \
    { email } } } }";

const FOLLOWERS: usize = 20;
/// How long the service keeps a page of the table and the data of its events for other followers.
const KEPT: Duration = Duration::from_secs(10);

/// Many sockets follow at once and receive these events. Together, they read as much as one.
async fn follow(app: &TestApp, member: &campaigns_tests::Client, variables: Json, ids: &[Uuid]) {
    let mut sockets = JoinSet::new();
    app.forget_statements();
    let started = Instant::now();
    for _ in 0..FOLLOWERS {
        let (member, variables, ids) = (member.clone(), variables.clone(), ids.to_vec());
        sockets.spawn(async move {
            let mut socket = Socket::of(&member).await;
            socket.subscribe("1", FOLLOW, variables).await;
            for id in ids {
                assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], json!(id));
            }
        });
    }
    while let Some(done) = sockets.join_next().await {
        done.unwrap();
    }
    // a later follower reads again, which happens on a slow machine
    let times = 1 + usize::try_from(started.elapsed().as_secs() / KEPT.as_secs()).unwrap();
    let statements = app.statements();
    let mut pages: BTreeMap<&[String], usize> = BTreeMap::new();
    for sent in statements.iter().filter(|sent| sent.sql.contains("\"feed_position\" ASC")) {
        *pages.entry(&sent.values).or_default() += 1;
    }
    let reads: Vec<usize> = pages.into_values().collect();
    assert!(!reads.is_empty(), "they are not behind");
    assert!(reads.iter().all(|reads| *reads <= times), "{reads:?} reads in {times} times");
    // the data of each page, and of the part of the log that was read
    let most = (reads.iter().sum::<usize>() + 1) * times;
    for table in ["FROM \"campaigns\"", "FROM \"contacts\""] {
        let loads = statements.iter().filter(|sent| sent.sql.contains(table)).count();
        assert!(loads <= most, "{loads} statements {table} for {reads:?} pages in {times} times");
    }
}

#[on_both_databases]
async fn followers_that_are_behind_share_their_pages(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    let start = acme.member.feed_cursor().await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let other = app.literal(made.sends[1]);
    // more events than a log keeps
    app.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, \
         campaign_sends.id, 'open' FROM n JOIN campaign_sends ON campaign_sends.id = {other} AND i \
         % 10 = 0 OR campaign_sends.id = {send} AND i % 10 <> 0 ORDER BY i"
    ))
    .await;
    let ids = async |condition: &str| -> Vec<Uuid> {
        let sql = format!(
            "SELECT id FROM campaign_events WHERE {condition} AND org_id = {org} ORDER BY \
             feed_position DESC LIMIT 4000"
        );
        let mut ids: Vec<Uuid> =
            app.rows(&sql).await.iter().map(|row| row.try_get("", "id").unwrap()).collect();
        ids.reverse();
        ids
    };
    let all = ids("true").await;
    follow(&app, &acme.member, json!({ "after": start }), &all).await;
    // followers with a filter
    let some = ids(&format!("send_id = {other}")).await;
    let some = &some[some.len() - 400..];
    let filter = json!({ "sendId": { "eq": made.sends[1] } });
    follow(&app, &acme.member, json!({ "after": start, "filter": filter }), some).await;
}

#[on_both_databases]
async fn no_data_is_kept_for_a_single_follower(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    let mut socket = Socket::of(&acme.member).await;
    let start = acme.member.feed_cursor().await;
    for number in 0..60 {
        // a different document for each
        let query = format!(
            "subscription ($after: String) {{ engagementEvents(after: $after) {{ \
             node {{ id url a{number}: id }} }} }}"
        );
        socket.subscribe(&number.to_string(), &query, json!({ "after": start })).await;
    }
    let url = format!("https://x.example/{}", "y".repeat(5_000));
    let input: Vec<Json> =
        (0..100).map(|_| json!({ "sendId": made.sends[0], "type": "CLICK", "url": url })).collect();
    acme.member
        .data(
            "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }",
            json!({ "input": input }),
        )
        .await;
    for _ in 0..60 * 100 {
        socket.message().await;
    }
    // the log, once, and not the responses of sixty sockets
    let held = acme.scope.budget().held();
    assert!(held < 3_000_000, "{held}");
}

#[on_both_databases]
async fn idle_campaigns_cost_next_to_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let insert = format!("INSERT INTO campaigns (org_id, name) VALUES ({org}, 'x')");
    for _ in 0..50 {
        app.run(&insert).await;
    }
    let made = acme.populated(4).await;
    let data = acme.member.data("{ campaigns(first: 100) { nodes { id } } }", json!({})).await;
    let ids = data["campaigns"]["nodes"].as_array().unwrap().clone();
    let mut socket = Socket::of(&acme.member).await;
    for (number, campaign) in ids.iter().enumerate() {
        let query = "subscription ($id: ID!) { campaignStats(campaignId: $id) { sends opens } }";
        socket.subscribe(&number.to_string(), query, json!({ "id": campaign["id"] })).await;
    }
    for _ in &ids {
        socket.message().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    app.forget_statements();
    tokio::time::sleep(Duration::from_secs(4)).await;
    // without the feed's own statements, which all followers share
    let counts = app.statements().iter().filter(|sent| !sent.sql.contains("feed")).count();
    assert!(counts <= 8, "{counts}: {:#?}", app.statements());
    // a new event is shown at once
    let campaign = app.campaign_of(made.sends[0]).await;
    let number = ids.iter().position(|of| of["id"] == json!(campaign)).unwrap().to_string();
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {}, 'open')",
        app.literal(made.sends[0])
    ))
    .await;
    socket.next(&number).await;
    // changes by SQL are shown within seconds
    app.run(&format!(
        "DELETE FROM campaign_events WHERE send_campaign_id = {}",
        app.literal(campaign)
    ))
    .await;
    assert_eq!(socket.next(&number).await["campaignStats"]["opens"], 0);
}

#[on_both_databases]
async fn events_of_a_megabyte_are_followed_without_being_read_together(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let start = acme.member.feed_cursor().await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let url = "x".repeat(1_000_000);
    for _ in 0..40 {
        app.run(&format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, url) VALUES \
             ({org}, {send}, 'click', '{url}')"
        ))
        .await;
    }
    let mut socket = Socket::of(&acme.member).await;
    socket
        .subscribe(
            "1",
            "subscription ($after: String) { engagementEvents(after: $after) { node { id url } } }",
            json!({ "after": start }),
        )
        .await;
    let mut most = 0;
    for _ in 0..40 {
        let next = socket.next("1").await;
        assert_eq!(next["engagementEvents"]["node"]["url"].as_str().unwrap().len(), 1_000_000);
        most = most.max(acme.scope.budget().held());
    }
    assert!(most < 40_000_000, "{most}");
}

/// A service in a separate process, an organization that is followed there, and a statement that
/// inserts an event.
struct FollowedService {
    app: TestApp,
    binary: Binary,
    member: campaigns_tests::Client,
    socket: Socket,
    insert: String,
    _remains: (Postgres, tempfile::TempDir),
}

impl FollowedService {
    async fn start() -> Self {
        let (postgres, database) = Postgres::own().await;
        let app = TestApp::on_database(database).start().await;
        let acme = app.organization("acme").await;
        let made = acme.populated(4).await;
        let directory = tempfile::tempdir().unwrap();
        let arguments = serve_arguments(&app.database.url);
        let mut binary = Binary::start(directory.path(), &arguments).await;
        let mut member = acme.member.clone();
        member.address = binary.address().await;
        let mut socket = Socket::of(&member).await;
        socket.subscribe("1", FOLLOW, json!({ "after": member.feed_cursor().await })).await;
        let insert = format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ('{}', '{}', 'open')",
            acme.id, made.sends[0]
        );
        Self { app, binary, member, socket, insert, _remains: (postgres, directory) }
    }

    /// Waits until a line of the log contains all of these.
    async fn logged(&self, parts: &[&str]) {
        until("it is named", Duration::from_mins(1), async || {
            parts.iter().all(|part| self.binary.log().contains(part))
        })
        .await;
    }

    /// `campaigns_feed_stalled_seconds`.
    async fn stalled(&self) -> f64 {
        let metrics = self.member.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
        let text = metrics.text().await.unwrap();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("campaigns_feed_stalled_seconds")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Both events arrive, and the feed is no longer delayed.
    async fn goes_on(&mut self) {
        self.socket.next("1").await;
        self.socket.next("1").await;
        until("it is over", Duration::from_secs(30), async || self.stalled().await == 0.0).await;
    }
}

#[tokio::test]
async fn a_transaction_that_delays_the_feed_is_named() {
    let mut followed = FollowedService::start().await;
    let open = followed.app.sql.begin().await.unwrap();
    open.execute_unprepared(&followed.insert).await.unwrap();
    let process = open
        .query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Postgres,
            "SELECT pg_backend_pid() AS pid",
        ))
        .await
        .unwrap();
    let process: i32 = process.unwrap().try_get("", "pid").unwrap();
    followed.app.run(&followed.insert).await;
    followed.logged(&[&format!("\"process\":{process}"), "delays the live feed"]).await;
    assert!(followed.stalled().await >= 3.0);
    open.commit().await.unwrap();
    followed.goes_on().await;
}

#[tokio::test]
async fn a_prepared_transaction_that_delays_the_feed_is_named() {
    let mut followed = FollowedService::start().await;
    let insert = followed.insert.clone();
    // its session has ended
    let session = followed.app.database.connect_once().await;
    let prepare = format!("BEGIN; {insert}; PREPARE TRANSACTION 'of another program'");
    session.execute_unprepared(&prepare).await.unwrap();
    session.close().await.unwrap();
    followed.app.run(&insert).await;
    followed.logged(&["\"prepared\":\"of another program\"", "COMMIT PREPARED"]).await;
    assert!(followed.stalled().await >= 3.0);
    followed.app.run("COMMIT PREPARED 'of another program'").await;
    followed.goes_on().await;
}
