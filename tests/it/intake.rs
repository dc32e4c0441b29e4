//! Intake of events and delivery reports: many in a call, and safe to repeat.

use std::{collections::BTreeSet, time::Duration};

use campaigns_delivery::NewEvent;
use campaigns_entity::event::EventType;
use campaigns_tests::{Backend, Fixtures, Organization, TestApp, on_both_databases};
use chrono::{TimeDelta, Utc};
use rand::{
    RngExt, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const RECORD: &str = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { \
    recorded duplicates events { id type url bounceType occurredAt metadata send { id } contact { \
    id } campaign { id } } } }";
const UPDATE: &str = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { \
    updated unchanged sends { id status sentAt deliveredAt error } } }";
const STATUSES: [&str; 5] = ["QUEUED", "SENT", "DELIVERED", "BOUNCED", "FAILED"];

async fn populated(app: &TestApp) -> (Organization, Fixtures) {
    let acme = app.organization("acme").await;
    let made = acme.populated(12).await;
    app.run("DELETE FROM campaign_events").await;
    (acme, made)
}

async fn statuses(organization: &Organization) -> Vec<(Uuid, String)> {
    let data =
        organization.member.data("{ sends(first: 500) { nodes { id status } } }", json!({})).await;
    let nodes = data["sends"]["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|send| {
            (
                send["id"].as_str().unwrap().parse().unwrap(),
                send["status"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// Whether a report of the status `to` changes a send with the status `from`.
fn steps(from: &str, to: &str) -> bool {
    [
        "QUEUED SENT",
        "QUEUED DELIVERED",
        "QUEUED BOUNCED",
        "QUEUED FAILED",
        "SENT DELIVERED",
        "SENT BOUNCED",
        "SENT FAILED",
        "DELIVERED BOUNCED",
    ]
    .contains(&format!("{from} {to}").as_str())
}

#[on_both_databases]
async fn events_are_recorded_in_the_order_of_the_input(app: TestApp) {
    let (acme, made) = populated(&app).await;
    let mut rng = ChaCha8Rng::seed_from_u64(122);
    let input: Vec<Json> = (0..40).map(|number| {
        let send = made.sends.choose(&mut rng).unwrap();
        // descending IDs, so that their order differs from that of the call
        let id = Uuid::from_u128(0x9000_0000_0000_4000_8000_0000_0000_0000 - number);
        match number % 4 {
            0 => json!({
                "id": id, "sendId": send, "type": "CLICK",
                "url": "https://example.com/?a=\"'\u{1f600}",
                "metadata": { "agent": { "n": [1, null] } },
            }),
            1 => json!({
                "id": id, "sendId": send, "type": "OPEN",
                "occurredAt": "2026-05-01T10:00:00.123456+02:00",
            }),
            2 => json!({
                "id": id, "sendId": send, "type": "BOUNCE", "bounceType": "SOFT", "metadata": null,
            }),
            _ => json!({ "id": id, "sendId": send, "type": "UNSUBSCRIBE" }),
        }
    }).collect();
    let data = acme.member.data(RECORD, json!({ "input": input })).await;
    let payload = &data["recordEvents"];
    assert_eq!((&payload["recorded"], &payload["duplicates"]), (&json!(40), &json!(0)));
    for (event, input) in payload["events"].as_array().unwrap().iter().zip(&input) {
        for name in ["id", "type"] {
            assert_eq!(event[name], input[name]);
        }
        assert_eq!(event["url"], *input.get("url").unwrap_or(&Json::Null));
        assert_eq!(event["send"]["id"], input["sendId"]);
        let sent = acme
            .member
            .data(
                "query ($id: ID!) { send(id: $id) { contact { id } campaign { id } } }",
                json!({ "id": input["sendId"] }),
            )
            .await;
        assert_eq!(
            (&event["contact"], &event["campaign"]),
            (&sent["send"]["contact"], &sent["send"]["campaign"])
        );
    }
    assert_eq!(payload["events"][0]["metadata"], json!({ "agent": { "n": [1, null] } }));
    assert_eq!(payload["events"][1]["occurredAt"], "2026-05-01T08:00:00.123456Z");
    assert_eq!(payload["events"][2]["bounceType"], "SOFT");
    let ids = |list: &Json| {
        list.as_array().unwrap().iter().map(|event| event["id"].clone()).collect::<Vec<_>>()
    };
    let data = acme.member.data("{ events { nodes { id } } }", json!({})).await;
    assert_eq!(ids(&data["events"]["nodes"]), ids(&json!(input)));
    // the test and the service have the same clock
    let data = acme
        .member
        .data(
            RECORD,
            json!({
                "input": [
                    { "sendId": made.sends[0], "type": "OPEN" },
                    { "sendId": made.sends[1], "type": "OPEN" },
                ],
            }),
        )
        .await;
    let made_up = ids(&data["recordEvents"]["events"]);
    assert_ne!(made_up[0], made_up[1]);
}

#[on_both_databases]
async fn a_repeated_event_changes_nothing(app: TestApp) {
    let (acme, made) = populated(&app).await;
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let send = made.sends[0];
    app.run("UPDATE campaign_sends SET status = 'delivered'").await;
    let event = json!({ "id": id, "sendId": send, "type": "CLICK", "url": "https://example.com/" });
    let data = acme.member.data(RECORD, json!({ "input": [event, event] })).await;
    assert_eq!(
        (&data["recordEvents"]["recorded"], &data["recordEvents"]["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(data["recordEvents"]["events"].as_array().unwrap().len(), 2);
    // the same ID with another type and another send has no effect
    let again = json!({ "id": id, "sendId": made.sends[1], "type": "BOUNCE" });
    let data = acme
        .member
        .data(RECORD, json!({ "input": [again, { "id": other, "sendId": send, "type": "OPEN" }] }))
        .await;
    assert_eq!(
        (&data["recordEvents"]["recorded"], &data["recordEvents"]["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(data["recordEvents"]["events"][0]["type"], "CLICK");
    assert_eq!(data["recordEvents"]["events"][0]["send"]["id"], json!(send));
    assert_eq!(app.count("campaign_events").await, 2);
    assert_eq!(app.count("campaign_sends WHERE status = 'bounced'").await, 0);
}

#[on_both_databases]
async fn a_hard_bounce_sets_its_send_to_bounced(app: TestApp) {
    let (acme, made) = populated(&app).await;
    app.run("UPDATE campaign_sends SET status = 'failed'").await;
    let bounce = |send: usize, of: Json| {
        let mut event = json!({ "sendId": made.sends[send], "type": "BOUNCE" });
        event.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        event
    };
    let data = acme
        .member
        .data(
            RECORD,
            json!({ "input": [
                bounce(0, json!({})),
                bounce(1, json!({ "bounceType": "HARD" })),
                bounce(2, json!({ "bounceType": "SOFT" })),
                bounce(3, json!({ "metadata": { "bounce_type": "soft" } })),
                bounce(4, json!({ "bounceType": "HARD", "metadata": { "bounce_type": "soft" } })),
                bounce(0, json!({})),
            ] }),
        )
        .await;
    let shown: Vec<&Json> = data["recordEvents"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["bounceType"])
        .collect();
    assert_eq!(shown, ["HARD", "HARD", "SOFT", "SOFT", "HARD", "HARD"]);
    let bounced: BTreeSet<Uuid> = statuses(&acme)
        .await
        .into_iter()
        .filter(|(_, status)| status == "BOUNCED")
        .map(|(id, _)| id)
        .collect();
    assert_eq!(bounced, [0, 1, 4].map(|send: usize| made.sends[send]).into());
}

#[on_both_databases]
async fn one_invalid_event_refuses_the_whole_call_and_is_named(app: TestApp) {
    let (acme, made) = populated(&app).await;
    let other = app.organization("other").await;
    let of_other = other.populated(4).await;
    let before = (app.count("campaign_events").await, statuses(&acme).await);
    let send = made.sends[0];
    let ahead = Utc::now() + TimeDelta::minutes(6);
    for (bad, code, field) in [
        (json!({ "sendId": send, "type": "CLICK" }), "BAD_USER_INPUT", "url"),
        (json!({ "sendId": send, "type": "CLICK", "url": " " }), "BAD_USER_INPUT", "url"),
        (json!({ "sendId": send, "type": "CLICK", "url": "a\u{0}" }), "BAD_USER_INPUT", "url"),
        (
            json!({ "sendId": send, "type": "OPEN", "url": "https://example.com/" }),
            "BAD_USER_INPUT",
            "url",
        ),
        (
            json!({ "sendId": send, "type": "OPEN", "bounceType": "HARD" }),
            "BAD_USER_INPUT",
            "bounceType",
        ),
        (
            json!({ "sendId": send, "type": "OPEN", "occurredAt": ahead }),
            "BAD_USER_INPUT",
            "occurredAt",
        ),
        (
            json!({ "sendId": send, "type": "OPEN", "occurredAt": "yesterday" }),
            "BAD_USER_INPUT",
            "occurredAt",
        ),
        (json!({ "sendId": send, "type": "OPEN", "metadata": [1] }), "BAD_USER_INPUT", "metadata"),
        (
            json!({ "sendId": send, "type": "OPEN", "metadata": { "a": "\u{0}" } }),
            "BAD_USER_INPUT",
            "metadata",
        ),
        (json!({ "sendId": send, "type": "OPEN", "id": "1" }), "BAD_USER_INPUT", "id"),
        (json!({ "sendId": "x", "type": "OPEN" }), "BAD_USER_INPUT", "sendId"),
        (json!({ "sendId": send, "type": "OPENED" }), "BAD_USER_INPUT", "type"),
        (json!({ "sendId": Uuid::new_v4(), "type": "OPEN" }), "NOT_FOUND", "sendId"),
        (json!({ "sendId": of_other.sends[0], "type": "OPEN" }), "NOT_FOUND", "sendId"),
        (json!({ "sendId": of_other.sends[0], "type": "BOUNCE" }), "NOT_FOUND", "sendId"),
        (json!({ "sendId": send, "type": "OPEN", "id": send }), "BAD_USER_INPUT", "id"),
    ] {
        let good = json!({ "sendId": send, "type": "BOUNCE" });
        let answer = acme.member.ask(RECORD, json!({ "input": [good, good, bad] })).await;
        assert_eq!(
            (answer.code(), answer.field()),
            (code, format!("input.2.{field}").as_str()),
            "{bad}"
        );
        assert!(!answer.error().to_string().contains("other"));
    }
    assert_eq!((app.count("campaign_events").await, statuses(&acme).await), before);
    let many = vec![json!({ "sendId": send, "type": "OPEN" }); 10_001];
    assert_eq!(acme.member.ask(RECORD, json!({ "input": many })).await.code(), "LIMIT_EXCEEDED");
    let none = acme.member.data(RECORD, json!({ "input": [] })).await;
    assert_eq!(none["recordEvents"], json!({ "recorded": 0, "duplicates": 0, "events": [] }));
}

#[on_both_databases]
async fn ten_thousand_events_per_call_take_a_few_statements(app: TestApp) {
    let (acme, made) = populated(&app).await;
    let mut rng = ChaCha8Rng::seed_from_u64(128);
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let mut counts = Vec::new();
    for size in [2, 10_000] {
        let input: Vec<Json> = (0..size)
            .map(|number| {
                let send = made.sends.choose(&mut rng).unwrap();
                let kind = if number % 2 == 0 { "BOUNCE" } else { "OPEN" };
                json!({
                    "id": Uuid::new_v4(), "sendId": send, "type": kind,
                    "occurredAt": "2026-05-01T10:00:00Z",
                })
            })
            .collect();
        app.forget_statements();
        let record = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { \
                      recorded duplicates } }";
        let data = acme.member.data(record, json!({ "input": input })).await;
        assert_eq!(data["recordEvents"]["recorded"], size);
        counts.push(app.statements().len());
    }
    // sends are locked, read and set to bounced; events are inserted with their positions
    assert!(counts.iter().all(|count| *count <= 5), "{counts:?} {:#?}", app.statements());
    let reports: Vec<Json> = (0..10_000)
        .map(|_| {
            json!({
                "id": made.sends.choose(&mut rng).unwrap(),
                "status": STATUSES.choose(&mut rng).unwrap(),
            })
        })
        .collect();
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    app.forget_statements();
    let update = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated \
                  unchanged } }";
    let data = acme.member.data(update, json!({ "input": reports })).await;
    let count = |name: &str| data["updateSends"][name].as_u64().unwrap();
    assert_eq!(count("updated") + count("unchanged"), 10_000);
    // the look-up of the organization is cached for some seconds
    let statements =
        app.statements().into_iter().filter(|sent| !sent.sql.contains("\"organizations\""));
    assert!(statements.count() <= 2, "{:#?}", app.statements());
}

#[on_both_databases]
async fn a_status_only_moves_forward(app: TestApp) {
    let (acme, made) = populated(&app).await;
    for from in STATUSES {
        for to in STATUSES {
            app.run(&format!(
                "UPDATE campaign_sends SET status = '{}', sent_at = NULL, \
                 delivered_at = NULL, error = NULL",
                from.to_lowercase()
            ))
            .await;
            let report = json!({
                "id": made.sends[0], "status": to, "at": "2026-05-02T00:00:00Z", "error": "full",
            });
            let data = acme.member.data(UPDATE, json!({ "input": [report] })).await;
            let changes = steps(from, to);
            let only =
                |of: &[&str], value: &str| (changes && of.contains(&to)).then(|| json!(value));
            assert_eq!(
                data["updateSends"],
                json!({
                    "updated": u8::from(changes), "unchanged": u8::from(!changes),
                    "sends": [{
                        "id": made.sends[0], "status": if changes { to } else { from },
                        "sentAt": only(&["SENT"], "2026-05-02T00:00:00Z"),
                        "deliveredAt": only(&["DELIVERED"], "2026-05-02T00:00:00Z"),
                        "error": only(&["BOUNCED", "FAILED"], "full"),
                    }],
                }),
                "{from} {to}"
            );
        }
    }
    // reports of a call apply in order
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let reports: Vec<Json> = ["SENT", "SENT", "DELIVERED", "SENT", "BOUNCED", "DELIVERED"]
        .iter()
        .map(|status| json!({ "id": made.sends[1], "status": status }))
        .collect();
    let data = acme.member.data(UPDATE, json!({ "input": reports })).await;
    assert_eq!(
        (&data["updateSends"]["updated"], &data["updateSends"]["unchanged"]),
        (&json!(3), &json!(3))
    );
    let sends = data["updateSends"]["sends"].as_array().unwrap();
    assert_eq!(sends.len(), 6);
    assert!(sends.iter().all(|send| send["status"] == "BOUNCED"
        && !send["sentAt"].is_null()
        && !send["deliveredAt"].is_null()));
}

#[on_both_databases]
async fn a_report_of_a_missing_send_refuses_the_whole_call(app: TestApp) {
    let (acme, made) = populated(&app).await;
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let other = app.organization("other").await;
    let of_other = other.populated(4).await;
    for (id, code, field) in [
        (json!(Uuid::new_v4()), "NOT_FOUND", "input.1.id"),
        (json!(of_other.sends[0]), "NOT_FOUND", "input.1.id"),
        (json!("x"), "BAD_USER_INPUT", "input.1.id"),
    ] {
        let answer = acme.member.ask(UPDATE, json!({
            "input": [{ "id": made.sends[0], "status": "SENT" }, { "id": id, "status": "SENT" }],
        })).await;
        assert_eq!((answer.code(), answer.field()), (code, field));
    }
    let late = acme
        .member
        .ask(UPDATE, json!({ "input": [{ "id": made.sends[0], "status": "SENT", "at": "now" }] }))
        .await;
    assert_eq!((late.code(), late.field()), ("BAD_USER_INPUT", "input.0.at"));
    assert!(statuses(&acme).await.iter().all(|(_, status)| status == "QUEUED"));
}

#[on_both_databases]
async fn concurrent_calls_on_the_same_sends_do_not_deadlock(app: TestApp) {
    let (acme, made) = populated(&app).await;
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let ids: Vec<Uuid> = (0..200).map(|_| Uuid::new_v4()).collect();
    let calls = (0..8_u64).map(|seed| {
        let (client, sends, mut events) = (acme.member.clone(), made.sends.clone(), ids.clone());
        tokio::spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut recorded = 0;
            for _ in 0..6 {
                // all clients record the same events, each in a different order
                events.shuffle(&mut rng);
                let input: Vec<Json> = events[..50]
                    .iter()
                    .map(|id| {
                        let send = sends[id.as_u128() as usize % sends.len()];
                        let kind = if id.as_u128() % 3 == 0 { "BOUNCE" } else { "OPEN" };
                        json!({ "id": id, "sendId": send, "type": kind })
                    })
                    .collect();
                let data = client
                    .data(
                        "mutation ($input: [RecordEventInput!]!) { \
                         recordEvents(input: $input) { recorded } }",
                        json!({
                            "input": input,
                        }),
                    )
                    .await;
                recorded += data["recordEvents"]["recorded"].as_u64().unwrap();
                let reports: Vec<Json> = (0..50)
                    .map(|_| {
                        json!({
                            "id": sends[rng.random_range(0..sends.len())],
                            "status": STATUSES[rng.random_range(1..5)],
                        })
                    })
                    .collect();
                client
                    .data(
                        "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { \
                         updated } }",
                        json!({ "input": reports }),
                    )
                    .await;
            }
            recorded
        })
    });
    let mut recorded = 0;
    for call in calls.collect::<Vec<_>>() {
        recorded += call.await.unwrap();
    }
    assert_eq!(app.count("campaign_events").await, i64::try_from(recorded).unwrap());
    let hard = "campaign_sends s WHERE status <> 'bounced' AND EXISTS \
                (SELECT 1 FROM campaign_events e WHERE e.send_id = s.id AND e.event_type = \
                'bounce')";
    assert_eq!(app.count(hard).await, 0);
}

#[on_both_databases]
async fn concurrent_calls_share_a_transaction_and_each_gets_its_own_result(app: TestApp) {
    let (acme, made) = populated(&app).await;
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    acme.member.data("{ campaigns { totalCount } }", json!({})).await;
    // a transaction for which the first call waits
    let hold = async || match app.database.backend {
        Backend::Postgres => {
            let held = app.sql.begin().await.unwrap();
            held.execute_unprepared("LOCK TABLE campaign_events, campaign_sends IN EXCLUSIVE MODE")
                .await
                .unwrap();
            held
        }
        Backend::Sqlite => {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            app.sql.begin_with_options(options).await.unwrap()
        }
    };
    let held = hold().await;
    app.forget_statements();
    let repeated = Uuid::new_v4();
    let record = |number: usize| {
        let of = |index: usize| made.sends[(number * 2 + index) % made.sends.len()];
        let input = match number % 10 {
            3 => {
                json!([
                    { "sendId": of(0), "type": "OPEN" },
                    { "sendId": Uuid::new_v4(), "type": "OPEN" },
                ])
            }
            7 => {
                json!([
                    { "id": repeated, "sendId": made.sends[0], "type": "BOUNCE" },
                    { "sendId": of(1), "type": "OPEN" },
                ])
            }
            _ => {
                json!([
                    { "sendId": of(0), "type": "OPEN" }, { "sendId": of(1), "type": "UNSUBSCRIBE" },
                ])
            }
        };
        let client = acme.member.clone();
        tokio::spawn(async move { client.ask(RECORD, json!({ "input": input })).await })
    };
    let update = |number: usize| {
        let id = if number == 5 { Uuid::new_v4() } else { made.sends[number % 4] };
        let client = acme.member.clone();
        tokio::spawn(async move {
            client.ask(UPDATE, json!({ "input": [{ "id": id, "status": "SENT" }] })).await
        })
    };
    let recorded: Vec<_> = (0..30).map(record).collect();
    let updated: Vec<_> = (0..12).map(update).collect();
    // one client disconnects while its call waits
    let gone = record(0);
    app.until_executing(30 + 12 + 1).await;
    gone.abort();
    // time for the service to notice, which has no visible effect
    tokio::time::sleep(Duration::from_millis(100)).await;
    held.rollback().await.unwrap();

    let (mut stored, mut new_of_repeated) = (0, 0);
    for (number, call) in recorded.into_iter().enumerate() {
        let answer = call.await.unwrap();
        if number % 10 == 3 {
            assert_eq!((answer.code(), answer.field()), ("NOT_FOUND", "input.1.sendId"));
            continue;
        }
        let payload = &answer.body["data"]["recordEvents"];
        assert_eq!(payload["events"].as_array().unwrap().len(), 2, "{:#}", answer.body);
        let new = payload["recorded"].as_i64().unwrap();
        if number % 10 == 7 {
            new_of_repeated += new - 1;
        } else {
            assert_eq!(new, 2, "{number}");
        }
        stored += new;
    }
    assert_eq!(new_of_repeated, 1);
    assert_eq!(app.count("campaign_events").await, stored);
    let (mut changed, mut unchanged) = (0, 0);
    for (number, call) in updated.into_iter().enumerate() {
        let answer = call.await.unwrap();
        if number == 5 {
            assert_eq!((answer.code(), answer.field()), ("NOT_FOUND", "input.0.id"));
            continue;
        }
        let payload = &answer.body["data"]["updateSends"];
        changed += payload["updated"].as_i64().unwrap();
        unchanged += payload["unchanged"].as_i64().unwrap();
    }
    // one send has bounced, regardless of the order
    assert_eq!(changed + unchanged, 11);
    assert!((3..=4).contains(&changed), "{changed}");

    // if all calls are valid, they take a few transactions
    let held = hold().await;
    app.forget_statements();
    let calls: Vec<_> = (0..40).map(|number| record(number * 10)).collect();
    app.until_executing(40).await;
    held.rollback().await.unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().body["data"]["recordEvents"]["recorded"], 2);
    }
    let inserts = app
        .statements()
        .iter()
        .filter(|sent| sent.sql.contains("INSERT INTO campaign_events"))
        .count();
    assert!(inserts < 30, "{inserts}");
}

#[on_both_databases]
async fn calls_of_clients_and_of_the_process_share_transactions(app: TestApp) {
    let (acme, made) = populated(&app).await;
    app.forget_statements();
    let event = NewEvent {
        id: None,
        send_id: made.sends[0],
        event_type: EventType::Open,
        url: None,
        bounce_type: None,
        occurred_at: Utc::now(),
        metadata: serde_json::Map::new(),
    };
    let intake = app.service.intake();
    let mut of_process = Box::pin(intake.record_events(&acme.scope, vec![event], Utc::now()));
    // it has started, and continues only when it is awaited
    tokio::select! {
        biased;
        _ = &mut of_process => panic!("a statement was executed at once"),
        () = std::future::ready(()) => {}
    }
    let of_clients: Vec<_> = (1..4)
        .map(|number| {
            let input = json!([{ "sendId": made.sends[number], "type": "OPEN" }]);
            let client = acme.member.clone();
            tokio::spawn(async move { client.data(RECORD, json!({ "input": input })).await })
        })
        .collect();
    while app.service_database.budgets().executing().held < 3 {
        assert!(!of_clients.iter().any(tokio::task::JoinHandle::is_finished));
        tokio::task::yield_now().await;
    }
    assert_eq!(of_process.await.unwrap().recorded, 1);
    for call in of_clients {
        assert_eq!(call.await.unwrap()["recordEvents"]["recorded"], 1);
    }
    assert_eq!(app.count("campaign_events").await, 4);
    let statements = app.statements();
    let inserts = statements.iter().filter(|sent| sent.sql.contains("INSERT INTO campaign_events"));
    // one for the first call, and one for the calls that arrived meanwhile
    assert_eq!(inserts.count(), 2, "{statements:#?}");
}
