//! Overload: requests are refused at once, with `Retry-After`.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use campaigns_graphql::{Limits, Rate};
use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{Answer, Backend, Client, Socket, TestApp, on_both_databases, until};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

const SENDS: &str = "{ campaigns(first: 1) { nodes { sends(first: 1) { nodes { id } } } } }";

/// The status of an operation, and the `Retry-After` of its response.
async fn retry_after(client: &Client, query: &str) -> (StatusCode, Option<u64>) {
    let request = client.request(Method::POST, "/graphql").json(&json!({ "query": query }));
    let response = request.send().await.unwrap();
    let after = response.headers().get("retry-after");
    (response.status(), after.map(|after| after.to_str().unwrap().parse().unwrap()))
}

#[tokio::test]
async fn operations_are_refused_behind_one_that_has_waited_for_long() {
    let max_wait = Duration::from_secs(2);
    let app = TestApp::on(Backend::Postgres)
        .options(move |options| Options { max_executing: 4, max_wait, ..options })
        .start()
        .await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    acme.member.data(create, json!({})).await;
    // a lock prevents all reads of sends
    let held = app.sql.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE campaign_sends IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let ask = || {
        let member = acme.member.clone();
        tokio::spawn(async move { member.ask(SENDS, json!({})).await })
    };
    // two have places, since some are reserved for others, and one waits
    let asked: Vec<_> = (0..3).map(|_| ask()).collect();
    until("one waits for long", Duration::from_secs(10), async || acme.scope.is_overloaded()).await;
    let refused = retry_after(&acme.member, "{ campaigns { totalCount } }").await;
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    let answer = acme.member.ask("{ campaigns { totalCount } }", json!({})).await;
    assert_eq!(answer.code(), "UNAVAILABLE");
    assert!(answer.body.get("data").is_none());
    let mut socket = Socket::silent(&acme.member.address).await;
    socket
        .say(json!({
            "type": "connection_init",
            "payload": {
                "Authorization": format!("Bearer {}", acme.member.token.as_deref().unwrap()),
            },
        }))
        .await;
    assert_eq!(socket.closed().await, 1013);
    // another organization is not affected
    other.member.data("{ campaigns { totalCount } }", json!({})).await;
    let _socket = Socket::of(&other.member).await;

    held.rollback().await.unwrap();
    let mut answered = 0;
    for asked in asked {
        answered += usize::from(asked.await.unwrap().body.get("errors").is_none());
    }
    assert!(answered >= 2, "{answered}");
    acme.member.data("{ campaigns { totalCount } }", json!({})).await;
}

#[tokio::test]
async fn a_client_that_ignores_retry_after_is_delayed() {
    let app = TestApp::on(Backend::Sqlite).settings(of_rate(1, 60)).start().await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let query = "{ campaigns(first: 50) { nodes { id } } }";
    acme.member.data(query, json!({})).await;
    let started = Instant::now();
    for _ in 0..5 {
        let (status, _) = retry_after(&acme.member, query).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }
    // 50 + 100 + 200 + 400 ms
    assert!(started.elapsed() >= Duration::from_millis(750), "{:?}", started.elapsed());
    other.member.data(query, json!({})).await;
}

fn settings() -> Settings {
    of_rate(50, 200)
}

fn of_rate(per_second: u32, burst: u32) -> Settings {
    let number = |number| NonZeroU32::new(number).unwrap();
    let rate = Some(Rate { per_second: number(per_second), burst: number(burst) });
    Settings { limits: Limits { rate, ..Limits::default() }, ..Settings::default() }
}

/// Repeats an operation with a cost of about 50 until it is refused. Returns the number of
/// successes.
async fn until_refused(client: &Client) -> (usize, Answer) {
    for times in 0.. {
        let answer = client.ask("{ campaigns(first: 50) { nodes { id } } }", json!({})).await;
        if answer.status != StatusCode::OK {
            return (times, answer);
        }
        assert!(times < 100, "it is never refused");
    }
    unreachable!("the numbers do not end")
}

#[on_both_databases(settings = settings())]
async fn an_organization_is_limited_to_its_rate(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let (times, refused) = until_refused(&acme.member).await;
    assert!((1..=8).contains(&times), "{times}");
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "LIMIT_EXCEEDED"));
    let extensions = &refused.error()["extensions"];
    assert_eq!(extensions["retryable"], true);
    let seconds = extensions["retryAfter"].as_u64().unwrap();
    assert!((1..=3).contains(&seconds), "{seconds}");
    // the cost counts, not the number of operations
    acme.member.data("{ __typename }", json!({})).await;
    let query = "{ campaigns(first: 200) { nodes { id } } }";
    let (status, after) = retry_after(&acme.member, query).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(after.is_some_and(|after| (1..=5).contains(&after)), "{after:?}");
    // the same on a socket
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", query, json!({})).await;
    let message = socket.message().await;
    assert_eq!(message["type"], "error", "{message}");
    assert_eq!(message["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{message}");
    // other organizations are not affected, and waiting for `Retry-After` suffices
    other.member.data(query, json!({})).await;
    tokio::time::sleep(Duration::from_secs(after.unwrap())).await;
    acme.member.data(query, json!({})).await;
}
