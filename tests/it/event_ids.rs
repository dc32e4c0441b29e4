//! Each organization has its own IDs of events: IDs that others use, or have used, do not matter.

use std::collections::BTreeSet;

use campaigns_tests::{
    Backend, Fixtures, Organization, Socket, TestApp, on_both_databases, on_every_database,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const RECORD: &str = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { \
    recorded duplicates events { id type send { id } } } }";
const DELETE: &str = "mutation ($id: ID!) { deleteEvent(id: $id) { id } }";
const NODE: &str =
    "query ($id: ID!) { node(id: $id) { id ... on EngagementEvent { type send { id } } } }";
const FILTERED: &str = "query ($filter: EngagementEventFilter) { \
    events(filter: $filter, first: 100) { totalCount nodes { id } } }";
const FOLLOW: &str = "subscription ($after: String, $filter: EngagementEventFilter) { \
    engagementEvents(after: $after, filter: $filter) { node { id type } } }";

async fn two(app: &TestApp) -> [(Organization, Fixtures); 2] {
    let mut made = Vec::new();
    for slug in ["ours", "theirs"] {
        let organization = app.organization(slug).await;
        let rows = organization.populated(4).await;
        made.push((organization, rows));
    }
    app.run("DELETE FROM campaign_events").await;
    made.try_into().ok().unwrap()
}

fn event(id: Uuid, send: Uuid, kind: &str) -> Json {
    json!({ "id": id, "sendId": send, "type": kind })
}

/// Records events. Returns the number of new ones and of duplicates.
async fn record(organization: &Organization, input: Vec<Json>) -> (i64, i64) {
    let data = organization.member.data(RECORD, json!({ "input": input })).await;
    let payload = &data["recordEvents"];
    let shown = payload["events"].as_array().unwrap().iter().map(|event| event["id"].clone());
    let chosen = input.iter().map(|event| event["id"].clone());
    assert!(shown.eq(chosen), "{payload}");
    (payload["recorded"].as_i64().unwrap(), payload["duplicates"].as_i64().unwrap())
}

async fn ids_of(organization: &Organization, filter: Json) -> Vec<Json> {
    let data = organization.member.data(FILTERED, json!({ "filter": filter })).await;
    let nodes = data["events"]["nodes"].as_array().unwrap();
    assert_eq!(data["events"]["totalCount"], nodes.len());
    nodes.iter().map(|node| node["id"].clone()).collect()
}

/// The keys under which an organization's events are stored.
async fn keys(app: &TestApp, organization: &Organization) -> BTreeSet<Uuid> {
    let org = app.literal(organization.id);
    let rows = app.rows(&format!("SELECT id FROM campaign_events WHERE org_id = {org}")).await;
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

/// Asserts that the counts equal a recount.
async fn counts_are_right(app: &TestApp, organization: &Organization) {
    for table in &campaigns_scope::COUNT_TABLES {
        let counts = app.service_database.counts();
        let (differences, all) = counts.differences(table, organization.id).await.unwrap();
        assert_eq!(all, 0, "{}: {differences:#?}", table.name);
    }
}

#[on_every_database]
async fn two_organizations_can_record_the_same_id(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let (id, other, free) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let their_events =
        vec![event(id, their.sends[0], "CLICK"), event(other, their.sends[0], "OPEN")];
    let their_events: Vec<Json> = their_events
        .into_iter()
        .map(|mut event| {
            if event["type"] == "CLICK" {
                event["url"] = json!("https://theirs.example/");
            }
            event
        })
        .collect();
    assert_eq!(record(&theirs, their_events).await, (2, 0));
    let start = ours.member.feed_cursor().await;
    // alone, with others, and as a bounce
    assert_eq!(record(&ours, vec![event(id, our.sends[0], "OPEN")]).await, (1, 0));
    let some = vec![
        event(free, our.sends[1], "OPEN"),
        event(other, our.sends[1], "BOUNCE"),
        event(id, our.sends[1], "OPEN"),
    ];
    assert_eq!(record(&ours, some.clone()).await, (2, 1));
    for _ in 0..2 {
        assert_eq!(record(&ours, some.clone()).await, (0, 3));
    }
    // by each field and argument with the ID of an event
    let shown = ours.member.data(NODE, json!({ "id": id })).await["node"].take();
    assert_eq!(shown, json!({ "id": id, "type": "OPEN", "send": { "id": our.sends[0] } }));
    let theirs_shown = theirs.member.data(NODE, json!({ "id": id })).await["node"].take();
    assert_eq!(theirs_shown["send"]["id"], json!(their.sends[0]));
    let nodes = ours
        .member
        .data(
            "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
            json!({ "ids": [other, Uuid::new_v4(), id, free] }),
        )
        .await;
    assert_eq!(nodes["nodes"], json!([{ "id": other }, null, { "id": id }, { "id": free }]));
    assert_eq!(ids_of(&ours, json!({ "id": { "eq": id } })).await, [json!(id)]);
    assert_eq!(
        ids_of(&ours, json!({ "id": { "in": [free, other] } })).await,
        [json!(free), json!(other)]
    );
    assert_eq!(ids_of(&ours, json!({ "id": { "ne": id } })).await, [json!(free), json!(other)]);
    assert_eq!(
        ids_of(&ours, json!({ "not": { "id": { "notIn": [other] } } })).await,
        [json!(other)]
    );
    assert_eq!(ids_of(&ours, json!({ "id": { "isNull": false } })).await.len(), 3);
    // the underlying keys are not shown, and find nothing
    let stored = keys(&app, &ours).await;
    for key in stored.iter().filter(|key| ![id, other, free].contains(key)) {
        assert_eq!(ours.member.data(NODE, json!({ "id": key })).await["node"], Json::Null);
        assert_eq!(ids_of(&ours, json!({ "id": { "eq": key } })).await, [] as [Json; 0]);
        assert_eq!(ours.admin.ask(DELETE, json!({ "id": key })).await.code(), "NOT_FOUND");
    }
    assert!(!stored.contains(&id) && !stored.contains(&other) && stored.contains(&free));
    // stored and live events
    let mut socket = Socket::of(&ours.member).await;
    socket
        .subscribe(
            "1",
            FOLLOW,
            json!({ "after": start, "filter": { "id": { "in": [id, other] } } }),
        )
        .await;
    for expected in [id, other] {
        assert_eq!(socket.next("1").await["engagementEvents"]["node"]["id"], json!(expected));
    }
    let bounced = ours
        .member
        .data("query ($id: ID!) { send(id: $id) { status } }", json!({ "id": our.sends[1] }))
        .await;
    assert_eq!(bounced["send"]["status"], "BOUNCED");
    let data = ours.admin.data(DELETE, json!({ "id": id })).await;
    assert_eq!(data["deleteEvent"]["id"], json!(id));
    assert_eq!(ours.admin.ask(DELETE, json!({ "id": id })).await.code(), "NOT_FOUND");
    assert_eq!(record(&ours, vec![event(id, our.sends[2], "UNSUBSCRIBE")]).await, (1, 0));
    let live = socket.next("1").await["engagementEvents"]["node"].take();
    assert_eq!(live, json!({ "id": id, "type": "UNSUBSCRIBE" }));
    assert_eq!(theirs.member.data(NODE, json!({ "id": id })).await["node"]["type"], "CLICK");
    counts_are_right(&app, &ours).await;
    counts_are_right(&app, &theirs).await;
}

#[on_every_database]
async fn an_id_stays_a_duplicate_when_the_other_organization_deletes_its_event(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let ids: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
    let of = |sends: &[Uuid]| ids.iter().map(|id| event(*id, sends[0], "OPEN")).collect::<Vec<_>>();
    assert_eq!(record(&theirs, of(&their.sends)).await, (3, 0));
    assert_eq!(record(&ours, of(&our.sends)).await, (3, 0));
    theirs.admin.data(DELETE, json!({ "id": ids[0] })).await;
    app.run(&format!("DELETE FROM campaign_events WHERE id = {}", app.literal(ids[1]))).await;
    for _ in 0..2 {
        assert_eq!(record(&ours, of(&our.sends)).await, (0, 3));
        assert_eq!(record(&ours, vec![event(ids[0], our.sends[1], "OPEN")]).await, (0, 1));
    }
    // the other organization can use the ID again, even if a third one uses it as well
    assert_eq!(record(&theirs, of(&their.sends)).await, (2, 1));
    assert_eq!(record(&theirs, of(&their.sends)).await, (0, 3));
    assert_eq!(ids_of(&ours, json!({})).await.len(), 3);
    assert_eq!(ids_of(&theirs, json!({})).await.len(), 3);
    counts_are_right(&app, &ours).await;
}

#[on_every_database]
async fn the_key_of_an_event_is_an_id_like_any_other(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let id = Uuid::new_v4();
    record(&theirs, vec![event(id, their.sends[0], "OPEN")]).await;
    record(&ours, vec![event(id, our.sends[0], "OPEN")]).await;
    // a reader of the table knows the key, and uses it as an ID
    let key = keys(&app, &ours).await.into_iter().find(|key| *key != id).unwrap();
    assert_eq!(record(&ours, vec![event(key, our.sends[0], "COMPLAINT")]).await, (1, 0));
    assert_eq!(
        record(&ours, vec![event(key, our.sends[0], "COMPLAINT"), event(id, our.sends[0], "OPEN")])
            .await,
        (0, 2)
    );
    assert_eq!(record(&theirs, vec![event(key, their.sends[0], "OPEN")]).await, (1, 0));
    for (organization, kind) in [(&ours, "COMPLAINT"), (&theirs, "OPEN")] {
        assert_eq!(
            organization.member.data(NODE, json!({ "id": key })).await["node"]["type"],
            kind
        );
    }
    assert_eq!(ours.member.data(NODE, json!({ "id": id })).await["node"]["type"], "OPEN");
}

#[on_both_databases]
async fn organizations_can_record_the_same_ids_at_the_same_moment(app: TestApp) {
    let all = two(&app).await;
    let ids: Vec<Uuid> = (0..120).map(|_| Uuid::new_v4()).collect();
    let mut calls = JoinSet::new();
    for seed in 0..12_u64 {
        let which = usize::try_from(seed % 2).unwrap();
        let (organization, made) = &all[which];
        let (client, send) = (organization.member.clone(), made.sends[0]);
        let mut ids = ids.clone();
        calls.spawn(async move {
            ids.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            let mut recorded = 0;
            // small calls are batched, large ones are not
            for some in ids.chunks(if seed < 6 { 15 } else { 120 }) {
                let input: Vec<Json> = some.iter().map(|id| event(*id, send, "OPEN")).collect();
                let data = client.data(RECORD, json!({ "input": input })).await;
                recorded += data["recordEvents"]["recorded"].as_i64().unwrap();
                let shown = data["recordEvents"]["events"].as_array().unwrap();
                assert!(shown.iter().zip(some).all(|(event, id)| event["id"] == json!(id)));
            }
            (which, recorded)
        });
    }
    let mut recorded = [0, 0];
    while let Some(done) = calls.join_next().await {
        let (which, number) = done.unwrap();
        recorded[which] += number;
    }
    assert_eq!(recorded, [120, 120]);
    assert_eq!(app.count("campaign_events").await, 240);
    let expected: BTreeSet<String> = ids.iter().map(Uuid::to_string).collect();
    for (organization, _) in &all {
        let query = "{ events(first: 500) { nodes { id } } }";
        let data = organization.member.data(query, json!({})).await;
        let nodes = data["events"]["nodes"].as_array().unwrap();
        let shown: Vec<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
        assert_eq!(shown.len(), 120);
        assert_eq!(shown.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
        counts_are_right(&app, organization).await;
    }
}

#[on_both_databases]
async fn a_call_keeps_the_order_of_its_input_and_counts_an_id_once(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let mut ids: Vec<Uuid> = (0..300).map(|_| Uuid::new_v4()).collect();
    let taken: Vec<Json> =
        ids.iter().step_by(3).map(|id| event(*id, their.sends[0], "OPEN")).collect();
    assert_eq!(record(&theirs, taken).await, (100, 0));
    for ascending in [false, true] {
        if ascending {
            app.run(&format!(
                "DELETE FROM campaign_events WHERE org_id = {}",
                app.literal(ours.id)
            ))
            .await;
            ids.sort_unstable();
        }
        // one ID that another organization uses is repeated, and one that none uses
        let again = [ids[0], ids[1]];
        let input: Vec<Json> =
            ids.iter().chain(&again).map(|id| event(*id, our.sends[0], "OPEN")).collect();
        assert_eq!(record(&ours, input).await, (300, 2));
        let data = ours.member.data("{ events(first: 500) { nodes { id } } }", json!({})).await;
        let nodes = data["events"]["nodes"].as_array().unwrap();
        assert!(
            nodes.iter().map(|node| &node["id"]).eq(ids
                .iter()
                .map(|id| json!(id))
                .collect::<Vec<_>>()
                .iter())
        );
    }
}

#[on_both_databases]
async fn sql_cannot_give_an_organization_one_id_twice(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let id = Uuid::new_v4();
    record(&theirs, vec![event(id, their.sends[0], "OPEN")]).await;
    record(&ours, vec![event(id, our.sends[0], "OPEN")]).await;
    theirs.admin.data(DELETE, json!({ "id": id })).await;
    let insert = |organization: &Organization, send: Uuid| {
        format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES \
             ({}, {}, {}, 'open')",
            app.literal(id),
            app.literal(organization.id),
            app.literal(send)
        )
    };
    let refused = app.try_run(&insert(&ours, our.sends[0])).await.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("unique"), "{refused}");
    app.run(&insert(&theirs, their.sends[0])).await;
    assert_eq!(ids_of(&ours, json!({})).await, [json!(id)]);
    // nor with any other statement
    let free = Uuid::new_v4();
    record(&ours, vec![event(free, our.sends[1], "OPEN")]).await;
    let [shown, key, org] = [id, free, ours.id].map(|id| app.literal(id));
    let other = app.literal(Uuid::new_v4());
    for statement in [
        format!("UPDATE campaign_events SET chosen_id = {shown} WHERE id = {key}"),
        format!(
            "UPDATE campaign_events SET chosen_id = {key} WHERE chosen_id = {shown} AND org_id = \
             {org}"
        ),
        format!(
            "UPDATE campaign_events SET chosen_id = NULL, id = {key} WHERE chosen_id = {shown} AND \
             org_id = {org}"
        ),
        format!(
            "INSERT INTO campaign_events (id, chosen_id, org_id, send_id, event_type) VALUES \
             ({other}, {key}, {org}, {}, 'open')",
            app.literal(our.sends[0])
        ),
    ] {
        let refused = app.try_run(&statement).await.unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("unique"), "{statement}: {refused}");
    }
    assert_eq!(ids_of(&ours, json!({})).await, [json!(id), json!(free)]);
    counts_are_right(&app, &ours).await;
}

#[on_both_databases]
async fn the_id_of_its_own_send_is_refused(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let answer = ours
        .member
        .ask(RECORD, json!({ "input": [event(our.sends[0], our.sends[0], "OPEN")] }))
        .await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "input.0.id"));
    // the send of another organization is unknown
    assert_eq!(record(&ours, vec![event(their.sends[0], our.sends[0], "OPEN")]).await, (1, 0));
    assert_eq!(
        theirs.member.data(NODE, json!({ "id": their.sends[0] })).await["node"]["id"],
        json!(their.sends[0])
    );
}

#[on_both_databases]
async fn a_call_is_one_statement_regardless_of_who_has_its_ids(app: TestApp) {
    let [(ours, our), (theirs, their)] = two(&app).await;
    let ids: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    let of = |sends: &[Uuid]| ids.iter().map(|id| event(*id, sends[0], "OPEN")).collect::<Vec<_>>();
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let mut sent = Vec::new();
    // IDs that are new, another organization's, and its own
    for (organization, sends) in [(&theirs, &their.sends), (&ours, &our.sends), (&ours, &our.sends)]
    {
        app.forget_statements();
        organization.member.data(record, json!({ "input": of(sends) })).await;
        let statements = app.statements();
        let texts: Vec<String> = statements
            .into_iter()
            .map(|sent| sent.sql)
            .filter(|sql| sql.contains("campaign_events"))
            .collect();
        assert_eq!(texts.len(), 1, "{texts:#?}");
        sent.extend(texts);
    }
    assert!(sent.iter().all(|text| *text == sent[0]));
}

#[tokio::test]
async fn a_row_that_is_replaced_by_its_chosen_id_counts_no_more() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let [(ours, our), (theirs, their)] = two(&app).await;
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    for id in ids {
        record(&theirs, vec![event(id, their.sends[0], "OPEN")]).await;
        record(&ours, vec![event(id, our.sends[0], "OPEN")]).await;
    }
    let [first, second, org] = [ids[0], ids[1], ours.id].map(|id| app.literal(id));
    let (key, send) = (app.literal(Uuid::new_v4()), app.literal(our.sends[1]));
    app.run(&format!(
        "INSERT OR REPLACE INTO campaign_events (id, chosen_id, org_id, send_id, event_type) \
         VALUES ({key}, {first}, {org}, {send}, 'complaint')"
    ))
    .await;
    assert_eq!(ids_of(&ours, json!({})).await.len(), 2);
    counts_are_right(&app, &ours).await;
    app.run(&format!(
        "UPDATE OR REPLACE campaign_events SET chosen_id = {second} WHERE chosen_id = {first} AND \
         org_id = {org}"
    ))
    .await;
    assert_eq!(ids_of(&ours, json!({})).await, [json!(ids[1])]);
    counts_are_right(&app, &ours).await;
}
