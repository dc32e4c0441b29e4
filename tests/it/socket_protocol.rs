//! graphql-transport-ws: every message and every close code.

use std::time::Duration;

use campaigns_server::{Settings, Timeouts};
use campaigns_tests::{Backend, Received, Socket, TestApp, on_both_databases};
use chrono::Utc;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::{self, Message};

const FEED: &str = "subscription { engagementEvents { cursor } }";

fn message(of: Json) -> Received {
    Received::Message(of)
}

#[on_both_databases]
async fn queries_and_mutations_return_one_result_and_complete(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut socket = Socket::of(&acme.member).await;
    socket
        .subscribe(
            "1",
            "query ($n: Int!) { campaigns(first: $n) { totalCount } }",
            json!({ "n": 1 }),
        )
        .await;
    assert_eq!(
        socket.message().await,
        json!({
            "id": "1", "type": "next", "payload": { "data": { "campaigns": { "totalCount": 0 } } },
        })
    );
    assert_eq!(socket.message().await, json!({ "id": "1", "type": "complete" }));
    // the ID can be used again
    socket
        .subscribe(
            "1",
            "mutation { createCampaign(input: { name: \"x\" }) { campaign { name } } }",
            json!({}),
        )
        .await;
    assert_eq!(socket.next("1").await["createCampaign"]["campaign"]["name"], "x");
    assert_eq!(socket.message().await["type"], "complete");
    // an error of a field is part of a result, an error of the document or its variables is not
    socket
        .subscribe(
            "2",
            "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }",
            json!({ "id": "nope" }),
        )
        .await;
    let next = socket.message().await;
    assert_eq!(
        (&next["type"], &next["payload"]["errors"][0]["extensions"]["code"]),
        (&json!("next"), &json!("FORBIDDEN"))
    );
    assert_eq!(socket.message().await["type"], "complete");
    for (query, variables, code) in [
        ("{ campaigns", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (
            "query ($n: Int!) { campaigns(first: $n) { totalCount } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($n: Int!) { campaigns(first: $n) { totalCount } }",
            json!({ "n": "x" }),
            "BAD_USER_INPUT",
        ),
        (
            "subscription { engagementEvents(after: \"nope\") { cursor } }",
            json!({}),
            "BAD_USER_INPUT",
        ),
        (
            "subscription { engagementEvents(filter: { id: { eq: \"nope\" } }) { cursor } }",
            json!({}),
            "BAD_USER_INPUT",
        ),
        (
            "subscription { campaignStats(campaignId: \"00000000-0000-4000-8000-000000000000\") { \
             sends } }",
            json!({}),
            "NOT_FOUND",
        ),
        (
            "subscription { campaignChanges(id: \"00000000-0000-4000-8000-000000000000\") { name } \
             }",
            json!({}),
            "NOT_FOUND",
        ),
        ("subscription { campaignChanges(id: \"nope\") { name } }", json!({}), "BAD_USER_INPUT"),
        (
            "subscription { campaignStats(campaignId: \"nope\") { sends } }",
            json!({}),
            "BAD_USER_INPUT",
        ),
        (
            "subscription { engagementEvents { cursor } campaignStats(campaignId: \"1\") { sends } \
             }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { a: engagementEvents { cursor } b: engagementEvents { cursor } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { engagementEvents { node { send { events(first: 500) { nodes { send { \
             events(first: 500) { nodes { id } } } } } } } } }",
            json!({}),
            "LIMIT_EXCEEDED",
        ),
    ] {
        socket.subscribe("3", query, variables).await;
        println!("{query}");
        let error = socket.message().await;
        assert_eq!(
            (&error["id"], &error["type"]),
            (&json!("3"), &json!("error")),
            "{query} {error}"
        );
        assert_eq!(error["payload"][0]["extensions"]["code"], code, "{query} {error}");
    }
}

#[on_both_databases]
async fn a_subscription_over_http_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    assert_eq!(acme.member.ask(FEED, json!({})).await.code(), "BAD_USER_INPUT");
}

#[on_both_databases]
async fn an_operation_that_the_peer_completes_sends_nothing_more(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut socket = Socket::of(&acme.member).await;
    let root_in_fragment = "subscription ($on: Boolean!) { ...root } fragment root on Subscription \
                            { engagementEvents { node { id } ... @include(if: $on) { cursor } } }";
    socket.subscribe("a", root_in_fragment, json!({ "on": true })).await;
    socket
        .subscribe(
            "b",
            "subscription { engagementEvents { __typename node { type } } \
             engagementEvents { node { id } } }",
            json!({}),
        )
        .await;
    // both are open once a later query is answered, and each has received an event
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  events { id } } }";
    let mut seen = (false, false);
    while seen != (true, true) {
        acme.member.data(record, json!({ "send": made.sends[0] })).await;
        while let Some(received) = socket.receive_within(Duration::from_millis(200)).await {
            let Received::Message(message) = received else { panic!("{received:?}") };
            let shown = &message["payload"]["data"]["engagementEvents"];
            if message["id"] == "a" {
                assert!(
                    shown["node"]["id"].is_string() && shown["cursor"].is_string(),
                    "{message}"
                );
                seen.0 = true;
            } else {
                assert_eq!(
                    (&shown["__typename"], &shown["node"]["type"]),
                    (&json!("EngagementEventEdge"), &json!("OPEN"))
                );
                assert!(shown["node"]["id"].is_string(), "{message}");
                seen.1 = true;
            }
        }
    }
    socket.say(json!({ "id": "a", "type": "complete" })).await;
    socket.say(json!({ "id": "unknown", "type": "complete" })).await;
    socket.subscribe("q", "{ __typename }", json!({})).await;
    assert_eq!(socket.next("q").await, json!({ "__typename": "Query" }));
    assert_eq!(socket.message().await, json!({ "id": "q", "type": "complete" }));
    acme.member.data(record, json!({ "send": made.sends[0] })).await;
    assert_eq!(socket.message().await["id"], "b");
    // the ID can be used again
    socket.subscribe("a", "{ __typename }", json!({})).await;
    assert_eq!(socket.next("a").await, json!({ "__typename": "Query" }));
}

#[on_both_databases]
async fn an_id_that_is_used_again_at_once_belongs_to_the_new_operation(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let long: Vec<String> = (0..45)
        .map(|number| format!("a{number}: __schema {{ types {{ name fields {{ name }} }} }}"))
        .collect();
    let mut socket = Socket::of(&acme.member).await;
    for wait in [0, 1, 5, 10, 20, 40] {
        socket.subscribe("r", &format!("{{ {} }}", long.join(" ")), json!({})).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        socket.say(json!({ "id": "r", "type": "complete" })).await;
        socket.subscribe("r", FEED, json!({})).await;
        socket.say(json!({ "id": "r", "type": "complete" })).await;
    }
    let follow = "subscription ($after: String) { engagementEvents(after: $after) { \
                  node { type } } }";
    socket.subscribe("r", follow, json!({ "after": acme.member.feed_cursor().await })).await;
    socket.subscribe("q", "{ __typename }", json!({})).await;
    // messages of the first operations from before their completion can still arrive
    while socket.message().await["id"] != "q" {}
    assert_eq!(socket.message().await, json!({ "id": "q", "type": "complete" }));
    acme.member
        .data(
            "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) \
             { recorded } }",
            json!({ "send": made.sends[0] }),
        )
        .await;
    assert_eq!(
        socket.next("r").await,
        json!({ "engagementEvents": { "node": { "type": "OPEN" } } })
    );
    assert_eq!(socket.receive_within(Duration::from_millis(300)).await, None);
}

#[on_both_databases]
async fn a_forbidden_caller_is_closed_with_4403(app: TestApp) {
    let acme = app.organization("acme").await;
    let expired = Utc::now().timestamp() - 31;
    let of_nobody = TestApp::token(uuid::Uuid::new_v4(), "admin", "x");
    let late = TestApp::sign(&json!({ "sub": "x", "org_id": acme.id, "exp": expired }));
    for payload in [
        json!({}),
        json!(null),
        json!({ "Authorization": "nope" }),
        json!({ "Authorization": "Bearer nope" }),
        json!({ "Authorization": 5 }),
        json!({ "Authorization": format!("Bearer {late}") }),
        json!({ "authorization": format!("Bearer {of_nobody}") }),
    ] {
        let mut socket = Socket::silent(&app.address).await;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.closed().await, 4403, "{payload}");
    }
    // the key is case-insensitive
    let mut socket = Socket::silent(&app.address).await;
    let token = acme.member.token.clone().unwrap();
    socket
        .say(json!({
            "type": "connection_init",
            "payload": { "x": 1, "aUTHORIZATION": format!("Bearer {token}") },
        }))
        .await;
    assert_eq!(socket.message().await["type"], "connection_ack");
}

#[on_both_databases]
async fn a_socket_ends_with_its_token(app: TestApp) {
    let acme = app.organization("acme").await;
    // the leeway has almost passed
    let token = TestApp::sign(
        &json!({ "sub": "x", "org_id": acme.id, "exp": Utc::now().timestamp() - 28 }),
    );
    let client = app.client(Some(token));
    let mut socket = Socket::of(&client).await;
    socket.subscribe("1", FEED, json!({})).await;
    assert_eq!(socket.closed().await, 4403);
}

#[tokio::test]
async fn invalid_messages_are_closed_with_4400() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let deep = format!(
        "{{\"type\":\"ping\",\"payload\":{{\"a\":{}{}}}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    for text in [
        "",
        "nope",
        "5",
        "[]",
        "null",
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"start"}"#,
        r#"{"type":"ping","payload":5}"#,
        r#"{"type":"pong","payload":[]}"#,
        r#"{"type":"connection_init","payload":"x"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","id":"1"}"#,
        r#"{"type":"subscribe","id":"1","payload":{}}"#,
        r#"{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}"#,
        r#"{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":5}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","variables":[]}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","operationName":5}}"#,
        r#"{"type":"complete"}"#,
        r#"{"type":"connection_ack"}"#,
        r#"{"type":"next","id":"1","payload":{}}"#,
        deep.as_str(),
    ] {
        let mut socket = Socket::of(&acme.member).await;
        socket.say_text(text).await;
        assert_eq!(socket.closed().await, 4400, "{text}");
    }
    let mut socket = Socket::of(&acme.member).await;
    socket.send(Message::Binary(b"{\"type\":\"ping\"}".to_vec().into())).await;
    assert_eq!(socket.closed().await, 4400);
}

#[tokio::test]
async fn the_order_of_the_handshake_is_kept() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let mut socket = Socket::silent(&app.address).await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.receive().await, Received::Closed(4401, "Unauthorized".to_owned()));
    let mut socket = Socket::of(&acme.member).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(
        socket.receive().await,
        Received::Closed(4429, "Too many initialisation requests".to_owned())
    );
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("one", FEED, json!({})).await;
    socket.subscribe("one", FEED, json!({})).await;
    assert_eq!(
        socket.receive().await,
        Received::Closed(4409, "Subscriber for one already exists".to_owned())
    );
    for protocol in [None, Some("graphql-ws"), Some("nothing, else")] {
        match Socket::open(&app.address, protocol, None).await {
            Ok(mut socket) => assert_eq!(socket.closed().await, 4406),
            // it offers a protocol and gets none, which this client rejects
            Err(error) => assert!(matches!(error, tungstenite::Error::Protocol(_)), "{error}"),
        }
    }
    // the handshake has a deadline
    let mut socket = Socket::silent(&app.address).await;
    assert_eq!(
        socket.receive().await,
        Received::Closed(4408, "Connection initialisation timeout".to_owned())
    );
}

#[tokio::test]
async fn pings_are_answered_at_any_time() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let mut before = Socket::silent(&app.address).await;
    let mut after = Socket::of(&acme.member).await;
    for socket in [&mut before, &mut after] {
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.receive().await, message(json!({ "type": "pong" })));
        socket.say(json!({ "type": "ping", "payload": { "a": [1, null] } })).await;
        assert_eq!(
            socket.receive().await,
            message(json!({ "type": "pong", "payload": { "a": [1, null] } }))
        );
        socket.say(json!({ "type": "pong", "payload": {} })).await;
        socket.say(json!({ "type": "pong" })).await;
    }
    after.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(after.next("1").await, json!({ "__typename": "Query" }));
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_dropped() {
    let settings = Settings {
        max_sockets: 1,
        timeouts: Timeouts { write: Duration::from_millis(300), ..Timeouts::default() },
        ..Settings::default()
    };
    let app = TestApp::on(Backend::Postgres).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut silent = Socket::of(&acme.member).await;
    silent
        .subscribe("1", "subscription { engagementEvents { node { metadata } } }", json!({}))
        .await;
    silent.subscribe("2", "{ __typename }", json!({})).await;
    assert_eq!(silent.next("2").await, json!({ "__typename": "Query" }));
    // more than the buffers of the connection hold
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let started = std::time::Instant::now();
    loop {
        app.run(&format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, metadata) \
             SELECT {org}, {send}, 'open', jsonb_build_object('x', repeat('y', 100000)) FROM \
             generate_series(1, 100)"
        ))
        .await;
        // another socket can be opened once this one is closed
        let mut other = Socket::silent(&app.address).await;
        let authorization = format!("Bearer {}", acme.member.token.clone().unwrap());
        other
            .say(
                json!({ "type": "connection_init", "payload": { "Authorization": authorization } }),
            )
            .await;
        if other.receive().await == message(json!({ "type": "connection_ack" })) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it is still there");
    }
    while silent.receive().await != Received::Cut {}
}

#[tokio::test]
async fn a_message_that_is_too_long_is_closed_with_1009() {
    let settings = Settings { max_body: 10_000, ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let mut socket = Socket::of(&acme.member).await;
    let long = " ".repeat(20_000);
    socket.subscribe("1", &format!("{{ __typename }}{long}"), json!({})).await;
    assert_eq!(socket.closed().await, 1009);
}

#[tokio::test]
async fn a_close_of_the_peer_is_answered() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", FEED, json!({})).await;
    let frame = tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "done".into() };
    socket.send(Message::Close(Some(frame))).await;
    assert_eq!(socket.receive().await, Received::Closed(1000, "done".to_owned()));
}

#[tokio::test]
async fn an_upgradable_request_that_is_not_a_handshake_is_answered() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let request = acme.member.request(reqwest::Method::POST, "/graphql");
    let answer = request
        .header("upgrade", "websocket")
        .json(&json!({ "query": "{ __typename }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.json::<Json>().await.unwrap(), json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket() {
    let settings = Settings {
        cors_origins: vec!["https://dashboard.example".parse().unwrap()],
        public_url: Some("https://mail.example/desk".parse().unwrap()),
        ..Settings::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let open = async |origin: &str| {
        Socket::open(&app.address, Some("graphql-transport-ws"), Some(origin)).await
    };
    assert!(open(&app.address).await.is_ok());
    assert!(open("https://dashboard.example").await.is_ok());
    assert!(open("https://mail.example").await.is_ok());
    for origin in [
        "http://mail.example",
        "https://mail.example:8443",
        "https://evil.example",
        "null",
        "https://dashboard.example.evil.example",
        "http://127.0.0.1",
    ] {
        match open(origin).await {
            Err(tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), 403);
                let text = String::from_utf8(response.body().clone().unwrap()).unwrap();
                assert!(text.contains("--public-url") && text.contains("--cors-origin"), "{text}");
            }
            _ => panic!("{origin}"),
        }
    }
}

#[tokio::test]
async fn sockets_and_operations_are_limited() {
    let settings = Settings { max_sockets: 2, max_operations: 3, ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let mut first = Socket::of(&acme.member).await;
    let second = Socket::of(&acme.admin).await;
    let mut third = Socket::silent(&app.address).await;
    let init = json!({
        "type": "connection_init",
        "payload": { "Authorization": format!("Bearer {}", acme.admin.token.clone().unwrap()) },
    });
    third.say(init).await;
    assert_eq!(third.closed().await, 1013);
    Socket::of(&other.member).await;
    drop(second);
    for number in 0..3 {
        first.subscribe(&number.to_string(), FEED, json!({})).await;
    }
    first.subscribe("3", FEED, json!({})).await;
    let refused = first.message().await;
    assert_eq!(
        (&refused["id"], &refused["payload"][0]["extensions"]["code"]),
        (&json!("3"), &json!("LIMIT_EXCEEDED"))
    );
    first.say(json!({ "id": "0", "type": "complete" })).await;
    first.subscribe("3", "{ __typename }", json!({})).await;
    assert_eq!(first.next("3").await, json!({ "__typename": "Query" }));
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_dropped() {
    let settings = Settings { socket_ping: Duration::from_millis(100), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    // this one reads, and so answers pings, for longer than a silent one stays open
    let mut alive = Socket::of(&acme.member).await;
    assert_eq!(alive.receive_within(Duration::from_secs(1)).await, None);
    alive.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(alive.next("1").await, json!({ "__typename": "Query" }));
    let mut silent = Socket::of(&acme.member).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut cut = false;
    while !cut {
        cut = silent.receive().await == Received::Cut;
    }
}
