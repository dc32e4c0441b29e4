//! What providers post to webhooks, and what becomes of it.

use std::time::Duration;

use campaigns_tests::{
    Backend, Binary, Client, Fixture, Organization, PROVIDERS, RECIPIENT, Sender, TestApp,
    TestDatabase, mailgun, on_both_databases, serve_arguments, until, webhook_settings,
};
use reqwest::Method;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(1);

/// A campaign with sends to [`RECIPIENT`], each with this ID.
async fn sends(app: &TestApp, organization: Uuid, ids: &[Uuid]) {
    let (org, campaign) = (app.literal(organization), app.literal(Uuid::new_v4()));
    app.run(&format!("INSERT INTO campaigns (id, org_id, name) VALUES ({campaign}, {org}, 'x')"))
        .await;
    for id in ids {
        let (send, contact) = (app.literal(*id), app.literal(Uuid::new_v4()));
        app.run(&format!(
            "INSERT INTO contacts (id, org_id, first_name, email) VALUES ({contact}, {org}, 'Ada', '{RECIPIENT}')"
        ))
        .await;
        app.run(&format!(
            "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id) VALUES \
             ({send}, {org}, {campaign}, {contact})"
        ))
        .await;
    }
}

/// A send and its events, without IDs that differ between runs.
async fn stored(client: &Client, send: Uuid) -> Json {
    let query = "query ($id: ID!) { send(id: $id) { status sentAt deliveredAt error \
         events(first: 100) { nodes { type url bounceType occurredAt metadata } } } }";
    let mut data = client.data(query, json!({ "id": send })).await;
    let nodes = data["send"]["events"]["nodes"].as_array_mut().unwrap();
    nodes.sort_by_key(Json::to_string);
    data["send"].take()
}

/// The ways in which the events of fixtures are posted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    InOrder,
    Reversed,
    Twice,
    Split,
    WithUnreadable,
}

/// Posts each fixture of a provider to a webhook of its own, and returns what is stored of its send.
async fn post_all(app: &TestApp, provider: &'static str, way: Way) -> Vec<(String, Json)> {
    let slug = format!("{}-{way:?}", provider.to_lowercase());
    let acme = app.organization(&slug).await;
    let mut fixtures = Fixture::all(provider);
    let ids: Vec<Uuid> = fixtures.iter().map(|_| Uuid::new_v4()).collect();
    sends(app, acme.id, &ids).await;
    if way == Way::Reversed {
        fixtures.reverse();
    }
    let mut found = Vec::new();
    for (fixture, send) in fixtures.iter().zip(&ids) {
        let sender = Sender::new(&acme.admin, provider).await;
        let mut events = fixture.events(*send);
        match way {
            Way::InOrder => sender.post(&events).await,
            Way::Reversed => {
                events.reverse();
                sender.post(&events).await;
            }
            Way::Twice => {
                sender.post(&events).await;
                let twice = [events.clone(), events].concat();
                sender.post(&twice).await;
            }
            Way::Split => {
                for event in &events {
                    sender.post(std::slice::from_ref(event)).await;
                }
            }
            Way::WithUnreadable => {
                events.insert(0, json!(3));
                if sender.is_batched() {
                    sender.post(&events).await;
                    assert_eq!(sender.stats(&acme.admin).await["unreadable"], 1, "{provider}");
                } else {
                    sender.post(&events[1..]).await;
                }
            }
        }
        found.push((fixture.name.clone(), stored(&acme.member, *send).await));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

/// Posts the events of all fixtures for one send, in as many requests as there are parts of this size.
async fn post_merged(app: &TestApp, provider: &'static str, size: usize) -> (Json, Json) {
    let slug = format!("{}-merged-{size}", provider.to_lowercase());
    let acme = app.organization(&slug).await;
    let send = Uuid::new_v4();
    sends(app, acme.id, &[send]).await;
    let sender = Sender::new(&acme.admin, provider).await;
    let fixtures = Fixture::all(provider);
    let events: Vec<Json> = fixtures.iter().flat_map(|fixture| fixture.events(send)).collect();
    for part in events.chunks(size) {
        sender.post(part).await;
    }
    let mut stats = sender.stats(&acme.member).await;
    for changing in ["accepted", "lastAcceptedAt"] {
        stats.as_object_mut().unwrap().remove(changing);
    }
    (stored(&acme.member, send).await, stats)
}

async fn every_fixture(app: TestApp) {
    for provider in PROVIDERS {
        let whole = post_all(&app, provider, Way::InOrder).await;
        for fixture in Fixture::all(provider) {
            let (_, stored) = whole.iter().find(|(name, _)| *name == fixture.name).unwrap();
            let of_send = |expected: &&Json| expected["sendId"].is_string();
            let expected: Vec<&Json> = fixture.expected.iter().filter(of_send).collect();
            let case = format!("{provider} {}: {stored:#}", fixture.name);
            for expected in &expected {
                if let Some(status) = expected["status"].as_str() {
                    assert_eq!(stored["status"], status, "{case}");
                }
            }
            let events = expected.iter().filter(|expected| !expected["event"].is_null()).count();
            assert_eq!(stored["events"]["nodes"].as_array().unwrap().len(), events, "{case}");
            for event in stored["events"]["nodes"].as_array().unwrap() {
                assert_eq!(event["metadata"]["provider"], provider, "{case}");
                assert!(!event.to_string().contains(RECIPIENT), "{case}");
            }
        }
        for way in [Way::Reversed, Way::Twice, Way::Split, Way::WithUnreadable] {
            assert_eq!(post_all(&app, provider, way).await, whole, "{provider} {way:?}");
        }
        let single = post_merged(&app, provider, 1).await;
        for size in [7, 1_000] {
            assert_eq!(post_merged(&app, provider, size).await, single, "{provider} {size}");
        }
    }
    campaigns_tests::assert_exact(&app.sql).await;
}

#[on_both_databases(settings = webhook_settings())]
async fn every_fixture_becomes_the_same_in_any_order_and_any_requests(app: TestApp) {
    every_fixture(app).await;
}

#[tokio::test]
async fn every_fixture_becomes_the_same_on_adopted_tables() {
    every_fixture(TestApp::adopted().settings(webhook_settings()).start().await).await;
}

/// A delivery that Postmark reports.
fn delivery(send: Option<Uuid>, message: &str) -> Json {
    json!({
        "RecordType": "Delivery", "MessageID": message, "Recipient": RECIPIENT,
        "DeliveredAt": "2026-08-29T11:58:02Z",
        "Metadata": send.map_or_else(|| json!({}), |send| json!({ "send_id": send })),
    })
}

/// A click that Postmark reports.
fn click(send: Uuid, url: &str, at: &str) -> Json {
    json!({
        "RecordType": "Click", "MessageID": send, "Recipient": RECIPIENT, "ReceivedAt": at,
        "OriginalLink": url, "Metadata": { "send_id": send }, "UserAgent": "Mozilla/5.0 (X11)",
    })
}

async fn postmark(app: &TestApp) -> (Organization, Uuid, Sender) {
    let acme = app.organization("acme").await;
    let send = Uuid::new_v4();
    sends(app, acme.id, &[send]).await;
    let sender = Sender::new(&acme.admin, "POSTMARK").await;
    (acme, send, sender)
}

#[on_both_databases(settings = webhook_settings())]
async fn a_request_is_answered_with_the_status_that_its_provider_expects(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let body = delivery(Some(send), "m").to_string();
    let url = format!("{}{}", app.address, sender.path);
    let http = reqwest::Client::new();
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(http.request(method, &url).send().await.unwrap().status(), 200);
    }
    let put = http.put(&url).send().await.unwrap();
    assert_eq!(
        (put.status().as_u16(), &put.headers()["allow"]),
        (405, &"GET, HEAD, POST".parse().unwrap())
    );
    // without credentials, with wrong ones, and with what is not read
    let none = http.post(&url).body(body.clone()).send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert!(none.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let wrong = vec![("authorization", "Basic dXNlcjp3cm9uZw==".to_owned())];
    let (status, text) = sender.send((wrong, body.clone())).await;
    assert_eq!((status, text.as_str()), (403, "Refused: the credentials are wrong.\n"));
    assert_eq!(sender.post_body("[").await.0, 403);
    let stats = sender.stats(&acme.member).await;
    assert_eq!((&stats["refused"], &stats["accepted"]), (&json!(3), &json!(0)), "{stats:#}");
    assert!(stats["lastRefusal"].is_string() && stats["lastRefusedAt"].is_string(), "{stats:#}");
    assert_eq!(stored(&acme.member, send).await["status"], "QUEUED");
    // unknown, deleted and disabled
    for path in ["/webhooks/x", "/webhooks/0123456789abcdef0123456789abcdef01234567"] {
        let unknown = http.post(format!("{}{path}", app.address)).body(body.clone()).send().await;
        assert_eq!(unknown.unwrap().status(), 404);
    }
    let update = "mutation ($id: ID!, $on: Boolean!) { updateProviderWebhook(input: { id: $id, enabled: $on }) { \
         providerWebhook { id } } }";
    acme.admin.data(update, json!({ "id": sender.webhook, "on": false })).await;
    assert_ne!(sender.post_body(&body).await.0, 200);
    acme.admin.data(update, json!({ "id": sender.webhook, "on": true })).await;
    assert_eq!(sender.post_body(&body).await.0, 200);
    assert_eq!(stored(&acme.member, send).await["status"], "DELIVERED");
    let delete = "mutation ($id: ID!) { deleteProviderWebhook(id: $id) { id } }";
    acme.admin.data(delete, json!({ "id": sender.webhook })).await;
    assert_eq!(sender.post_body(&body).await.0, 404);
}

#[on_both_databases(settings = campaigns_server::Settings { max_body: 10_000, ..webhook_settings() })]
async fn a_body_that_is_too_large_is_refused_and_counted(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let mut event = delivery(Some(send), "m");
    event["Details"] = "x".repeat(10_000).into();
    assert_eq!(sender.post_body(&event.to_string()).await.0, 413);
    let stats = sender.stats(&acme.member).await;
    assert_eq!(
        (&stats["refused"], &stats["lastRefusal"]),
        (&json!(1), &json!("the body is too large"))
    );
}

#[on_both_databases(settings = webhook_settings())]
async fn each_event_is_counted_as_one_thing(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let first = delivery(Some(send), "m");
    sender.post(&[first.clone(), first]).await;
    sender
        .post(&[json!({ "RecordType": "Bounce", "Type": "Transient", "ID": 1, "MessageID": "m" })])
        .await;
    sender.post(&[json!({ "RecordType": "Delivery" })]).await;
    sender.post(&[delivery(None, "other")]).await;
    sender.post(&[delivery(None, "other")]).await;
    // a late status moves nothing, and is new nevertheless
    let mut late = delivery(Some(send), "m");
    late["DeliveredAt"] = "2026-08-29T12:58:02Z".into();
    sender.post(&[late]).await;
    let mut stats = sender.stats(&acme.member).await;
    assert!(stats["lastAcceptedAt"].is_string());
    stats.as_object_mut().unwrap().remove("lastAcceptedAt");
    let expected = json!({
        "accepted": 7, "refused": 0, "recorded": 2, "repeated": 2, "ignored": 1, "unmatched": 1,
        "dropped": 0, "unreadable": 1, "lastRefusedAt": null, "lastRefusal": null,
    });
    assert_eq!(stats, expected);
    let stored = stored(&acme.member, send).await;
    assert_eq!(stored["deliveredAt"], "2026-08-29T11:58:02Z");
}

#[on_both_databases(settings = webhook_settings())]
async fn an_event_waits_for_its_message_id(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    sender.post(&[delivery(None, "<m@mail.example>")]).await;
    let open = json!({ "RecordType": "Open", "MessageID": "m@mail.example", "Recipient": RECIPIENT,
        "ReceivedAt": "2026-08-29T12:00:00Z" });
    sender.post(std::slice::from_ref(&open)).await;
    let mut elsewhere = open.clone();
    elsewhere["Recipient"] = "eve@example.com".into();
    sender.post(&[elsewhere]).await;
    assert_eq!(sender.stats(&acme.member).await["unmatched"], 3);
    assert_eq!(app.count("campaign_events").await, 0);
    let report = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { sends { status opens } } }";
    let input =
        json!({ "input": [{ "id": send, "status": "SENT", "messageId": "m@mail.example" }] });
    let updated = acme.member.data(report, input).await;
    assert_eq!(updated["updateSends"]["sends"], json!([{ "status": "DELIVERED", "opens": 1 }]));
    let stats = sender.stats(&acme.member).await;
    // what is for another recipient goes on waiting
    assert_eq!((&stats["unmatched"], &stats["recorded"]), (&json!(1), &json!(2)), "{stats:#}");
    // from now on, the message ID is known, and what was matched is a repeat
    sender.post(&[open]).await;
    assert_eq!(sender.stats(&acme.member).await["repeated"], 1);
    for table in ["campaign_unmatched_events", "campaign_awaited_messages"] {
        assert_eq!(app.count(table).await, 1, "{table}");
    }
    let details =
        app.rows("SELECT CAST(details AS text) AS details FROM campaign_unmatched_events").await;
    let details: String = details[0].try_get("", "details").unwrap();
    assert!(!details.contains("eve@"), "{details}");
}

#[on_both_databases(settings = webhook_settings())]
async fn more_events_than_a_page_are_matched_by_the_call_that_stores_their_message_id(
    app: TestApp,
) {
    let acme = app.organization("acme").await;
    let send = Uuid::new_v4();
    sends(&app, acme.id, &[send]).await;
    let sender = Sender::new(&acme.admin, "SENDGRID").await;
    let event = |number: usize| {
        json!({
            "event": "open", "email": RECIPIENT, "timestamp": 1_788_004_980 + number,
            "sg_event_id": number.to_string(), "sg_message_id": "m.recvd-1",
        })
    };
    sender.post(&(0..2_500).map(event).collect::<Vec<_>>()).await;
    assert_eq!(sender.stats(&acme.member).await["unmatched"], 2_500);
    let report =
        "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { sends { opens } } }";
    let input = json!({ "input": [{ "id": send, "status": "SENT", "messageId": "m" }] });
    let updated = acme.member.data(report, input).await;
    assert_eq!(updated["updateSends"]["sends"], json!([{ "opens": 2_500 }]));
    let stats = sender.stats(&acme.member).await;
    assert_eq!((&stats["unmatched"], &stats["recorded"]), (&json!(0), &json!(2_500)), "{stats:#}");
}

#[on_both_databases(settings = webhook_settings())]
async fn a_webhook_that_overtakes_its_send_loses_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let send = Uuid::new_v4();
    let sender = Sender::new(&acme.admin, "POSTMARK").await;
    sender.post(&[delivery(Some(send), "m")]).await;
    sender.post(&[click(send, "https://a.example/", "2026-08-29T12:00:00Z")]).await;
    assert_eq!(sender.stats(&acme.member).await["unmatched"], 2);
    sends(&app, acme.id, &[send]).await;
    until("the events are matched", PATIENCE, async || {
        sender.stats(&acme.member).await["unmatched"] == 0
    })
    .await;
    let stored = stored(&acme.member, send).await;
    assert_eq!(stored["status"], "DELIVERED");
    assert_eq!(stored["events"]["nodes"][0]["type"], "CLICK");
    assert_eq!(sender.stats(&acme.member).await["recorded"], 2);
}

#[on_both_databases(settings = webhook_settings())]
async fn sends_and_message_ids_of_another_organization_are_not_found(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let other = app.organization("other").await;
    let theirs = Sender::new(&other.admin, "POSTMARK").await;
    let report =
        "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated } }";
    let input = json!({ "input": [{ "id": send, "status": "SENT", "messageId": "m" }] });
    acme.member.data(report, input).await;
    theirs.post(&[delivery(Some(send), "x")]).await;
    theirs.post(&[delivery(None, "m")]).await;
    assert_eq!(theirs.stats(&other.member).await["unmatched"], 2);
    assert_eq!(stored(&acme.member, send).await["status"], "SENT");
    // the same event counts for both webhooks of one organization
    let second = Sender::new(&acme.admin, "POSTMARK").await;
    let open = json!({ "RecordType": "Open", "MessageID": "m", "ReceivedAt": "2026-08-29T12:00:00Z",
        "Recipient": RECIPIENT });
    for sender in [&sender, &second] {
        sender.post(std::slice::from_ref(&open)).await;
    }
    assert_eq!(app.count("campaign_events").await, 2);
}

#[on_both_databases(settings = webhook_settings())]
async fn an_event_for_another_recipient_does_not_count_for_the_send(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let mut event = delivery(Some(send), "m");
    event["Recipient"] = "eve@example.com".into();
    sender.post(&[event.clone()]).await;
    assert_eq!(stored(&acme.member, send).await["status"], "QUEUED");
    assert_eq!(sender.stats(&acme.member).await["unmatched"], 1);
    event["Recipient"] = RECIPIENT.to_uppercase().into();
    sender.post(&[event]).await;
    assert_eq!(stored(&acme.member, send).await["status"], "DELIVERED");
}

#[on_both_databases(settings = webhook_settings())]
async fn opens_count_for_their_own_organization_and_recipient_alone_and_together(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let (mine, theirs) = (Uuid::new_v4(), Uuid::new_v4());
    sends(&app, acme.id, &[mine]).await;
    sends(&app, other.id, &[theirs]).await;
    let sender = Sender::new(&acme.admin, "SENDGRID").await;
    let open = |send: Uuid, recipient: &str, at: i64| {
        json!({
            "event": "open", "email": recipient, "timestamp": 1_790_000_000 + at, "send_id": send,
            "sg_event_id": format!("event-{at}"), "sg_message_id": format!("m{at}.recvd-1-1.0"),
        })
    };
    let events = [
        open(mine, RECIPIENT, 1),
        open(mine, &RECIPIENT.to_uppercase(), 2),
        open(mine, &format!("Ada <{RECIPIENT}>"), 3),
        open(mine, "eve@example.com", 4),
        open(mine, &format!("{RECIPIENT}\0"), 5),
        open(mine, "", 6),
        open(theirs, RECIPIENT, 7),
        open(Uuid::new_v4(), RECIPIENT, 8),
    ];
    let posted = async |events: &[Json]| {
        sender.post(events).await;
        let stats = sender.stats(&acme.member).await;
        ["recorded", "repeated", "unmatched"].map(|name| stats[name].as_i64().unwrap())
    };
    let mut expected = [0, 0, 0];
    for event in &events {
        let index = if event["timestamp"].as_i64().unwrap() % 10 <= 3 { 0 } else { 2 };
        let no_address = event["email"] == "";
        expected[if no_address { 0 } else { index }] += 1;
        assert_eq!(posted(std::slice::from_ref(event)).await, expected, "{event}");
    }
    // all of them again, and then only the known ones again, with one that is new
    expected[1] += 8;
    assert_eq!(posted(&events).await, expected);
    let again = [events[0].clone(), open(mine, RECIPIENT, 9), events[1].clone(), events[0].clone()];
    expected = [expected[0] + 1, expected[1] + 3, expected[2]];
    assert_eq!(posted(&again).await, expected);
    assert_eq!(app.count("campaign_events").await, expected[0]);
    assert_eq!(
        other.member.data("{ events { totalCount } }", json!({})).await["events"]["totalCount"],
        0
    );
}

#[on_both_databases(settings = webhook_settings())]
async fn a_token_of_mailgun_counts_once(app: TestApp) {
    let acme = app.organization("acme").await;
    let send = Uuid::new_v4();
    sends(&app, acme.id, &[send]).await;
    let sender = Sender::new(&acme.admin, "MAILGUN").await;
    let fixtures = Fixture::all("MAILGUN");
    let event = |name: &str| {
        let fixture = fixtures.iter().find(|fixture| fixture.name == name).unwrap();
        fixture.events(send).remove(0).to_string()
    };
    let token = "0123456789abcdef0123456789abcdef0123456789abcdef01";
    let post = async |name: &str| sender.send((Vec::new(), mailgun(token, &event(name)))).await;
    assert_eq!(post("delivered").await.0, 200);
    // a retry, which changes nothing
    assert_eq!(post("delivered").await.0, 200);
    let (status, text) = post("opened").await;
    assert_ne!(status, 200, "{text}");
    assert!(text.contains("used before"), "{text}");
    assert_eq!(app.count("campaign_events").await, 0);
    let stats = sender.stats(&acme.member).await;
    assert_eq!(
        (&stats["recorded"], &stats["repeated"], &stats["refused"]),
        (&json!(1), &json!(1), &json!(1))
    );
    // another webhook has not seen it
    let second = Sender::new(&acme.admin, "MAILGUN").await;
    assert_eq!(second.send((Vec::new(), mailgun(token, &event("opened")))).await.0, 200);
    assert_eq!(app.count("campaign_events").await, 1);
}

#[on_both_databases(settings = webhook_settings())]
async fn clicks_of_a_burst_are_marked_however_they_are_spread(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    let url = |number: u32| format!("https://{number}.example/");
    sender.post(&[click(send, &url(1), "2026-08-29T12:00:01Z")]).await;
    sender.post(&[click(send, &url(2), "2026-08-29T12:00:00.5Z")]).await;
    let machines = async || {
        let stored = stored(&acme.member, send).await;
        let nodes = stored["events"]["nodes"].as_array().unwrap().clone();
        nodes.iter().filter(|event| event["metadata"]["machine"] == true).count()
    };
    assert_eq!(machines().await, 0);
    // the third link marks those before it
    sender.post(&[click(send, &url(3), "2026-08-29T12:00:02Z")]).await;
    assert_eq!(machines().await, 3);
    // a person comes later
    sender.post(&[click(send, &url(1), "2026-08-29T12:10:00Z")]).await;
    assert_eq!(machines().await, 3);
    let stored = stored(&acme.member, send).await;
    let nodes = stored["events"]["nodes"].as_array().unwrap();
    let marked: Vec<&Json> = nodes.iter().filter(|of| of["metadata"]["machine"] == true).collect();
    assert!(
        marked.iter().all(|of| of["metadata"]["machineReasons"] == json!(["burst"])),
        "{marked:#?}"
    );
    let query = "query ($id: ID!) { send(id: $id) { events(first: 9, orderBy: [{ field: OCCURRED_AT, direction: DESC }]) \
         { nodes { machine machineReasons } } } }";
    let shown = acme.member.data(query, json!({ "id": send })).await;
    let nodes = &shown["send"]["events"]["nodes"];
    assert_eq!(
        nodes[0],
        json!({ "machine": false, "machineReasons": [] }),
        "the person's: {nodes:#}"
    );
    assert_eq!(nodes[1], json!({ "machine": true, "machineReasons": ["burst"] }), "{nodes:#}");
    campaigns_tests::assert_exact(&app.sql).await;
}

#[on_both_databases(settings = webhook_settings())]
async fn simultaneous_requests_share_transactions_and_lose_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let ids: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    sends(&app, acme.id, &ids).await;
    let sender = Sender::new(&acme.admin, "POSTMARK").await;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (sender, send) = (sender.clone(), ids[number % 20]);
        let at = format!("2026-08-29T12:{:02}:00Z", number / 20);
        requests.spawn(async move {
            // each comes twice
            let event = click(send, "https://a.example/", &at);
            sender.post(&[event.clone(), event]).await;
        });
    }
    requests.join_all().await;
    assert_eq!(app.count("campaign_events").await, 200);
    let stats = sender.stats(&acme.member).await;
    assert_eq!(
        (&stats["accepted"], &stats["recorded"], &stats["repeated"]),
        (&json!(400), &json!(200), &json!(200))
    );
    until("the parts of figures are merged", PATIENCE, async || {
        app.count("campaign_provider_stats").await == 1
    })
    .await;
    assert_eq!(sender.stats(&acme.member).await, stats);
    campaigns_tests::assert_exact(&app.sql).await;
}

async fn killed(backend: Backend) {
    let database = TestDatabase::new(backend).await;
    let app = TestApp::on_database(TestDatabase::at(backend, &database.url))
        .settings(webhook_settings())
        .start()
        .await;
    let acme = app.organization("acme").await;
    let ids: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    sends(&app, acme.id, &ids).await;
    let sender = Sender::new(&acme.admin, "POSTMARK").await;
    let here = tempfile::tempdir().unwrap();
    let key = "YSBrZXkgb2YgdGhlIHRlc3RzIHdpdGggMzIgYnl0ZXM=";
    let mut arguments = serve_arguments(&database.url).to_vec();
    arguments.extend(["--encryption-key", key]);
    let mut service = Binary::start(here.path(), &arguments).await;
    let address = service.address().await;
    let events: Vec<Json> = (0..200)
        .map(|number| {
            let at = format!("2026-08-29T12:{:02}:00Z", number / 20);
            click(ids[number % 20], "https://a.example/", &at)
        })
        .collect();
    let mut requests = tokio::task::JoinSet::new();
    for event in events.clone() {
        let sender = sender.at(address.clone());
        requests.spawn(async move {
            let (headers, body) = sender.signed(&event.to_string());
            let mut request = reqwest::Client::new()
                .post(format!("{}{}", sender.address, sender.path))
                .body(body);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.send().await.is_ok_and(|response| response.status() == 200)
        });
    }
    // in the middle of them
    until("some are recorded", PATIENCE, async || app.count("campaign_events").await > 20).await;
    service.kill().await;
    requests.join_all().await;
    let mut service = Binary::start(here.path(), &arguments).await;
    let sender = sender.at(service.address().await);
    // the provider retries all of them
    sender.post(&events).await;
    assert_eq!(app.count("campaign_events").await, 200);
    let stats = sender.stats(&acme.member).await;
    let number = |name: &str| stats[name].as_i64().unwrap();
    assert_eq!(number("recorded"), 200, "{stats:#}");
    assert_eq!(number("recorded") + number("repeated"), number("accepted"), "{stats:#}");
    campaigns_tests::assert_exact(&app.sql).await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn a_service_that_is_killed_has_each_retried_event_once_on_sqlite() {
    killed(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_service_that_is_killed_has_each_retried_event_once_on_postgres() {
    killed(Backend::Postgres).await;
}

#[on_both_databases(settings = webhook_settings())]
async fn what_waits_for_too_long_is_dropped_and_counted(app: TestApp) {
    let (acme, send, sender) = postmark(&app).await;
    sender.post(&[delivery(None, "a")]).await;
    sender.post(&[delivery(None, "b")]).await;
    app.run(
        "UPDATE campaign_unmatched_events SET received_at = '2026-01-01T00:00:00+00:00' \
         WHERE id = (SELECT event_id FROM campaign_awaited_messages WHERE message_id = 'a')",
    )
    .await;
    until("it is dropped", PATIENCE, async || {
        let stats = sender.stats(&acme.member).await;
        stats["dropped"] == 1 && stats["unmatched"] == 1
    })
    .await;
    assert_eq!(app.count("campaign_awaited_messages").await, 1);
    assert_eq!(stored(&acme.member, send).await["status"], "QUEUED");
}

#[tokio::test]
async fn what_is_kept_of_an_organization_goes_with_it_on_adopted_tables() {
    let app = TestApp::adopted().settings(webhook_settings()).start().await;
    let (acme, send, sender) = postmark(&app).await;
    sender.post(&[delivery(Some(send), "a")]).await;
    sender.post(&[delivery(None, "b")]).await;
    app.run(&format!("DELETE FROM organizations WHERE id = {}", app.literal(acme.id))).await;
    // at once, nothing comes in any more
    assert_eq!(sender.post_body(&delivery(None, "c").to_string()).await.0, 404);
    for table in [
        "campaign_provider_webhooks",
        "campaign_provider_paths",
        "campaign_provider_keys",
        "campaign_provider_stats",
        "campaign_unmatched_events",
        "campaign_awaited_messages",
    ] {
        let is_empty = async || app.count(table).await == 0;
        until("the rows are swept away", Duration::from_secs(150), is_empty).await;
    }
}

#[on_both_databases(settings = webhook_settings())]
async fn metrics_count_requests_and_events_without_addresses(app: TestApp) {
    let (_acme, send, sender) = postmark(&app).await;
    sender.post(&[delivery(Some(send), "m")]).await;
    let metrics =
        reqwest::get(format!("{}/metrics", app.address)).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(
            r#"campaigns_webhook_requests_total{provider="POSTMARK",outcome="accepted"}"#
        )
    );
    assert!(metrics.contains(r#"campaigns_webhook_events_total{outcome="recorded"}"#));
    assert!(!metrics.contains(RECIPIENT) && !metrics.contains(&sender.path[10..]));
}
