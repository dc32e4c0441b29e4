//! The live feed: every event once, in order, to every follower.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use campaigns_tests::{
    Backend, Binary, Example, FollowerReport, Followers, Organization, Postgres, Received, Socket,
    TestApp, TestDatabase, on_both_databases, serve_arguments, until,
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    filters::{EVENTS, Maker, rows},
    six_questions::document,
};

const FOLLOW: &str = "subscription ($after: String, $filter: EngagementEventFilter) { \
    engagementEvents(after: $after, filter: $filter) { cursor node { id } } }";

async fn feed_cursor(organization: &Organization) -> Json {
    organization.member.feed_cursor().await
}

/// The IDs of all events of an organization in feed order, by SQL.
async fn in_feed_order(app: &TestApp, organization: &Organization) -> Vec<Uuid> {
    let org = app.literal(organization.id);
    let sql = format!("SELECT id FROM campaign_events WHERE org_id = {org} ORDER BY feed_position");
    app.rows(&sql).await.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

/// Inserts events of random sends, in transactions of random sizes that stay open for a while; some
/// are rolled back. Returns the IDs of the committed events.
async fn write(
    db: DatabaseConnection,
    organization: Uuid,
    sends: Vec<Uuid>,
    seed: u64,
    events: usize,
    postgres: bool,
) -> Vec<Uuid> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let literal =
        |id: Uuid| if postgres { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
    let mut committed = Vec::new();
    while committed.len() < events {
        let mut ids = Vec::new();
        let done: Result<bool, sea_orm::DbErr> =
            async {
                let transaction = db.begin().await?;
                for _ in 0..rng.random_range(1..6) {
                    let values: Vec<String> = (0..rng.random_range(1..12))
                        .map(|_| {
                            let id = Uuid::new_v4();
                            ids.push(id);
                            format!(
                                "({}, {}, {}, 'open')",
                                literal(id),
                                literal(organization),
                                literal(*sends.choose(&mut rng).unwrap())
                            )
                        })
                        .collect();
                    let insert = format!(
                        "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES {}",
                        values.join(", ")
                    );
                    transaction.execute_unprepared(&insert).await?;
                    if postgres && rng.random_bool(0.2) {
                        // a rollback to a savepoint releases the lock of the feed
                        transaction.execute_unprepared("SAVEPOINT part").await?;
                        transaction
                            .execute_unprepared(&insert.replace(
                                &ids.last().unwrap().to_string(),
                                &Uuid::new_v4().to_string(),
                            ))
                            .await
                            .ok();
                        transaction.execute_unprepared("ROLLBACK TO SAVEPOINT part").await?;
                    }
                }
                if postgres && rng.random_bool(0.5) {
                    tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
                }
                if rng.random_bool(0.1) {
                    transaction.rollback().await?;
                    return Ok(false);
                }
                transaction.commit().await?;
                Ok(true)
            }
            .await;
        match done {
            Ok(true) => committed.append(&mut ids),
            Ok(false) => {}
            // the server was restarted; whether this was committed is read at the end
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    committed
}

/// Runs six writers by SQL to their end.
async fn six_writers(
    database: &TestDatabase,
    organization: &Organization,
    sends: &[Uuid],
    events: usize,
) -> JoinSet<Vec<Uuid>> {
    let mut writers = JoinSet::new();
    for seed in 0..6 {
        let (db, sends) = (database.connect().await, sends.to_vec());
        let postgres = database.backend == Backend::Postgres;
        writers.spawn(write(db, organization.id, sends, seed, events / 6, postgres));
    }
    writers
}

/// Asserts that each follower has received all stored events once and in order.
fn all_have(followed: &[FollowerReport], stored: &[Uuid]) {
    let kinds: BTreeSet<&str> = followed.iter().map(|client| client.kind.as_str()).collect();
    assert_eq!(kinds, ["apollo", "graphql-ws"].into());
    for client in followed {
        let same = client.ids.iter().zip(stored).take_while(|(id, stored)| id == stored).count();
        assert!(
            client.ids == stored,
            "{} over {} connections: {} events of {}, of which the first {same} are right",
            client.kind,
            client.connections,
            client.ids.len(),
            stored.len()
        );
    }
}

async fn serve(directory: &Path, url: &str) -> (Binary, String) {
    let mut service = Binary::start(directory, &serve_arguments(url)).await;
    let address = service.address().await;
    (service, address)
}

#[on_both_databases]
async fn after_a_cursor_stored_events_come_before_live_ones(app: TestApp) {
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let made = acme.populated(60).await;
    let of_other = other.populated(5).await;
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  events { id } } }";
    let mut socket = Socket::of(&acme.member).await;
    // from the start of the feed, with 600 stored events
    let none = app.organization("empty").await;
    assert!(feed_cursor(&none).await.is_string());
    let first =
        acme.member.data("{ events(first: 1) { edges { cursor node { id } } } }", json!({})).await;
    let first = &first["events"]["edges"][0];
    socket.subscribe("1", FOLLOW, json!({ "after": first["cursor"] })).await;
    let stored = in_feed_order(&app, &acme).await;
    let mut cursor = Json::Null;
    for id in &stored[1..] {
        let edge = socket.next("1").await["engagementEvents"].take();
        assert_eq!(edge["node"]["id"], json!(id));
        cursor = edge["cursor"].clone();
    }
    // the last cursor is that of the feed's end, and of the list of events
    assert_eq!(cursor, feed_cursor(&acme).await);
    let data = acme
        .member
        .data(
            "query ($after: String) { events(after: $after) { totalCount nodes { id } } }",
            json!({ "after": cursor }),
        )
        .await;
    assert_eq!(data["events"]["nodes"], json!([]));
    // then live events of any writer, and none of the other organization
    other.member.data(record, json!({ "send": of_other.sends[0] })).await;
    let by_service =
        acme.member.data(record, json!({ "send": made.sends[0] })).await["recordEvents"]["events"]
            [0]["id"]
            .clone();
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], by_service);
    let (org, send, id) = (app.literal(acme.id), app.literal(made.sends[1]), Uuid::new_v4());
    app.run(&format!(
        "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES \
         ({}, {org}, {send}, 'open')",
        app.literal(id)
    ))
    .await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], json!(id));
    // with the document from docs/subscriptions.md
    socket
        .subscribe(
            "r",
            document("subscription Feed"),
            json!({ "after": cursor, "filter": { "type": { "eq": "OPEN" } } }),
        )
        .await;
    for expected in [&by_service, &json!(id)] {
        let edge = socket.next("r").await["engagementEvents"].take();
        assert_eq!(edge["node"]["type"], "OPEN");
        let data = acme
            .member
            .data(
                "query ($after: String) { events(last: 1, before: $after) { nodes { id } } }",
                json!({ "after": edge["cursor"] }),
            )
            .await;
        assert_ne!(data["events"]["nodes"][0]["id"], *expected);
    }
    socket.say(json!({ "id": "r", "type": "complete" })).await;
    // without a cursor, events from the start of the subscription
    socket.subscribe("2", FOLLOW, json!({})).await;
    let (mut recorded, mut received) = (Vec::new(), BTreeMap::from([("1", vec![]), ("2", vec![])]));
    while received.values().any(|ids: &Vec<Json>| ids.is_empty() || ids.last() != recorded.last()) {
        let data = acme.member.data(record, json!({ "send": made.sends[2] })).await;
        recorded.push(data["recordEvents"]["events"][0]["id"].clone());
        while let Some(message) = socket.receive_within(Duration::from_millis(300)).await {
            let Received::Message(message) = message else { panic!("{message:?}") };
            let ids = received.get_mut(message["id"].as_str().unwrap()).unwrap();
            ids.push(message["payload"]["data"]["engagementEvents"]["node"]["id"].clone());
        }
    }
    assert_eq!(received["1"], recorded);
    assert!(recorded.ends_with(&received["2"]), "{received:?} of {recorded:?}");
    // a cursor of another organization or of another order is refused
    let of_another_order = acme
        .member
        .data(
            "{ events(first: 1, orderBy: [{ field: OCCURRED_AT }]) { pageInfo { endCursor } } }",
            json!({}),
        )
        .await;
    for after in [
        &feed_cursor(&other).await,
        &of_another_order["events"]["pageInfo"]["endCursor"],
        &json!("nope"),
        &json!(""),
    ] {
        socket.subscribe("4", FOLLOW, json!({ "after": after })).await;
        let error = socket.message().await;
        assert_eq!(
            (&error["type"], &error["payload"][0]["extensions"]["field"]),
            (&json!("error"), &json!("after")),
            "{after}"
        );
    }
}

#[on_both_databases]
async fn a_filter_means_the_same_in_memory_and_in_sql(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut rng = ChaCha8Rng::seed_from_u64(152);
    let made = acme.populated(12).await;
    app.run(
        "UPDATE campaign_events SET url = (SELECT last_name FROM contacts JOIN campaign_sends \
         s ON s.contact_id = contacts.id WHERE s.id = send_id) WHERE event_type = 'click'",
    )
    .await;
    let known = rows(&app, &acme.member, &EVENTS).await;
    let start = feed_cursor(&acme).await;
    let filters: Vec<Json> = (0..90)
        .map(|round| Maker { rng: &mut rng, list: &EVENTS, rows: &known }.filter(round % 5))
        .collect();
    let mut socket = Socket::of(&acme.member).await;
    for (number, filter) in filters.iter().enumerate() {
        socket
            .subscribe(&number.to_string(), FOLLOW, json!({ "filter": filter, "after": start }))
            .await;
    }
    // copies of the events from which the filters were made
    app.run(
        "INSERT INTO campaign_events (org_id, send_id, event_type, url, occurred_at, metadata) SELECT \
         org_id, send_id, event_type, url, occurred_at, metadata FROM campaign_events",
    )
    .await;
    let mut expected = Vec::new();
    for filter in &filters {
        let query = "query ($filter: EngagementEventFilter, $after: String) { \
                     events(first: 500, filter: $filter, after: $after) { nodes { id } } }";
        let data = acme.member.data(query, json!({ "filter": filter, "after": start })).await;
        let ids: Vec<Json> = data["events"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].clone())
            .collect();
        expected.push(ids);
    }
    assert!(
        expected.iter().filter(|ids| !ids.is_empty() && ids.len() < made.events.len()).count() > 30
    );
    let mut received: Vec<Vec<Json>> = vec![Vec::new(); filters.len()];
    for _ in 0..expected.iter().map(Vec::len).sum() {
        let mut message = socket.message().await;
        assert_eq!(message["type"], "next", "{message}");
        let number: usize = message["id"].as_str().unwrap().parse().unwrap();
        received[number].push(message["payload"]["data"]["engagementEvents"]["node"]["id"].take());
    }
    for ((filter, received), expected) in filters.iter().zip(&received).zip(&expected) {
        assert_eq!(received, expected, "{filter:#}");
    }
    assert_eq!(socket.receive_within(Duration::from_millis(300)).await, None);
}

#[on_both_databases]
async fn a_follower_that_does_not_read_misses_nothing_and_delays_no_one(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    app.run("DELETE FROM campaign_events").await;
    let (mut slow, mut quick) = (Socket::of(&acme.member).await, Socket::of(&acme.member).await);
    let start = feed_cursor(&acme).await;
    // a response of some kilobytes, so that the buffers of a connection fill up soon
    let columns: Vec<String> = (0..45).map(|number| format!("m{number}: metadata")).collect();
    let wide = format!(
        "subscription ($after: String) {{ engagementEvents(after: $after) {{ node {{ id {} }} }} \
         }}",
        columns.join(" ")
    );
    slow.subscribe("1", &wide, json!({ "after": start })).await;
    quick.subscribe("1", FOLLOW, json!({ "after": start })).await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let metadata = format!("{{\"text\": \"{}\"}}", "x".repeat(100));
    for _ in 0..10 {
        let values = vec![format!("({org}, {send}, 'open', '{metadata}')"); 400];
        app.run(&format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, metadata) VALUES {}",
            values.join(", ")
        ))
        .await;
    }
    let stored = in_feed_order(&app, &acme).await;
    assert_eq!(stored.len(), 4_000);
    for socket in [&mut quick, &mut slow] {
        for id in &stored {
            assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], json!(id));
        }
    }
}

#[on_both_databases]
async fn metadata_that_cannot_be_read_delays_no_one(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(4).await;
    let of_other = other.populated(4).await;
    let (mut ours, mut theirs) = (Socket::of(&acme.member).await, Socket::of(&other.member).await);
    let start = feed_cursor(&acme).await;
    for (socket, organization) in [(&mut ours, &acme), (&mut theirs, &other)] {
        socket.subscribe("1", FOLLOW, json!({ "after": feed_cursor(organization).await })).await;
    }
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    let id = Uuid::new_v4();
    app.run(&format!(
        "INSERT INTO campaign_events (id, org_id, send_id, event_type, metadata) \
         VALUES ({}, {org}, {send}, 'open', '{{\"x\": 1e400}}')",
        app.literal(id)
    ))
    .await;
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  events { id } } }";
    let theirs_next = other.member.data(record, json!({ "send": of_other.sends[0] })).await;
    let ours_next = acme.member.data(record, json!({ "send": made.sends[1] })).await;
    assert_eq!(
        theirs.next("1").await["engagementEvents"]["node"],
        theirs_next["recordEvents"]["events"][0]
    );
    // both live and from the table
    ours.subscribe("2", FOLLOW, json!({ "after": start })).await;
    let mut received = BTreeSet::new();
    for _ in 0..4 {
        let message = ours.message().await;
        received.insert((
            message["id"].as_str().unwrap().to_owned(),
            message["payload"]["data"]["engagementEvents"]["node"]["id"].to_string(),
        ));
    }
    let last = &ours_next["recordEvents"]["events"][0]["id"];
    let each = |number: &str| {
        [(number.to_owned(), json!(id).to_string()), (number.to_owned(), last.to_string())]
    };
    assert_eq!(received, each("1").into_iter().chain(each("2")).collect());
    assert!(feed_cursor(&acme).await.is_string());
    // every list returns the digits that a double cannot represent
    let pages = "{ events(last: 500) { nodes { id metadata } } campaigns { nodes { events { nodes \
                 { id metadata } } } } }";
    let pages = acme.member.data(pages, json!({})).await;
    let shown =
        pages["events"]["nodes"].as_array().unwrap().iter().find(|event| event["id"] == json!(id));
    let all_digits = format!("1{}", "0".repeat(400));
    let metadata = &shown.unwrap()["metadata"];
    assert!(metadata["x"] == "1e400" || metadata["x"] == all_digits, "{metadata}");
    let campaigns = pages["campaigns"]["nodes"].as_array().unwrap().iter();
    let mut nested = campaigns.flat_map(|campaign| campaign["events"]["nodes"].as_array().unwrap());
    assert!(nested.any(|event| event["id"] == json!(id) && &event["metadata"] == metadata));
    let node = "query ($id: ID!) { node(id: $id) { ... on EngagementEvent { metadata } } }";
    assert_eq!(&acme.member.data(node, json!({ "id": id })).await["node"]["metadata"], metadata);
}

#[on_both_databases]
async fn a_later_subscriber_gets_the_current_data(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(6).await;
    let query = "subscription ($after: String) { engagementEvents(after: $after) { node { id \
                 campaign { name } } } }";
    // of two campaigns
    let all = acme.member.data("{ sends(first: 500) { nodes { id campaign { id } } } }", json!({}));
    let all = all.await["sends"]["nodes"].as_array().unwrap().clone();
    let other = all.iter().find(|send| send["campaign"] != all[0]["campaign"]).unwrap();
    let sends = [&all[0]["id"], &other["id"], &all[0]["id"]];
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  events { id campaign { id } } } }";
    let start = feed_cursor(&acme).await;
    let mut first = Socket::of(&acme.member).await;
    first.subscribe("1", query, json!({ "after": start })).await;
    let mut events = Vec::new();
    for send in sends {
        events.push(
            acme.member.data(record, json!({ "send": send })).await["recordEvents"]["events"][0]
                .take(),
        );
        assert_eq!(
            first.next("1").await["engagementEvents"]["node"]["id"],
            events.last().unwrap()["id"]
        );
    }
    // a campaign is renamed, another one deleted with its events, and the last event is deleted
    let (kept, gone) = (&events[0]["campaign"]["id"], &events[1]["campaign"]["id"]);
    assert_ne!(kept, gone);
    acme.member
        .data(
            "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"renamed\" }) \
             { campaign { id } } }",
            json!({ "id": kept }),
        )
        .await;
    acme.admin
        .data("mutation ($id: ID!) { deleteCampaign(id: $id) { id } }", json!({ "id": gone }))
        .await;
    acme.admin
        .ask(
            "mutation ($id: ID!) { deleteEvent(id: $id) { id } }",
            json!({ "id": events[2]["id"] }),
        )
        .await;
    let mut later = Socket::of(&acme.member).await;
    later.subscribe("resumed", query, json!({ "after": start })).await;
    assert_eq!(
        later.next("resumed").await["engagementEvents"]["node"],
        json!({ "id": events[0]["id"], "campaign": { "name": "renamed" } })
    );
    later.subscribe("new", query, json!({})).await;
    assert_eq!(later.receive_within(Duration::from_millis(400)).await, None);
    let next =
        acme.member.data(record, json!({ "send": sends[0] })).await["recordEvents"]["events"]
            [0]["id"]
            .take();
    for _ in 0..2 {
        assert_eq!(
            later.message().await["payload"]["data"]["engagementEvents"]["node"]["id"],
            next
        );
    }
}

#[on_both_databases]
async fn figures_are_sent_when_they_change_and_the_last_are_true(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let campaign = *made.campaigns.last().unwrap();
    let figures = "sends queued delivered opens clicks uniqueOpens openRate bounceRate";
    let mut socket = Socket::of(&acme.member).await;
    let query =
        format!("subscription ($id: ID!) {{ campaignStats(campaignId: $id) {{ {figures} }} }}");
    socket.subscribe("1", &query, json!({ "id": campaign })).await;
    let stats = async || {
        let query = format!("query ($id: ID!) {{ campaign(id: $id) {{ stats {{ {figures} }} }} }}");
        acme.member.data(&query, json!({ "id": campaign })).await["campaign"]["stats"].take()
    };
    assert_eq!(socket.next("1").await["campaignStats"], stats().await);
    let id = app.literal(campaign);
    for sql in [
        format!("UPDATE campaign_sends SET status = 'delivered' WHERE campaign_id = {id}"),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, 'open' \
             FROM campaign_sends WHERE campaign_id = {id}"
        ),
        format!(
            "DELETE FROM campaign_events WHERE send_id IN (SELECT id FROM campaign_sends WHERE \
             campaign_id = {id}) AND event_type = 'click'"
        ),
    ] {
        let before = stats().await;
        app.run(&sql).await;
        let now = stats().await;
        if now != before {
            assert_eq!(socket.next("1").await["campaignStats"], now, "{sql}");
        }
    }
    // nothing is sent without a change; of many changes, not each is sent
    assert_eq!(socket.receive_within(Duration::from_millis(600)).await, None);
    let started = std::time::Instant::now();
    for number in 0..40 {
        let status = ["queued", "sent", "delivered", "bounced"][number % 4];
        app.run(&format!("UPDATE campaign_sends SET status = '{status}' WHERE campaign_id = {id}"))
            .await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let truth = stats().await;
    let mut last = Json::Null;
    let mut shown = 0;
    while last != truth {
        last = socket.next("1").await["campaignStats"].take();
        shown += 1;
    }
    assert!(f64::from(shown) <= 2.0 + 4.0 * started.elapsed().as_secs_f64());
    acme.admin
        .data("mutation ($id: ID!) { deleteCampaign(id: $id) { id } }", json!({ "id": campaign }))
        .await;
    loop {
        match socket.message().await {
            message if message["type"] == "next" => {}
            message => {
                assert_eq!(message, json!({ "id": "1", "type": "complete" }));
                break;
            }
        }
    }
}

#[on_both_databases]
async fn a_campaign_is_sent_when_its_row_or_its_figures_change_until_it_is_deleted(app: TestApp) {
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let made = acme.populated(6).await;
    let campaign = *made.campaigns.last().unwrap();
    let fields = "id name body status scheduledAt sentAt metadata stats { sends delivered opens \
                  openRate(decimals: 3) }";
    let changes = format!("subscription ($id: ID!) {{ campaignChanges(id: $id) {{ {fields} }} }}");
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", &changes, json!({ "id": campaign })).await;
    let figures = "subscription ($id: ID!) { campaignStats(campaignId: $id) { sends } }";
    let mut of_figures = Socket::of(&acme.member).await;
    of_figures.subscribe("1", figures, json!({ "id": campaign })).await;
    of_figures.next("1").await;
    let now = async || {
        let query = format!("query ($id: ID!) {{ campaign(id: $id) {{ {fields} }} }}");
        acme.member.data(&query, json!({ "id": campaign })).await["campaign"].take()
    };
    assert_eq!(socket.next("1").await["campaignChanges"], now().await);
    // changes by another program
    let id = app.literal(campaign);
    for sql in [
        format!("UPDATE campaigns SET name = 'Renamed' WHERE id = {id}"),
        format!("UPDATE campaigns SET body = 'A' WHERE id = {id}"),
        format!("UPDATE campaigns SET body = 'B' WHERE id = {id}"),
        format!(
            "UPDATE campaigns SET status = 'scheduled', metadata = '{{\"a\": 1}}' WHERE id = {id}"
        ),
    ] {
        app.run(&sql).await;
        let now = now().await;
        while socket.next("1").await["campaignChanges"] != now {}
    }
    // a campaign of another organization does not exist
    let mut foreign = Socket::of(&other.admin).await;
    foreign.subscribe("1", &changes, json!({ "id": campaign })).await;
    let refused = foreign.message().await;
    assert_eq!(refused["type"], "error", "{refused}");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(refused["payload"][0]["extensions"]["field"], "id");
    // a change by the API, and a change of the figures only
    let rename = "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"Again\" }) { \
                  campaign { id } } }";
    acme.member.data(rename, json!({ "id": campaign })).await;
    let renamed = now().await;
    while socket.next("1").await["campaignChanges"] != renamed {}
    // none of these changed the figures
    assert_eq!(of_figures.receive_within(Duration::from_millis(300)).await, None);
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, \
         'open' FROM campaign_sends WHERE campaign_id = {id}"
    ))
    .await;
    let opened = now().await;
    while socket.next("1").await["campaignChanges"] != opened {}
    assert_eq!(socket.receive_within(Duration::from_millis(600)).await, None);
    // when it is deleted, the subscription ends with an error
    app.run(&format!("DELETE FROM campaigns WHERE id = {id}")).await;
    let gone = socket.message().await;
    assert_eq!(gone["type"], "next");
    assert_eq!(gone["payload"]["data"], Json::Null);
    assert_eq!(gone["payload"]["errors"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(socket.message().await, json!({ "id": "1", "type": "complete" }));
}

#[on_both_databases]
async fn many_changes_of_a_campaign_are_sent_four_times_a_second_at_most(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(3).await;
    let campaign = made.campaigns[0];
    let mut socket = Socket::of(&acme.member).await;
    let changes = "subscription ($id: ID!) { campaignChanges(id: $id) { name } }";
    socket.subscribe("1", changes, json!({ "id": campaign })).await;
    let started = std::time::Instant::now();
    let mut shown = 0;
    let rename = "mutation ($id: ID!, $name: String!) { updateCampaign(input: { id: $id, name: \
                  $name }) { campaign { id } } }";
    for number in 0..60 {
        acme.member.data(rename, json!({ "id": campaign, "name": format!("Name {number}") })).await;
    }
    while socket.next("1").await["campaignChanges"]["name"] != "Name 59" {
        shown += 1;
    }
    assert!(f64::from(shown) <= 2.0 + 4.0 * started.elapsed().as_secs_f64());
}

#[on_both_databases]
async fn without_listeners_the_database_is_not_queried(app: TestApp) {
    let acme = app.organization("acme").await;
    let quiet = async || {
        app.forget_statements();
        tokio::time::sleep(Duration::from_millis(500)).await;
        app.statements().len()
    };
    // the triggers are checked at startup
    until("the database is left alone", Duration::from_secs(30), async || quiet().await == 0).await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", FOLLOW, json!({})).await;
    let patience = Duration::from_mins(2);
    let of_events =
        || app.statements().iter().filter(|sent| sent.sql.contains("campaign_events")).count();
    // once it is open, only the end of the feed is read while there are no events
    let is_open = async || quiet().await > 3 && of_events() <= 1;
    until("the end of the feed alone is read", patience, is_open).await;
    drop(socket);
    until("the feed is not read any more", patience, async || quiet().await == 0).await;
}

#[tokio::test]
async fn six_writers_in_sql_and_two_replicas_lose_repeat_and_reorder_nothing() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let made = acme.populated(10).await;
    let of_other = other.populated(4).await;
    let before = in_feed_order(&app, &acme).await.len();
    let here = tempfile::tempdir().unwrap();
    let (_replica, second) = serve(here.path(), &app.database.url).await;
    let token = acme.member.token.clone().unwrap();
    let followers =
        Followers::start(&[&app.address, &second], &token, &[("CLIENTS", "6"), ("CUT", "250")])
            .await;
    // a transaction that writes no event delays nothing
    let idle = app.database.connect().await;
    let idle = idle.begin().await.unwrap();
    idle.execute_unprepared("UPDATE campaigns SET metadata = '{}'").await.unwrap();
    let mut elsewhere = six_writers(&app.database, &other, &of_other.sends, 600).await;
    let mut writers = six_writers(&app.database, &acme, &made.sends, 6_000).await;
    let mut committed = BTreeSet::new();
    while let Some(ids) = writers.join_next().await {
        committed.extend(ids.unwrap());
    }
    while elsewhere.join_next().await.is_some() {}
    let stored = in_feed_order(&app, &acme).await.split_off(before);
    assert_eq!(stored.iter().copied().collect::<BTreeSet<_>>(), committed);
    assert!(stored.len() >= 6_000);
    all_have(&followers.expect(stored.len()).await, &stored);
    idle.rollback().await.unwrap();
}

#[tokio::test]
async fn a_killed_replica_and_a_restarted_database_lose_and_repeat_nothing() {
    let (postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    let before = in_feed_order(&app, &acme).await.len();
    let here = tempfile::tempdir().unwrap();
    let (first, first_address) = serve(here.path(), &app.database.url).await;
    let (second, second_address) = serve(here.path(), &app.database.url).await;
    let token = acme.member.token.clone().unwrap();
    let followers = Followers::start(
        &[&first_address, &second_address, &app.address],
        &token,
        &[("CLIENTS", "6"), ("CUT", "400")],
    )
    .await;
    let mut writers = six_writers(&app.database, &acme, &made.sends, 6_000).await;
    let pause = || tokio::time::sleep(Duration::from_millis(1_500));
    pause().await;
    postgres.restart("immediate").await;
    pause().await;
    first.kill().await;
    pause().await;
    postgres.restart("fast").await;
    let mut committed = BTreeSet::new();
    while let Some(ids) = writers.join_next().await {
        committed.extend(ids.unwrap());
    }
    let stored = in_feed_order(&app, &acme).await.split_off(before);
    assert!(stored.iter().copied().collect::<BTreeSet<_>>().is_superset(&committed));
    all_have(&followers.expect(stored.len()).await, &stored);
    assert_eq!(second.terminate().await, 0);
}

#[tokio::test]
async fn on_sqlite_two_processes_lose_repeat_and_reorder_nothing() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    let before = in_feed_order(&app, &acme).await.len();
    let here = tempfile::tempdir().unwrap();
    let (_second, address) = serve(here.path(), &app.database.url).await;
    let token = acme.member.token.clone().unwrap();
    let followers =
        Followers::start(&[&app.address, &address], &token, &[("CLIENTS", "6"), ("CUT", "250")])
            .await;
    // through both services, and by SQL
    let mut writers = six_writers(&app.database, &acme, &made.sends, 1_200).await;
    let mut recorders = JoinSet::new();
    for (seed, address) in (0..4).zip([&app.address, &address].into_iter().cycle()) {
        let (mut client, sends) = (acme.member.clone(), made.sends.clone());
        client.address.clone_from(address);
        recorders.spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..30 {
                let input: Vec<Json> = (0..40)
                    .map(|_| json!({ "sendId": sends.choose(&mut rng).unwrap(), "type": "OPEN" }))
                    .collect();
                client
                    .data(
                        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) \
                         { recorded } }",
                        json!({ "input": input }),
                    )
                    .await;
            }
        });
    }
    while let Some(done) = recorders.join_next().await {
        done.unwrap();
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let stored = in_feed_order(&app, &acme).await.split_off(before);
    assert!(stored.len() >= 6_000);
    all_have(&followers.expect(stored.len()).await, &stored);
}

#[tokio::test]
async fn the_examples_write_and_follow() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    acme.populated(10).await;
    let token = acme.member.token.clone().unwrap();
    let mut follow =
        Example::start("follow.mjs", &token, &app.address.replacen("http", "ws", 1)).await;
    // it has its cursor before anything is written
    follow.error_line(|line| line.contains("following")).await;
    let before = in_feed_order(&app, &acme).await.len();
    let _traffic = Example::start("traffic.mjs", &token, &app.address).await;
    for _ in 0..10 {
        let line = follow.line().await;
        assert!(
            ["OPEN", "CLICK", "UNSUBSCRIBE", "BOUNCE"].iter().any(|kind| line.contains(kind)),
            "{line}"
        );
    }
    assert!(in_feed_order(&app, &acme).await.len() >= before + 10);
}

#[tokio::test]
async fn a_service_that_stops_closes_with_1001_and_without_complete() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let here = tempfile::tempdir().unwrap();
    let (service, address) = serve(here.path(), &app.database.url).await;
    let mut client = acme.member.clone();
    client.address = address;
    let mut socket = Socket::of(&client).await;
    socket.subscribe("1", FOLLOW, json!({})).await;
    socket.subscribe("2", "{ __typename }", json!({})).await;
    assert_eq!(socket.message().await["id"], "2");
    assert_eq!(socket.message().await["id"], "2");
    let (ended, received) = tokio::join!(service.terminate(), socket.receive());
    assert!(matches!(received, Received::Closed(1001, _)), "{received:?}");
    assert_eq!(ended, 0);
}
