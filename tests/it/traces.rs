//! Traces, as an OpenTelemetry collector receives them.

use std::{path::Path, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::HeaderMap,
    response::Response,
    routing::post,
};
use campaigns_tests::{Backend, Binary, Client, TestApp, on_both_databases};
use reqwest::Method;
use serde_json::json;
use tokio::sync::mpsc;

const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// A collector, and the requests that it has received.
struct Collector {
    address: String,
    received: mpsc::UnboundedReceiver<Bytes>,
    all: Vec<u8>,
}

impl Collector {
    async fn start() -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            sender.send(body).ok();
        };
        let router = Router::new().route("/v1/traces", post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received, all: Vec::new() }
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.all.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Waits until it has received these bytes.
    async fn is_sent(&mut self, bytes: &[u8]) {
        let sent = async {
            while !self.has(bytes) {
                self.all.extend(self.received.recv().await.expect("the collector runs"));
            }
        };
        let sent = tokio::time::timeout(Duration::from_secs(30), sent).await;
        assert!(sent.is_ok(), "{}", String::from_utf8_lossy(&self.all));
    }
}

#[tokio::test]
async fn a_collector_that_redirects_is_not_followed() {
    let elsewhere = Collector::start().await;
    let target = format!("{}/v1/traces", elsewhere.address);
    let (sender, mut asked) = mpsc::unbounded_channel();
    let redirect = async move || {
        sender.send(()).ok();
        Response::builder().status(307).header("location", target).body(Body::empty()).unwrap()
    };
    let router = Router::new().route("/v1/traces", post(redirect));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let (binary, member) = start(&app, &acme.member, &environment).await;
    member.data("query Redirected { viewer { role } }", json!({})).await;
    let first = tokio::time::timeout(Duration::from_secs(30), asked.recv());
    first.await.expect("the collector is asked");
    // pending spans are sent before the process ends
    assert_eq!(binary.terminate().await, 0);
    let Collector { mut received, .. } = elsewhere;
    assert!(received.try_recv().is_err(), "spans were sent to where a redirect led");
}

async fn start(app: &TestApp, member: &Client, environment: &[(&str, &str)]) -> (Binary, Client) {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--jwt-secret", SECRET];
    let arguments = [&serve[..], &["--database-url", &app.database.url]].concat();
    let mut binary = Binary::start_in(Path::new("/"), &arguments, environment).await;
    let mut member = member.clone();
    member.address = binary.address().await;
    (binary, member)
}

async fn ask(member: &Client, query: &str, parent: &str) {
    let request = member.request(Method::POST, "/graphql").header("traceparent", parent);
    let answer = request
        .json(&json!({ "query": query, "variables": { "q": "a secret value" } }))
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[on_both_databases]
async fn operations_and_their_statements_are_spans_within_the_clients(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut collector = Collector::start().await;
    let endpoint = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let (binary, member) = start(&app, &acme.member, &endpoint).await;
    let query =
        "query Traced($q: String) { campaigns(filter: { name: { contains: $q } }) { totalCount } }";
    ask(&member, query, "00-a1b2c3d4e5f60718293a4b5c6d7e8f90-0102030405060708-01").await;
    let trace = [
        0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18, 0x29, 0x3a, 0x4b, 0x5c, 0x6d, 0x7e, 0x8f,
        0x90,
    ];
    collector.is_sent(b"query Traced").await;
    assert!(collector.has(&trace) && collector.has(&[1, 2, 3, 4, 5, 6, 7, 8]));
    collector.is_sent(b"SELECT").await;
    for text in
        ["service.name", "campaigns.request_id", "statement", "db.query.text", &acme.id.to_string()]
    {
        assert!(collector.has(text.as_bytes()), "{text}");
    }
    // spans that the client does not sample are not sent
    ask(
        &member,
        "query Unsampled { viewer { subject } }",
        "00-b1b2c3d4e5f60718293a4b5c6d7e8f90-0102030405060708-00",
    )
    .await;
    // an expensive operation runs on a separate thread
    let expensive = "query Expensive { campaigns(first: 500) { nodes { sends(first: 100) { nodes { \
                     id } } } } }";
    ask(&member, expensive, "00-c1b2c3d4e5f60718293a4b5c6d7e8f90-0102030405060708-01").await;
    assert_eq!(binary.terminate().await, 0);
    collector.is_sent(b"query Expensive").await;
    assert!(!collector.has(b"Unsampled") && !collector.has(b"a secret value"));
    assert!(!collector.has(member.token.as_ref().unwrap().as_bytes()));
}

#[on_both_databases]
async fn a_collector_that_does_not_respond_delays_no_request(app: TestApp) {
    let acme = app.organization("acme").await;
    // no server listens there
    let endpoint = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let (binary, member) = start(&app, &acme.member, &endpoint).await;
    for _ in 0..50 {
        ask(&member, "{ viewer { subject } }", "none").await;
    }
    assert_eq!(binary.terminate().await, 0);
}
