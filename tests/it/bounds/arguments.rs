//! Arguments: a resolver reads them again for each object, so their bytes are bounded, their cost
//! counts all parents, and reading them leaves time for others.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use async_graphql::futures_util::future::join_all;
use campaigns_graphql::{Limits, Rate};
use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{
    Answer, Backend, Client, Organization, Socket, TestApp, on_both_databases, until,
};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};

/// The time limit for all requests of the others together, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

const OF_FILTER: &str = "query ($f: EngagementEventFilter!) { contacts(first: 100) { nodes { \
                         events(filter: $f, first: 1) { nodes { id } } } } }";
const OF_CURSOR: &str = "query ($c: String!) { contacts(first: 500) { nodes { \
                         a: events(first: 1, after: $c) { __typename } \
                         b: events(first: 1, after: $c) { __typename } } } }";

fn body(query: &str, variables: &Json) -> String {
    json!({ "query": query, "variables": variables }).to_string()
}

fn texts(number: usize, length: usize) -> Json {
    json!({ "url": { "in": vec!["a".repeat(length); number] } })
}

/// The distinct codes of a response's errors.
fn codes(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut codes: Vec<&str> =
        errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Sends this repeatedly from four clients, until the other organization and `/healthz` have been
/// answered twenty times each. Returns one answer of each client.
async fn beside_others(
    app: &TestApp,
    acme: &Organization,
    other: &Client,
    body: &str,
) -> Vec<Answer> {
    let done = AtomicBool::new(false);
    let attacks = join_all((0..4).map(|_| async {
        loop {
            let answer = acme.member.post_text(body.to_owned()).await;
            if done.load(Ordering::Relaxed) {
                return answer;
            }
        }
    }));
    let others = async {
        for _ in 0..20 {
            let health = reqwest::get(format!("{}/healthz", app.address)).await.unwrap();
            assert_eq!(health.status(), StatusCode::OK);
            other.data("{ campaigns(first: 1) { nodes { id } } }", json!({})).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let both = async { tokio::join!(attacks, others).0 };
    tokio::time::timeout(PATIENCE, both).await.expect("others are answered meanwhile")
}

#[on_both_databases]
async fn long_arguments_below_a_list_are_refused_or_leave_others_time(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    acme.populated(40).await;
    let long_cursor = json!({ "c": "A".repeat(5_000_000) });
    let edges = OF_FILTER.replace("nodes { events", "edges { node { events") + " }";
    let timeline = "query ($t: DateTime!) { campaigns(first: 500) { nodes { timeline(interval: DAY, \
                    from: $t) { start } } } }";
    for (what, document, variables, code) in [
        // it is parsed, and is not a cursor
        ("quotes", OF_CURSOR, json!({ "c": "\"".repeat(30_000) }), "BAD_USER_INPUT"),
        (
            "two megabytes of texts",
            OF_FILTER,
            json!({ "f": texts(1_000, 2_000) }),
            "LIMIT_EXCEEDED",
        ),
        ("more", OF_FILTER, json!({ "f": texts(1_000, 7_800) }), "LIMIT_EXCEEDED"),
        ("the same in edges", &edges, json!({ "f": texts(1_000, 2_000) }), "LIMIT_EXCEEDED"),
        ("a cursor of 5 MB", OF_CURSOR, long_cursor, "BAD_USER_INPUT"),
        ("a time of 5 MB", timeline, json!({ "t": "2".repeat(5_000_000) }), "BAD_USER_INPUT"),
    ] {
        let answers = beside_others(&app, &acme, &other.member, &body(document, &variables)).await;
        for answer in answers {
            assert_eq!(codes(&answer), [code], "{what}");
        }
    }
    // long arguments within the limits
    let texts = json!({ "f": texts(100, 2_000) });
    let answers = beside_others(&app, &acme, &other.member, &body(OF_FILTER, &texts)).await;
    for answer in answers {
        assert_eq!(codes(&answer), [""; 0], "{:#}", answer.body);
    }
    let process = app.service_database.budgets().process().held();
    assert_eq!(process, 0);
}

#[tokio::test]
async fn a_text_that_is_too_long_for_its_argument_is_refused_before_anything_runs() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    acme.populated(4).await;
    let of = |length: usize| "x".repeat(length);
    let contacts = |arguments: &str| format!("{{ contacts({arguments}) {{ nodes {{ id }} }} }}");
    let events = |variable: &str, filter: &str| {
        format!(
            "query ({variable}) {{ contacts {{ nodes {{ events(filter: {filter}) {{ nodes {{ id }} }} \
             }} }} }}"
        )
    };
    for (query, variables, field) in [
        (contacts(&format!("after: \"{}\"", of(262_145))), json!({}), "after"),
        (contacts(&format!("before: \"{}\", last: 1", of(262_145))), json!({}), "before"),
        (
            contacts(&format!("filter: {{ not: {{ email: {{ eq: \"{}\" }} }} }}", of(16_385))),
            json!({}),
            "filter.not.email.eq",
        ),
        (
            events("$v: StringFilter", "{ url: $v }"),
            json!({ "v": { "in": ["a", of(16_385)] } }),
            "filter.url.in.1",
        ),
        (
            events("$v: [String!]", "{ url: { notIn: $v } }"),
            json!({ "v": ["a", "b", of(16_385)] }),
            "filter.url.notIn.2",
        ),
        (
            events("$v: String", "{ or: [{ url: { contains: $v } }] }"),
            json!({ "v": of(16_385) }),
            "filter.or.0.url.contains",
        ),
        (events("$v: ID!", "{ sendId: { eq: $v } }"), json!({ "v": of(257) }), "filter.sendId.eq"),
        (format!("{{ nodes(ids: [\"{}\"]) {{ id }} }}", of(257)), json!({}), "ids.0"),
        (
            format!(
                "query ($zone: String = \"{}\") {{ campaigns {{ nodes {{ timeline(interval: DAY, \
                 timezone: $zone) {{ start }} }} }} }}",
                of(257)
            ),
            json!({}),
            "timezone",
        ),
        // a variable that is first used in a place with a higher limit
        (
            "query ($w: String!) { contacts(filter: { email: { eq: $w } }) { nodes { id } } \
             campaigns { nodes { timeline(interval: DAY, timezone: $w) { start } } } }"
                .to_owned(),
            json!({ "w": of(300) }),
            "filter.email.eq",
        ),
    ] {
        app.forget_statements();
        let answer = acme.member.ask(&query, variables).await;
        let start: String = query.chars().take(90).collect();
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", field), "{start}");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{start}");
        assert!(answer.body.get("data").is_none(), "{start}");
        let selects = app.statements().into_iter().filter(|sent| sent.sql.contains("contacts"));
        assert_eq!(selects.count(), 0, "{start}");
    }
    // a text of the maximum length reaches its resolver
    let answer =
        acme.member.ask(&contacts(&format!("after: \"{}\"", of(262_144))), json!({})).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"));
    assert!(answer.error()["message"].as_str().unwrap().contains("not a cursor"), "{answer:?}");
    acme.member
        .data(&contacts(&format!("filter: {{ email: {{ eq: \"{}\" }} }}", of(16_384))), json!({}))
        .await;
}

#[tokio::test]
async fn a_literal_in_a_fragment_is_not_copied_for_thousands_of_spreads() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let document = |fields: usize, length: usize| {
        let fields: Vec<String> = (0..fields)
            .map(|at| format!("a{at}: campaigns(first: 1) {{ nodes {{ ...F }} }}"))
            .collect();
        format!(
            "{{ {} }} fragment F on Campaign {{ sends(first: 1, after: \"{}\") {{ __typename }} }}",
            fields.join(" "),
            "x".repeat(length)
        )
    };
    // with expanded spreads, it would have 800 MB
    let answer = acme.member.ask(&document(800, 1_000_000), json!({})).await;
    assert_eq!((answer.code(), answer.field()), ("LIMIT_EXCEEDED", "query"));
    assert!(answer.error()["message"].as_str().unwrap().contains("bytes"), "{answer:?}");
    acme.member.data(&document(30, 10), json!({})).await;
}

#[on_both_databases]
async fn fields_with_other_arguments_never_share_a_page(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(12).await;
    let alone = async |arguments: &str| {
        let query = format!(
            "query ($s: SendStatus, $f: SendFilter, $n: Int = 3) {{ campaigns(first: 12) \
             {{ nodes {{ sends{arguments} {{ totalCount nodes {{ id }} }} }} }} \
             x: campaigns(first: $n, filter: {{ id: {{ in: [] }} }}) {{ nodes {{ \
             sends(filter: $f, first: 1) {{ nodes {{ id }} }} \
             b: sends(filter: {{ status: {{ eq: $s }} }}) {{ nodes {{ id }} }} }} }} }}"
        );
        let data = acme.member.data(&query, variables()).await;
        let campaigns = data["campaigns"]["nodes"].as_array().unwrap().clone();
        campaigns.into_iter().map(|mut of| of["sends"].take()).collect::<Vec<Json>>()
    };
    let all = [
        "",
        "(first: 1)",
        "(first: 2)",
        "(first: $n)",
        "(last: 1)",
        "(filter: { status: { eq: SENT } })",
        "(filter: { status: { ne: SENT } })",
        "(filter: { status: { eq: $s } })",
        "(filter: $f)",
        "(filter: $f, first: 1)",
        "(filter: { status: { in: [SENT, QUEUED] } })",
        "(orderBy: [{ field: CREATED_AT, direction: DESC }], first: 2)",
    ];
    let fields: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(at, arguments)| format!("a{at}: sends{arguments} {{ totalCount nodes {{ id }} }}"))
        .collect();
    let query = format!(
        "query ($s: SendStatus, $f: SendFilter, $n: Int = 3) {{ campaigns(first: 12) {{ \
         nodes {{ {} }} }} }}",
        fields.join(" ")
    );
    let together = acme.member.data(&query, variables()).await;
    for (at, arguments) in all.iter().enumerate() {
        let alone = alone(arguments).await;
        assert!(alone.iter().any(|of| *of != alone[0]), "{arguments} tells nothing");
        for (campaign, alone) in alone.iter().enumerate() {
            let together = &together["campaigns"]["nodes"][campaign][format!("a{at}")];
            assert_eq!(together, alone, "{arguments} of campaign {campaign}");
        }
    }
    // the same fields with other values of the variables share nothing
    let other = json!({ "s": "QUEUED", "f": { "status": { "eq": "BOUNCED" } }, "n": 1 });
    let others = acme.member.data(&query, other).await;
    assert_ne!(others, together);
}

fn variables() -> Json {
    json!({ "s": "SENT", "f": { "status": { "eq": "QUEUED" } } })
}

#[on_both_databases]
async fn abandoned_expensive_work_keeps_its_place_until_it_ends(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(60).await;
    let budgets = app.service_database.budgets();
    // two fields of each contact read a megabyte
    let of_two = "query ($f: EngagementEventFilter!) { contacts(first: 60) { nodes { \
                  a: events(filter: $f, first: 1) { nodes { id } } \
                  b: events(filter: $f, first: 2) { nodes { id } } } } }";
    let long = body(of_two, &json!({ "f": texts(500, 2_000) }));
    for _ in 0..6 {
        let (member, long) = (acme.member.clone(), long.clone());
        let asked = tokio::spawn(async move { member.post_text(long).await });
        until("it is executed", PATIENCE, async || {
            budgets.executing().held == 1 || asked.is_finished()
        })
        .await;
        let was_executed = !asked.is_finished();
        asked.abort();
        // its place is free once its work has ended and has returned its bytes
        until("its place is free", PATIENCE, async || budgets.executing().held == 0).await;
        if was_executed {
            assert_eq!(budgets.process().held(), 0);
        }
    }
    let all = || budgets.expensive().held + budgets.process().held();
    until("everything is given back", PATIENCE, async || all() == 0).await;
}

#[tokio::test]
async fn a_long_body_that_cannot_be_read_in_time_is_retryable() {
    let app = TestApp::on(Backend::Postgres)
        .options(|options| Options {
            max_executing: 16,
            max_wait: Duration::from_millis(500),
            ..options
        })
        .start()
        .await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let third = app.organization("third").await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let expensive =
        "{ campaigns(first: 20) { nodes { sends(first: 500) { nodes { id status } } } } }";
    for organization in [&acme, &other] {
        organization.member.data(create, json!({})).await;
    }
    let held = app.sql.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE campaign_sends IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // they hold both places of expensive operations, and parsing a long body needs one as well
    let asked: Vec<_> = [&acme, &other]
        .map(|organization| {
            let member = organization.member.clone();
            tokio::spawn(async move { member.ask(expensive, json!({})).await })
        })
        .into_iter()
        .collect();
    let budgets = app.service_database.budgets();
    until("both places are held", PATIENCE, async || budgets.expensive().held == 2).await;
    let long = body("{ viewer { subject } }", &json!({ "unused": "x".repeat(100_000) }));
    let batch = format!("[{long}]");
    for (organization, status, code) in [
        (&acme, StatusCode::TOO_MANY_REQUESTS, "LIMIT_EXCEEDED"),
        (&third, StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    ] {
        for accepts in ["application/graphql-response+json", "application/json"] {
            for body in [&long, &batch] {
                let request = organization.member.request(Method::POST, "/graphql");
                let request = request
                    .header("content-type", "application/json")
                    .header("accept", accepts)
                    .body(body.clone());
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), status, "{accepts}");
                assert_eq!(response.headers()["retry-after"], "1", "{accepts}");
                let body: Json = response.json().await.unwrap();
                assert_eq!(body["errors"][0]["extensions"]["code"], code, "{body}");
            }
        }
    }
    held.rollback().await.unwrap();
    for asked in asked {
        assert_eq!(codes(&asked.await.unwrap()), [""; 0]);
    }
    until("long bodies are read again", PATIENCE, async || {
        third.member.post_text(long.clone()).await.status == StatusCode::OK
    })
    .await;
}

/// A rate of 600 a second, and 800 at once.
fn rate() -> Settings {
    let number = |number| NonZeroU32::new(number).unwrap();
    let rate = Some(Rate { per_second: number(600), burst: number(800) });
    Settings { limits: Limits { rate, ..Limits::default() }, ..Settings::default() }
}

#[on_both_databases(settings = rate())]
async fn each_response_of_a_subscription_draws_its_cost_from_the_rate(app: TestApp) {
    let acme = app.organization("acme").await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let data = acme.member.data(create, json!({})).await;
    let campaign = data["createCampaign"]["campaign"]["id"].clone();
    let mut socket = Socket::of(&acme.member).await;
    let started = Instant::now();
    // 300 sends with a field each
    let query = "subscription ($id: ID!) { campaignChanges(id: $id) { name sends(first: 300) { nodes \
                 { id } } } }";
    socket.subscribe("1", query, json!({ "id": campaign })).await;
    // opening it included the cost of the first response
    assert_eq!(socket.next("1").await["campaignChanges"]["name"], "x");
    let rename = "mutation ($id: ID!, $name: String!) { updateCampaign(input: { id: $id, name: $name \
                  }) { campaign { id } } }";
    for number in 0..4 {
        // it draws from the same rate
        let name = format!("x{number}");
        until("the campaign is renamed", PATIENCE, async || {
            let variables = json!({ "id": campaign, "name": name });
            acme.member.ask(rename, variables).await.status == StatusCode::OK
        })
        .await;
        assert_eq!(socket.next("1").await["campaignChanges"]["name"], name);
    }
    let drawn = 5 * 600;
    let most = 800 + 600 * (started.elapsed().as_millis() / 1_000 + 1);
    assert!(drawn <= most, "{drawn} of {most}");
}
