//! Panics: a task of the process restarts, and a panic in the work of one connection, operation or
//! campaign does not affect others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use campaigns_server::Settings;
use campaigns_tests::{
    Backend, Client, LOCK_WAITERS, Organization, Received, Socket, TestApp, on_both_databases,
    until,
};
use chrono::Utc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::watching::of_this_process;

const PATIENCE: Duration = Duration::from_mins(1);
const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { node { id } } }";

fn settings() -> Settings {
    Settings {
        membership_admin_roles: Some(vec!["admin".to_owned()]),
        socket_check: Duration::from_millis(200),
        task_patience: Duration::from_secs(1),
        max_unknown_sockets: 1,
        ..Settings::default()
    }
}

fn connection_init(client: &Client) -> Json {
    let payload = json!({ "Authorization": format!("Bearer {}", client.token.as_ref().unwrap()) });
    json!({ "type": "connection_init", "payload": payload })
}

/// Parts of statements that only the feed reader sends.
fn of_the_reader(app: &TestApp) -> &'static [&'static str] {
    match app.database.backend {
        Backend::Postgres => {
            &["campaign_feed_horizon($1)", "AS listened(", "campaign_feed_horizon(NULL)"]
        }
        Backend::Sqlite => &["SELECT last_position FROM campaign_feed", "AS listened"],
    }
}

async fn until_panicked(panicked: &Arc<AtomicBool>) {
    until("it panics", PATIENCE, async || panicked.load(Ordering::SeqCst)).await;
}

/// A socket that follows the feed and has received an event.
async fn follow(app: &TestApp, organization: &Organization, send: Uuid) -> Socket {
    let cursor = organization.member.feed_cursor().await;
    let mut socket = Socket::of(&organization.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": cursor })).await;
    insert(app, organization, send).await;
    socket.next("1").await;
    socket
}

async fn insert(app: &TestApp, organization: &Organization, send: Uuid) {
    let [org, send] = [organization.id, send].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({org}, {send}, 'open')"
    ))
    .await;
}

/// The latest events of an organization, in feed order.
async fn latest(app: &TestApp, organization: &Organization, most: usize) -> Vec<Uuid> {
    let org = app.literal(organization.id);
    let sql = format!(
        "SELECT id FROM campaign_events WHERE org_id = {org} ORDER BY feed_position DESC LIMIT \
         {most}"
    );
    let rows = app.rows(&sql).await;
    rows.iter().rev().map(|row| row.try_get("", "id").unwrap()).collect()
}

/// The status and the text of `/readyz`.
async fn ready(client: &Client) -> (StatusCode, String) {
    let response = client.request(Method::GET, "/readyz").send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn until_ready(client: &Client) {
    until("it is ready", PATIENCE, async || ready(client).await.0 == StatusCode::OK).await;
}

async fn until_it_fails(client: &Client, task: &str) {
    until("it is not ready", PATIENCE, async || {
        let (status, text) = ready(client).await;
        let fails = status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(
            !fails || text == format!("the task \"{task}\" keeps failing; the log says why\n"),
            "{text}"
        );
        fails
    })
    .await;
}

#[on_both_databases]
async fn a_reader_that_panics_at_any_moment_loses_and_repeats_nothing(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(960);
    let organizations = [app.organization("acme").await, app.organization("other").await];
    let mut followers = Vec::new();
    for organization in organizations {
        let made = organization.populated(6).await;
        let socket = follow(&app, &organization, made.sends[0]).await;
        followers.push((organization, made.sends, socket, 0));
    }
    let words = of_the_reader(&app);
    for round in 0..6 {
        let panicked = app.panic_once_at(words[round % words.len()]);
        let events = rng.random_range(1..20);
        for event in 0..events {
            if event == events / 2 {
                until_panicked(&panicked).await;
            }
            let (organization, sends, _, written) = &mut followers[rng.random_range(0..2)];
            insert(&app, organization, sends[rng.random_range(0..sends.len())]).await;
            *written += 1;
        }
        if events == 1 {
            until_panicked(&panicked).await;
        }
    }
    for (organization, _, socket, written) in &mut followers {
        for id in latest(&app, organization, *written).await {
            assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], json!(id));
        }
        let more = socket.receive_within(Duration::from_millis(200)).await;
        assert_eq!(more, None);
    }
    assert!(
        of_this_process(&app, "campaigns_task_panics_total{task=\"feed reader\"}").await >= 6.0
    );
}

#[on_both_databases]
async fn subscriptions_to_figures_continue_after_a_panic(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut socket = Socket::of(&acme.member).await;
    let campaign = app.campaign_of(made.sends[0]).await;
    let watch = "subscription ($id: ID!) { campaignStats(campaignId: $id) { opens } }";
    socket.subscribe("1", watch, json!({ "id": campaign })).await;
    let opens = socket.next("1").await["campaignStats"]["opens"].as_i64().unwrap();
    for number in 1..=3 {
        // pending changes are counted periodically
        until_panicked(&app.panic_once_at("AS is_pending")).await;
        insert(&app, &acme, made.sends[0]).await;
        assert_eq!(socket.next("1").await["campaignStats"]["opens"], json!(opens + number));
    }
}

#[on_both_databases(settings = settings())]
async fn a_reader_that_keeps_panicking_makes_the_service_unready_until_it_works(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut socket = follow(&app, &acme, made.sends[0]).await;
    let stalled = async || of_this_process(&app, "campaigns_feed_stalled_seconds").await;
    let word = of_the_reader(&app)[0];
    // a single panic does not make the service unready
    until_panicked(&app.panic_once_at(word)).await;
    insert(&app, &acme, made.sends[0]).await;
    socket.next("1").await;
    assert_eq!(ready(&acme.member).await.0, StatusCode::OK);
    app.panic_at(Some(word));
    insert(&app, &acme, made.sends[0]).await;
    until_it_fails(&acme.member, "feed reader").await;
    // the metric does not show the state before the panic
    until("the feed is said to stall", PATIENCE, async || stalled().await >= 1.0).await;
    assert_eq!(ready(&acme.member).await.0, StatusCode::SERVICE_UNAVAILABLE);
    app.panic_at(None);
    socket.next("1").await;
    until_ready(&acme.member).await;
    until("the feed is said to go on", PATIENCE, async || stalled().await < 1.0).await;
}

#[on_both_databases(settings = settings())]
async fn an_operation_of_a_socket_or_a_stream_that_panics_is_answered(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    // the end of the feed, which a subscription reads first
    let word = "\"feed_position\" DESC";
    let mut socket = Socket::of(&acme.member).await;
    for id in ["1", "2"] {
        let panicked = app.panic_once_at(word);
        socket.subscribe(id, FOLLOW, json!({})).await;
        let refused = socket.message().await;
        assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!(id)));
        assert_eq!(refused["payload"][0]["extensions"]["code"], "INTERNAL");
        assert!(panicked.load(Ordering::SeqCst));
    }
    let panicked = app.panic_once_at(word);
    let stream =
        acme.member.request(Method::POST, "/graphql").header("accept", "text/event-stream");
    let stream =
        stream.json(&json!({ "query": FOLLOW })).send().await.unwrap().text().await.unwrap();
    assert!(stream.contains("INTERNAL") && stream.contains("event: complete"), "{stream}");
    assert!(panicked.load(Ordering::SeqCst));
    // the socket continues, and the ID can be used again
    let cursor = acme.member.feed_cursor().await;
    socket.subscribe("1", FOLLOW, json!({ "after": cursor })).await;
    insert(&app, &acme, made.sends[0]).await;
    socket.next("1").await;
    drop(socket);
    until("nothing is held any more", PATIENCE, async || {
        of_this_process(&app, "campaigns_held_bytes").await == 0.0
            && of_this_process(&app, "campaigns_sockets").await == 0.0
    })
    .await;
}

#[on_both_databases(settings = settings())]
async fn a_socket_that_panics_is_closed_with_1011_and_returns_its_place(app: TestApp) {
    let (_, client) = app.newcomer().await;
    // the only place for an unauthenticated socket
    app.panic_at_the_clock(true);
    for _ in 0..3 {
        let mut socket = Socket::silent(&app.address).await;
        socket.say(connection_init(&client)).await;
        assert_eq!(socket.receive().await, Received::Closed(1011, "Internal error".to_owned()));
    }
    app.panic_at_the_clock(false);
    Socket::of(&client).await;
}

#[on_both_databases(settings = settings())]
async fn a_look_up_that_panics_is_retried(app: TestApp) {
    let (_, client) = app.newcomer().await;
    let panics =
        async || of_this_process(&app, "campaigns_task_panics_total{task=\"look-up\"}").await;
    let before = panics().await;
    app.panic_at(Some("FROM \"organizations\""));
    let mut socket = Socket::silent(&app.address).await;
    socket.say(connection_init(&client)).await;
    assert_eq!(socket.closed().await, 1013);
    let answer = client.ask("{ feedCursor }", json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
    assert!(panics().await >= before + 2.0);
    app.panic_at(None);
    Socket::of(&client).await;
}

#[on_both_databases(settings = settings())]
async fn a_membership_is_checked_again_after_a_panic(app: TestApp) {
    let acme = app.organization("acme").await;
    let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
    let [user, org, auth] = [id, acme.id, subject].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO users (id, org_id, auth_id, email) VALUES \
         ({user}, {org}, {auth}, 'x@example.com')"
    ))
    .await;
    app.run(&format!("INSERT INTO memberships (org_id, user_id) VALUES ({org}, {user})")).await;
    let token = TestApp::sign(&json!({ "sub": subject, "exp": Utc::now().timestamp() + 60 }));
    let mut socket = Socket::of(&app.client(Some(token))).await;
    until_panicked(&app.panic_once_at("JOIN memberships")).await;
    app.run(&format!("UPDATE memberships SET status = 'suspended' WHERE user_id = {user}")).await;
    assert_eq!(socket.closed().await, 4403);
}

#[tokio::test]
async fn changes_are_added_to_the_counts_again_after_panics() {
    let (postgres, word) = (Backend::Postgres, "waiting_changes");
    let app = TestApp::on(postgres).settings(settings()).panicking_at(word).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    insert(&app, &acme, made.sends[0]).await;
    until_it_fails(&acme.member, "counts keeper").await;
    // no changes have been counted yet
    until("it is not known how many wait", PATIENCE, async || {
        of_this_process(&app, "campaigns_waiting_changes").await.is_nan()
    })
    .await;
    let figures = "{ campaigns { nodes { id stats { sends opens } } } }";
    let before = acme.member.data(figures, json!({})).await;
    app.panic_at(None);
    until_ready(&acme.member).await;
    until("all are added", PATIENCE, async || app.count("campaign_event_changes").await == 0).await;
    assert_eq!(acme.member.data(figures, json!({})).await, before);
}

#[tokio::test]
async fn all_calls_of_a_batch_are_answered_after_a_panic() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let before = app.count("campaign_events").await;
    let holder = app.database.connect().await;
    let hold = holder.begin().await.unwrap();
    hold.execute_unprepared("LOCK TABLE campaign_events IN SHARE MODE").await.unwrap();
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let inputs: Vec<_> = (0..8)
        .map(|_| {
            json!({
                "input": [{ "id": Uuid::new_v4(), "sendId": made.sends[0], "type": "OPEN" }],
            })
        })
        .collect();
    let mut calls = JoinSet::new();
    for input in inputs.clone() {
        let member = acme.member.clone();
        calls.spawn(async move { member.ask(record, input).await });
    }
    until("a call is being written", PATIENCE, async || app.count(LOCK_WAITERS).await > 0).await;
    app.panic_at(Some("INSERT INTO campaign_events"));
    hold.rollback().await.unwrap();
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        // the panic occurred for this call, or for a call in the same batch
        match answer.code() {
            "INTERNAL" => {}
            "UNAVAILABLE" => assert!(answer.error()["extensions"]["committed"].is_null()),
            other => panic!("{other}: {:#}", answer.body),
        }
    }
    app.panic_at(None);
    for input in &inputs {
        acme.member.data(record, input.clone()).await;
    }
    assert_eq!(app.count("campaign_events").await, before + 8);
}
