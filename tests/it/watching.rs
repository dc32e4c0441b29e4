//! Metrics and the log.

use std::{process::Stdio, time::Duration};

use async_graphql::futures_util::future::join_all;
use campaigns_tests::{
    Backend, Binary, Client, Organization, Socket, TestApp, on_both_databases, until,
};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, BufReader};

const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// The program on the database of a service, and a member's client.
pub(crate) struct Watched {
    binary: Binary,
    pub(crate) member: Client,
    /// The address of its metrics.
    metrics: String,
}

impl Watched {
    pub(crate) async fn start(app: &TestApp, organization: &Organization, more: &[&str]) -> Self {
        let mut arguments = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--database-url",
            &app.database.url,
            "--jwt-secret",
            SECRET,
        ];
        arguments.extend(more);
        let mut binary = Binary::start(std::path::Path::new("/"), &arguments).await;
        let address = binary.address().await;
        let metrics = binary.line(|line| line.strip_prefix("metrics on ").map(str::to_owned)).await;
        let mut member = organization.member.clone();
        member.address = address;
        Self { binary, member, metrics }
    }

    pub(crate) async fn metrics(&self) -> String {
        let response = reqwest::get(&self.metrics).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        response.text().await.unwrap()
    }

    /// Ends it, and returns the lines of its log about operations.
    async fn operations(self) -> Vec<Json> {
        let log = self.binary.ended_log().await;
        let lines = log.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
        lines.filter(|line| line["target"] == "campaigns::operation").collect()
    }
}

/// The value of a time series.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// The value of a time series in this process. All services of the process share it.
pub(crate) async fn of_this_process(app: &TestApp, series: &str) -> f64 {
    let metrics = app.client(None).request(Method::GET, "/metrics").send().await.unwrap();
    value(&metrics.text().await.unwrap(), series).unwrap_or_default()
}

#[on_both_databases]
async fn operations_are_counted_by_type_name_and_code(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let Watched { member, .. } = &watched;
    for _ in 0..3 {
        member.data("query Campaigns { campaigns { totalCount } }", json!({})).await;
    }
    member.data("{ viewer { subject } }", json!({})).await;
    member
        .data(
            "mutation Make { createCampaign(input: { name: \"x\" }) { campaign { id } } }",
            json!({}),
        )
        .await;
    for (query, code) in [
        ("query Campaigns { campaigns(first: 501) { totalCount } }", "BAD_USER_INPUT"),
        ("query Wrong { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "mutation Drop { deleteCampaign(id: \"0a11ce00-0000-4000-8000-000000000001\") { id } }",
            "FORBIDDEN",
        ),
        ("query {", "GRAPHQL_PARSE_FAILED"),
    ] {
        assert_eq!(member.ask(query, json!({})).await.code(), code);
    }
    let mut stranger = member.clone();
    stranger.token = None;
    assert_eq!(stranger.ask("{ viewer { subject } }", json!({})).await.code(), "UNAUTHENTICATED");
    let mut socket = Socket::of(member).await;
    socket.subscribe("1", "query Campaigns { campaigns { totalCount } }", json!({})).await;
    socket.next("1").await;

    let metrics = watched.metrics().await;
    let count = |kind: &str, name: &str, code: &str| {
        let labels = format!("{{type=\"{kind}\",name=\"{name}\",code=\"{code}\"}}");
        value(&metrics, &format!("campaigns_operations_total{labels}"))
    };
    assert_eq!(count("query", "Campaigns", "OK"), Some(4.0), "{metrics}");
    assert_eq!(count("query", "", "OK"), Some(1.0), "{metrics}");
    assert_eq!(count("mutation", "Make", "OK"), Some(1.0), "{metrics}");
    assert_eq!(count("query", "Campaigns", "BAD_USER_INPUT"), Some(1.0), "{metrics}");
    assert_eq!(count("query", "other", "GRAPHQL_VALIDATION_FAILED"), Some(1.0), "{metrics}");
    assert_eq!(count("mutation", "Drop", "FORBIDDEN"), Some(1.0), "{metrics}");
    assert_eq!(count("unknown", "", "GRAPHQL_PARSE_FAILED"), Some(1.0), "{metrics}");
    assert_eq!(count("unknown", "", "UNAUTHENTICATED"), Some(1.0), "{metrics}");
    let labels = "{type=\"query\",name=\"Campaigns\"";
    assert_eq!(value(&metrics, &format!("campaigns_operation_seconds_count{labels}}}")), Some(5.0));
    assert_eq!(
        value(&metrics, &format!("campaigns_operation_seconds_bucket{labels},le=\"+Inf\"}}")),
        Some(5.0)
    );
}

#[on_both_databases]
async fn open_and_used_resources_are_in_the_metrics(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let mut socket = Socket::of(&watched.member).await;
    socket
        .subscribe("1", "subscription Follow { engagementEvents { node { id } } }", json!({}))
        .await;
    let open = async || {
        let metrics = watched.metrics().await;
        value(&metrics, "campaigns_subscriptions") == Some(1.0)
            && value(&metrics, "campaigns_feed_organizations") == Some(1.0)
    };
    until("the subscription is open", Duration::from_secs(20), open).await;
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  recorded } }";
    watched.member.data(record, json!({ "send": made.sends[0] })).await;
    socket.next("1").await;
    let metrics = watched.metrics().await;
    for (series, expected) in [
        ("campaigns_sockets", 1.0),
        ("campaigns_sockets_unknown", 0.0),
        ("campaigns_events_recorded_total", 1.0),
        ("campaigns_events_repeated_total", 0.0),
        ("campaigns_feed_events_total", 1.0),
        ("campaigns_feed_log_events", 1.0),
        ("campaigns_subscription_messages_total", 1.0),
        ("campaigns_database_connections_limit", 16.0),
        ("campaigns_held_bytes_limit", 536_870_912.0),
        ("campaigns_log_lines_dropped_total", 0.0),
        ("campaigns_statements_failed_total", 0.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}\n{metrics}");
    }
    for series in [
        "campaigns_peers",
        "campaigns_statement_seconds_count",
        "campaigns_feed_log_bytes",
        "campaigns_uptime_seconds",
        "campaigns_tasks",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    ] {
        assert!(value(&metrics, series).is_some_and(|value| value > 0.0), "{series}\n{metrics}");
    }
    assert!(
        value(&metrics, "campaigns_feed_lag_seconds").is_some_and(|lag| lag < 5.0),
        "{metrics}"
    );
    // the feed and the counts can be using every open connection
    let idle = async || {
        let metrics = watched.metrics().await;
        value(&metrics, "campaigns_database_connections_idle").is_some_and(|idle| idle > 0.0)
            && value(&metrics, "campaigns_database_connections_waiting") == Some(0.0)
            && value(&metrics, "campaigns_operations_waiting{cost=\"any\"}") == Some(0.0)
    };
    until("a connection is idle, and nothing waits", Duration::from_secs(20), idle).await;
    drop(socket);
    let closed = async || value(&watched.metrics().await, "campaigns_subscriptions") == Some(0.0);
    until("the subscription is closed", Duration::from_secs(20), closed).await;
    let lines = watched.operations().await;
    let follow = lines.iter().find(|line| line["name"] == "Follow").unwrap();
    assert_eq!((&follow["type"], &follow["code"]), (&json!("subscription"), &json!("OK")));
}

#[on_both_databases]
async fn metrics_have_an_address_of_their_own(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let public = watched.member.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(public.status(), StatusCode::NOT_FOUND);
    let other = watched.metrics.replace("/metrics", "/graphql");
    assert_eq!(reqwest::get(other).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[on_both_databases]
async fn each_operation_is_one_line_without_its_values(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let member = watched.member.clone();
    member
        .data(
            "query Sought($q: String) { campaigns(filter: { name: { contains: $q } }) { \
             totalCount } }",
            json!({ "q": "a value that is never logged" }),
        )
        .await;
    member
        .data(
            "mutation Make($name: String!) { createCampaign(input: { name: $name }) { campaign \
             { id } } }",
            json!({ "name": "a value that is never logged" }),
        )
        .await;
    member
        .ask(
            "query Wrong { campaigns(filter: { name: { contains: \"a value that is never \
             logged\" } }) { nothing } }",
            json!({}),
        )
        .await;
    let log = watched.binary.ended_log().await;
    assert!(!log.contains("a value that is never logged"), "{log}");
    assert!(!log.contains(member.token.as_ref().unwrap()) && !log.contains("127.0.0.1"), "{log}");
    let lines: Vec<Json> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<&Json> =
        lines.iter().filter(|line| line["target"] == "campaigns::operation").collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, (kind, name, code)) in lines.iter().zip([
        ("query", "Sought", "OK"),
        ("mutation", "Make", "OK"),
        ("query", "Wrong", "GRAPHQL_VALIDATION_FAILED"),
    ]) {
        let expected = json!({
            "timestamp": line["timestamp"], "level": "INFO", "target": "campaigns::operation",
            "message": "operation",
            "request_id": line["request_id"], "organization": acme.id, "type": kind, "name": name,
            "code": code,
            "cost": line["cost"], "ms": line["ms"],
        });
        assert_eq!(**line, expected);
        assert!(
            line["ms"].is_f64()
                && line["cost"].is_u64()
                && line["request_id"].as_str().unwrap().len() == 36
        );
    }
}

#[on_both_databases]
async fn closed_sockets_are_counted_by_code(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let code = "campaigns_sockets_closed_total{code=\"4409\"}";
    assert_eq!(value(&watched.metrics().await, code), None);
    let mut socket = Socket::of(&watched.member).await;
    for _ in 0..2 {
        socket.subscribe("1", "subscription { engagementEvents { node { id } } }", json!({})).await;
    }
    let closed = async || value(&watched.metrics().await, code) == Some(1.0);
    until("the end is counted", Duration::from_secs(20), closed).await;
}

#[on_both_databases]
async fn the_steps_of_a_worker_are_counted(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &["--worker"]).await;
    let id = crate::worker::campaign(&app, &acme, "scheduled", 5, 3).await;
    let steps = async |step: &str| {
        let series = format!("campaigns_worker_steps_total{{step=\"{step}\"}}");
        let counted = async || value(&watched.metrics().await, &series) == Some(1.0);
        until(step, Duration::from_secs(30), counted).await;
    };
    steps("start").await;
    let id = app.literal(id);
    app.run(&format!("UPDATE campaign_sends SET status = 'delivered' WHERE campaign_id = {id}"))
        .await;
    steps("complete").await;
}

#[on_both_databases]
async fn slow_operations_are_logged_with_the_hash_of_their_document(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &["--slow-operation", "1ns"]).await;
    watched.member.data("{ viewer { subject } }", json!({})).await;
    let lines = watched.operations().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["level"], &lines[0]["message"]),
        (&json!("WARN"), &json!("slow operation"))
    );
    // printf '{ viewer { subject } }' | sha256sum
    assert_eq!(
        lines[0]["document"],
        "f38dc677810a6ebe0c65fe68116919b963d86aac1bb7090ed4809385477b2ef7"
    );
}

#[tokio::test]
async fn pending_changes_are_in_the_metrics() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let shown = async |expected: f64| {
        let shows =
            async || value(&watched.metrics().await, "campaigns_waiting_changes") == Some(expected);
        let what = format!("{expected} changes wait");
        until(&what, Duration::from_secs(30), shows).await;
    };
    shown(0.0).await;
    let held = app.hold_changes().await;
    let changes = "(SELECT id FROM campaign_send_changes UNION ALL SELECT id FROM \
                   campaign_event_changes) AS changes";
    let before = app.count(changes).await;
    let send = app.literal(made.sends[0]);
    app.rows(&format!("UPDATE campaign_sends SET status = 'failed' WHERE id = {send}")).await;
    let waiting = app.count(changes).await;
    assert!(waiting > before);
    shown(f64::from(u32::try_from(waiting).unwrap())).await;
    let added = "campaigns_counted_changes_total";
    let added_before = value(&watched.metrics().await, added).unwrap();
    drop(held);
    shown(0.0).await;
    // the other service of this test adds changes too
    let mut more = waiting;
    let adds = async || {
        if value(&watched.metrics().await, added).unwrap() > added_before {
            return true;
        }
        more += 1;
        let status = ["failed", "sent"][usize::try_from(more % 2).unwrap()];
        let update = format!("UPDATE campaign_sends SET status = '{status}' WHERE id = {send}");
        app.rows(&update).await;
        false
    };
    until("it adds changes", Duration::from_secs(30), adds).await;
}

#[tokio::test]
async fn work_in_the_database_is_in_the_metrics_while_it_lasts() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    let shown = async |executing: f64| {
        let shows = async || {
            let metrics = watched.metrics().await;
            let used = value(&metrics, "campaigns_database_connections_used").unwrap();
            value(&metrics, "campaigns_operations_executing{cost=\"any\"}") == Some(executing)
                && (executing == 0.0 || used >= executing)
        };
        let what = format!("{executing} operations are executed");
        until(&what, Duration::from_secs(20), shows).await;
    };
    watched.member.data("{ segments { totalCount } }", json!({})).await;
    let other = app.database.connect().await;
    let holding = other.begin().await.unwrap();
    let lock = "LOCK TABLE campaign_segments IN ACCESS EXCLUSIVE MODE";
    holding.execute_unprepared(lock).await.unwrap();
    let queries = (0..3).map(|_| watched.member.data("{ segments { totalCount } }", json!({})));
    let waits = async {
        shown(3.0).await;
        let metrics = watched.metrics().await;
        for cost in ["any", "expensive"] {
            let limit = format!("campaigns_operations_executing_limit{{cost=\"{cost}\"}}");
            assert!(value(&metrics, &limit).is_some_and(|limit| limit > 1.0), "{metrics}");
        }
        holding.rollback().await.unwrap();
    };
    tokio::join!(waits, join_all(queries));
    shown(0.0).await;
}

#[tokio::test]
async fn a_service_that_counts_nothing_has_no_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let mut service =
        Binary::start(directory.path(), &["--listen", "127.0.0.1:0", "--no-metrics"]).await;
    let address = service.address().await;
    let status = async |path| reqwest::get(format!("{address}{path}")).await.unwrap().status();
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/metrics").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_number_of_operation_names_in_metrics_is_bounded() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    for number in 0..120 {
        let query = format!("query Name{number} {{ viewer {{ subject }} }}");
        watched.member.data(&query, json!({})).await;
    }
    let long = format!("query {} {{ viewer {{ subject }} }}", "x".repeat(100));
    watched.member.data(&long, json!({})).await;
    let metrics = watched.metrics().await;
    let count = |name: &str| {
        let series =
            format!("campaigns_operations_total{{type=\"query\",name=\"{name}\",code=\"OK\"}}");
        value(&metrics, &series)
    };
    assert_eq!(count("Name99"), Some(1.0));
    assert_eq!(count("Name100"), None);
    assert_eq!(count("other"), Some(21.0));
}

#[tokio::test]
async fn a_log_that_is_not_read_blocks_nothing() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--database-url", &app.database.url];
    let mut command = Binary::command(std::path::Path::new("/"), &arguments).await;
    let mut child = command
        .args(["--jwt-secret", SECRET])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().to_owned();
    let mut member = acme.member.clone();
    member.address = address;
    // more lines than the pipe and the queue hold
    let query = "{ viewer { subject } }";
    let dropped = async || {
        join_all((0..500).map(|_| member.data(query, json!({})))).await;
        let metrics = member.request(Method::GET, "/metrics").send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        value(&metrics, "campaigns_log_lines_dropped_total").is_some_and(|dropped| dropped > 0.0)
    };
    until("lines are dropped", Duration::from_mins(3), dropped).await;
    child.kill().await.unwrap();
}
